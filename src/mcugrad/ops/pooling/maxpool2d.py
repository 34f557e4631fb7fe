"""MaxPool2d: any window, stride, padding and dilation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator, Shape
from mcugrad.ops.core.window import Pair, window_shape
from mcugrad.ops.pooling.window import PoolWindow, windows


@dataclass(frozen=True, kw_only=True)
class MaxPool2d(Operator):
    """Largest value of each window and channel.

    Attributes:
        kernel: (height, width) of the window.
        stride: (vertical, horizontal).
        padding: (top, left, bottom, right); what lies outside never wins.
        dilation: (vertical, horizontal).
    """

    x: str
    kernel: Pair
    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)

    INPUTS = ("x",)
    passes_scale = True
    keeps_channels = True

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) != 3:
            raise ModelError(
                f"pooling of {x} values: a (height, width, channels) map is needed",
                where=self.title,
                hint="check the shapes in the file",
            )
        return (*window_shape(self.title, x, self.kernel, self.stride, self.padding, self.dilation), x[2])

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        (x,) = inputs
        g = self.window(x.shape[1:], self.shape(x.shape[1:]))
        return np.stack([np.max(windows(g, sample, -np.inf), axis=2) for sample in x]).astype(np.float32)

    def macs(self, graph: Graph) -> int:
        return 0

    def describe(self, graph: Graph) -> str:
        maps = " -> ".join("x".join(map(str, graph[t].shape)) for t in (self.x, self.y))
        return f"maxpool {self.kernel[0]}x{self.kernel[1]}/{self.stride[0]}  {maps}"

    def window(self, x: Shape, y: Shape) -> PoolWindow:
        """How it slides over its input, from the shapes of input and output."""
        values = (*x, *y[:2], *self.kernel, *self.stride, *self.padding[:2], *self.dilation)
        return PoolWindow(*values)
