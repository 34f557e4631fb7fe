"""Updating weights and biases of int8 layers in place: the nodes and kernels that all of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.builders.node import BackwardNode
from mcugrad.graph import Graph
from mcugrad.ops.update.apply_s8 import ApplyBias, ApplyUpdate
from mcugrad.ops.update.update import taking_part, times
from mcugrad.program import Kernel
from mcugrad.training.rules import InPlace
from mcugrad.training.rules.update import Update

if TYPE_CHECKING:
    from mcugrad.builders.gradient import GradientBuilder
    from mcugrad.builders.program import ProgramBuilder
    from mcugrad.ops.core.weighted import Weighted


@dataclass(frozen=True, kw_only=True)
class BiasUpdateS8(BackwardNode):
    """b -= rate * gradient, in float32: a bias is a scalar per channel. With a plane the change is kept for a batch."""

    e: str
    w: str
    b: str

    INPUTS = ("e", "w", "b")
    OUTPUTS = ()
    CHANGES_STATE = True

    def macs(self, graph: Graph) -> int:
        return graph[self.e].size

    def lower(self, to: ProgramBuilder) -> None:
        error = to.graph[self.e]
        update = to.update(self.b)
        to.call(
            BIAS_UPDATE,
            note="changes of biases" if update.has_plane else "biases",
            pixels=error.size // error.channels,
            channels=to.graph[self.b].size,
            e=to.data(self.e),
            active=to.active(self.e),
            odds=to.odds(self.e),
            rate=mean_rate_of(to, update),
            c=to.error_unit(self.e),
            w_scale=to.weight_scale(self.w),
            bias=to.bias_change(self.b) if update.has_plane else to.data(self.b),
        )


@dataclass(frozen=True, kw_only=True)
class DecayWeights(BackwardNode):
    """w -= rate * decay * w, some rows a step."""

    w: str

    INPUTS = ("w",)
    OUTPUTS = ()
    CHANGES_STATE = True

    def lower(self, to: ProgramBuilder) -> None:
        lower_decay(to, self.w, None)


@dataclass(frozen=True, kw_only=True)
class DecayFixed(BackwardNode):
    """The same where a fixed part of the rows trains: the others stay.

    Attributes:
        e: error of that part.
    """

    e: str
    w: str

    INPUTS = ("e", "w")
    OUTPUTS = ()
    CHANGES_STATE = True

    def lower(self, to: ProgramBuilder) -> None:
        lower_decay(to, self.w, to.active(self.e))


def lower_decay(to: ProgramBuilder, w: str, active: str | None) -> None:
    """Add the call that shrinks weights: the rows of a list, or all."""
    update = to.update(w)
    out = to.graph[w].shape[0]
    decay = np.asarray([update.weight_decay], np.float32)
    weights = to.weight_arguments(w)
    del weights["w_scale"]
    to.call(
        DECAY_WEIGHTS,
        note="weight decay",
        out=out,
        count=to.graph[w].size // out,
        active=active,
        decay=to.constant(f"{w}_decay", "float", decay, "weight decay"),
        rate=mean_rate_of(to, update),
        **weights,
    )


def mean_rate_of(to: ProgramBuilder, update: Update) -> str:
    """Buffer of the rate of one sample of a batch: one float."""
    if update.batch == 1:
        return to.rate()
    name = f"rate_of_{update.batch}"
    if name not in to.buffers:
        mean = to.temporary(name, "float", (1,), "learning rate of one sample of a batch")
        to.call(MEAN_RATE, note="rate of a mean", rate=to.rate(), batch=update.batch, mean=mean)
    return name


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
        to.add(BiasUpdateS8(name=f"{layer.name}_bias_update", e=e, w=layer.w, b=layer.b))
    weights = to.graph[layer.w]
    if weights.trainable:
        to.add(update(e))
        assert weights.update is not None
        if weights.update.has_plane:
            to.add(ApplyUpdate(name=f"{layer.name}_apply", w=layer.w))
        if weights.update.weight_decay:
            name = f"{layer.name}_decay"
            fixed = layer.name in to.fixed
            to.add(DecayFixed(name=name, w=layer.w, e=e) if fixed else DecayWeights(name=name, w=layer.w))
    bias = to.graph[layer.b].update
    if bias is not None and bias.has_plane:
        to.add(ApplyBias(name=f"{layer.name}_apply_bias", w=layer.w, b=layer.b))


def lower_update_factor(to: ProgramBuilder, name: str, x: str, e: str, w: str) -> str:
    """Add the call that turns rate and scales into one factor per output channel; name of its buffer."""
    channels = to.graph[w].shape[0]
    factor = to.temporary(
        f"{name}_factor", "mcg_scale_t", (channels,), "gradient to 1/65536 steps, per channel"
    )
    update = to.update(w)
    to.call(
        PREPARE_UPDATE,
        note="factors",
        channels=channels,
        active=to.active(e),
        odds=to.odds(e),
        rate=_share_of_a_batch(to, update) if update.rule == "standardized" else mean_rate_of(to, update),
        c=to.error_unit(e),
        x_scale=to.scale(x),
        w_scale=to.weight_scale(w),
        to_scale=to.plane(w).scale if update.has_plane else to.weight_scale(w),
        factor=factor,
    )
    return factor


def _share_of_a_batch(to: ProgramBuilder, update: Update) -> str:
    """A gradient that is standardized later needs no rate yet."""
    value = np.asarray([1 / update.batch], np.float32)
    return to.constant(f"share_of_{update.batch}", "float", value, "of one sample in a batch")


def prepare_update(
    channels: int,
    active: NDArray[Any] | None,
    odds: NDArray[Any] | None,
    rate: NDArray[Any],
    c: NDArray[Any],
    x_scale: NDArray[Any],
    w_scale: NDArray[Any],
    to_scale: NDArray[Any],
    factor: NDArray[Any],
) -> None:
    """factor[o] = 65536 * rate * c * x_scale / (w_scale[o] * to_scale[o]) / odds, of channels that take part."""
    o = taking_part(active, channels)
    with np.errstate(all="ignore"):
        ratio = rate[0] * c[0] * x_scale[0] * ar.F32(65536)
        factor[o] = ar.scale_from_float(ratio / (w_scale[o] * to_scale[o]) * times(odds, len(o)))


def mean_rate(rate: NDArray[Any], batch: int, mean: NDArray[Any]) -> None:
    """mean = rate / batch."""
    with np.errstate(all="ignore"):
        mean[0] = rate[0] / ar.F32(batch)


def bias_update(
    pixels: int,
    channels: int,
    e: NDArray[Any],
    active: NDArray[Any] | None,
    odds: NDArray[Any] | None,
    rate: NDArray[Any],
    c: NDArray[Any],
    w_scale: NDArray[Any],
    bias: NDArray[Any],
) -> None:
    """bias[o] -= rate * c / w_scale[o] / odds * sum of e[., o]."""
    o = taking_part(active, channels)
    total = e[: pixels * len(o)].astype(np.int64).reshape(pixels, len(o)).sum(axis=0)
    with np.errstate(all="ignore"):
        bias[o] -= (rate[0] * c[0]) / w_scale[o] * times(odds, len(o)) * total.astype(np.float32)


def update_rows(
    rule: InPlace,
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


DECAY_TURNS = 16
"""Each step takes every so many-th row."""


def decay_weights(
    out: int,
    count: int,
    active: NDArray[Any] | None,
    decay: NDArray[Any],
    rate: NDArray[Any],
    rule: InPlace,
    seed: NDArray[Any],
    step: NDArray[Any],
    tensor: int,
    w: NDArray[Any],
    residual: NDArray[Any],
) -> None:
    """w -= 16 * rate * decay * w for every 16th row that takes part, rounded at random to what the rule can store."""
    with np.errstate(all="ignore"):
        share = rate[0] * decay[0] * ar.F32(DECAY_TURNS)
        factor = ar.scale_from_float((share if share < 1 else ar.F32(1)) * ar.F32(65536))
    start = ar.stream(int(seed[0]), int(step[0]), tensor + ar.STREAM_DECAY)
    masters = rule.split(w, residual, out, count)
    bits = rule.residual_bits
    for o in taking_part(active, out)[int(step[0]) % DECAY_TURNS :: DECAY_TURNS].tolist():
        counter = start + o * ((count + 3) // 4) * ar.COUNTER_STEP
        away = ar.rescale(-(masters[o] >> bits), factor)
        masters[o] += (away + (ar.random_u16(counter, count) >> bits)) >> (16 - bits)
    rule.join(masters, w, residual)


PREPARE_UPDATE = Kernel("mcg_prepare_update", prepare_update)
MEAN_RATE = Kernel("mcg_mean_rate", mean_rate)
BIAS_UPDATE = Kernel("mcg_bias_update", bias_update)
DECAY_WEIGHTS = Kernel("mcg_decay_weights", decay_weights)
