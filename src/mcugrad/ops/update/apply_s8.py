"""What happens at the end of a batch: weights and biases move by the changes that planes have kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.builders.node import BackwardNode
from mcugrad.ops.core.computation_s8 import from_zero
from mcugrad.program import Kernel
from mcugrad.program.buffer import REAL
from mcugrad.training.rules import PLANES, InPlace, Rule
from mcugrad.training.rules.update import Update

if TYPE_CHECKING:
    from mcugrad.builders.program import ProgramBuilder


@dataclass(frozen=True, kw_only=True)
class ApplyBias(BackwardNode):
    """At the end of a batch, biases move by the changes kept of it."""

    w: str
    b: str

    INPUTS = ("w", "b")
    OUTPUTS = ()
    CHANGES_STATE = True

    def lower(self, to: ProgramBuilder) -> None:
        update = to.update(self.b)
        is_clipped = update.clip is not None and to.graph[self.w].trainable
        to.call(
            APPLY_BIAS,
            note="biases",
            channels=to.graph[self.b].size,
            batch=update.batch,
            momentum=_momentum(update),
            step=to.step(),
            kept=_kept(to, self.w) if is_clipped else None,
            change=to.bias_change(self.b),
            bias=to.data(self.b),
        )


@dataclass(frozen=True, kw_only=True)
class ApplyUpdate(BackwardNode):
    """At the end of a batch, weights move by the changes kept of it."""

    w: str

    INPUTS = ("w",)
    OUTPUTS = ()
    CHANGES_STATE = True

    def lower(self, to: ProgramBuilder) -> None:
        update = to.update(self.w)
        out = to.graph[self.w].shape[0]
        count = to.graph[self.w].size // out
        to.bound_terms(count, 127 * 127)
        plane = to.plane(self.w)
        shared: dict[str, Any] = {
            "out": out,
            "count": count,
            "batch": update.batch,
            "rate": to.rate(),
            "step": to.step(),
            "w": to.data(self.w),
            "w_scale": to.weight_scale(self.w),
            "change": plane.data,
            "change_residual": plane.residual,
            "change_scale": plane.scale,
        }
        note = f"weights by {update.rule}"
        if update.rule == "standardized":
            zeros = np.zeros(out, np.float32)
            to.call(
                APPLY_STANDARDIZED,
                note=note,
                mean=to.state(
                    f"{self.w}_mean", "float", (out,), zeros, "moving mean of minus the gradient", REAL
                ),
                deviation=to.state(
                    f"{self.w}_deviation", "float", (out,), zeros, "moving deviation of it", (0.0, REAL[1])
                ),
                w_zero=to.weight_zero(self.w),
                **shared,
            )
            return
        weights = to.weight_arguments(self.w)
        clip = None
        if update.clip is not None:
            value = np.asarray([update.clip], np.float32)
            clip = to.constant(f"{self.w}_clip", "float", value, "largest change, in norms of a row")
        to.call(
            APPLY_UPDATE,
            note=note,
            momentum=_momentum(update),
            clip=clip,
            kept=None if clip is None else _kept(to, self.w),
            **{**weights, **shared},
        )


def _momentum(update: Update) -> int:
    """In 1/65536; below 1, else nothing that was kept would ever fade."""
    return min(round(update.momentum * 65536), 65535)


def _kept(to: ProgramBuilder, w: str) -> str:
    return to.temporary(f"{w}_kept", "float", (to.graph[w].shape[0],), "share of each change that is made")


def _plane(residual: NDArray[Any] | None) -> Rule:
    return PLANES[8 if _is_null(residual) else 16]


def _is_null(array: NDArray[Any] | None) -> bool:
    """Whether C gets a null pointer."""
    return array is None or not array.size


def _shrinks(applied: int, peak: int, scale: np.float32, w_scale: np.float32) -> bool:
    """Whether the scale of a row of kept changes shrinks after they were applied for the `applied`-th time."""
    return applied % 16 == 0 and peak < 16 and bool(scale > w_scale * ar.F32(2.0**-14))


def apply_update(
    out: int,
    count: int,
    batch: int,
    momentum: int,
    clip: NDArray[Any] | None,
    rate: NDArray[Any],
    rule: InPlace,
    seed: NDArray[Any],
    step: NDArray[Any],
    tensor: int,
    w: NDArray[Any],
    residual: NDArray[Any],
    w_scale: NDArray[Any],
    change: NDArray[Any],
    change_residual: NDArray[Any],
    change_scale: NDArray[Any],
    kept: NDArray[Any],
) -> None:
    """At the end of a batch: w += change by the rule, change *= momentum; both less what a row's clip takes away."""
    done = (int(step[0]) + 1) & 0xFFFFFFFF
    if done % batch:
        return
    plane = _plane(change_residual)
    unit = ar.F32(65536 >> plane.residual_bits)
    masters = rule.split(w, residual, out, count)
    values = plane.split(change, change_residual, out, count) - plane.half
    words = (count + 3) // 4
    for o in range(out):
        offset = o * words * ar.COUNTER_STEP
        scale = w_scale[o]
        whole = (values[o] + plane.half) >> plane.residual_bits
        peak = int(np.abs(whole).max())
        share = ar.F32(1)
        with np.errstate(all="ignore"):
            if clip is not None and clip.size:
                w_squares = max(int(((masters[o] >> rule.residual_bits) ** 2).sum()), count)
                allowed = clip[0] * rate[0] * scale * ar.sqrt(w_squares)
                length = change_scale[o] * ar.sqrt(int((whole**2).sum()))
                share = allowed / length if allowed < length else share
                kept[o] = share
            factor = ar.scale_from_float(change_scale[o] / scale * share * unit)
            counter = ar.stream(int(seed[0]), int(step[0]), tensor + ar.STREAM_APPLY) + offset
            if rule.step(masters, o, -values[o], factor, counter):
                rule.grow(masters, o)
                w_scale[o] *= ar.GROWTH
            again = ar.F32(momentum) * share
            if _shrinks(done // batch, peak, change_scale[o], scale):
                change_scale[o] = change_scale[o] / ar.GROWTH
                again = again * ar.GROWTH
        mult = int(ar.round_half_up(again, 1 << 17))
        counter = ar.stream(int(seed[0]), int(step[0]), tensor + ar.STREAM_KEEP) + offset
        values[o] = (values[o] * mult + ar.random_u16(counter, count)) >> 16
    rule.join(masters, w, residual)
    plane.join(values + plane.half, change, change_residual)


def apply_bias(
    channels: int,
    batch: int,
    momentum: int,
    step: NDArray[Any],
    kept: NDArray[Any] | None,
    change: NDArray[Any],
    bias: NDArray[Any],
) -> None:
    """At the end of a batch: bias += change, change *= momentum; both less what the row's clip takes away."""
    if ((int(step[0]) + 1) & 0xFFFFFFFF) % batch:
        return
    with np.errstate(all="ignore"):
        d = change[:channels] * (ar.F32(1) if kept is None or not kept.size else kept[:channels])
        bias[:channels] += d
        change[:channels] = d * (ar.F32(momentum) / ar.F32(65536))


MOVING = ar.F32(0.85)
"""Share of the old value in moving averages."""


def apply_standardized(
    out: int,
    count: int,
    batch: int,
    rate: NDArray[Any],
    step: NDArray[Any],
    w: NDArray[Any],
    w_scale: NDArray[Any],
    w_zero: NDArray[Any],
    change: NDArray[Any],
    change_residual: NDArray[Any],
    change_scale: NDArray[Any],
    mean: NDArray[Any],
    deviation: NDArray[Any],
) -> None:
    """At the end of a batch: w += rate * (change - mean) / deviation, quantized anew to the tensor's range."""
    done = (int(step[0]) + 1) & 0xFFFFFFFF
    if done % batch:
        return
    plane = _plane(change_residual)
    masters = plane.split(change, change_residual, out, count)
    values = (masters - plane.half).astype(np.float32)
    peaks = np.abs(masters >> plane.residual_bits).max(axis=1)
    real = np.empty((out, count), np.float32)
    with np.errstate(all="ignore"):
        for o in range(out):
            unit = change_scale[o] * ar.F32(1 / (1 << plane.residual_bits))
            takes_part = bool(values[o].any())
            if takes_part:
                here = np.cumsum(values[o], dtype=np.float32)[-1] / ar.F32(count)
                squares = np.cumsum((values[o] - here) ** 2, dtype=np.float32)[-1]
                here, spread = here * unit, ar.sqrt(squares / ar.F32(count)) * unit
                if deviation[o] > 0:
                    here = mean[o] * MOVING + here * (ar.F32(1) - MOVING)
                    spread = deviation[o] * MOVING + spread * (ar.F32(1) - MOVING)
                mean[o], deviation[o] = here, spread
            by = rate[0] / deviation[o] if takes_part and deviation[o] > ar.F32(1e-20) else ar.F32(0)
            old = from_zero(w[o * count : (o + 1) * count], w_zero).astype(np.float32) * w_scale[o]
            real[o] = old + (values[o] * unit - mean[o]) * by
        low = np.fmin.reduce(real, axis=None, initial=ar.F32(0))
        high = np.fmax.reduce(real, axis=None, initial=ar.F32(0))
        scale = (high - low) / ar.F32(255)
        if scale > ar.F32(1e-30):
            w_zero[0] = np.clip(ar.round_half_up(-low / scale, 512) - 128, -128, 127)
            codes = ar.round_half_up(real / scale, 512) + w_zero[0]
            w[: out * count] = np.clip(codes, -128, 127).reshape(-1)
            w_scale[:out] = scale
        plane.join(np.full((out, count), plane.half, np.int64), change, change_residual)
        for o in range(out):
            if _shrinks(done // batch, int(peaks[o]), change_scale[o], ar.F32(1e-20)):
                change_scale[o] = change_scale[o] / ar.GROWTH


APPLY_UPDATE = Kernel("mcg_apply_update", apply_update)
APPLY_BIAS = Kernel("mcg_apply_bias", apply_bias)
APPLY_STANDARDIZED = Kernel("mcg_apply_standardized", apply_standardized)
