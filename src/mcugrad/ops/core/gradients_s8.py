"""Errors in int8 on their way back: sums of several, and changes of the scale that they carry."""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph, WeightScale
from mcugrad.ops.core.computation_s8 import write_error
from mcugrad.ops.core.gradients import ErrorAlias
from mcugrad.ops.tracking.ranges_s8 import PREPARE_ERROR, clip_of, error_peak, error_range, lower_track_error
from mcugrad.program import Kernel, Shared

LEAST_REACH = 2
"""Smallest range times fill of a sum of errors: below it, factors would leave their fixed-point format."""


@dataclass(frozen=True, kw_only=True)
class ErrorSumS8(BackwardNode):
    """Sum of two errors of the same activation, each with a unit of its own; rounded once."""

    a: str
    b: str
    e: str

    INPUTS = ("a", "b")
    OUTPUTS = ("e",)

    def macs(self, graph: Graph) -> int:
        return 2 * graph[self.e].size

    def lower(self, to: ProgramBuilder) -> None:
        unit = to.temporary(f"{self.name}_unit", "float", (2,), "larger unit of the two, and its fill")
        factor = to.temporary(f"{self.name}_factor", "int32_t", (2,), "errors to their sum, in 1/65536")
        peak = error_peak(to, self.e)
        span = error_range(to, self.e, 127.0)
        to.call(
            PREPARE_ERROR_SUM,
            note="factors",
            a_c=to.error_unit(self.a),
            b_c=to.error_unit(self.b),
            range=span,
            factor=factor,
            unit=unit,
        )
        to.call(
            ADD_ERRORS_S8,
            note="sum of two errors",
            count=to.graph[self.e].size,
            a=to.data(self.a),
            b=to.data(self.b),
            factor=factor,
            e=to.data(self.e),
            peak=peak,
        )
        lower_track_error(to, unit, self.e, least=LEAST_REACH)


@dataclass(frozen=True, kw_only=True)
class ErrorRescaleS8(BackwardNode):
    """The error of `x` from that of `y`, where values pass unchanged but the scale that errors carry differs.

    Attributes:
        sign: 1, or -1 where the value was subtracted.
    """

    e: str
    x: str
    e_x: str
    sign: int

    INPUTS = ("e", "x")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return graph[self.e].size

    def lower(self, to: ProgramBuilder) -> None:
        count = to.graph[self.e_x].size
        lower_part(to, self.e, self.x, self.e_x, sign=self.sign, rows=1, count=count, pitch=count, offset=0)


def pass_error(to: GradientBuilder, name: str, e: str, x: str, sign: int = 1) -> None:
    """Carry the error of a value back to `x`, from which it came unchanged but for its sign."""
    carrier = to.carrier(x)
    if carrier is None:
        return
    quant = to.graph[x].quant
    same = to.carried_by(e) == carrier
    if same and sign == 1 and quant.low is None and quant.high is None:  # type: ignore[union-attr]
        error = to.error_of(x, like=e)
        assert error is not None
        to.add(ErrorAlias(name=name, e=e, e_x=error))
    else:
        error = to.error_of(x)
        assert error is not None
        to.add(ErrorRescaleS8(name=name, e=e, x=x, e_x=error, sign=sign))


def ratio_factors(to: ProgramBuilder, e: str, e_x: str) -> tuple[str, int]:
    """Add the call that derives the factors from an error to one that may carry other scales.

    Returns:
        Buffer of the factors, and how many there are.
    """
    e_channels, e_scale = _scales(to, e)
    x_channels, x_scale = _scales(to, e_x)
    channels = lcm(e_channels, x_channels)
    if channels == 1:
        channels = to.graph[e_x].channels  # as many as a kernel walks through at a time
    span = error_range(to, e_x, 127 * _least_ratio(to, e, e_x))
    scale = to.temporary(f"{e_x}_factor", "mcg_scale_t", (channels,), "error to error, per channel")
    to.call(
        PREPARE_ERROR_RATIO,
        note="factors",
        channels=channels,
        e_channels=e_channels,
        x_channels=x_channels,
        range=span,
        c=to.error_unit(e),
        e_scale=e_scale,
        e_x_scale=x_scale,
        scale=scale,
    )
    return scale, channels


def _scales(to: ProgramBuilder, error: str) -> tuple[int, str]:
    """How many scales an error carries, and their buffer; a single 1 where it carries none."""
    if to.error(error).carrier:
        return to.error_channels(error), to.error_scale(error)
    return 1, to.constant("ones1", "float", np.ones(1, np.float32), "no scale")


def _least_ratio(to: ProgramBuilder, e: str, e_x: str) -> float:
    """Smallest factor between two errors at delivery: with it the first error surely fits."""
    scales = []
    for error in (e, e_x):
        carrier = to.error(error).carrier
        quant = to.graph[carrier].quant if carrier else None
        scales.append(quant.scales if isinstance(quant, WeightScale) else np.ones(1, np.float32))
    channels = np.arange(lcm(len(scales[0]), len(scales[1])))
    ratios = scales[1][channels % len(scales[1])] / scales[0][channels % len(scales[0])]
    return float(ratios.min())


