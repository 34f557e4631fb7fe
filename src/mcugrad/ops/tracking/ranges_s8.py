"""Ranges in int8 that follow the data: activation scales, error ranges, clip bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import ActivationScale
from mcugrad.program import Kernel
from mcugrad.program.buffer import POSITIVE, SHARE

EMPTY_ERROR = 65536
"""How an error that was all 0 counts beside the tensors that saturated in a step."""

LEAST_FILL = F32(0.5)
"""A scale that moves in steps shrinks when a smaller share of its levels is in use."""
MOST_STEPS = 128
"""Far more steps than an int32 peak asks for."""
UNBOUNDED = 3e38
"""Stands for no bound of an activation function."""


@dataclass(frozen=True, kw_only=True)
class TrackScale(BackwardNode):
    """Let an activation's scale follow its range, for the next step.

    Attributes:
        steps: follow in steps of 1.25, which are rare, because tables have to be made anew each time.
    """

    y: str
    steps: bool = False

    INPUTS = ("y",)
    OUTPUTS = ()
    CHANGES_STATE = True

    def lower(self, to: ProgramBuilder) -> None:
        note = "scale for the next step"
        levels, peak, scale = 127 - to.zero(self.y), to.peak(self.y), to.scale(self.y)
        saturated = to.saturated()
        if self.steps:
            fill = to.state(
                f"{self.y}_fill", "float", (1,), np.ones(1, np.float32), "share of its levels in use", SHARE
            )
            to.call(
                TRACK_SCALE_STEPS,
                note=note,
                levels=levels,
                peak=peak,
                fill=fill,
                scale=scale,
                saturated=saturated,
            )
        else:
            to.call(TRACK_SCALE, note=note, levels=levels, peak=peak, scale=scale, saturated=saturated)


def prepare_clip(bounds: NDArray[Any], scale: NDArray[Any], clip: NDArray[Any]) -> None:
    """Bounds of an activation function in steps of its output."""
    with np.errstate(all="ignore"):
        clip[:2] = ar.round_half_up(bounds[:2] / scale[0], ar.ACC_LIMIT)


def prepare_error(
    channels: int, range: NDArray[Any], c: NDArray[Any], w_scale: NDArray[Any], scale: NDArray[Any]
) -> None:
    """scale[o] = 127 / (range * fill) * w_scale[o]: accumulator to stored error; c is (unit, fill)."""
    with np.errstate(all="ignore"):
        scale[:channels] = ar.scale_from_float(F32(127) / ar.error_reach(range[0], c[1]) * w_scale[:channels])


def track_error(
    least: int,
    peak: NDArray[Any],
    c: NDArray[Any],
    range: NDArray[Any],
    c_x: NDArray[Any],
    saturated: NDArray[Any],
) -> None:
    """c_x = (c * range * fill / 127, peak / 127); then the range follows: up and far down at once, else by 2^-7.

    Counts errors that saturated and those that are all 0.
    """
    unit, fill = c[:2]
    saturated[0] += EMPTY_ERROR * (peak[0] == 0)
    with np.errstate(all="ignore"):
        c_x[0] = unit * ar.error_reach(range[0], fill, least) / F32(127)
        c_x[1] = F32(min(peak[0], 127)) / F32(127)
        if not fill > 0:
            return
        if peak[0] > 127:
            saturated[0] += 1
            range[0] = range[0] * F32(peak[0]) / F32(127)
        elif peak[0] >= ar.LEAST_PEAK:
            range[0] = ar.decay(range[0], F32(peak[0]) / F32(127), ar.ERROR_DECAY)
        elif range[0] > ar.LEAST_RANGE:
            range[0] = range[0] * F32(0.5)


def track_scale(levels: int, peak: NDArray[Any], scale: NDArray[Any], saturated: NDArray[Any]) -> None:
    """The scale grows so that the peak takes all levels, or shrinks by 2^-10."""
    fill = F32(peak[0]) / F32(levels)
    with np.errstate(all="ignore"):
        if peak[0] > levels:
            saturated[0] += 1
            scale[0] = scale[0] * fill
        elif peak[0] > 0:
            scale[0] = ar.decay(scale[0], fill, ar.SCALE_DECAY)


def track_scale_steps(
    levels: int, peak: NDArray[Any], fill: NDArray[Any], scale: NDArray[Any], saturated: NDArray[Any]
) -> None:
    """fill decays by 2^-10 but not below peak / levels; the scale grows by 1.25 until fill <= 1, shrinks below 0.5."""
    if peak[0] <= 0:
        return
    saturated[0] += peak[0] > levels
    with np.errstate(all="ignore"):
        in_use = F32(fill[0] - fill[0] * ar.SCALE_DECAY)
        now = F32(peak[0]) / F32(levels)
        in_use = in_use if in_use > now else now
        for _ in range(MOST_STEPS):
            if not in_use > 1:
                break
            scale[0] *= ar.GROWTH
            in_use = in_use / ar.GROWTH
        if in_use < LEAST_FILL:
            scale[0] /= ar.GROWTH
            in_use = in_use * ar.GROWTH
    fill[0] = in_use


PREPARE_CLIP = Kernel("mcg_prepare_clip", prepare_clip)
PREPARE_ERROR = Kernel("mcg_prepare_error", prepare_error)
TRACK_ERROR = Kernel("mcg_track_error", track_error)
TRACK_SCALE = Kernel("mcg_track_scale", track_scale)
TRACK_SCALE_STEPS = Kernel("mcg_track_scale_steps", track_scale_steps)


def bounds_of(quant: ActivationScale) -> NDArray[np.float32]:
    """Bounds of the activation function that made an activation, in real units."""
    low = -UNBOUNDED if quant.low is None else quant.low
    high = UNBOUNDED if quant.high is None else quant.high
    return np.asarray([low, high], np.float32)


def clip_steps(quant: ActivationScale) -> tuple[int, int]:
    """Bounds of the activation function that made an activation, from its zero point, as its scale is now."""
    clip = np.zeros(2, np.int32)
    prepare_clip(bounds_of(quant), np.asarray([quant.scale], np.float32), clip)
    return int(clip[0]), int(clip[1])


def clip_of(to: ProgramBuilder, tensor: str) -> str:
    """Buffer of the bounds of the activation function that made `tensor`, relative to its zero point."""
    quant = to.activation(tensor)
    if quant.low in (None, 0.0) and quant.high is None:
        low = -ar.ACC_LIMIT if quant.low is None else 0
        name = "clip_none" if quant.low is None else "clip_relu"
        return to.constant(
            name, "int32_t", np.asarray([low, ar.ACC_LIMIT], np.int32), "activation bounds, steps"
        )
    name = f"{quant.owner}_clip"
    if name in to.buffers:
        return name
    clip = to.temporary(name, "int32_t", (2,), "activation bounds, steps")
    real = to.constant(f"{quant.owner}_bounds", "float", bounds_of(quant), "activation bounds, real units")
    to.call(PREPARE_CLIP, note="activation bounds", bounds=real, scale=to.scale(tensor), clip=clip)
    return clip


def error_factors(to: ProgramBuilder, e: str, e_x: str) -> tuple[str, str]:
    """Add the call that derives the factors of an error about to be computed from another.

    Returns:
        Names of the buffers of its peak and of its factors, one per channel of the layer that it goes back to.
    """
    channels = to.error_channels(e_x)
    scale = to.temporary(f"{e_x}_factor", "mcg_scale_t", (channels,), "accumulator to error, per channel")
    to.call(
        PREPARE_ERROR,
        note="factors",
        channels=channels,
        range=error_range(to, e_x),
        c=to.error_unit(e),
        w_scale=to.error_scale(e_x),
        scale=scale,
    )
    return error_peak(to, e_x), scale


def prepare_one_error(to: ProgramBuilder, e: str, e_x: str, unit: float) -> tuple[str, str]:
    """Add the call that derives the factor of an error whose channels keep their scales.

    Args:
        to: receives the call.
        e: the error that it is computed from.
        e_x: the error about to be computed.
        unit: what 1 in its accumulator is, in steps of `e`.

    Returns:
        Names of the buffers of its peak and of its one factor.
    """
    exponent = int(np.frexp(unit)[1]) - 1
    one = to.constant(
        f"unit{-exponent}", "float", np.asarray([unit], np.float32), "unit of a product of errors"
    )
    scale = to.temporary(f"{e_x}_factor", "mcg_scale_t", (1,), "product to error")
    to.call(
        PREPARE_ERROR,
        note="factor",
        channels=1,
        range=error_range(to, e_x),
        c=to.error_unit(e),
        w_scale=one,
        scale=scale,
    )
    return error_peak(to, e_x), scale


def error_range(to: ProgramBuilder, e_x: str, initial: float = 1.0) -> str:
    """Buffer of an error's delayed range; it starts low, since too low a range is exact after one step."""
    value = np.asarray([initial], np.float32)
    return to.state(f"{e_x}_range", "float", (1,), value, "range of the error, relative", POSITIVE)


def error_peak(to: ProgramBuilder, e_x: str) -> str:
    """Buffer of an error's largest magnitude in this step."""
    return to.temporary(f"{e_x}_peak", "int32_t", (1,), "largest magnitude before saturation, steps")


def lower_track_error(to: ProgramBuilder, c: str, e_x: str, *, least: int = 0) -> None:
    """Add the call that derives unit and fill of an error just computed and lets its range follow.

    Args:
        to: receives the call.
        c: buffer of the unit that the accumulators of `e_x` were in, and the fill of what they were computed from.
        e_x: the error.
        least: smallest range times fill that its factors can hold.
    """
    to.call(
        TRACK_ERROR,
        note="unit, fill and range",
        least=least,
        peak=error_peak(to, e_x),
        c=c,
        range=error_range(to, e_x),
        c_x=to.error_unit(e_x),
        saturated=to.saturated(),
    )
