"""What fits: the sizes of other ways to train, and what to say where the chosen one is too large.

Sizes are those of the build itself, to the byte, but nothing is encoded, executed or written as C for them, and few
ways are tried: the more layers train, the more RAM it takes, so the most that fits is found by halving.
"""

from __future__ import annotations

from dataclasses import replace

from mcugrad.compiler import STACK_RESERVE, Build, Footprint, Options, complete, kib, lowered
from mcugrad.emit import layout
from mcugrad.errors import FitError, ModelError, UsageError
from mcugrad.graph import Graph
from mcugrad.model import Model
from mcugrad.passes.freeze import Train
from mcugrad.plan import greedy_by_size
from mcugrad.program import Space
from mcugrad.targets import Target
from mcugrad.training.rules import Updates, updates


class Footprints:
    """Memory of ways to train a network; each is computed once.

    Args:
        model: the network.
        graph: quantized.
        options: all but what trains, and how.
    """

    def __init__(self, model: Model, graph: Graph, options: Options) -> None:
        self.model = model
        self._graph = graph
        self._options = options
        self._known: dict[tuple[Train, Updates], Footprint | ModelError] = {}

    def of(self, train: Train, how: Updates) -> Footprint:
        """Memory of a way to train. Raises ModelError where an accumulator could overflow."""
        found = self._known.get((train, how))
        if found is None:
            try:
                found = self._computed(replace(self._options, train=train, updates=how))
            except ModelError as error:
                found = error
            self._known[train, how] = found
        if isinstance(found, ModelError):
            raise found
        return found

    def fits(self, train: Train, how: Updates, target: Target) -> bool:
        """Whether a way to train fits into a target, 4 KiB of stack included."""
        try:
            return self.of(train, how).fits(target)
        except ModelError:
            return False

    def halvings(self) -> list[str]:
        """`all`, and `last:N` for half as many layers each time, down to 1."""
        counts = [len(self.model.layers)]
        while counts[-1] > 1:
            counts.append(counts[-1] // 2)
        return [self._last(n) for n in counts if n]

    def most(self, how: Updates, target: Target) -> str | None:
        """The most layers that can train within a target: `all` or `last:N`; None where not even one can."""
        fits, too_many = 0, len(self.model.layers) + 1
        steps = [len(self.model.layers) >> k for k in range(too_many.bit_length())]
        for count in sorted({n for n in steps if n}):
            if not self.fits(self._last(count), how, target):
                too_many = count
                break
            fits = count
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            if self.fits(self._last(middle), how, target):
                fits = middle
            else:
                too_many = middle
        return self._last(fits) if fits else None

    def _last(self, count: int) -> str:
        return "all" if count == len(self.model.layers) else f"last:{count}"

    def _computed(self, options: Options) -> Footprint:
        try:
            graph = complete(self.model, self._graph, options)
        except UsageError:  # sparse= asks for layers that then do not train
            if options.sparse is None:
                raise
            options = replace(options, sparse=None)
            graph = complete(self.model, self._graph, options)
        program = lowered(graph, options, sizes_only=True)
        return Footprint.of(program, layout(program, greedy_by_size(program)))


def check_fit(model: Model, graph: Graph, options: Options, result: Build, target: Target) -> None:
    """Refuse what does not fit into the target's memories; a linked firmware is checked again, code included.

    Raises:
        FitError: what is needed, what there is, where the peak is, and which `train=` would fit.
    """
    need, have = result.ram + STACK_RESERVE, target.ram.bytes
    if need > have:
        raise FitError(
            f"training needs {kib(need)} of RAM; {target.name} has {kib(have)} ({kib(need - have)} short)"
            if result.compiled.program.train
            else f"inference needs {kib(need)} of RAM; {target.name} has {kib(have)} ({kib(need - have)} short)",
            where=_peak(result),
            hint=_what_fits(model, graph, options, target),
        )
    if result.constants > target.flash.bytes:
        raise FitError(
            f"the constants alone need {kib(result.constants)} of flash; {target.name} has "
            f"{kib(target.flash.bytes)} ({kib(result.constants - target.flash.bytes)} short)",
            where=f"weights and tables of {model.name}",
            hint="a smaller network or a target with more flash",
        )


def _peak(result: Build) -> str:
    program, place = result.compiled.program, result.compiled.layout
    index = result.plan.peak
    call = program.calls[index]
    sizes = sorted(
        ((b.size, b.name) for name in call.buffers if (b := program.buffers[name]).space is Space.ARENA),
        reverse=True,
    )
    parts = " + ".join(f"{name} {size}" for size, name in sizes[:4])
    return (
        f"learned state {place.params_size} B, working memory {result.plan.size} B with its peak in call "
        f"{index + 1} of {len(program.calls)}, {call.kernel.name} of {call.node} ({parts} B)"
    )


def _what_fits(model: Model, graph: Graph, options: Options, target: Target) -> str:
    """The most that can be trained on the target: more layers by the smallest rule before fewer by the chosen one."""
    sizes = Footprints(model, graph, options)
    smallest = updates("sr8") if options.precision == "int8" else options.updates
    most = None
    if sizes.fits("none", options.updates, target):  # nothing takes less
        most = sizes.most(smallest, target) or sizes.most(options.updates, target)
    for train in [most, "bias", "none"] if most else ["bias", "none"]:
        assert train is not None
        for how in dict.fromkeys((options.updates, smallest)):
            if sizes.fits(train, how, target):
                rule_text = "" if how == options.updates else f" with rule={how.text}"
                return f"train={train}{rule_text}   ({kib(sizes.of(train, how).ram + STACK_RESERVE)})"
    if options.precision != "int8":
        rest = _what_fits(model, graph, replace(options, precision="int8"), target)
        return f"precision=int8 with {rest}" if rest.startswith("train=") else rest
    return "a smaller input or network: not even inference fits"