def lower_part(
    to: ProgramBuilder, e: str, x: str, e_x: str, *, sign: int, rows: int, count: int, pitch: int, offset: int
) -> None:
    """Add the calls that make an error of rows cut out of another: see `rescale_error_s8`."""
    scale, channels = ratio_factors(to, e, e_x)
    peak = error_peak(to, e_x)
    to.call(
        RESCALE_ERROR_S8,
        note=f"error of {x}",
        rows=rows,
        count=count,
        pitch=pitch,
        offset=offset,
        channels=channels,
        x_zero=to.zero(x),
        sign=sign,
        e=to.data(e),
        x=to.data(x),
        scale=scale,
        clip=clip_of(to, x),
        e_x=to.data(e_x),
        peak=peak,
    )
    lower_track_error(to, to.error_unit(e), e_x)


def even_factor(to: ProgramBuilder, e: str, e_x: str, initial: float) -> tuple[str, str]:
    """Add the call that derives the factor of an error whose accumulators carry its scales already.

    Args:
        to: what to add to.
        e: the error that it is computed from.
        e_x: the error about to be computed.
        initial: first value of its range.

    Returns:
        Names of the buffers of its peak and of its factor, one for all channels.
    """
    scale = to.temporary(f"{e_x}_factor", "mcg_scale_t", (1,), "accumulator to error")
    to.call(
        PREPARE_ERROR,
        note="factor",
        channels=1,
        range=error_range(to, e_x, initial),
        c=to.error_unit(e),
        w_scale=to.constant("ones1", "float", np.ones(1, np.float32), "no scale"),
        scale=scale,
    )
    return error_peak(to, e_x), scale


def error_unit_times(to: ProgramBuilder, name: str, e: str, factor: str) -> str:
    """Add the call that multiplies the unit of an error by a real number; name of the product's buffer."""
    unit = to.temporary(f"{name}_unit", "float", (2,), "unit of the accumulator, and fill")
    to.call(SCALE_UNIT, note="unit", c=to.error_unit(e), factor=factor, unit=unit)
    return unit


def prepare_error_sum(
    a_c: NDArray[Any],
    b_c: NDArray[Any],
    range: NDArray[Any],
    factor: NDArray[Any],
    unit: NDArray[Any],
) -> None:
    """unit = (larger unit, larger error in it, of 127); factor = c / unit * 127 / (range * fill) in 1/65536.

    All of them are 0 where both errors are 0; the unit of an error that is 0 does not matter.
    """
    a, b = (c[0] if c[1] > 0 else F32(0) for c in (a_c, b_c))
    with np.errstate(all="ignore"):
        larger = a if a > b else b
        a_most, b_most = F32(a * a_c[1]), F32(b * b_c[1])
        fill = F32((a_most if a_most > b_most else b_most) / larger)
        if not fill > 0:
            unit[:2] = factor[:2] = 0
            return
        unit[:2] = larger, fill
        ratio = F32(127) / ar.error_reach(range[0], fill, LEAST_REACH) * F32(65536)
        for i, c in enumerate((a, b)):
            factor[i] = ar.round_half_up(c / larger * ratio, 1 << 22)


def add_errors_s8(
    count: int,
    a: NDArray[Any],
    b: NDArray[Any],
    factor: NDArray[Any],
    e: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """e = (a * factor[0] + b * factor[1]) / 65536, rounded half up, saturated to +-127."""
    acc = a[:count].astype(np.int64) * int(factor[0]) + b[:count].astype(np.int64) * int(factor[1])
    ar.check_accumulator(acc)
    value = (acc + 0x8000) >> 16
    peak[0] = np.abs(value).max(initial=0)
    e[:count] = np.clip(value, -127, 127)


def prepare_error_ratio(
    channels: int,
    e_channels: int,
    x_channels: int,
    range: NDArray[Any],
    c: NDArray[Any],
    e_scale: NDArray[Any],
    e_x_scale: NDArray[Any],
    scale: NDArray[Any],
) -> None:
    """scale[o] = 127 / (range * fill) * (e_x_scale[o % x_channels] / e_scale[o % e_channels])."""
    o = np.arange(channels)
    with np.errstate(all="ignore"):
        ratio = F32(127) / ar.error_reach(range[0], c[1])
        scale[:channels] = ar.scale_from_float(ratio * (e_x_scale[o % x_channels] / e_scale[o % e_channels]))


def rescale_error_s8(
    rows: int,
    count: int,
    pitch: int,
    offset: int,
    channels: int,
    x_zero: int,
    sign: int,
    e: NDArray[Any],
    x: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    e_x: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """e_x[r, i] = rescale(sign * e[r, offset + i]), masked by the activation function that made x.

    Rows have `count` elements in x and `pitch` in e; factors repeat every `channels` elements of x.
    """
    part = e[: rows * pitch].astype(np.int64).reshape(rows, pitch)[:, offset : offset + count]
    write_error((sign * part).reshape(-1, channels), x, x_zero, scale, clip, e_x, peak)


def scale_unit(c: NDArray[Any], factor: NDArray[Any], unit: NDArray[Any]) -> None:
    """unit = (c * factor, fill of c)."""
    with np.errstate(all="ignore"):
        unit[:2] = c[0] * factor[0], c[1]


PREPARE_ERROR_SUM = Kernel("mcg_prepare_error_sum", prepare_error_sum)
ADD_ERRORS_S8 = Kernel("mcg_add_errors_s8", add_errors_s8, may_share=(Shared("a", "e"), Shared("b", "e")))
PREPARE_ERROR_RATIO = Kernel("mcg_prepare_error_ratio", prepare_error_ratio)
RESCALE_ERROR_S8 = Kernel("mcg_rescale_error_s8", rescale_error_s8, may_share=(Shared("e", "e_x"),))
SCALE_UNIT = Kernel("mcg_scale_unit", scale_unit)
