"""Add and Sub: y = a + b or a - b, element by element, of two activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator, Shape
from mcugrad.ops.core.activated import Activated


@dataclass(frozen=True, kw_only=True)
class Add(Activated, Operator):
    """Sum or difference with a fused activation function.

    Attributes:
        sign: 1 for a + b, -1 for a - b.
    """

    a: str
    b: str
    sign: int = 1

    INPUTS = ("a", "b")

    @property
    def keeps_sign(self) -> bool:
        return self.sign > 0

    def shape(self, *inputs: Shape) -> Shape:
        a, b = inputs
        if a != b:
            raise ModelError(
                f"sum of {a} and {b} values: the shapes do not match",
                where=self.title,
                hint="two activations of the same shape",
            )
        return a

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        a, b = inputs
        return self.activate(a + np.float32(self.sign) * b)

    def macs(self, graph: Graph) -> int:
        return 2 * graph[self.y].size

    def describe(self, graph: Graph) -> str:
        shape = "x".join(map(str, graph[self.y].shape))
        return f"{'add' if self.sign > 0 else 'sub'}{self.activation_text()}  {shape}"
