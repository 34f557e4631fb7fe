"""What a model costs layer by layer and pass by pass, against the least that its core could do.

Instructions are counted under emulation, call by call; cycles and energy are estimated from what was executed. MACs are
those of the layer, none skipped: less is done where a part of the channels is updated, or values are zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.node import BackwardNode
from mcugrad.graph import Graph, Node, Operator, Precision
from mcugrad.measure.calls import CallCost, by_call
from mcugrad.measure.cost import Activity, drawn_samples, spent
from mcugrad.measure.memory import Memory, memory
from mcugrad.ops.core.weighted import Weighted
from mcugrad.program.segment import FROZEN
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.targets import Target
from mcugrad.training.sparse import ONE

if TYPE_CHECKING:
    from mcugrad.pipeline import Build

FORWARD, ERROR, UPDATE, REST = "forward", "error", "update", "rest"
"""Passes: of a layer, from input to output; errors, from output to input; what it learns, its scale included. The rest
is nobody's: loss, schedule, what counts steps, and what is around the calls."""
_PASSES = (FORWARD, ERROR, UPDATE, REST)


@dataclass(frozen=True)
class LayerCost:
    """What a pass of a layer costs.

    Attributes:
        layer: its name; empty for the rest.
        what: the layer in a few words.
        which: the pass.
        macs: multiply-accumulates, none skipped; of a layer with weights those of its weights alone.
        precision: what it computes in, `int8` or `float32`; empty for the rest.
        activity: mean of the calls that it was measured with.
        share: of the cycles of the prediction, or the step.
        least: instructions of a multiply-accumulate at the limit of the core; None where nobody knows.
    """

    layer: str
    what: str
    which: str
    macs: int
    precision: str
    activity: Activity
    share: float
    least: float | None

    @property
    def per_mac(self) -> float | None:
        """Instructions of one multiply-accumulate; None where there are none."""
        return self.activity.instructions / self.macs if self.macs else None

    @property
    def times_least(self) -> float | None:
        """How many times the instructions that the core could do with; None where that says nothing."""
        return None if self.per_mac is None or self.least is None else self.per_mac / self.least


@dataclass(frozen=True)
class Bench:
    """What a model costs layer by layer.

    Attributes:
        target: where.
        predict: the passes of a prediction, in order.
        step: those of a training step, layer by layer; empty for a model that only infers.
        prediction: a whole one.
        training_step: a whole one that is taken; None for a model that only infers.
        share: of the samples that steps are taken with.
        memory: all that is linked, in parts.
        stored_step: a whole training step on a stored sample's latents, but for the copy of these into the working
            memory; None where buffers hold inputs.
    """

    target: Target
    predict: tuple[LayerCost, ...]
    step: tuple[LayerCost, ...]
    prediction: Activity
    training_step: Activity | None
    share: float
    memory: Memory
    stored_step: Activity | None = None

    def sums(self, costs: Sequence[LayerCost]) -> tuple[LayerCost, ...]:
        """A line for each pass."""
        kinds = ([cost for cost in costs if cost.which == which] for which in _PASSES)
        return tuple(_sum(each, self.target) for each in kinds if each)

    def __str__(self) -> str:
        """A line for each pass of each layer."""
        lines = [f"{self.target.name}, prediction: {self.prediction}", *map(_line, self.predict)]
        if self.training_step is not None:
            lines += [f"{self.target.name}, training step: {self.training_step}", *map(_line, self.step)]
        return "\n".join(lines)


def _line(cost: LayerCost) -> str:
    """`  conv2 forward  18,432 MACs, 76,011 instructions, 4.12 each, 21.3 %`."""
    each = "" if cost.per_mac is None else f" {cost.macs:,} MACs, {cost.per_mac:.2f} instructions each,"
    name = f"{cost.layer} {cost.which}" if cost.layer else cost.which
    return f"  {name} {each} {cost.activity.instructions:,.0f} instructions, {cost.share:.1%}"


