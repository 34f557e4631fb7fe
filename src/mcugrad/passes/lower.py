"""Lower: turn a quantized graph into a program of kernel calls.

1. Every node adds its calls; forward nodes come first.
2. A call whose arguments are all constant is executed now, by its reference, and what it wrote becomes a constant:
   that is why a frozen layer needs no code of its own.
3. Buffers that no call touches are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import ActivationScale, BackwardNode, Graph, Operator
from mcugrad.ops.core.computation import computation
from mcugrad.program import Buffer, Call, Program, Space
from mcugrad.program.execute import execute
from mcugrad.program.program import SATURATED, used_buffers
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
    split = 0
    for node in graph.nodes:
        to.node = node
        if isinstance(node, Operator):
            computation(node).lower(to)
            split = len(to.calls)
        else:
            assert isinstance(node, BackwardNode)
            node.lower(to)
    output = to.data(graph.output)
    x = to.data(graph.input)
    watched = label_kind is LabelKind.CLASS
    quant = graph[graph.output].quant
    scaled = watched or (label_kind is LabelKind.VALUES and split < len(to.calls))
    scale = to.scale(graph.output) if scaled and isinstance(quant, ActivationScale) else ""
    forward, buffers = _fold_constants(tuple(to.calls[:split]), to.buffers, sizes_only)
    train, buffers = _fold_constants(tuple(to.calls[split:]), buffers, sizes_only)
    shared = max(to.shared - split, 0)
    soft = (train[0], *to.soft) if to.soft else ()  # both begin with the learning rate
    # Constants were folded, so that calls are counted anew.
    first, after = (
        sum(id(call) in before for call in train)
        for before in ({id(call) for call in to.calls[split:end]} for end in to.skipped)
    )
    used = used_buffers(forward + train + soft) | {output, x, *([scale] if scale else [])}
    return Program(
        name=graph.name,
        buffers={k: b for k, b in buffers.items() if k in used},
        forward=forward,
        train=train,
        soft=soft,
        shared=shared,
        taken=to.taken,
        skipped=(first, after) if to.taken else (len(train), len(train)),
        input=x,
        input_zero=to.zero(graph.input),
        output=output,
        watched=watched,
        output_scale=scale,
        output_zero=quant.zero if isinstance(quant, ActivationScale) else 0,
        values=values,
        update_rate=to.update_rate,
        results=tuple(b for b in RESULTS if b in used),
        classes=graph[graph.output].size,
        blind=blind,
    )


def _fold_constants(
    calls: tuple[Call, ...], buffers: dict[str, Buffer], sizes_only: bool
) -> tuple[tuple[Call, ...], dict[str, Buffer]]:
    """Execute calls that depend on constants alone; calls and buffers that remain."""
    buffers = dict(buffers)
    kept = []
    for call in calls:
        written = [
            a.buffer
            for a, p in zip(call.arguments, call.kernel.params, strict=True)
            if p.pointer and not p.const
        ]
        read = [b for b in call.buffers if b not in written]
        known = all(buffers[b].space is Space.CONST for b in read)
        if not known or any(buffers[b].space is not Space.ARENA for b in written):
            kept.append(call)
            continue
        values = {b: buffers[b].value for b in read}
        results = {b: np.zeros(buffers[b].count, buffers[b].dtype) for b in written}
        if not sizes_only:
            execute(call, {**values, **results})
        for name, value in results.items():
            buffers[name] = replace(
                buffers[name], space=Space.CONST, value=value.reshape(buffers[name].shape)
            )
    return tuple(kept), buffers
