"""HardShrink: what is small becomes 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator, Shape


@dataclass(frozen=True, kw_only=True)
class HardShrink(Operator):
    """y = x where its magnitude is above a limit, else 0.

    Attributes:
        limit: in real units, not negative.
    """

    x: str
    limit: float

    INPUTS = ("x",)
    passes_scale = True
    keeps_channels = True
    moves_values = False  # bounds behind it are not bounds before it

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if not 0 <= self.limit < np.inf:
            raise ModelError(
                f"a limit of {self.limit:g}", where=self.title, hint="a limit of 0 or more, and finite"
            )
        return x

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        (x,) = inputs
        return np.where(np.abs(x) <= np.float32(self.limit), np.float32(0), x)

    def macs(self, graph: Graph) -> int:
        return 0

    def describe(self, graph: Graph) -> str:
        return f"hard shrink {self.limit:g}  {'x'.join(map(str, graph[self.y].shape))}"
