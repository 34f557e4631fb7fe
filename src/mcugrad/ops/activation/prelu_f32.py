"""Leaky and parametric ReLU in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import ActivationScale, Float32, Graph
from mcugrad.ops.activation.prelu import PRelu
from mcugrad.ops.core.computation_f32 import ComputationF32, Floats, error_for, lower_mask
from mcugrad.program import Kernel, Shared


@dataclass(frozen=True, kw_only=True)
class PReluF32(ComputationF32):
    """Rectifier that lets a share of negative values through."""

    of: PRelu

    def form(self, graph: Graph, given: ActivationScale | None) -> Float32:
        return Float32()  # it is not bounded as x is: slopes make other values

    def gradient(self, to: GradientBuilder, e: str) -> None:
        name, x = f"{self.name}_grad_input", self.of.x
        to.add(PReluGradInputF32(name=name, forward=self, e=e, x=x, e_x=error_for(to, x)))

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            PRELU_F32,
            note=self.describe(to.graph),
            count=to.graph[self.y].size,
            channels=len(self.of.slope),
            x=to.data(self.of.x),
            slope=self.slopes(to),
            y=to.data(self.y),
        )

    def slopes(self, to: ProgramBuilder) -> str:
        """Buffer of the slopes for negative x."""
        values = np.asarray(self.of.slope, np.float32)
        return to.constant(f"{self.name}_slope", "float", values, "slope for negative values")


@dataclass(frozen=True, kw_only=True)
class PReluGradInputF32(BackwardNode):
    """Error of a PReLU's input."""

    forward: PReluF32
    e: str
    x: str
    e_x: str

    INPUTS = ("e", "x")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return graph[self.e].size

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            PRELU_GRAD_F32,
            note=f"error of {self.x}",
            count=to.graph[self.e].size,
            channels=len(self.forward.of.slope),
            e=to.data(self.e),
            x=to.data(self.x),
            slope=self.forward.slopes(to),
            e_x=to.data(self.e_x),
        )
        lower_mask(to, self.x, self.e_x)


def _sloped(count: int, channels: int, value: NDArray[Any], x: NDArray[Any], slope: NDArray[Any]) -> Floats:
    rows = value[:count].reshape(-1, channels)
    with np.errstate(all="ignore"):
        sloped = np.where(x[:count].reshape(-1, channels) < 0, rows * slope[:channels], rows)
    result: Floats = sloped.reshape(-1)
    return result


def prelu_f32(count: int, channels: int, x: NDArray[Any], slope: NDArray[Any], y: NDArray[Any]) -> None:
    """y = x, times the slope of its channel where it is negative; slopes repeat every `channels` elements."""
    y[:count] = _sloped(count, channels, x, x, slope)


def prelu_grad_f32(
    count: int,
    channels: int,
    e: NDArray[Any],
    x: NDArray[Any],
    slope: NDArray[Any],
    e_x: NDArray[Any],
) -> None:
    """e_x = e, times the slope of its channel where x is negative."""
    e_x[:count] = _sloped(count, channels, e, x, slope)


PRELU_F32 = Kernel("mcg_prelu_f32", prelu_f32, may_share=(Shared("x", "y"),))
PRELU_GRAD_F32 = Kernel(
    "mcg_prelu_grad_f32", prelu_grad_f32, may_share=(Shared("e", "e_x"), Shared("x", "e_x"))
)
