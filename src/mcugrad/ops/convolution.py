"""What convolutions share: fields, nodes of the backward pass, lowering.

Maps are (height, width, channels), weights (out, k_h, k_w, inputs that one output channel reads): a row of weights
belongs to one output channel, as update rules and scales per channel want it. A sequence is a map of height 1, so
that the one-dimensional convolutions are these with kernels (1, k).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from mcugrad import arithmetic as ar
from mcugrad.graph import BackwardNode, Graph, Shape
from mcugrad.graph.gradient import GradientBuilder
from mcugrad.ops.ranges import clip_of, error_factors, lower_track_error
from mcugrad.ops.update import add_updates, lower_update_factor
from mcugrad.ops.weighted import Weighted
from mcugrad.ops.window import Conv2dStruct, Pair
from mcugrad.program import Kernel
from mcugrad.program.lowering import Lowering

UPDATE_ROWS = 4
"""Output channels whose gradients are gathered at a time: each costs 4 bytes of scratch per weight of a channel."""


@dataclass(frozen=True)
class Pass:
    """One of the three kernels of a convolution.

    Attributes:
        kernel: the kernel.
        terms: largest number of products that one of its sums has.
        arguments: those that are not the same for every convolution.
    """

    kernel: Kernel
    terms: int
    arguments: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Convolution(Weighted):
    """A convolution with a fused activation function.

    Attributes:
        stride: (vertical, horizontal).
        padding: (top, left, bottom, right), of zeros; cut off the output where the convolution is transposed.
        dilation: (vertical, horizontal).
    """

    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)

    @abstractmethod
    def forward_pass(self, to: Lowering, g: Conv2dStruct) -> Pass:
        """Kernel that computes `y`."""

    @abstractmethod
    def grad_input_pass(self, to: Lowering, g: Conv2dStruct) -> Pass:
        """Kernel that computes the error of `x`."""

    @abstractmethod
    def update_pass(self, to: Lowering, g: Conv2dStruct) -> Pass:
        """Kernel that updates the weights."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """What it is called in descriptions."""

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = to.error_of(self.x)
        if error is not None:
            to.add(
                ConvolutionGradInput(
                    name=f"{self.name}_grad_input", forward=self, e=e, w=self.w, x=self.x, e_x=error
                )
            )
        add_updates(
            to,
            self,
            e,
            lambda e: ConvolutionUpdate(name=f"{self.name}_update", forward=self, x=self.x, e=e, w=self.w),
        )

    def macs(self, graph: Graph) -> int:
        height, width, _ = graph[self.y].shape
        return height * width * graph[self.w].size

    def describe(self, graph: Graph) -> str:
        k, s = graph[self.w].shape[1:3], self.stride
        stride = "" if s == (1, 1) else f"/{s[0]}" if s[0] == s[1] else f"/{s[0]}x{s[1]}"
        maps = " -> ".join("x".join(map(str, graph[t].shape)) for t in (self.x, self.y))
        return f"{self.kind} {k[0]}x{k[1]}{stride}{self.activation_text()}  {maps}"

    def lower(self, to: Lowering) -> None:
        g = self.struct(to)
        this = self.forward_pass(to, g)
        to.bound_terms(this.terms, 127 * 255, ar.BIAS_LIMIT)
        scale, bias = self.lower_factors(to)
        to.call(
            this.kernel,
            note=self.describe(to.graph),
            g=g,
            x=to.data(self.x),
            w=to.data(self.w),
            bias=bias,
            scale=scale,
            clip=clip_of(to, self.y),
            y=to.data(self.y),
            peak=to.peak(self.y),
            **this.arguments,
        )

    def struct(self, to: Lowering) -> Conv2dStruct:
        """Constants of the layer as C sees them."""
        graph = to.graph
        return self.constants(
            graph[self.x].shape,
            graph[self.y].shape,
            graph[self.w].shape,
            to.zero(self.x),
            to.zero(self.y),
        )

    def constants(self, x: Shape, y: Shape, w: Shape, x_zero: int = 0, y_zero: int = 0) -> Conv2dStruct:
        """The same from shapes."""
        values = (*x, *y, *w[1:3], *self.stride, *self.padding[:2], *self.dilation, x_zero, y_zero)
        return Conv2dStruct(*values)

    def patch(self, to: Lowering, count: int) -> str:
        """Buffer of input values that are multiplied together; forward pass and update share its name."""
        return to.temporary(f"{self.name}_patch", "int16_t", (count,), "a part of the input")

    def gradient_rows(self, to: Lowering, *shape: int) -> str:
        """Buffer of the weight gradients of a few rows."""
        return to.temporary(f"{self.name}_gradient", "int32_t", shape, "weight gradients of a few rows")


@dataclass(frozen=True, kw_only=True)
class ConvolutionGradInput(BackwardNode):
    """Error of a convolution's input, the mask of the preceding activation function applied."""

    forward: Convolution
    e: str
    w: str
    x: str
    e_x: str

    INPUTS = ("e", "w", "x")
    OUTPUTS = ("e_x",)

    @property
    def has_effect(self) -> bool:
        return False

    def macs(self, graph: Graph) -> int:
        return self.forward.macs(graph)

    def lower(self, to: Lowering) -> None:
        g = self.forward.struct(to)
        this = self.forward.grad_input_pass(to, g)
        to.bound_terms(this.terms, 127 * 127)
        peak, scale = error_factors(to, self.e_x)
        to.call(
            this.kernel,
            note=f"error of {self.x}",
            g=g,
            e=to.data(self.e),
            active=to.active(self.e),
            w=to.data(self.w),
            x=to.data(self.x),
            scale=scale,
            clip=clip_of(to, self.x),
            e_x=to.data(self.e_x),
            peak=peak,
            **this.arguments,
        )
        lower_track_error(to, self.e, self.e_x, peak)


@dataclass(frozen=True, kw_only=True)
class ConvolutionUpdate(BackwardNode):
    """Weight gradient of a convolution, applied channel by channel as soon as it is known."""

    forward: Convolution
    x: str
    e: str
    w: str

    INPUTS = ("x", "e", "w")
    OUTPUTS = ()

    @property
    def has_effect(self) -> bool:
        return True

    def macs(self, graph: Graph) -> int:
        return self.forward.macs(graph)

    def lower(self, to: Lowering) -> None:
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