def bench(
    build: Build, target: Target, samples: NDArray[np.int8], labels: NDArray[np.uint32] | None, rate: float
) -> Bench:
    """What a freshly delivered model costs layer by layer; arguments and errors are those of `by_call`."""
    predict, step = by_call(build, target, samples, labels, rate)
    drawn, program = drawn_samples(build), build.compiled.program
    frozen = {id(call) for call in program.segments[FROZEN].calls} if program.stores_latents else set()
    return Bench(
        target,
        _grouped(build.graph, predict, target),
        _grouped(build.graph, step, target) if step else (),
        _whole(predict, target),
        _whole(step, target) if step else None,
        1.0 if drawn is None else drawn.share / ONE,
        memory(build, EmulatedDevice(build.compiled, target).device),
        _whole([cost for cost in step if id(cost.call) not in frozen], target) if step and frozen else None,
    )


def _grouped(graph: Graph, calls: Sequence[CallCost], target: Target) -> tuple[LayerCost, ...]:
    """The costs of calls by layer and pass: layers in the order of the network, the rest behind them."""
    nodes = {node.name: node for node in graph.nodes}
    operators = {node.name: node for node in graph.nodes if isinstance(node, Operator)}
    found: dict[tuple[str, str], list[CallCost]] = {}
    for cost in calls:
        place = ("", REST) if cost.call is None else _place(nodes[cost.call.node], operators)
        found.setdefault(place, []).append(cost)
    order = {name: i for i, name in enumerate(operators)}
    places = sorted(found, key=lambda place: (order.get(place[0], len(order)), _PASSES.index(place[1])))
    whole = _whole(calls, target)
    return tuple(
        _cost(graph, operators.get(name), which, found[name, which], whole, target) for name, which in places
    )


def _place(node: Node, operators: dict[str, Operator]) -> tuple[str, str]:
    """Layer and pass of a node: its name begins with that of the operator, or of what it computes."""
    if isinstance(node, Operator):
        return node.name, FORWARD
    begins = [name for name in operators if node.name.startswith(f"{name}_")]
    if not begins:
        return "", REST
    is_update = isinstance(node, BackwardNode) and node.CHANGES_STATE
    return max(begins, key=len), UPDATE if is_update else ERROR


def _cost(
    graph: Graph, layer: Operator | None, which: str, calls: list[CallCost], whole: Activity, target: Target
) -> LayerCost:
    names = {cost.call.node for cost in calls if cost.call is not None}
    known = (node for node in graph.nodes if node.name in names and isinstance(node, Operator | BackwardNode))
    activity = _whole(calls, target)
    precision = None if layer is None else layer.precision
    is_limited = isinstance(layer, Weighted) and precision is Precision.INT8
    return LayerCost(
        layer="" if layer is None else layer.name,
        what="" if layer is None else layer.describe(graph),
        which=which,
        macs=0 if layer is None else max((node.macs(graph) for node in known), default=0),
        precision="" if precision is None else precision.text,
        activity=activity,
        share=activity.cycles.cycles / whole.cycles.cycles,
        least=target.core.least_instructions if is_limited else None,
    )


def _whole(calls: Sequence[CallCost], target: Target) -> Activity:
    """All of some calls."""
    cycles = replace(calls[0].cycles, cycles=sum(cost.cycles.cycles for cost in calls))
    return spent(sum(cost.instructions for cost in calls), cycles, target)


def _sum(costs: Sequence[LayerCost], target: Target) -> LayerCost:
    """Several layers' cost of a pass."""
    first = costs[0]
    cycles = replace(first.activity.cycles, cycles=sum(each.activity.cycles.cycles for each in costs))
    activity = spent(sum(each.activity.instructions for each in costs), cycles, target)
    return replace(
        first,
        layer="",
        what="",
        macs=sum(each.macs for each in costs),
        precision="",
        activity=activity,
        share=sum(each.share for each in costs),
        least=None,
    )
