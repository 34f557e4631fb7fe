"""What float32 layers with weights share: three kernels, their lowering, and the nodes of the backward pass."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.core.computation_f32 import ComputationF32, bounds, error_for, lower_mask
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.update.update_f32 import add_float_updates
from mcugrad.program import Kernel

PassF32 = tuple[Kernel, dict[str, Any]]
"""A kernel, and those of its arguments that not every layer has."""


@dataclass(frozen=True, kw_only=True)
class LayerF32(ComputationF32):
    """A layer whose output, input error and weight gradient are a kernel each."""

    of: Weighted

    @abstractmethod
    def forward_pass(self, to: ProgramBuilder) -> PassF32:
        """Kernel that computes `y`."""

    @abstractmethod
    def grad_input_pass(self, to: ProgramBuilder) -> PassF32:
        """Kernel that computes the error of `x`."""

    @abstractmethod
    def update_pass(self, to: ProgramBuilder) -> PassF32:
        """Kernel that updates the weights."""

    def gradient(self, to: GradientBuilder, e: str) -> None:
        of, name = self.of, self.name
        to.add(
            GradInputF32(
                name=f"{name}_grad_input", forward=self, e=e, w=of.w, x=of.x, e_x=error_for(to, of.x)
            )
        )
        add_float_updates(
            to,
            of,
            e,
            lambda e: WeightUpdateF32(name=f"{name}_update", forward=self, x=of.x, e=e, w=of.w),
        )

    def lower(self, to: ProgramBuilder) -> None:
        kernel, arguments = self.forward_pass(to)
        to.call(
            kernel,
            note=self.describe(to.graph),
            x=to.data(self.of.x),
            w=to.data(self.of.w),
            bias=to.data(self.of.b),
            clip=bounds(to, self.y),
            y=to.data(self.y),
            **arguments,
        )


@dataclass(frozen=True, kw_only=True)
class GradInputF32(BackwardNode):
    """Error of a layer's input, the mask of the preceding activation function applied."""

    forward: LayerF32
    e: str
    w: str
    x: str
    e_x: str

    INPUTS = ("e", "w", "x")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return self.forward.macs(graph)

    def lower(self, to: ProgramBuilder) -> None:
        kernel, arguments = self.forward.grad_input_pass(to)
        to.call(
            kernel,
            note=f"error of {self.x}",
            e=to.data(self.e),
            active=to.active(self.e),
            w=to.data(self.w),
            e_x=to.data(self.e_x),
            **arguments,
        )
        lower_mask(to, self.x, self.e_x)


@dataclass(frozen=True, kw_only=True)
class WeightUpdateF32(BackwardNode):
    """Weight gradient of a layer, applied as soon as that of a few rows is known."""

    forward: LayerF32
    x: str
    e: str
    w: str

    INPUTS = ("x", "e", "w")
    OUTPUTS = ()
    CHANGES_STATE = True

    def macs(self, graph: Graph) -> int:
        return self.forward.macs(graph)

    def lower(self, to: ProgramBuilder) -> None:
        kernel, arguments = self.forward.update_pass(to)
        to.call(
            kernel,
            note="weights by float32 SGD",
            x=to.data(self.x),
            e=to.data(self.e),
            active=to.active(self.e),
            rate=to.rate(),
            w=to.data(self.w),
            **arguments,
        )
