"""AvgPool2d: any window, stride, padding and dilation; a window of the map's size averages all of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator, Shape
from mcugrad.ops.core.activated import Activated
from mcugrad.ops.core.window import Pair, padded, reach, window_index, window_shape
from mcugrad.ops.pooling.window import PoolWindow


class Rounding(Enum):
    """How averages become codes while scales are constant. Other than once only in files of LiteRT, as it does it."""

    ONCE = "once"
    AWAY = "away"
    """As its pooling: halfway between two codes to the one farther from code 0."""
    APART = "apart"
    """As its mean, of all of an axis: the sum and what zero points add to it are scaled apart, and added as floats."""


@dataclass(frozen=True, kw_only=True)
class AvgPool2d(Activated, Operator):
    """Mean of each window and channel, with a fused activation function.

    Attributes:
        kernel: (height, width) of the window.
        stride: (vertical, horizontal).
        padding: (top, left, bottom, right).
        dilation: (vertical, horizontal).
        count_padding: whether padding counts as zeros; else the mean is over what lies inside the map.
        rounding: how averages become codes.
    """

    x: str
    kernel: Pair
    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    count_padding: bool = False
    rounding: Rounding = Rounding.ONCE

    INPUTS = ("x",)

    @property
    def keeps_sign(self) -> bool:
        return True

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
        down, across = self.weights(g)
        factor = np.outer(down.values, across.values)[..., None] / (down.whole * across.whole)
        return self.activate((window_sums(g, x.astype(np.float64)) * factor).astype(np.float32))

    def macs(self, graph: Graph) -> int:
        return graph[self.y].size * self.kernel[0] * self.kernel[1]

    def describe(self, graph: Graph) -> str:
        maps = " -> ".join("x".join(map(str, graph[t].shape)) for t in (self.x, self.y))
        return f"avgpool {self.kernel[0]}x{self.kernel[1]}/{self.stride[0]}{self.activation_text()}  {maps}"

    def window(self, x: Shape, y: Shape) -> PoolWindow:
        """How it slides over its input, from the shapes of input and output."""
        values = (*x, *y[:2], *self.kernel, *self.stride, *self.padding[:2], *self.dilation)
        return PoolWindow(*values)

    def weights(self, g: PoolWindow) -> tuple[Weights, Weights]:
        """Weights of output rows and columns."""
        down, across = (
            Weights.of(inside(g, axis).sum(axis=1), (g.k_h, g.k_w)[axis] if self.count_padding else None)
            for axis in (0, 1)
        )
        return down, across


@dataclass(frozen=True, eq=False)
class Weights:
    """Integers in proportion to 1 / taps along one axis.

    Attributes:
        values: one per output position; 0 where a window lies outside altogether.
        whole: what stands for 1.
    """

    values: NDArray[np.int64]
    whole: int

    @staticmethod
    def of(taps: NDArray[Any], count: int | None) -> Weights:
        """Weights of windows with `taps` taps inside the map, or that count as `count` all of them."""
        if count is not None:
            return Weights(np.ones(len(taps), np.int64), count)
        whole = lcm(*(int(n) for n in taps if n))
        return Weights(np.asarray([whole // int(n) if n else 0 for n in taps], np.int64), whole)

    @property
    def least(self) -> int:
        """Smallest weight of a window that covers anything."""
        return int(min((v for v in self.values if v), default=1))


def window_sums(g: PoolWindow, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums (n, out_h, out_w, channels) of the windows of maps, over rows, then over columns, the first one first."""
    wide = padded(g, x)
    rows = np.zeros((len(x), g.out_h, *wide.shape[2:]))
    for tap in range(g.k_h):
        rows += wide[:, reach(g, 0, tap)]
    result = np.zeros((*rows.shape[:2], g.out_w, g.channels))
    for tap in range(g.k_w):
        result += rows[:, :, reach(g, 1, tap)]
    return result


def inside(g: PoolWindow, axis: int) -> NDArray[np.bool_]:
    """Which taps lie inside the map, (output position, tap)."""
    index = window_index(g, axis)
    result: NDArray[np.bool_] = (index >= 0) & (index < (g.in_h, g.in_w)[axis])
    return result
