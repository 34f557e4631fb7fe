"""Partial updates of float layers: how important channels are, and the errors of those that take part."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.program import Kernel

INFINITE = 0x7F800000
"""The bits of infinity."""
WHOLE = 1 << 29
"""All parts of the sum of importances together."""


def select_sums_f32(pixels: int, channels: int, e: NDArray[Any], sum: NDArray[Any]) -> None:
    """Sum of |e|, per channel, first pixel first: its bits, which order as sums do; infinity for NaN."""
    total = np.zeros(channels, F32)
    with np.errstate(all="ignore"):
        for row in np.abs(e[: pixels * channels]).reshape(pixels, channels):
            total += row
    total[np.isnan(total)] = np.inf
    sum[:channels] = total.view(np.int32)


def select_parts_f32(channels: int, sum: NDArray[Any], part: NDArray[Any]) -> None:
    """part = sum / sum of all, in 2^-29, at least 1 where it is not 0; infinite sums share all of it alike."""
    bits = sum[:channels]
    found = bits > 0
    with np.errstate(all="ignore"):
        relative = np.where(bits == INFINITE, F32(1), bits.view(F32) / bits.max().view(F32))
        total = F32(0)
        for value in relative[found]:
            total += value
        share = np.where(found, relative / total, F32(0)) * F32(WHOLE)
    part[:channels] = np.maximum(share.astype(np.int32), found)


def select_copy_f32(
    pixels: int,
    channels: int,
    e: NDArray[Any],
    active: NDArray[Any],
    odds: NDArray[Any] | None,
    kept: NDArray[Any],
) -> None:
    """The errors of the listed channels, side by side, each times 1 / odds."""
    chosen = active[1 : 1 + int(active[0])]
    factor: Any = F32(1)
    if odds is not None and odds.size:
        factor = F32(65536) / odds[: len(chosen)].astype(F32)
    with np.errstate(all="ignore"):
        errors = e[: pixels * channels].reshape(pixels, channels)[:, chosen] * factor
    kept[: errors.size] = errors.reshape(-1)


def select_weigh_f32(pixels: int, active: NDArray[Any], odds: NDArray[Any], kept: NDArray[Any]) -> None:
    """Errors of listed channels, side by side, each times 1 / odds."""
    count = int(active[0])
    with np.errstate(all="ignore"):
        kept[: pixels * count].reshape(pixels, count)[:] *= F32(65536) / odds[:count].astype(F32)


SELECT_SUMS_F32 = Kernel("mcg_select_sums_f32", select_sums_f32)
SELECT_PARTS_F32 = Kernel("mcg_select_parts_f32", select_parts_f32)
SELECT_COPY_F32 = Kernel("mcg_select_copy_f32", select_copy_f32)
SELECT_WEIGH_F32 = Kernel("mcg_select_weigh_f32", select_weigh_f32)
