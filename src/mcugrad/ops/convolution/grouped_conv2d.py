"""GroupedConv2d: channels in groups, each with a convolution of its own. Weights (out, k_h, k_w, in / groups).

The kernels differ from those of Conv2d by a loop over groups, which the latter are spared. With one input channel
per group it is a DepthwiseConv2d, which has faster kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Shape
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.convolution import Sliding
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.core.window import window_shape


@dataclass(frozen=True, kw_only=True)
class GroupedConv2d(Sliding, Weighted):
    """2-D convolution in groups, with a fused activation function.

    Attributes:
        groups: how many; group i makes the i-th part of the output channels from the i-th part of the input's.
    """

    groups: int

    def shape(self, *inputs: Shape) -> Shape:
        x, w, b = inputs
        if (
            len(x) != 3
            or len(w) != 4
            or self.groups < 1
            or w[3] * self.groups != x[2]
            or w[0] % self.groups
            or b != (w[0],)
        ):
            raise ModelError(
                f"convolution of a {x} map in {self.groups} groups with weights {w} and bias {b}: "
                "the shapes do not match",
                where=self.title,
                hint="a (height, width, in) map, (out, k_h, k_w, in / groups) weights and (out,) bias",
            )
        return (*window_shape(self.title, x, w[1:3], self.stride, self.padding, self.dilation), w[0])

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        x, w, b = inputs
        self.shape(x.shape[1:], w.shape, b.shape)
        one = Conv2d(
            name=self.name,
            x="x",
            w="w",
            b="b",
            y="y",
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )
        parts = zip(*(np.split(a, self.groups, axis) for a, axis in ((x, 3), (w, 0), (b, 0))), strict=True)
        return self.activate(np.concatenate([one.forward(*part) for part in parts], axis=3))

    def macs(self, graph: Graph) -> int:
        height, width, _ = graph[self.y].shape
        return height * width * graph[self.w].size

    def describe(self, graph: Graph) -> str:
        shapes = (graph[t].shape for t in (self.x, self.y, self.w))
        return self.words(f"conv {self.groups} x", self.activation_text(), *shapes)
