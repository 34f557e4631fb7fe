"""Mul in int8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.core.computation_s8 import ComputationS8, write_error, write_output
from mcugrad.ops.core.gradients_s8 import error_unit_times, ratio_factors
from mcugrad.ops.joining.mul import Mul
from mcugrad.ops.tracking.ranges_s8 import clip_of, error_peak, lower_track_error
from mcugrad.program import Kernel, Shared


@dataclass(frozen=True, kw_only=True)
class MulS8(ComputationS8):
    """Product with a fused activation function."""

    of: Mul

    def gradient(self, to: GradientBuilder, e: str) -> None:
        sides: tuple[Literal["a", "b"], ...] = ("a", "b")
        for side in sides:
            x, other = (self.of.a, self.of.b) if side == "a" else (self.of.b, self.of.a)
            error = to.error_of(x)
            if error is not None:
                name = f"{self.name}_grad_{side}"
                to.add(MulGradInputS8(name=name, forward=self, side=side, e=e, x=x, other=other, e_x=error))

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            MUL_S8,
            note=self.describe(to.graph),
            count=to.graph[self.of.a].size,
            period=to.graph[self.of.b].size,
            a_zero=to.zero(self.of.a),
            b_zero=to.zero(self.of.b),
            y_zero=to.zero(self.y),
            a=to.data(self.of.a),
            b=to.data(self.of.b),
            scale=lower_product(to, self.name, to.scale(self.of.a), to.scale(self.of.b), self.y),
            clip=clip_of(to, self.y),
            y=to.data(self.y),
            peak=to.peak(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class MulGradInputS8(BackwardNode):
    """Error of one factor of a product: that of the product times the other factor.

    Attributes:
        side: which factor `x` is.
    """

    forward: MulS8
    side: Literal["a", "b"]
    e: str
    x: str
    other: str
    e_x: str

    INPUTS = ("e", "x", "other")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return graph[self.e].size

    def lower(self, to: ProgramBuilder) -> None:
        count, period = to.graph[self.forward.of.a].size, to.graph[self.forward.of.b].size
        if self.side == "b":
            to.bound_terms(count // period, 127 * 255)
        unit = error_unit_times(to, self.name, self.e, to.scale(self.other))
        scale, channels = ratio_factors(to, self.e, self.e_x)
        peak = error_peak(to, self.e_x)
        to.call(
            MUL_GRAD_A_S8 if self.side == "a" else MUL_GRAD_B_S8,
            note=f"error of {self.x}",
            count=count,
            period=period,
            channels=channels,
            a_zero=to.zero(self.forward.of.a),
            b_zero=to.zero(self.forward.of.b),
            e=to.data(self.e),
            a=to.data(self.forward.of.a),
            b=to.data(self.forward.of.b),
            scale=scale,
            clip=clip_of(to, self.x),
            peak=peak,
            **{f"e_{self.side}": to.data(self.e_x)},
        )
        lower_track_error(to, unit, self.e_x)


def lower_product(to: ProgramBuilder, name: str, a_scale: str, b_scale: str, y: str) -> str:
    """Add the call that derives the factor from a product to `y`; name of its buffer."""
    scale = to.temporary(name, "float", (1,), "accumulator to output")
    to.call(
        PREPARE_PRODUCT, note="factor", a_scale=a_scale, b_scale=b_scale, y_scale=to.scale(y), scale=scale
    )
    return scale


def prepare_product(
    a_scale: NDArray[Any], b_scale: NDArray[Any], y_scale: NDArray[Any], scale: NDArray[Any]
) -> None:
    """scale = a_scale * b_scale / y_scale."""
    with np.errstate(all="ignore"):
        scale[0] = ar.output_factor(a_scale[0] * b_scale[0] / y_scale[0])


def spread(scale: NDArray[Any], channels: int) -> NDArray[Any]:
    """One factor for all channels."""
    return np.broadcast_to(scale[:1], (channels,))


def _rows(x: NDArray[Any], count: int, period: int, zero: int = 0) -> NDArray[np.int64]:
    return x[:count].astype(np.int64).reshape(-1, period) - zero


def mul_s8(
    count: int,
    period: int,
    a_zero: int,
    b_zero: int,
    y_zero: int,
    a: NDArray[Any],
    b: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """y = clip(rescale((a - a_zero) * (b - b_zero))); b repeats every `period` elements."""
    acc = _rows(a, count, period, a_zero) * _rows(b, period, period, b_zero)
    write_output(acc, spread(scale, period), clip, y_zero, y, peak)


def mul_grad_a_s8(
    count: int,
    period: int,
    channels: int,
    a_zero: int,
    b_zero: int,
    e: NDArray[Any],
    b: NDArray[Any],
    a: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    e_a: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """e_a = rescale(e * (b - b_zero)), masked by the activation function that made a."""
    acc = _rows(e, count, period) * _rows(b, period, period, b_zero)
    write_error(acc.reshape(-1, channels), a, a_zero, scale, clip, e_a, peak)


def mul_grad_b_s8(
    count: int,
    period: int,
    channels: int,
    a_zero: int,
    b_zero: int,
    e: NDArray[Any],
    a: NDArray[Any],
    b: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    e_b: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """e_b = rescale(sum of e * (a - a_zero) over repetitions), masked by the activation function that made b."""
    acc = (_rows(e, count, period) * _rows(a, count, period, a_zero)).sum(axis=0)
    write_error(acc.reshape(-1, channels), b, b_zero, scale, clip, e_b, peak)


PREPARE_PRODUCT = Kernel("mcg_prepare_product", prepare_product)
MUL_S8 = Kernel("mcg_mul_s8", mul_s8, may_share=(Shared("a", "y"),))
MUL_GRAD_A_S8 = Kernel("mcg_mul_grad_a_s8", mul_grad_a_s8, may_share=(Shared("e", "e_a"),))
MUL_GRAD_B_S8 = Kernel("mcg_mul_grad_b_s8", mul_grad_b_s8)
