"""HardShrink in int8: the scale of the input passes through, the limit becomes steps of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.activation.hard_shrink import HardShrink
from mcugrad.ops.core.computation_s8 import ComputationS8
from mcugrad.program import Kernel

ALL = 256
"""Steps that no value is above."""


@dataclass(frozen=True, kw_only=True)
class HardShrinkS8(ComputationS8):
    """y = x where its magnitude is above a limit, else 0."""

    of: HardShrink

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = to.error_of(self.of.x, like=e)
        if error is not None:
            to.add(HardShrinkGradInputS8(name=f"{self.name}_grad_input", e=e, y=self.y, e_x=error))

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            HARD_SHRINK_S8,
            note=self.describe(to.graph),
            count=to.graph[self.y].size,
            x_zero=to.zero(self.of.x),
            limit=to.constant(
                f"{self.name}_limit", "float", np.asarray([self.of.limit], np.float32), "largest that is 0"
            ),
            x_scale=to.scale(self.of.x),
            x=to.data(self.of.x),
            y=to.data(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class HardShrinkGradInputS8(BackwardNode):
    """Errors pass as they are where the value did."""

    e: str
    y: str
    e_x: str

    INPUTS = ("e", "y")
    OUTPUTS = ("e_x",)

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            HARD_SHRINK_GRAD_S8,
            note="error where the value passed",
            count=to.graph[self.e].size,
            y_zero=to.zero(self.y),
            e=to.data(self.e),
            y=to.data(self.y),
            e_x=to.data(self.e_x),
        )


def hard_shrink_s8(
    count: int, x_zero: int, limit: NDArray[Any], x_scale: NDArray[Any], x: NDArray[Any], y: NDArray[Any]
) -> None:
    """y = x where it is more than limit / x_scale steps from its zero point, else the zero point."""
    with np.errstate(all="ignore"):
        steps = int(ar.round_half_up(limit[0] / x_scale[0], ALL))
    values = x[:count].astype(np.int64)
    y[:count] = np.where(np.abs(values - x_zero) > steps, values, x_zero)


def hard_shrink_grad_s8(count: int, y_zero: int, e: NDArray[Any], y: NDArray[Any], e_x: NDArray[Any]) -> None:
    """e_x = e where y is not its zero point, else 0."""
    e_x[:count] = np.where(y[:count] != y_zero, e[:count], 0)


HARD_SHRINK_S8 = Kernel("mcg_hard_shrink_s8", hard_shrink_s8)
HARD_SHRINK_GRAD_S8 = Kernel("mcg_hard_shrink_grad_s8", hard_shrink_grad_s8)
