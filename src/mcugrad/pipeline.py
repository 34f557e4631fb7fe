"""The way through the house: from a model and samples to a program and its place in memory, which C is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from mcugrad._version import __version__
from mcugrad.emit import Firmware, Origin, layout
from mcugrad.footprint import Footprint
from mcugrad.graph import ActivationScale, Graph, Operator
from mcugrad.model import Model
from mcugrad.options import Budget, Options
from mcugrad.passes.alike import drifting
from mcugrad.passes.assign_precision import Wanted, assign_precision
from mcugrad.passes.backward import backward
from mcugrad.passes.calibrate import Calibration
from mcugrad.passes.clip_saturating import clip_saturating
from mcugrad.passes.freeze import Train, freeze
from mcugrad.passes.learned import learned
from mcugrad.passes.lower import lower
from mcugrad.passes.program.drop_unused import drop_unused
from mcugrad.passes.program.fold_constants import fold_constants
from mcugrad.passes.program.properties import APART, SETTLED, USED
from mcugrad.passes.program.split_frozen import split_frozen
from mcugrad.passes.program.store_latents import store_latents
from mcugrad.passes.prune import prune
from mcugrad.passes.quantize import calibrated, quantize
from mcugrad.passes.stage import ASSIGNED, COMPLETE, FOLDED, NEEDED, QUANTIZED, Stage, looked_at, through
from mcugrad.plan import Planned, choices, more_than, planned, verify
from mcugrad.plan.rows import frozen_rows_in_flash
from mcugrad.program import Program, Space
from mcugrad.program.rows import without_frozen_rows
from mcugrad.run.runner import Compiled, State
from mcugrad.training.losses import loss_of_balance
from mcugrad.training.schedules import has_ended, rate_ahead


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What stages are told: the model, what is known before calibration, and the rest."""

    model: Model
    precision: Wanted
    train: Train
    scales: Mapping[str, ActivationScale] = field(default_factory=dict)
    options: Options | None = None

    @property
    def all(self) -> Options:
        """What the user decides; calibration, which is before, has not asked for it."""
        assert self.options is not None
        return self.options


def _wanted(model: Model, scales: Mapping[str, ActivationScale], options: Options) -> _Wanted:
    return _Wanted(model, options.precision, options.train, scales, options)


def _noted(graph: Graph, wanted: _Wanted) -> Graph:
    return graph.noted(*drifting(wanted.model.layers, graph, weights=wanted.train != "bias"))


PREPARE: tuple[Stage[Graph], ...] = (
    Stage(
        "assigning precision",
        lambda graph, wanted: assign_precision(graph, wanted.precision, wanted.train),
        requires=(FOLDED,),
        ensures=(FOLDED, ASSIGNED),
    ),
    Stage(
        "clipping", lambda graph, wanted: clip_saturating(graph), requires=(ASSIGNED,), ensures=(ASSIGNED,)
    ),
)
"""What calibration looks at: the float graph as it is going to be computed."""
MARK: tuple[Stage[Graph], ...] = (
    Stage(
        "quantizing",
        lambda graph, wanted: quantize(graph, wanted.scales),
        requires=(ASSIGNED,),
        ensures=(ASSIGNED, QUANTIZED),
    ),
    Stage(
        "freezing",
        lambda graph, wanted: freeze(graph, wanted.train, wanted.all.updates),
        requires=(ASSIGNED, QUANTIZED),
        ensures=(QUANTIZED,),
    ),
)
"""What is computed in int8 gets scales, and what trains is marked."""
TRAIN: tuple[Stage[Graph], ...] = (
    Stage("noting", _noted, requires=(QUANTIZED,), ensures=(QUANTIZED,)),
    Stage(
        "going backward",
        lambda graph, wanted: backward(graph, wanted.all.loss, wanted.all.label_scale, wanted.all.sparse),
        requires=(FOLDED, QUANTIZED),
        ensures=(COMPLETE,),
    ),
)
"""The backward pass; without it the network only infers."""
FINISH: tuple[Stage[Graph], ...] = (Stage("pruning", lambda graph, wanted: prune(graph), ensures=(NEEDED,)),)
"""What nothing needs goes."""


@dataclass(frozen=True, eq=False)
class _Asked:
    """What stages of a program are told.

    Attributes:
        sizes_only: whether contents may be left out.
        latents: whether stored samples shall be latents.
        macs: multiply-accumulates of each layer by its name.
    """

    sizes_only: bool
    latents: bool
    macs: Mapping[str, int]


