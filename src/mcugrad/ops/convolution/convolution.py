"""What convolutions share: fields, constants, buffers.

Maps are (height, width, channels), weights (out, k_h, k_w, inputs that one output channel reads): a row of weights
belongs to one output channel, as update rules and scales per channel want it. A sequence is a map of height 1, so
that the one-dimensional convolutions are these with kernels (1, k).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph, Shape
from mcugrad.ops.core.layer import Layer
from mcugrad.ops.core.window import Conv2dStruct, Pair

UPDATE_ROWS = 4
"""Output channels whose gradients are gathered at a time: each costs 4 bytes of scratch per weight of a channel."""


@dataclass(frozen=True, kw_only=True)
class Convolution(Layer):
    """A convolution with a fused activation function.

    Attributes:
        stride: (vertical, horizontal).
        padding: (top, left, bottom, right), of zeros; cut off the output where the convolution is transposed.
        dilation: (vertical, horizontal).
    """

    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)

    @property
    @abstractmethod
    def kind(self) -> str:
        """What it is called in descriptions."""

    def macs(self, graph: Graph) -> int:
        height, width, _ = graph[self.y].shape
        return height * width * graph[self.w].size

    def describe(self, graph: Graph) -> str:
        k, s = graph[self.w].shape[1:3], self.stride
        stride = "" if s == (1, 1) else f"/{s[0]}" if s[0] == s[1] else f"/{s[0]}x{s[1]}"
        maps = " -> ".join("x".join(map(str, graph[t].shape)) for t in (self.x, self.y))
        return f"{self.kind} {k[0]}x{k[1]}{stride}{self.activation_text()}  {maps}"

    def struct(self, to: ProgramBuilder, e_x: str = "") -> Conv2dStruct:
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

    def patch(self, to: ProgramBuilder, count: int) -> str:
        """Buffer of input values that are multiplied together; forward pass and update share its name."""
        return to.temporary(f"{self.name}_patch", "int16_t", (count,), "a part of the input")

    def gradient_rows(self, to: ProgramBuilder, *shape: int) -> str:
        """Buffer of the weight gradients of a few rows."""
        return to.temporary(f"{self.name}_gradient", "int32_t", shape, "weight gradients of a few rows")
