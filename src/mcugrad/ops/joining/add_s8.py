"""Add and Sub in int8: each activation is brought to the scale of the sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.computation_s8 import ComputationS8
from mcugrad.ops.core.gradients_s8 import pass_error
from mcugrad.ops.joining.add import Add
from mcugrad.ops.tracking.ranges_s8 import clip_of
from mcugrad.program import Kernel, Shared

FACTOR_LIMIT = 1 << 21
FACTOR_BITS = 5
"""More than the 16 of other factors: 255 * (2^21 + 2^21) is still below 2^30."""


@dataclass(frozen=True, kw_only=True)
class AddS8(ComputationS8):
    """Sum or difference with a fused activation function."""

    of: Add

    def gradient(self, to: GradientBuilder, e: str) -> None:
        pass_error(to, f"{self.name}_grad_a", e, self.of.a)
        pass_error(to, f"{self.name}_grad_b", e, self.of.b, self.of.sign)

    def lower(self, to: ProgramBuilder) -> None:
        factor = to.temporary(f"{self.name}_factor", "int32_t", (3,), "two factors and their shift")
        to.call(
            PREPARE_ADD,
            note="factors",
            sign=self.of.sign,
            a_scale=to.scale(self.of.a),
            b_scale=to.scale(self.of.b),
            y_scale=to.scale(self.y),
            factor=factor,
        )
        to.call(
            ADD_S8,
            note=self.describe(to.graph),
            count=to.graph[self.y].size,
            a_zero=to.zero(self.of.a),
            b_zero=to.zero(self.of.b),
            y_zero=to.zero(self.y),
            a=to.data(self.of.a),
            b=to.data(self.of.b),
            factor=factor,
            clip=clip_of(to, self.y),
            y=to.data(self.y),
            peak=to.peak(self.y),
        )


def prepare_add(
    sign: int, a_scale: NDArray[Any], b_scale: NDArray[Any], y_scale: NDArray[Any], factor: NDArray[Any]
) -> None:
    """factor = (a_scale / y_scale, sign * b_scale / y_scale) in 2^-shift, and shift: the larger one fills 21 bits."""
    with np.errstate(all="ignore"):
        a, b = ar.output_factor(a_scale[0] / y_scale[0]), ar.output_factor(b_scale[0] / y_scale[0])
    exponent = int(np.maximum(a, b).view(np.uint32) >> 23)
    shift = int(np.clip(142 + FACTOR_BITS - exponent, 1, 30))
    factor[0] = min(int(ar.nearest(a * F32(1 << shift))), FACTOR_LIMIT)
    factor[1] = sign * min(int(ar.nearest(b * F32(1 << shift))), FACTOR_LIMIT)
    factor[2] = shift


def add_s8(
    count: int,
    a_zero: int,
    b_zero: int,
    y_zero: int,
    a: NDArray[Any],
    b: NDArray[Any],
    factor: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """y = clip((a - a_zero) * factor[0] + (b - b_zero) * factor[1]), rounded once, half up."""
    acc = (a[:count].astype(np.int64) - a_zero) * int(factor[0])
    acc += (b[:count].astype(np.int64) - b_zero) * int(factor[1])
    ar.check_accumulator(acc)
    shift = int(factor[2])
    value = np.clip((acc + (1 << (shift - 1))) >> shift, clip[0], clip[1])
    peak[0] = np.abs(value).max(initial=0)
    y[:count] = np.clip(value + y_zero, -128, 127)


PREPARE_ADD = Kernel("mcg_prepare_add", prepare_add)
ADD_S8 = Kernel("mcg_add_s8", add_s8, may_share=(Shared("a", "y"), Shared("b", "y")))
