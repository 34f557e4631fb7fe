"""Which channels an update is made of, in any precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar


def taking_part(active: NDArray[Any] | None, channels: int) -> NDArray[np.int64]:
    """The channels of a list; all of them without one."""
    if active is None or active.size == 0:
        return np.arange(channels)
    return active[1 : 1 + int(active[0])].astype(np.int64)


def times(odds: NDArray[Any] | None, count: int) -> Any:
    """How many times the changes of `count` listed channels are made: 1 / odds; once without odds."""
    if odds is None or odds.size == 0:
        return ar.F32(1)
    return ar.F32(65536) / odds[:count].astype(np.float32)


def whole_error(e: NDArray[Any], active: NDArray[Any] | None, pixels: int, channels: int) -> NDArray[Any]:
    """(pixels, channels) errors from those of the channels that take part; 0 for the others. int8 becomes int64."""
    o = taking_part(active, channels)
    whole = np.zeros((pixels, channels), np.float32 if e.dtype == np.float32 else np.int64)
    whole[:, o] = e[: pixels * len(o)].reshape(pixels, len(o))
    return whole
