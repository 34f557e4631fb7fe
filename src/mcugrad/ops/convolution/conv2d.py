"""Conv2d: any kernel, stride, padding and dilation. Maps are HWC, weights [out][k_h][k_w][in]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Shape
from mcugrad.numerics import grid_bits, on_grid, whole_products
from mcugrad.ops.convolution.convolution import Sliding
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.core.window import batches, patches_of_all, window_shape


@dataclass(frozen=True, kw_only=True)
class Conv2d(Sliding, Weighted):
    """2-D convolution with a fused activation function."""

    def shape(self, *inputs: Shape) -> Shape:
        x, w, b = inputs
        if len(x) != 3 or len(w) != 4 or w[3] != x[2] or b != (w[0],):
            raise ModelError(
                f"convolution of a {x} map with weights {w} and bias {b}: the shapes do not match",
                where=self.title,
                hint="a (height, width, in) map, (out, k_h, k_w, in) weights and (out,) bias",
            )
        return (*window_shape(self.title, x, w[1:3], self.stride, self.padding, self.dilation), w[0])

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        x, w, b = inputs
        y = self.shape(x.shape[1:], w.shape, b.shape)
        g = self.window(x.shape[1:], y, w.shape)
        x_bits, w_bits = grid_bits(g.taps)
        values, unit = on_grid(x, x_bits, shared=(1, 2, 3))
        matrix, row_unit = on_grid(w.reshape(g.out_c, -1).T, w_bits, shared=(0,))
        result = np.empty((len(x), *y), np.float32)
        for part in batches(len(x), g.out_h * g.out_w * g.taps):
            sums = whole_products(patches_of_all(g, values[part]), matrix).reshape(-1, *y)
            sums *= unit[part] * row_unit
            result[part] = np.add(sums, b, out=sums)
        return self.activate(result)

    def macs(self, graph: Graph) -> int:
        height, width, _ = graph[self.y].shape
        return height * width * graph[self.w].size

    def describe(self, graph: Graph) -> str:
        shapes = (graph[t].shape for t in (self.x, self.y, self.w))
        return self.words("conv", self.activation_text(), *shapes)
