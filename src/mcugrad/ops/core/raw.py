"""Raw samples: what a converter gives becomes int8 in integers, without a float per value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.program import Kernel


def quantize_raw(
    count: int, zero: int, middle: int, scale: NDArray[Any], raw: NDArray[Any], x: NDArray[Any]
) -> None:
    """x = (raw - middle) * scale + zero, rounded half up once, and saturated."""
    rescaled = ar.rescale(raw[:count].astype(np.int64) - middle, scale[0])
    x[:count] = np.clip(rescaled + zero, -128, 127)


QUANTIZE_S16 = Kernel("mcg_quantize_s16", quantize_raw)
QUANTIZE_U16 = Kernel("mcg_quantize_u16", quantize_raw)
