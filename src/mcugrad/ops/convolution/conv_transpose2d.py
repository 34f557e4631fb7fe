"""ConvTranspose2d: every input pixel adds its kernels to the output. Weights (out, k_h, k_w, in).

Input (iy, ix) adds to output (iy * stride - padding + ky * dilation, ...) for every tap (ky, kx): the input gradient
of a convolution, with channels named the other way round. A row of weights still belongs to one output channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Shape
from mcugrad.numerics import grid_bits, on_grid, whole_products
from mcugrad.ops.convolution.convolution import Sliding
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.core.window import Pair, Window, each_tap


@dataclass(frozen=True, kw_only=True)
class ConvTranspose2d(Sliding, Weighted):
    """2-D transposed convolution with a fused activation function.

    Attributes:
        padding: (top, left, bottom, right), cut off the output.
        output_padding: rows at the bottom and columns on the right that are added; (vertical, horizontal).
    """

    output_padding: Pair = (0, 0)

    def shape(self, *inputs: Shape) -> Shape:
        x, w, b = inputs
        if len(x) != 3 or len(w) != 4 or w[3] != x[2] or b != (w[0],):
            raise ModelError(
                f"transposed convolution of a {x} map with weights {w} and bias {b}: the shapes do not match",
                where=self.title,
                hint="a (height, width, in) map, (out, k_h, k_w, in) weights and (out,) bias",
            )
        height, width = (self._length(x[i], w[1 + i], i) for i in (0, 1))
        if height < 1 or width < 1:
            raise ModelError(
                f"a transposed convolution gives a map of {height} x {width}",
                where=self.title,
                hint="less padding, which is cut off its output",
            )
        return height, width, w[0]

    def _length(self, size: int, kernel: int, axis: int) -> int:
        reach = self.dilation[axis] * (kernel - 1) + 1
        cut = self.padding[axis] + self.padding[axis + 2] - self.output_padding[axis]
        return (size - 1) * self.stride[axis] + reach - cut

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        x, w, b = inputs
        height, width, channels = self.shape(x.shape[1:], w.shape, b.shape)
        g = self.window(x.shape[1:], (height, width, channels), w.shape)
        x_bits, w_bits = grid_bits(g.taps)
        values, unit = on_grid(x, x_bits, shared=(1, 2, 3))
        kernels, row_unit = on_grid(w, w_bits, shared=(1, 2, 3))
        result = np.empty((len(x), height, width, channels), np.float32)
        for i, sample in enumerate(values):
            result[i] = spread(g, sample, kernels) * (unit[i] * row_unit.reshape(-1)) + b
        return self.activate(result)

    def macs(self, graph: Graph) -> int:
        height, width, _ = graph[self.x].shape
        return height * width * graph[self.w].size

    def describe(self, graph: Graph) -> str:
        shapes = (graph[t].shape for t in (self.x, self.y, self.w))
        return self.words("conv transposed", self.activation_text(), *shapes)


def each_reach(g: Window) -> Iterator[tuple[int, int, Any, Any]]:
    """Every tap; the input pixels whose products with it lie in the output, and where they lie there."""
    return each_tap(g, (g.in_h, g.in_w), (g.out_h, g.out_w))


def spread(g: Window, x: NDArray[Any], w: NDArray[Any]) -> NDArray[np.float64]:
    """(out_h, out_w, out_c) sums of products of (in_h, in_w, in) inputs and (out, k_h, k_w, in) weights.

    Both are whole numbers, so small that sums are exact.
    """
    values, kernels = x.astype(np.float64), w.astype(np.float64)
    acc = np.zeros((g.out_h, g.out_w, g.out_c))
    for ky, kx, pixels, there in each_reach(g):
        acc[there] += whole_products(values[pixels], kernels[:, ky, kx].T)
    return acc
