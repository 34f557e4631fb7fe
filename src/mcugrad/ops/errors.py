"""Errors on their way back: sums of several, and changes of the scale that they carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32
from mcugrad.graph import BackwardNode, Graph
from mcugrad.graph.gradient import GradientBuilder
from mcugrad.ops.ranges import TRACK_ERROR, clip_of, error_range
from mcugrad.ops.weighted import write_error
from mcugrad.program import Kernel
from mcugrad.program.lowering import Lowering

LEAST_RANGE = F32(2)
"""Smallest range of a sum of errors: below it, factors would leave their fixed-point format."""


@dataclass(frozen=True, kw_only=True)
class ErrorSum(BackwardNode):
    """Sum of two errors of the same activation, each with a unit of its own; rounded once."""

    a: str
    b: str
    e: str

    INPUTS = ("a", "b")
    OUTPUTS = ("e",)

    @property
    def has_effect(self) -> bool:
        return False

    def macs(self, graph: Graph) -> int:
        return 2 * graph[self.e].size

    def lower(self, to: Lowering) -> None:
        unit = to.temporary(f"{self.name}_unit", "float", (1,), "larger unit of the two")
        factor = to.temporary(f"{self.name}_factor", "int32_t", (2,), "errors to their sum, in 1/65536")
        peak = to.temporary(f"{self.e}_peak", "int32_t", (1,), "largest magnitude before saturation, steps")
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
        to.call(TRACK_ERROR, note="unit and range", peak=peak, c=unit, range=span, c_x=to.error_unit(self.e))


@dataclass(frozen=True, kw_only=True)
class ErrorRescale(BackwardNode):
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

    @property
    def has_effect(self) -> bool:
        return False

    def macs(self, graph: Graph) -> int:
        return graph[self.e].size

    def lower(self, to: Lowering) -> None:
        channels = to.error_channels(self.e_x)
        scale = to.temporary(f"{self.e_x}_factor", "mcg_scale_t", (channels,), "error to error, per channel")
        peak = to.temporary(f"{self.e_x}_peak", "int32_t", (1,), "largest magnitude before saturation, steps")
        span = error_range(to, self.e_x, 127.0)
        to.call(
            PREPARE_ERROR_RATIO,
            note="factors",
            channels=channels,
            range=span,
            e_scale=to.error_scale(self.e),
            e_x_scale=to.error_scale(self.e_x),
            scale=scale,
        )
        to.call(
            RESCALE_ERROR_S8,
            note=f"error of {self.x}",
            count=to.graph[self.e].size,
            channels=channels,
            x_zero=to.zero(self.x),
            sign=self.sign,
            e=to.data(self.e),
            x=to.data(self.x),
            scale=scale,
            clip=clip_of(to, self.x),
            e_x=to.data(self.e_x),
            peak=peak,
        )
        to.call(
            TRACK_ERROR,
            note="unit and range",
            peak=peak,
            c=to.error_unit(self.e),
            range=span,
            c_x=to.error_unit(self.e_x),
        )


@dataclass(frozen=True, kw_only=True)
class ErrorAlias(BackwardNode):
    """The error of `x` is that of `y`, byte for byte."""

    e: str
    e_x: str

    INPUTS = ("e",)
    OUTPUTS = ("e_x",)

    @property
    def has_effect(self) -> bool:
        return False

    def macs(self, graph: Graph) -> int:
        return 0

    def lower(self, to: Lowering) -> None:
        to.alias(self.e_x, self.e)


def pass_error(to: GradientBuilder, name: str, e: str, x: str, sign: int = 1) -> None:
    """Carry the error of a value back to `x`, from which it came unchanged but for its sign."""
    carrier = to.carrier(x)
    if carrier is None:
        return
    quant = to.graph[x].quant
    same = to.graph[e].quant.carrier == carrier  # type: ignore[union-attr]
    if same and sign == 1 and quant.low is None and quant.high is None:  # type: ignore[union-attr]
        error = to.error_of(x, like=e)
        assert error is not None
        to.add(ErrorAlias(name=name, e=e, e_x=error))
    else:
        error = to.error_of(x)
        assert error is not None
        to.add(ErrorRescale(name=name, e=e, x=x, e_x=error, sign=sign))


def prepare_error_sum(
    a_c: NDArray[Any],
    b_c: NDArray[Any],
    range: NDArray[Any],
    factor: NDArray[Any],
    unit: NDArray[Any],
) -> None:
    """unit = max(a_c, b_c); factor = c / unit * 127 / range in 1/65536; 0 where both errors are 0."""
    range[0] = max(range[0], LEAST_RANGE)
    unit[0] = max(a_c[0], b_c[0])
    ratio = F32(127) / range[0] * F32(65536)
    for i, c in enumerate((a_c[0], b_c[0])):
        factor[i] = ar.round_half_up(c / unit[0] * ratio, 1 << 22) if unit[0] > 0 else 0


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
    channels: int, range: NDArray[Any], e_scale: NDArray[Any], e_x_scale: NDArray[Any], scale: NDArray[Any]
) -> None:
    """scale[o] = 127 / range * (e_x_scale[o] / e_scale[o])."""
    with np.errstate(all="ignore"):
        ratio = F32(127) / range[0]
        scale[:channels] = ar.scale_from_float(ratio * (e_x_scale[:channels] / e_scale[:channels]))


def rescale_error_s8(
    count: int,
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
    """e_x = rescale(sign * e) per channel (innermost), masked by the activation function that made x."""
    acc = (sign * e[:count].astype(np.int64)).reshape(-1, channels)
    write_error(acc, x, x_zero, scale, clip, e_x, peak)


PREPARE_ERROR_SUM = Kernel("mcg_prepare_error_sum", prepare_error_sum)
ADD_ERRORS_S8 = Kernel("mcg_add_errors_s8", add_errors_s8)
PREPARE_ERROR_RATIO = Kernel("mcg_prepare_error_ratio", prepare_error_ratio)
RESCALE_ERROR_S8 = Kernel("mcg_rescale_error_s8", rescale_error_s8)
