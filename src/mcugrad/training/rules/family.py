"""The family sr<N>: a weight of N bits, the int8 that the kernels read and N - 8 residual bits in a plane of their own.

Source of the formulas: docs/arithmetic.md, "Updates".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.training.rules.rule import InPlace


@dataclass(frozen=True)
class Family(InPlace):
    """One member of the family.

    Attributes:
        stochastic: whether it rounds at random; with 8 residual bits nearest is as good and needs no numbers.
    """

    stochastic: bool

    def step(
        self, master: NDArray[np.int64], o: int, gradient: NDArray[Any], factor: Any, counter: int
    ) -> bool:
        """As the interface says, rounded at random or to nearest."""
        d = ar.rescale(-gradient.astype(np.int64), factor)
        if not self.stochastic:
            return self.moved(master, o, d, 1 << (15 - self.residual_bits))
        return self.moved(master, o, d, ar.random_u16(counter, len(gradient)) >> self.residual_bits)

    def grow(self, master: NDArray[np.int64], o: int) -> None:
        """As the interface says, to nearest."""
        master[o] = (((master[o] - self.half) * ar.SHRINK + 0x8000) >> 16) + self.half


FAMILY = (
    Family("sr8", 0, "8-bit weights, stochastic rounding: least RAM, for heads and small networks", True),
    Family("sr10", 2, "10-bit weights, stochastic rounding: between the two", True),
    Family("sr12", 4, "12-bit weights, stochastic rounding: level with float32 at 1.5 bytes a weight", True),
    Family("sr16", 8, "16-bit weights, rounded to nearest: level with float32", False),
)
