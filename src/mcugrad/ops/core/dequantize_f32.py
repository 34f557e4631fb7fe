"""Dequantize, to float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.computation_f32 import ComputationF32
from mcugrad.ops.core.dequantize import Dequantize
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class DequantizeF32(ComputationF32):
    """The same values as float32. No errors go back through it: what comes before is frozen."""

    of: Dequantize

    def gradient(self, to: GradientBuilder, e: str) -> None:
        pass

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            DEQUANTIZE_F32,
            note=self.of.describe(to.graph),
            count=to.graph[self.y].size,
            x_zero=to.zero(self.of.x),
            x=to.data(self.of.x),
            x_scale=to.scale(self.of.x),
            y=to.data(self.y),
        )


def dequantize_f32(count: int, x_zero: int, x: NDArray[Any], x_scale: NDArray[Any], y: NDArray[Any]) -> None:
    """y = (x - x_zero) * x_scale."""
    with np.errstate(all="ignore"):
        y[:count] = (x[:count].astype(np.int64) - x_zero).astype(F32) * x_scale[0]


DEQUANTIZE_F32 = Kernel("mcg_dequantize_f32", dequantize_f32)
