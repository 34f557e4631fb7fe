"""HardShrink in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.activation.hard_shrink import HardShrink
from mcugrad.ops.core.computation_f32 import ComputationF32, error_for
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class HardShrinkF32(ComputationF32):
    """y = x where its magnitude is above a limit, else 0."""

    of: HardShrink

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = error_for(to, self.of.x)
        to.add(HardShrinkGradInputF32(name=f"{self.name}_grad_input", e=e, y=self.y, e_x=error))

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            HARD_SHRINK_F32,
            note=self.describe(to.graph),
            count=to.graph[self.y].size,
            limit=to.constant(
                f"{self.name}_limit", "float", np.asarray([self.of.limit], np.float32), "largest that is 0"
            ),
            x=to.data(self.of.x),
            y=to.data(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class HardShrinkGradInputF32(BackwardNode):
    """Errors pass as they are where the value did."""

    e: str
    y: str
    e_x: str

    INPUTS = ("e", "y")
    OUTPUTS = ("e_x",)

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            HARD_SHRINK_GRAD_F32,
            note="error where the value passed",
            count=to.graph[self.e].size,
            e=to.data(self.e),
            y=to.data(self.y),
            e_x=to.data(self.e_x),
        )


def hard_shrink_f32(count: int, limit: NDArray[Any], x: NDArray[Any], y: NDArray[Any]) -> None:
    """y = 0 where the magnitude of x is at most the limit, else x; NaN stays NaN."""
    y[:count] = np.where(np.abs(x[:count]) <= limit[0], np.float32(0), x[:count])


def hard_shrink_grad_f32(count: int, e: NDArray[Any], y: NDArray[Any], e_x: NDArray[Any]) -> None:
    """e_x = e where y is not 0, else 0."""
    e_x[:count] = np.where(y[:count] != 0, e[:count], np.float32(0))


HARD_SHRINK_F32 = Kernel("mcg_hard_shrink_f32", hard_shrink_f32)
HARD_SHRINK_GRAD_F32 = Kernel("mcg_hard_shrink_grad_f32", hard_shrink_grad_f32)
