"""Float SGD: what changes float32 weights and biases, in place, as soon as a row of gradients is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.update.update import taking_part
from mcugrad.program import Kernel

UPDATE_ROWS = 4
"""Output channels whose gradients exist at a time: each costs 4 bytes of scratch per weight of a channel."""


@dataclass(frozen=True, kw_only=True)
class BiasUpdateF32(BackwardNode):
    """b -= rate * sum of the errors of its channel."""

    e: str
    b: str

    INPUTS = ("e", "b")
    OUTPUTS = ()
    CHANGES_STATE = True

    def macs(self, graph: Graph) -> int:
        return graph[self.e].size

    def lower(self, to: ProgramBuilder) -> None:
        error = to.graph[self.e]
        to.call(
            BIAS_UPDATE_F32,
            note="biases",
            pixels=error.size // error.channels,
            channels=to.graph[self.b].size,
            e=to.data(self.e),
            active=to.active(self.e),
            rate=to.rate(),
            bias=to.data(self.b),
        )


def add_float_updates(
    to: GradientBuilder, layer: Weighted, e: str, update: Callable[[str], BackwardNode]
) -> None:
    """Add what trains a layer.

    Args:
        to: what to add to.
        layer: the layer.
        e: error of its output; where only some channels are updated, theirs takes its place.
        update: makes the node that updates the weights, from the error.
    """
    e = to.updates_from.get(layer.name, e)
    if layer.name in to.before_updates:
        to.add(to.before_updates[layer.name])
    if to.graph[layer.b].trainable:
        to.add(BiasUpdateF32(name=f"{layer.name}_bias_update", e=e, b=layer.b))
    if to.graph[layer.w].trainable:
        to.add(update(e))


def bias_update_f32(
    pixels: int,
    channels: int,
    e: NDArray[Any],
    active: NDArray[Any] | None,
    rate: NDArray[Any],
    bias: NDArray[Any],
) -> None:
    """bias[o] -= rate * sum of e[., o], first pixel first, of channels that take part."""
    o = taking_part(active, channels)
    total = np.zeros(len(o), F32)
    with np.errstate(all="ignore"):
        for row in e[: pixels * len(o)].reshape(pixels, len(o)):
            total += row
        bias[o] -= rate[0] * total


def descend(
    w: NDArray[Any], gradients: NDArray[Any], rate: NDArray[Any], active: NDArray[Any] | None
) -> None:
    """w -= rate * gradient, two rounded operations, for the rows that take part."""
    rows = w[: gradients.size].reshape(len(gradients), -1)
    o = taking_part(active, len(gradients))
    rows[o] -= rate[0] * gradients.reshape(rows.shape)[o]


BIAS_UPDATE_F32 = Kernel("mcg_bias_update_f32", bias_update_f32)
