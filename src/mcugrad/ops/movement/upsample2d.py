"""Upsample2d: every pixel repeated, nearest-neighbour by whole factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator, Shape
from mcugrad.ops.core.window import Pair


@dataclass(frozen=True, kw_only=True)
class Upsample2d(Operator):
    """A larger map of the same values.

    Attributes:
        factor: copies of each pixel (down, across).
    """

    x: str
    factor: Pair

    INPUTS = ("x",)
    passes_scale = True
    keeps_channels = True

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) != 3 or min(self.factor) < 1:
            raise ModelError(
                f"upsampling of {x} values by {self.factor}: a (height, width, channels) map and whole factors "
                "are needed",
                where=self.title,
                hint="check the shapes in the file",
            )
        return (x[0] * self.factor[0], x[1] * self.factor[1], x[2])

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        return inputs[0].repeat(self.factor[0], axis=1).repeat(self.factor[1], axis=2)

    def macs(self, graph: Graph) -> int:
        return 0

    def describe(self, graph: Graph) -> str:
        return f"upsample  {' -> '.join('x'.join(map(str, graph[t].shape)) for t in (self.x, self.y))}"

    def size(self, graph: Graph) -> dict[str, int]:
        """Geometry as C sees it."""
        height, width, channels = graph[self.x].shape
        return {
            "height": height,
            "width": width,
            "channels": channels,
            "factor_h": self.factor[0],
            "factor_w": self.factor[1],
        }
