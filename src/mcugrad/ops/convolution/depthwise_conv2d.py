"""DepthwiseConv2d: every input channel has kernels of its own. Weights (out, k_h, k_w, 1).

Output channel o reads input channel o / multiplier. A channel's weights stay together, because update rules and
scales go by rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Shape
from mcugrad.ops.convolution.convolution import Sliding
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.core.window import batches, padded, reach, window_shape


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv2d(Sliding, Weighted):
    """2-D convolution, channel by channel, with a fused activation function."""

    def shape(self, *inputs: Shape) -> Shape:
        x, w, b = inputs
        if len(x) != 3 or len(w) != 4 or w[3] != 1 or w[0] % x[2] or b != (w[0],):
            raise ModelError(
                f"depthwise convolution of a {x} map with weights {w} and bias {b}: the shapes do not match",
                where=self.title,
                hint="a (height, width, in) map, (in * multiplier, k_h, k_w, 1) weights and a bias as long",
            )
        return (*window_shape(self.title, x, w[1:3], self.stride, self.padding, self.dilation), w[0])

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        x, w, b = inputs
        height, width, channels = self.shape(x.shape[1:], w.shape, b.shape)
        g = self.window(x.shape[1:], (height, width, channels), w.shape)
        result = np.empty((len(x), height, width, channels), np.float32)
        taps = w.astype(np.float64)[..., 0].transpose(1, 2, 0)
        for part in batches(len(x), g.in_h * g.in_w * channels):
            wide = padded(g, np.repeat(x[part].astype(np.float64), channels // g.in_c, axis=3))
            sums = np.zeros((len(wide), height, width, channels))
            product = np.empty_like(sums)
            for ky, kx in np.ndindex(g.k_h, g.k_w):
                sums += np.multiply(wide[:, reach(g, 0, ky), reach(g, 1, kx)], taps[ky, kx], out=product)
            result[part] = np.add(sums, b, out=sums)
        return self.activate(result)

    def macs(self, graph: Graph) -> int:
        height, width, _ = graph[self.y].shape
        return height * width * graph[self.w].size

    def describe(self, graph: Graph) -> str:
        shapes = (graph[t].shape for t in (self.x, self.y, self.w))
        return self.words("depthwise", self.activation_text(), *shapes)
