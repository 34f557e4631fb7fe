"""Operators that end in a fused activation function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Activated:
    """What an operator has that ends in a fused activation function: its output is clipped, in a scale of its own.

    Attributes:
        low: lower bound of the fused activation function (0 for ReLU), or None.
        high: upper bound (6 for ReLU6), or None.
    """

    low: float | None = None
    high: float | None = None

    passes_scale = False
    keeps_channels = True

    def activate(self, y: NDArray[Any]) -> NDArray[Any]:
        """The fused activation function in float32."""
        if self.low is None and self.high is None:
            return y
        result: NDArray[Any] = np.clip(y, self.low, self.high)
        return result

    def activation_text(self) -> str:
        """The activation function in a word, with a leading space; empty if there is none."""
        match (self.low, self.high):
            case (None, None):
                return ""
            case (0.0, None):
                return " relu"
            case (0.0, 6.0):
                return " relu6"
            case (low, high):
                return f" clip[{'' if low is None else f'{low:g}'},{'' if high is None else f'{high:g}'}]"
