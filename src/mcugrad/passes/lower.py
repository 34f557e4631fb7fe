"""Lower: turn a quantized graph into a program of kernel calls.

Every node adds its calls to the segment that it belongs to: forward nodes first, then what trains.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import ActivationScale, Graph, Operator
from mcugrad.ops.core.computation import computation
from mcugrad.program import PREDICT, TRAIN_SOFT, TRAIN_STEP, Entry, Program, segment
from mcugrad.program.program import SATURATED
from mcugrad.training.losses import LabelKind

RESULTS = ("loss", "confidence", "predicted", "rate", "update_rate", SATURATED)
"""Buffers that are read after a training step, where they exist."""


def lower(
    graph: Graph,
    *,
    seed: int,
    rate: float | NDArray[Any],
    label_kind: LabelKind = LabelKind.CLASS,
    values: ActivationScale | None = None,
    learned: Mapping[str, NDArray[Any]] | None = None,
    blind: float = 0.0,
    sizes_only: bool = False,
) -> Program:
    """The program of a graph.

    Args:
        graph: quantized; with its backward pass if it is to train.
        seed: of the random numbers.
        rate: the learning rate, or how it runs: one record of `SCHEDULE`.
        label_kind: what samples are labelled with.
        values: its quantization, where that is values.
        learned: what buffers that training keeps hold for good, by name; None for a program that trains.
        blind: loss of the same answer to every sample; 0 where nobody knows it.
        sizes_only: leave out what takes long and changes no size: contents of weights, and of what depends on them.

    Raises:
        ModelError: an accumulator could overflow.
    """
    to = ProgramBuilder(graph, seed, rate, learned, sizes_only=sizes_only)
    for node in graph.nodes:
        to.node = node
        if isinstance(node, Operator):
            to.enter(segment.FORWARD)
            computation(node).lower(to)
        else:
            assert isinstance(node, BackwardNode)
            to.enter(segment.BACKWARD)
            node.lower(to)
    output = to.data(graph.output)
    x = to.data(graph.input)
    watched = label_kind is LabelKind.CLASS
    quant = graph[graph.output].quant
    entries = _entries(tuple(to.calls), output, tuple(b for b in RESULTS if b in to.buffers))
    scaled = watched or (label_kind is LabelKind.VALUES and TRAIN_STEP in entries)
    scale = to.scale(graph.output) if scaled and isinstance(quant, ActivationScale) else ""
    return Program(
        name=graph.name,
        buffers=to.buffers,
        segments=to.segments(),
        entries=entries,
        input=x,
        input_zero=to.zero(graph.input),
        output=output,
        watched=watched,
        output_scale=scale,
        output_zero=quant.zero if isinstance(quant, ActivationScale) else 0,
        values=values,
        update_rate=to.update_rate,
        classes=graph[graph.output].size,
        blind=blind,
    )


def _entries(segments: tuple[str, ...], output: str, results: tuple[str, ...]) -> dict[str, Entry]:
    """Ways to run these segments."""
    entries = {PREDICT: Entry((segment.FORWARD,), (output,), "logits of a sample")}
    for name, own, other, note in (
        (TRAIN_STEP, segment.LOSS, segment.SOFT_LOSS, "one step towards the sample's label"),
        (TRAIN_SOFT, segment.SOFT_LOSS, segment.LOSS, "one step towards a distribution"),
    ):
        if own in segments:
            entries[name] = Entry(tuple(each for each in segments if each != other), results, note)
    return entries
