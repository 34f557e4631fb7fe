"""Augment: random changes of a sample before it is trained, so that the network learns not to mind them.

Counter-based random numbers: a sample's changes follow from its number and the seed alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.program import Kernel


def whole(random: int, most: int) -> int:
    """A whole number from -most to most, from 16 random bits."""
    return ((random * (2 * most + 1)) >> 16) - most


def part(random: Any, most: int) -> Any:
    """From -most up to, but without, most, from 16 random bits."""
    return ((random - 32768) * most) >> 15


def augment_s8(
    height: int,
    width: int,
    channels: int,
    zero: int,
    how: NDArray[Any],
    number: int,
    x: NDArray[Any],
    y: NDArray[Any],
) -> None:
    """Shift, by which the border repeats; gain around it; offset; noise; rounded half up once, and saturated."""
    shift_h, shift_w, gain, offset, noise, seed = (int(v) for v in how[0].tolist()[:6])
    size = height * width * channels
    random = ar.stream(seed, number, ar.STREAM_SHIFT)
    down, right = whole(random & 0xFFFF, shift_h), whole(random >> 16, shift_w)
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    old = x[:size].astype(np.int64).reshape(height, width, channels) - zero
    moved = old[rows][:, columns]
    random = ar.stream(seed, number, ar.STREAM_LEVELS)
    value = moved.reshape(-1) * (65536 + part(random & 0xFFFF, gain))
    value = value + part(random >> 16, offset) * 256
    if noise:
        value = value + part(ar.random_u16(ar.stream(seed, number, ar.STREAM_NOISE), size), noise) * 256
    y[:size] = np.clip(((value + 32768) >> 16) + zero, -128, 127)


AUGMENT_S8 = Kernel("mcg_augment_s8", augment_s8)
