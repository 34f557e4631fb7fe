"""Flatten: a (height, width, channels) map as a vector, in memory order. Costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from numpy.typing import NDArray

from mcugrad.graph import Graph, Operator, Shape


@dataclass(frozen=True, kw_only=True)
class Flatten(Operator):
    """The same bytes under another shape."""

    x: str

    INPUTS = ("x",)
    passes_scale = True
    keeps_channels = True

    def shape(self, *inputs: Shape) -> Shape:
        return (prod(inputs[0]),)

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        return inputs[0].reshape(len(inputs[0]), -1)

    def macs(self, graph: Graph) -> int:
        return 0

    def describe(self, graph: Graph) -> str:
        return f"flatten  {'x'.join(map(str, graph[self.x].shape))} -> {graph[self.y].size}"
