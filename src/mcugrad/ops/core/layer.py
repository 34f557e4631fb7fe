"""What layers with weights share: three kernels, their lowering, and the nodes of the backward pass."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcugrad import arithmetic as ar
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import BackwardNode, Graph
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.tracking.ranges import clip_of, error_factors, lower_track_error
from mcugrad.ops.update.update import add_updates, lower_update_factor
from mcugrad.program import Kernel, Struct


@dataclass(frozen=True)
class Pass:
    """One of the three kernels of a layer.

    Attributes:
        kernel: the kernel.
        terms: largest number of products that one of its sums has.
        arguments: those that not every layer has.
    """

    kernel: Kernel
    terms: int
    arguments: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Layer(Weighted):
    """A layer whose output, input error and weight gradient are a kernel each."""

    @abstractmethod
    def struct(self, to: ProgramBuilder, e_x: str = "") -> Struct:
        """Constants of the layer as C sees them; `e_x` is the error of its input where that is wanted."""

    @abstractmethod
    def forward_pass(self, to: ProgramBuilder, g: Any) -> Pass:
        """Kernel that computes `y`."""

    @abstractmethod
    def grad_input_pass(self, to: ProgramBuilder, g: Any) -> Pass:
        """Kernel that computes the error of `x`."""

    @abstractmethod
    def update_pass(self, to: ProgramBuilder, g: Any) -> Pass:
        """Kernel that updates the weights."""

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = to.error_of(self.x)
        if error is not None:
            to.add(
                GradInput(name=f"{self.name}_grad_input", forward=self, e=e, w=self.w, x=self.x, e_x=error)
            )
        add_updates(
            to,
            self,
            e,
            lambda e: WeightUpdate(name=f"{self.name}_update", forward=self, x=self.x, e=e, w=self.w),
        )

    def lower(self, to: ProgramBuilder) -> None:
        g = self.struct(to)
        this = self.forward_pass(to, g)
        to.bound_terms(this.terms, to.largest_weight(self.w) * 255, ar.BIAS_LIMIT)
        scale, bias = self.lower_factors(to)
        to.call(
            this.kernel,
            note=self.describe(to.graph),
            g=g,
            x=to.data(self.x),
            w=to.data(self.w),
            w_zero=to.weight_zero(self.w),
            bias=bias,
            scale=scale,
            clip=clip_of(to, self.y),
            y=to.data(self.y),
            peak=to.peak(self.y),
            **this.arguments,
        )


@dataclass(frozen=True, kw_only=True)
class GradInput(BackwardNode):
    """Error of a layer's input, the mask of the preceding activation function applied."""

    forward: Layer
    e: str
    w: str
    x: str
    e_x: str

    INPUTS = ("e", "w", "x")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return self.forward.macs(graph)

    def lower(self, to: ProgramBuilder) -> None:
        g = self.forward.struct(to, self.e_x)
        this = self.forward.grad_input_pass(to, g)
        to.bound_terms(this.terms, to.largest_weight(self.w) * 127)
        peak, scale = error_factors(to, self.e, self.e_x)
        to.call(
            this.kernel,
            note=f"error of {self.x}",
            g=g,
            e=to.data(self.e),
            active=to.active(self.e),
            w=to.data(self.w),
            w_zero=to.weight_zero(self.w),
            x=to.data(self.x),
            scale=scale,
            clip=clip_of(to, self.x),
            e_x=to.data(self.e_x),
            peak=peak,
            **this.arguments,
        )
        lower_track_error(to, to.error_unit(self.e), self.e_x)


@dataclass(frozen=True, kw_only=True)
class WeightUpdate(BackwardNode):
    """Weight gradient of a layer, applied channel by channel as soon as it is known."""

    forward: Layer
    x: str
    e: str
    w: str

    INPUTS = ("x", "e", "w")
    OUTPUTS = ()
    CHANGES_STATE = True

    def macs(self, graph: Graph) -> int:
        return self.forward.macs(graph)

    def lower(self, to: ProgramBuilder) -> None:
        g = self.forward.struct(to)
        this = self.forward.update_pass(to, g)
        to.bound_terms(this.terms, 127 * 255)
        to.call(
            this.kernel,
            note=to.update(self.w).note,
            g=g,
            x=to.data(self.x),
            e=to.data(self.e),
            active=to.active(self.e),
            factor=lower_update_factor(to, self.name, self.x, self.e, self.w),
            **to.update_arguments(self.w),
            **this.arguments,
        )