PROGRAM: tuple[Stage[Program], ...] = (
    Stage(
        "folding constants",
        lambda program, asked: fold_constants(program, sizes_only=asked.sizes_only),
        ensures=(SETTLED,),
    ),
    Stage(
        "dropping unused buffers",
        lambda program, _: drop_unused(program),
        requires=(SETTLED,),
        ensures=(USED,),
    ),
    Stage(
        "leaving frozen rows in flash",
        lambda program, _: frozen_rows_in_flash(program),
        requires=(SETTLED, USED),
        ensures=(SETTLED, USED),
    ),
    Stage(
        "splitting frozen calls off",
        lambda program, _: split_frozen(program),
        requires=(SETTLED,),
        ensures=(SETTLED, USED, APART),
    ),
    Stage(
        "storing latents",
        lambda program, asked: store_latents(program, asked.macs) if asked.latents else program,
        requires=(SETTLED, APART),
        ensures=(SETTLED, USED),
    ),
)
"""The calls of the network as it was lowered become those that the device makes."""


@dataclass(frozen=True, eq=False)
class Build:
    """The result: a graph with its backward pass, and what firmware is made from.

    Attributes:
        graph: quantized, with backward pass, pruned.
        scales: those that calibration found, by tensor.
        compiled: its program, plan and layout, and what files say about where they come from.
    """

    graph: Graph
    scales: Mapping[str, ActivationScale]
    compiled: Compiled

    @property
    def footprint(self) -> Footprint:
        """Memory that it takes."""
        return Footprint.of(self.compiled.program, self.compiled.layout)

    @property
    def ram(self) -> int:
        """Bytes of RAM that the firmware must have: model and sample; stack aside."""
        return self.footprint.ram

    @property
    def constants(self) -> int:
        """Bytes of flash for constants, initial state included; code comes on top."""
        return self.footprint.constants


def calibrate(
    model: Model,
    samples: NDArray[Any] | None,
    calibration: Calibration,
    precision: Wanted = "int8",
    train: Train = "all",
) -> dict[str, ActivationScale]:
    """Scales of the activations that are int8 and have none from the file, by tensor.

    Raises:
        DataError: samples cannot be used.
        ModelError: an activation is not finite; operators that cannot be computed in this precision.
        UsageError: `train` names nothing.
    """
    prepared = through(PREPARE, model.graph, _Wanted(model, precision, train))
    return calibrated(prepared, samples, calibration)


def build(model: Model, scales: Mapping[str, ActivationScale], options: Options) -> Build:
    """Everything after calibration.

    Args:
        model: the network.
        scales: from `calibrate`, for the same precision.
        options: what the user decides.

    Raises:
        UsageError: `train` names nothing, `sparse` does not fit what trains.
        ModelError: an accumulator could overflow.
    """
    return _built(model, scales, complete(model, scales, options), options)


def complete(model: Model, scales: Mapping[str, ActivationScale], options: Options) -> Graph:
    """The quantized graph with its backward pass, pruned. Raises UsageError where `build` does."""
    return through((*PREPARE, *MARK, *TRAIN, *FINISH), model.graph, _wanted(model, scales, options))


def lowered(
    graph: Graph, options: Options, state: State | None = None, *, sizes_only: bool = False
) -> Program:
    """The program of a complete graph, or one of the same size. Raises ModelError where `build` does."""
    program = lower(
        graph,
        seed=options.seed,
        rate=options.schedule.record(options.rate, options.steps),
        label_kind=options.loss.label_kind,
        values=options.label_scale,
        learned=state,
        blind=loss_of_balance(options.loss, graph[graph.output].size),
        sizes_only=sizes_only,
    )
    return through(PROGRAM, program, _Asked(sizes_only, options.replay_of == "latents", macs_of(graph)))


def macs_of(graph: Graph) -> dict[str, int]:
    """Multiply-accumulates of each layer by its name."""
    return {node.name: node.macs(graph) for node in graph.nodes if isinstance(node, Operator)}


def inference(model: Model, made: Build, options: Options, state: State, note: str) -> Build:
    """The same network for inference only, with what was learned in it: the same outputs, bit for bit.

    Args:
        model: of the build.
        made: the build that learned.
        options: what it was made with.
        state: what it learned.
        note: how, in a few words.
    """
    graph = _for_inference(model, made.scales, options)
    return _built(model, made.scales, graph, replace(options, train="none", sparse=None), state, note)


