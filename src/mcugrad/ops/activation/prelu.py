"""PRelu: y = x where it is positive, else slope times x, per channel or with one slope for all (LeakyReLU)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import ActivationScale, Graph, Operator, Shape
from mcugrad.graph.tensor import unbounded

STEEPEST = 15.0
"""With larger slopes, what is left of x's positive side would be a few levels."""


@dataclass(frozen=True, kw_only=True)
class PRelu(Operator):
    """Rectifier that lets a share of negative values through.

    While all slopes are in [0, 1], y lies in x's range and has its scale, so positive values are copied.

    Attributes:
        slope: for negative x, one for all or one per channel; constants, they are not trained.
        own_scale: whether y has a scale of its own all the same, as in a file.
    """

    x: str
    slope: tuple[float, ...]
    own_scale: bool = False

    INPUTS = ("x",)
    keeps_channels = True
    moves_values = False

    @property
    def passes_scale(self) -> bool:
        return not self.own_scale and all(0 <= s <= 1 for s in self.slope)

    def passed(self, quant: ActivationScale) -> ActivationScale:
        """Without bounds of which the upper one is below zero: slopes put y above it, where nothing is flat."""
        return quant if quant.high is None or quant.high >= 0 else unbounded(quant)

    @property
    def keeps_sign(self) -> bool:
        return True

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(self.slope) not in (1, x[-1]):
            raise ModelError(
                f"{len(self.slope)} slopes for {x[-1]} channels",
                where=self.title,
                hint="one slope, or one per channel",
            )
        if not all(abs(s) <= STEEPEST for s in self.slope):
            raise ModelError(
                f"a slope of {max(map(abs, self.slope)):g} is beyond +-{STEEPEST:g}",
                where=self.title,
                hint="smaller slopes",
            )
        return x

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        (x,) = inputs
        return np.where(x < 0, x * np.asarray(self.slope, np.float32), x).astype(np.float32)

    def macs(self, graph: Graph) -> int:
        return graph[self.y].size

    def describe(self, graph: Graph) -> str:
        shape = "x".join(map(str, graph[self.y].shape))
        return f"leaky relu {self.slope[0]:g}  {shape}" if len(self.slope) == 1 else f"prelu  {shape}"
