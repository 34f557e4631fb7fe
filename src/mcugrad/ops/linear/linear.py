"""Linear: y = w x + b. Weights [out][in]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Shape
from mcugrad.numerics import matmul
from mcugrad.ops.core.weighted import Weighted


@dataclass(frozen=True, kw_only=True)
class Linear(Weighted):
    """Fully connected layer with a fused activation function."""

    def shape(self, *inputs: Shape) -> Shape:
        x, w, b = inputs
        if len(x) != 1 or len(w) != 2 or w[1] != x[0] or b != (w[0],):
            raise ModelError(
                f"fully connected layer on {x} values with weights {w} and bias {b}: the shapes do not match",
                where=self.title,
                hint="(in,) values, (out, in) weights and (out,) bias; a map needs Flatten first",
            )
        return (w[0],)

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        x, w, b = inputs
        return self.activate((matmul(x, w.T) + b).astype(np.float32))

    def macs(self, graph: Graph) -> int:
        return graph[self.w].size

    def describe(self, graph: Graph) -> str:
        return f"linear{self.activation_text()}  {graph[self.x].size} -> {graph[self.y].size}"