def _for_inference(model: Model, scales: Mapping[str, ActivationScale], options: Options) -> Graph:
    return through((*PREPARE, *MARK, *FINISH), model.graph, _wanted(model, scales, options))


def planned_anew(
    model: Model, scales: Mapping[str, ActivationScale], options: Options, *, inference: bool
) -> Planned:
    """The program that `build` makes, or `inference`, and its plan, which nobody has verified."""
    program = lowered(complete(model, scales, options), options)
    if inference:  # whatever was learned, the calls are the same
        first = {
            b.name: b.value.reshape(b.shape) for b in program.in_space(Space.STATE) if b.value is not None
        }
        graph = _for_inference(model, scales, options)
        options = replace(options, train="none", sparse=None)
        program = lowered(graph, options, first)
    return _placed(program, options)


def _placed(program: Program, options: Options) -> Planned:
    return spent(planned(program, options.plan, options.recomputed_on), options.budget)


def as_trained(made: Build, state: State, note: str, rate: float) -> Firmware:
    """The firmware of a build, which begins with a learned state.

    Args:
        made: the build.
        state: what it learned.
        note: how, in a few words.
        rate: learning rate that the files suggest where a schedule has ended at 0.
    """
    program, quant = made.compiled.program, made.graph[made.graph.output].quant
    origin = replace(made.compiled.origin, state=note)
    ahead = rate_ahead(state["schedule"], state["step"]) if program.trains else rate
    if has_ended(ahead, rate):
        origin = replace(origin, rate=ahead, restart=rate)
    if isinstance(quant, ActivationScale) and (scale := state.get(f"{quant.owner}_scale")) is not None:
        origin = replace(origin, output_scale=float(scale[0]))
    own = without_frozen_rows(program, state)
    buffers = {
        name: replace(buffer, value=own[name]) if buffer.space is Space.STATE else buffer
        for name, buffer in program.buffers.items()
    }
    return replace(made.compiled, program=replace(program, buffers=buffers), origin=origin)


def _built(
    model: Model,
    scales: Mapping[str, ActivationScale],
    graph: Graph,
    options: Options,
    state: State | None = None,
    note: str = "as delivered, nothing trained yet",
) -> Build:
    program = lowered(graph, options, state)
    if state is not None:
        graph = learned(graph, state)
    program, plan = _placed(program, options)
    verify(looked_at(program), plan)
    origin = replace(_origin(model, graph, options), state=note)
    return Build(graph, scales, Compiled(program, plan, origin, options.features))


def spent(programs: Sequence[Planned], budget: Budget) -> Planned:
    """Of programs that compute the same bytes the one that a budget asks for, whose calls have scratch, and its plan.

    Args:
        programs: whose calls have none so far, the smallest first.
        budget: what the user decides.
    """
    offered = choices(programs, budget.core)
    program, plan = programs[0]
    point = budget.choose(offered.curve, Footprint.of(program, layout(program, plan)).need)
    program, plan = offered.of(point).taken(point)
    if plan.again is None:
        return program, plan
    kept, _ = spent([each for each in programs if each[1].again is None], budget)
    return program, replace(plan, again=more_than(kept, program, plan.again, budget.core))


def _origin(model: Model, graph: Graph, options: Options) -> Origin:
    trained = [n.name for n in model.layers if graph[n.b].trainable]
    what = "biases of " if options.train == "bias" else ""
    frozen = len(model.layers) - len(trained)
    others = "layer with weights is" if frozen == 1 else f"{frozen} layers with weights are"
    rest = f"; the other {others} frozen in flash" if frozen else ""
    text = f"{what}{options.describe(trained)}{rest}" if trained else "nothing: inference only"
    source, result = graph[graph.input].quant, graph[graph.output].quant
    assert isinstance(source, ActivationScale)
    output_scale, output_zero = 1.0, 0
    if isinstance(result, ActivationScale):
        output_scale, output_zero = result.scale, result.zero
    return Origin(
        source=model.source,
        digest=model.digest,
        version=__version__,
        trains=text,
        notes=graph.notes,
        input_shape=graph[graph.input].shape,
        input_scale=source.scale,
        input_zero=source.zero,
        output_scale=output_scale,
        output_zero=output_zero,
        label_scale=options.label_scale.scale if options.label_scale else 1.0,
        label_zero=options.label_scale.zero if options.label_scale else 0,
        class_names=options.class_names,
    )
