"""Updating weights and biases in place: the nodes and kernels that every weighted layer shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.graph import BackwardNode, Graph
from mcugrad.program import Kernel
from mcugrad.training.rules import Rule

if TYPE_CHECKING:
    from mcugrad.graph.gradient import GradientBuilder
    from mcugrad.ops.weighted import Weighted
    from mcugrad.program.lowering import Lowering


@dataclass(frozen=True, kw_only=True)
class BiasUpdate(BackwardNode):
    """b -= rate * gradient, in float32: a bias is a scalar per channel."""

    e: str
    w: str
    b: str

    INPUTS = ("e", "w", "b")
    OUTPUTS = ()

    @property
    def has_effect(self) -> bool:
        return True

    def macs(self, graph: Graph) -> int:
        return graph[self.e].size

    def lower(self, to: Lowering) -> None:
        error = to.graph[self.e]
        to.call(
            BIAS_UPDATE,
            note="biases",
            pixels=error.size // error.channels,
            channels=to.graph[self.b].size,
            e=to.data(self.e),
            active=to.active(self.e),
            rate=to.rate(),
            c=to.error_unit(self.e),
            w_scale=to.weight_scale(self.w),
            bias=to.data(self.b),
        )


def add_updates(to: GradientBuilder, layer: Weighted, e: str, update: Callable[[str], BackwardNode]) -> None:
    """Add what trains a layer. The bias comes first: updating weights may change the scale that it is read with.

    Args:
        to: what to add to.
        layer: the layer.
        e: error of its output; where only some channels are updated, theirs takes its place.
        update: makes the node that updates the weights, from the error.
    """
    e = to.updates_from.get(layer.name, e)
    if to.graph[layer.b].trainable:
        to.add(BiasUpdate(name=f"{layer.name}_bias_update", e=e, w=layer.w, b=layer.b))
    if to.graph[layer.w].trainable:
        to.add(update(e))


def lower_update_factor(to: Lowering, name: str, x: str, e: str, w: str) -> str:
    """Add the call that turns rate and scales into one factor per output channel; name of its buffer."""
    channels = to.graph[w].shape[0]
    factor = to.temporary(
        f"{name}_factor", "mcg_scale_t", (channels,), "gradient to 1/65536 weight steps, per channel"
    )
    to.call(
        PREPARE_UPDATE,
        note="factors",
        channels=channels,
        active=to.active(e),
        rate=to.rate(),
        c=to.error_unit(e),
        x_scale=to.scale(x),
        w_scale=to.weight_scale(w),
        factor=factor,
    )
    return factor


def taking_part(active: NDArray[Any] | None, channels: int) -> NDArray[np.int64]:
    """The channels of a list; all of them without one."""
    if active is None or active.size == 0:
        return np.arange(channels)
    return active[1 : 1 + int(active[0])].astype(np.int64)


def whole_error(
    e: NDArray[Any], active: NDArray[Any] | None, pixels: int, channels: int
) -> NDArray[np.int64]:
    """(pixels, channels) errors from those of the channels that take part; 0 for the others."""
    o = taking_part(active, channels)
    whole = np.zeros((pixels, channels), np.int64)
    whole[:, o] = e[: pixels * len(o)].reshape(pixels, len(o))
    return whole


def prepare_update(
    channels: int,
    active: NDArray[Any] | None,
    rate: NDArray[Any],
    c: NDArray[Any],
    x_scale: NDArray[Any],
    w_scale: NDArray[Any],
    factor: NDArray[Any],
) -> None:
    """factor[o] = 65536 * rate * c * x_scale / w_scale[o]^2, of channels that take part."""
    o = taking_part(active, channels)
    with np.errstate(all="ignore"):
        ratio = rate[0] * c[0] * x_scale[0] * ar.F32(65536)
        factor[o] = ar.scale_from_float(ratio / (w_scale[o] * w_scale[o]))


def bias_update(
    pixels: int,
    channels: int,
    e: NDArray[Any],
    active: NDArray[Any] | None,
    rate: NDArray[Any],
    c: NDArray[Any],
    w_scale: NDArray[Any],
    bias: NDArray[Any],
) -> None:
    """bias[o] -= rate * c / w_scale[o] * sum of e[., o]."""
    o = taking_part(active, channels)
    total = e[: pixels * len(o)].astype(np.int64).reshape(pixels, len(o)).sum(axis=0)
    with np.errstate(all="ignore"):
        bias[o] -= (rate[0] * c[0]) / w_scale[o] * total.astype(np.float32)


def update_rows(
    rule: Rule,
    gradients: NDArray[Any],
    factor: NDArray[Any],
    seed: NDArray[Any],
    step: NDArray[Any],
    tensor: int,
    w: NDArray[Any],
    residual: NDArray[Any],
    w_scale: NDArray[Any],
    active: NDArray[Any] | None,
) -> None:
    """Apply (out, count) gradients to the rows that take part; one that saturates gets a larger scale."""
    out, count = gradients.shape
    ar.check_accumulator(gradients)
    start = ar.stream(int(seed[0]), int(step[0]), tensor)
    words = (count + 3) // 4
    planes = rule.split(w, residual, out, count)
    for o in taking_part(active, out).tolist():
        counter = start + o * words * ar.COUNTER_STEP
        if rule.step(planes, o, gradients[o], factor[o], counter):
            rule.grow(planes, o)
            with np.errstate(over="ignore"):
                w_scale[o] *= ar.GROWTH
    rule.join(planes, w, residual)


PREPARE_UPDATE = Kernel("mcg_prepare_update", prepare_update)
BIAS_UPDATE = Kernel("mcg_bias_update", bias_update)
