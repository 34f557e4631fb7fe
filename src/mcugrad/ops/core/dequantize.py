"""Dequantize: int8 activations in real units, where nodes in another precision begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mcugrad.graph import Graph, Operator, Shape


@dataclass(frozen=True, kw_only=True)
class Dequantize(Operator):
    """The same values in real units. No errors go back through it: what comes before is frozen."""

    x: str

    INPUTS = ("x",)
    passes_scale = False
    keeps_channels = True

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        return inputs[0]

    def macs(self, graph: Graph) -> int:
        return graph[self.y].size

    def describe(self, graph: Graph) -> str:
        return f"int8 to float32  {'x'.join(map(str, graph[self.y].shape))}"
