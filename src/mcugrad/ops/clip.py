"""Clip (ReLU, ReLU6): exists in imported graphs only; the fold pass merges it into the layer before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.graph import ForwardNode, Shape


@dataclass(frozen=True, kw_only=True)
class Clip(ForwardNode):
    """y = min(max(x, low), high).

    Attributes:
        low: 0 for ReLU and ReLU6, None for no bound.
        high: 6 for ReLU6, None for no bound.
    """

    x: str
    low: float | None
    high: float | None

    INPUTS = ("x",)

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        if self.low is None and self.high is None:
            return inputs[0]
        result: NDArray[Any] = np.clip(inputs[0], self.low, self.high)
        return result
