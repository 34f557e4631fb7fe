"""Reshape: the same bytes in memory order under another shape. Costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator, Shape


@dataclass(frozen=True, kw_only=True)
class Reshape(Operator):
    """Another shape of as many elements.

    Attributes:
        to: the shape, batch aside: (features,) or (height, width, channels).
    """

    x: str
    to: Shape

    INPUTS = ("x",)
    passes_scale = True
    keeps_channels = True

    def shape(self, *inputs: Shape) -> Shape:
        if prod(inputs[0]) != prod(self.to) or len(self.to) not in (1, 3):
            raise ModelError(
                f"{inputs[0]} values cannot take the shape {self.to}",
                where=self.title,
                hint="a vector or a (height, width, channels) map of as many elements",
            )
        return self.to

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        return inputs[0].reshape(len(inputs[0]), *self.to)

    def macs(self, graph: Graph) -> int:
        return 0

    def describe(self, graph: Graph) -> str:
        return f"reshape  {' -> '.join('x'.join(map(str, graph[t].shape)) for t in (self.x, self.y))}"
