"""What soft cross-entropy shares between precisions: the temperature, sums in order, shares in 1/255."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32, exp2

TEMPERATURE = F32(3)
LOG2_E = F32(1.4426950)
THIRD = F32(1) / TEMPERATURE
THIRD_LOG2_E = LOG2_E / TEMPERATURE


def added(terms: NDArray[Any]) -> np.float32:
    """Sum of float32 terms, first to last."""
    total = F32(0)
    for term in terms:
        total = F32(total + term)
    return total


def shares_of(t: NDArray[Any]) -> NDArray[np.uint8]:
    """2^t in 1/255 for t <= 0; 0 for NaN."""
    result: NDArray[np.uint8] = ar.round_half_up(exp2(t) * F32(255), 256).astype(np.uint8)
    return result
