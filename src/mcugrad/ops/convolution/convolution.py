"""What convolutions are: fields and geometry.

Maps are (height, width, channels), weights (out, k_h, k_w, inputs that one output channel reads): a row of weights
belongs to one output channel, as update rules and scales per channel want it. A sequence is a map of height 1, so
that the one-dimensional convolutions are these with kernels (1, k).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from mcugrad.graph import Graph, Shape
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.core.window import Pair, Window


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

    def window(self, x: Shape, y: Shape, w: Shape) -> Window:
        """How it slides over its input, from the shapes of input, output and weights."""
        values = (*x, *y, *w[1:3], *self.stride, *self.padding[:2], *self.dilation)
        return Window(*values)
