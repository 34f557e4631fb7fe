"""qas: int8 weights with quantization-aware scaling (Lin et al., On-Device Training Under 256KB Memory, 2022).

The gradient of an int8 weight is that of the real weight times its scale; multiplied by scale^-2 it moves the int8
as SGD in float would. `prepare_update` does that for every rule. What is left is the rounding: to nearest, in a
fixed range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.training.rules.rule import InPlace


@dataclass(frozen=True)
class Qas(InPlace):
    """int8 weights, steps rounded to nearest; a weight that would leave the range stays at its end."""

    def step(
        self, master: NDArray[np.int64], o: int, gradient: NDArray[Any], factor: Any, counter: int
    ) -> bool:
        """As the interface says; never asks for growth."""
        self.moved(master, o, ar.rescale(-gradient.astype(np.int64), factor), 0x8000)
        return False

    def grow(self, master: NDArray[np.int64], o: int) -> None:
        """Never asked for: the range is fixed."""


QAS = Qas(
    "qas", 0, "8-bit weights, rounded to nearest, fixed range (Lin et al. 2022): with a batch and momentum"
)
