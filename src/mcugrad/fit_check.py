"""What fits: the sizes of other ways to train, and what to say where the chosen one is too large.

Sizes are those of the build itself, to the byte, but nothing is encoded, executed or written as C for them, and few
ways are tried: the more layers train, the more RAM it takes, so the most that fits is found by halving.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mcugrad.emit import layout
from mcugrad.errors import FitError, ModelError, UsageError
from mcugrad.footprint import Footprint, kib
from mcugrad.graph import ActivationScale, WeightScale
from mcugrad.model import Model
from mcugrad.options import Budget, Options
from mcugrad.passes.calibrate import Calibration
from mcugrad.passes.freeze import Train
from mcugrad.passes.program.store_latents import store_latents
from mcugrad.passes.stage import looked_at
from mcugrad.pipeline import Build, calibrate, complete, lowered, macs_of
from mcugrad.plan import Curve, Planned, aligned, choices, planned
from mcugrad.plan.recompute import taken
from mcugrad.program import Program, Space
from mcugrad.program.segment import FROZEN
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.targets import Target
from mcugrad.training.rules import FAMILY, Rule, Updates, updates

Memory = Literal["RAM", "flash"]

SMALL, PORTABLE = "-Os", "-DMCG_PORTABLE"
"""What asks a compiler for small code, and for the bodies of kernels that take least of it, as they are slowest."""
NOTHING = "a smaller input or network: not even inference fits"
"""What is left to try where no way to train, nor to predict, fits."""


@dataclass(frozen=True)
class Latents:
    """What a replay buffer gains if it holds latents.

    Attributes:
        size: bytes of a sample's.
        skipped: instructions of a training step that one on a stored sample does without, estimated from what kernels
            with int8 weights were counted to take; what others take comes on top.
    """

    size: int
    skipped: float

    @classmethod
    def of(cls, program: Program, with_room: Program, macs: Mapping[str, int], core: str) -> Latents | None:
        """Those of a program that stores inputs, and whose calls have scratch in another; None where there are none."""
        cut = looked_at(store_latents(program, macs))
        if not cut.stores_latents:
            return None
        calls = with_room.segments[FROZEN].calls[: len(cut.segments[FROZEN].calls)]
        return cls(cut.stored, sum(taken(call, core) for call in calls))


@dataclass(frozen=True)
class _Size:
    """A footprint without residual planes, the one thing that the rules of the family differ in.

    Attributes:
        state: bytes of what training keeps.
        rest: bytes of RAM beside it, with the smallest arena.
        constants: bytes of flash beside it.
        reserve: bytes that are kept for the stack and for what calls the model.
        rows: channels of each weight tensor that trains, and weights per channel.
        curve: arenas that it can have.
        latents: what stored samples take and save; None where nothing is frozen in front of what trains.
    """

    state: int
    rest: int
    constants: int
    reserve: int
    rows: tuple[tuple[int, int], ...]
    curve: Curve
    latents: Latents | None

    def footprint(self, rule: Rule | None, budget: Budget, code: int, data: int) -> Footprint:
        """With the residual planes of a rule, what a budget adds, and what a linked firmware takes besides."""
        planes = 0 if rule is None else sum(out * rule.residual_row(count) for out, count in self.rows)
        ram, constants = aligned(self.state + planes) + self.rest, self.constants + self.state + planes
        least = Footprint(ram, constants + code, self.reserve + data)
        more = budget.choose(self.curve, least.need).size - self.curve.points[0].size
        return replace(least, ram=ram + more)


class Footprints:
    """Memory of ways to train a network; each is computed once, for all rules of the family together.

    Args:
        model: the network.
        scales: from `calibrate`; of every activation, where `train` says which of them are int8.
        options: all but what trains, and how.

        code: bytes of flash that a linked firmware takes beside constants, where that is known.
        data: bytes of RAM that it takes beside model, sample and reserve.

    Attributes:
        computed: how many ways were lowered and planned so far.
    """

    def __init__(
        self,
        model: Model,
        scales: Mapping[str, ActivationScale],
        options: Options,
        *,
        code: int = 0,
        data: int = 0,
    ) -> None:
        self.model = model
        self.computed = 0
        self._scales = scales
        self._code, self._data = code, data
        self._options = options
        self._known: dict[tuple[Train, Updates], _Size | ModelError] = {}

    def of(self, train: Train, how: Updates) -> Footprint:
        """Memory of a way to train, as it is built. Raises ModelError where an accumulator could overflow."""
        return self._of(train, how, self._options.budget)

    def least(self, train: Train, how: Updates) -> Footprint:
        """The same where kernels get nothing to be faster: what has to fit."""
        return self._of(train, how, replace(self._options.budget, prefer="ram"))

    def _of(self, train: Train, how: Updates, budget: Budget) -> Footprint:
        key, rule = self._shared(train, how)
        if key not in self._known:
            try:
                self._known[key] = self._computed(replace(self._options, train=train, updates=key[1]))
            except ModelError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, ModelError):
            raise found
        return found.footprint(rule, budget, self._code, self._data)

    def latents(self, train: Train, how: Updates) -> Latents | None:
        """What latents take and save in a way to train, for which `of` has been asked; None where there are none."""
        found = self._known[self._shared(train, how)[0]]
        return None if isinstance(found, ModelError) else found.latents

    def fits(self, train: Train, how: Updates, target: Target) -> bool:
        """Whether a way to train fits into a target, the stack included."""
        try:
            return self.least(train, how).fits(target)
        except ModelError:
            return False

    def halvings(self) -> list[str]:
        """`all`, and `last:N` for half as many layers each time, down to 1."""
        counts = [len(self.model.layers)]
        while counts[-1] > 1:
            counts.append(counts[-1] // 2)
        return [self._last(n) for n in counts if n]

    def most(self, how: Updates, target: Target) -> str | None:
        """The most layers that can train within a target: `all` or `last:N`; None where not even one can.

        More layers take more RAM. Where it runs out is guessed along a straight line between what is known, and by
        halving where that does not come nearer.
        """
        fits, too_many = 0, len(self.model.layers)
        if not too_many or self.fits("all", how, target):
            return "all" if too_many else None
        for count in range(1, too_many):
            if self._shared(self._last(count), how)[0] in self._known:
                if not self.fits(self._last(count), how, target):
                    too_many = count
                    break
                fits = count
        guess = True
        while too_many - fits > 1:
            count = self._between(fits, too_many, how, target) if guess else (fits + too_many) // 2
            before = too_many - fits
            if self.fits(self._last(count), how, target):
                fits = count
            else:
                too_many = count
            guess = not guess or 2 * (too_many - fits) <= before
        return self._last(fits) if fits else None

    def _between(self, fits: int, too_many: int, how: Updates, target: Target) -> int:
        try:
            low, high = (self.least(self._last(n), how).need for n in (fits, too_many))
        except ModelError:
            return (fits + too_many) // 2
        share = (target.ram.bytes - low) / max(high - low, 1)
        return min(max(fits + int(share * (too_many - fits)), fits + 1), too_many - 1)

    def _last(self, count: int) -> str:
        return {len(self.model.layers): "all", 0: "none"}.get(count, f"last:{count}")

    def _computed(self, options: Options) -> _Size:
        self.computed += 1
        try:
            graph = complete(self.model, self._scales, options)
        except UsageError:  # sparse= asks for layers that then do not train
            if options.sparse is None:
                raise
            options = replace(options, sparse=None)
            graph = complete(self.model, self._scales, options)
        flat = lowered(graph, replace(options, replay_of="inputs"), sizes_only=True)
        programs = planned(flat, options.plan, options.recomputed_on)
        program, plan = programs[0]
        place = layout(program, plan)
        whole = Footprint.of(program, place)
        offered = choices(programs, options.budget.core)
        point = options.budget.choose(offered.curve, whole.need)
        with_room, _ = offered.of(point).taken(point)
        latents = Latents.of(offered.of(point).program, with_room, macs_of(graph), options.budget.core)
        state = sum(b.size for b in program.in_space(Space.STATE))
        weights = [t for t in graph.tensors.values() if t.rule and isinstance(t.quant, WeightScale)]
        rows = tuple((t.shape[0], t.size // t.shape[0]) for t in weights)
        rest, constants = whole.ram - place.params_size, whole.constants - state
        return _Size(state, rest, constants, whole.reserve, rows, offered.curve, latents)

    @staticmethod
    def _shared(train: Train, how: Updates) -> tuple[tuple[Train, Updates], Rule | None]:
        """What is computed for a way to train, and the rule whose residual planes come on top."""
        for rule in FAMILY:
            if how == updates(rule.name):
                return (train, updates("sr8")), rule
        return (train, how), None


def planned_sizes(
    model: Model, scales: Mapping[str, ActivationScale], options: Options
) -> tuple[Planned, ...]:
    """Programs of the sizes that `build` chooses from, the smallest first; no contents, no scratch, and no C.

    Args:
        model: the network.
        scales: from `calibrate`, for the same precision and the same layers.
        options: what the user decides.

    Raises:
        UsageError: `train` names nothing, `sparse` does not fit what trains.
        ModelError: an accumulator could overflow.
    """
    return planned(
        lowered(complete(model, scales, options), options, sizes_only=True),
        options.plan,
        options.recomputed_on,
    )


def check_fit(
    model: Model, scales: Mapping[str, ActivationScale], options: Options, result: Build, target: Target
) -> None:
    """Refuse what does not fit into the target's memories; a linked firmware is checked again, code included.

    Raises:
        FitError: what is needed, what there is, where the peak is, and which `train=` would fit.
    """
    found = result.footprint
    if found.need > target.ram.bytes:
        what = "training" if result.compiled.program.trains else "inference"
        raise FitError(
            f"{what} needs {target.shortage(found.need, 'RAM')}",
            where=f"{_peak(result)}, {found.reserve} B kept for the stack and for what calls the model",
            hint=_what_fits(model, scales, options, target),
        )
    if found.constants > target.flash.bytes:
        raise FitError(
            f"the constants alone need {target.shortage(found.constants, 'flash')}",
            where=f"weights and tables of {model.name}",
            hint=_what_fits(model, scales, options, target, "flash"),
        )


def with_way_out(error: FitError, model: Model, made: Build, options: Options, target: Target) -> FitError:
    """What a linker found too large, with what would fit: other flags, or other ways to train with as much code.

    Args:
        error: what it said.
        model: the network.
        made: what was linked.
        options: what was wanted of it.
        target: for which.
    """
    if not error.short:
        return error
    found = made.footprint
    code = target.flash.bytes + error.short["flash"] - found.constants if "flash" in error.short else 0
    data = target.ram.bytes + error.short["RAM"] - found.need if "RAM" in error.short else 0
    memory: Memory = "flash" if code else "RAM"
    ways = [_with_smaller_code(made, target)] if memory == "flash" else []
    ways.append(_what_fits(model, made.scales, options, target, memory, code=code, data=data))
    found_some = [way for way in ways if way and way != NOTHING] or [NOTHING]
    return FitError(error.what, where=error.where, hint=";  ".join(found_some), short=error.short)


def _with_smaller_code(made: Build, target: Target) -> str:
    """What a compiler that is asked for small code makes of it; nothing where that does not fit, either."""
    for more in ((), (PORTABLE,)):
        with suppress(FitError):
            device = EmulatedDevice(made.compiled, target, opt=SMALL, flags=more).device
            taken = kib(device.firmware.sizes.flash_image)
            return f"{' '.join((SMALL, *more))} when you compile it   ({taken} of flash)"
    return ""


def made_up(model: Model) -> dict[str, ActivationScale]:
    """Scales of all activations from samples that mean nothing, for sizes, which do not depend on ranges."""
    noise = np.random.default_rng(0).standard_normal((2, *model.input_shape), np.float32)
    return calibrate(model, noise, Calibration("minmax"))


def _peak(result: Build) -> str:
    program, place = result.compiled.program, result.compiled.layout
    index = result.compiled.plan.peak
    call = program.at(index)
    sizes = sorted(
        ((b.size, b.name) for name in call.buffers if (b := program.buffers[name]).space is Space.ARENA),
        reverse=True,
    )
    parts = " + ".join(f"{name} {size}" for size, name in sizes[:4])
    return (
        f"learned state {place.params_size} B, working memory {result.compiled.plan.size} B with its peak in call "
        f"{index + 1} of {program.length}, {call.kernel.name} of {call.node} ({parts} B)"
    )


def _what_fits(
    model: Model,
    scales: Mapping[str, ActivationScale],
    options: Options,
    target: Target,
    memory: Memory = "RAM",
    **more: int,
) -> str:
    """The most that can be trained on the target: more layers by the smallest rule before fewer by the chosen one.

    Args:
        model: the network.
        scales: from `calibrate`.
        options: what is wanted of it.
        target: what it has to fit.
        memory: that which is short.
        more: what `Footprints` adds, where a linker has said it.
    """
    if options.precision == "mixed":  # how much of it is int8 depends on what trains
        scales = made_up(model)
    ram = target.ram.bytes if options.budget.ram is None else min(options.budget.ram, target.ram.bytes)
    options = replace(options, budget=replace(options.budget, ram=ram))
    sizes = Footprints(model, scales, options, **more)
    smallest = updates("sr8") if options.precision == "int8" else options.updates
    most = None
    if sizes.fits("none", options.updates, target):  # nothing takes less
        most = sizes.most(smallest, target) or sizes.most(options.updates, target)
    for train in [most, "bias", "none"] if most else ["bias", "none"]:
        assert train is not None
        for how in dict.fromkeys((options.updates, smallest)):
            if sizes.fits(train, how, target):
                rule_text = "" if how == options.updates else f" with rule={how.text}"
                found = sizes.of(train, how)
                taken = kib(found.need) if memory == "RAM" else f"{kib(found.constants)} of flash"
                return f"train={train}{rule_text}   ({taken})"
    if options.precision != "int8":
        as_int8 = replace(options, precision="int8")
        rest = _what_fits(model, made_up(model), as_int8, target, memory, **more)
        return f"precision=int8 with {rest}" if rest.startswith("train=") else rest
    return NOTHING
