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
        channels = to.graph[self.b].size
        to.call(
            BIAS_UPDATE,
            note="biases",
            pixels=to.graph[self.e].size // channels,
            channels=channels,
            e=to.data(self.e),
            rate=to.rate(),
            c=to.error_unit(self.e),
            w_scale=to.weight_scale(self.w),
            bias=to.data(self.b),
        )


def add_updates(to: GradientBuilder, layer: Weighted, e: str, update: Callable[[], BackwardNode]) -> None:
    """Add what trains a layer. The bias comes first: updating weights may change the scale that it is read with."""
    if to.graph[layer.b].trainable:
        to.add(BiasUpdate(name=f"{layer.name}_bias_update", e=e, w=layer.w, b=layer.b))
    if to.graph[layer.w].trainable:
        to.add(update())


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
        rate=to.rate(),
        c=to.error_unit(e),
        x_scale=to.scale(x),
        w_scale=to.weight_scale(w),
        factor=factor,
    )
    return factor


def prepare_update(
    channels: int,
    rate: NDArray[Any],
    c: NDArray[Any],
    x_scale: NDArray[Any],
    w_scale: NDArray[Any],
    factor: NDArray[Any],
) -> None:
    """factor[o] = 65536 * rate * c * x_scale / w_scale[o]^2."""
    with np.errstate(all="ignore"):
        ratio = rate[0] * c[0] * x_scale[0] * ar.F32(65536)
        factor[:channels] = ar.scale_from_float(ratio / (w_scale[:channels] * w_scale[:channels]))


def bias_update(
    pixels: int,
    channels: int,
    e: NDArray[Any],
    rate: NDArray[Any],
    c: NDArray[Any],
    w_scale: NDArray[Any],
    bias: NDArray[Any],
) -> None:
    """bias[o] -= rate * c / w_scale[o] * sum of e[., o]."""
    total = e[: pixels * channels].astype(np.int64).reshape(pixels, channels).sum(axis=0)
    with np.errstate(all="ignore"):
        bias[:channels] -= (rate[0] * c[0]) / w_scale[:channels] * total.astype(np.float32)


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
) -> None:
    """Apply (out, count) gradients to the weights row by row; a row that saturates gets a larger scale."""
    out, count = gradients.shape
    ar.check_accumulator(gradients)
    start = ar.stream(int(seed[0]), int(step[0]), tensor)
    words = (count + 3) // 4
    planes = rule.split(w, residual, out, count)
    for o in range(out):
        counter = start + o * words * ar.COUNTER_STEP
        if rule.step(planes, o, gradients[o], factor[o], counter):
            rule.grow(planes, o)
            with np.errstate(over="ignore"):
                w_scale[o] *= ar.GROWTH
    rule.join(planes, w, residual)


PREPARE_UPDATE = Kernel("mcg_prepare_update", prepare_update)
BIAS_UPDATE = Kernel("mcg_bias_update", bias_update)
