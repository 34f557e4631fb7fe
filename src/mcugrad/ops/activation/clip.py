"""Clip (ReLU, ReLU6) that could not be fused into the operator before, and, without bounds, a change of scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mcugrad.graph import Graph, Operator, Shape
from mcugrad.ops.core.activated import Activated


@dataclass(frozen=True, kw_only=True)
class Clip(Activated, Operator):
    """y = min(max(x, low), high), in a scale of its own. The fold pass fuses it where it can.

    Attributes:
        kept: whether it stays a layer: x is rounded to its own scale first, as in a file.
    """

    x: str
    kept: bool = False

    INPUTS = ("x",)

    @property
    def keeps_sign(self) -> bool:
        return self.high is None or self.high >= 0

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        return self.activate(inputs[0])

    def macs(self, graph: Graph) -> int:
        return graph[self.y].size

    def describe(self, graph: Graph) -> str:
        text = self.activation_text().strip() or "rescale"
        return f"{text}  {'x'.join(map(str, graph[self.y].shape))}"
