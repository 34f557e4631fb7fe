"""Activation functions in float32: the curves that the tables of int8 layers are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.activation.curves import Function, curve
from mcugrad.ops.core.computation_f32 import ComputationF32, error_for, lower_mask
from mcugrad.program import Kernel, Shared


@dataclass(frozen=True, kw_only=True)
class ActivationF32(ComputationF32):
    """y = function(x), element by element."""

    of: Activation

    def gradient(self, to: GradientBuilder, e: str) -> None:
        name, x = f"{self.name}_grad_input", self.of.x
        to.add(ActivationGradInputF32(name=name, forward=self, e=e, x=x, e_x=error_for(to, x)))

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            FUNCTION_F32,
            note=self.describe(to.graph),
            count=to.graph[self.y].size,
            function=int(self.of.function),
            parameters=self.parameters(to),
            x=to.data(self.of.x),
            y=to.data(self.y),
        )

    def parameters(self, to: ProgramBuilder) -> str:
        """Buffer of alpha and beta."""
        values = np.asarray([self.of.alpha, self.of.beta], np.float32)
        return to.constant(f"{self.y}_parameters", "float", values, "alpha, beta")


@dataclass(frozen=True, kw_only=True)
class ActivationGradInputF32(BackwardNode):
    """Error of a function's input: times the slope."""

    forward: ActivationF32
    e: str
    x: str
    e_x: str

    INPUTS = ("e", "x")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return graph[self.e].size

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            FUNCTION_GRAD_F32,
            note=f"error of {self.x}",
            count=to.graph[self.e].size,
            function=int(self.forward.of.function),
            parameters=self.forward.parameters(to),
            e=to.data(self.e),
            x=to.data(self.x),
            e_x=to.data(self.e_x),
        )
        lower_mask(to, self.x, self.e_x)


def function_f32(
    count: int, function: int, parameters: NDArray[Any], x: NDArray[Any], y: NDArray[Any]
) -> None:
    """y = function(x)."""
    y[:count] = curve(Function(function), x[:count], parameters[0], parameters[1])[0]


def function_grad_f32(
    count: int,
    function: int,
    parameters: NDArray[Any],
    e: NDArray[Any],
    x: NDArray[Any],
    e_x: NDArray[Any],
) -> None:
    """e_x = e * slope at x."""
    with np.errstate(all="ignore"):
        e_x[:count] = e[:count] * curve(Function(function), x[:count], parameters[0], parameters[1])[1]


FUNCTION_F32 = Kernel("mcg_function_f32", function_f32, may_share=(Shared("x", "y"),))
FUNCTION_GRAD_F32 = Kernel(
    "mcg_function_grad_f32", function_grad_f32, may_share=(Shared("e", "e_x"), Shared("x", "e_x"))
)
