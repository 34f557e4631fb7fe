"""Mul in float32; the second factor may be one value per channel (squeeze-and-excitation)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.core.computation_f32 import (
    ComputationF32,
    bounds,
    clipped,
    error_for,
    lower_mask,
    open_bounds,
)
from mcugrad.ops.joining.mul import Mul
from mcugrad.program import Kernel, Shared


@dataclass(frozen=True, kw_only=True)
class MulF32(ComputationF32):
    """Product with a fused activation function."""

    of: Mul

    def gradient(self, to: GradientBuilder, e: str) -> None:
        sides: tuple[Literal["a", "b"], ...] = ("a", "b")
        for side in sides:
            x, other = (self.of.a, self.of.b) if side == "a" else (self.of.b, self.of.a)
            name = f"{self.name}_grad_{side}"
            error = error_for(to, x)
            to.add(MulGradInputF32(name=name, forward=self, side=side, e=e, x=x, other=other, e_x=error))

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            MUL_F32,
            note=self.describe(to.graph),
            count=to.graph[self.of.a].size,
            period=to.graph[self.of.b].size,
            a=to.data(self.of.a),
            b=to.data(self.of.b),
            clip=bounds(to, self.y),
            y=to.data(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class MulGradInputF32(BackwardNode):
    """Error of one factor of a product: that of the product times the other factor.

    Attributes:
        side: which factor `x` is.
    """

    forward: MulF32
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
        note, e, other, e_x = f"error of {self.x}", to.data(self.e), to.data(self.other), to.data(self.e_x)
        count, period = to.graph[self.forward.of.a].size, to.graph[self.forward.of.b].size
        if self.side == "a":
            clip = open_bounds(to)
            to.call(MUL_F32, note=note, count=count, period=period, a=e, b=other, clip=clip, y=e_x)
        else:
            to.call(MUL_GRAD_B_F32, note=note, count=count, period=period, e=e, a=other, e_b=e_x)
        lower_mask(to, self.x, self.e_x)


def mul_f32(
    count: int,
    period: int,
    a: NDArray[Any],
    b: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
) -> None:
    """y = clip(a * b); b repeats every `period` elements."""
    with np.errstate(all="ignore"):
        y[:count] = clipped(a[:count].reshape(-1, period) * b[:period], clip).reshape(-1)


def mul_grad_b_f32(count: int, period: int, e: NDArray[Any], a: NDArray[Any], e_b: NDArray[Any]) -> None:
    """e_b = sum of e * a over the repetitions, first to last."""
    total = np.zeros(period, F32)
    with np.errstate(all="ignore"):
        for row in e[:count].reshape(-1, period) * a[:count].reshape(-1, period):
            total += row
    e_b[:period] = total


MUL_F32 = Kernel("mcg_mul_f32", mul_f32, may_share=(Shared("a", "y"),))
MUL_GRAD_B_F32 = Kernel("mcg_mul_grad_b_f32", mul_grad_b_f32)
