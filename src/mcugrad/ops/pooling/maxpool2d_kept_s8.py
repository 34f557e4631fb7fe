"""MaxPool2d in int8 that keeps which input of each window won, so that its input need not be kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcugrad.ops.core.window import window_index
from mcugrad.ops.pooling.maxpool2d_s8 import maxpool2d_s8
from mcugrad.ops.pooling.struct import Pool2dStruct
from mcugrad.ops.pooling.window import is_ahead, windows
from mcugrad.program import Kernel, Shared


def bits_of(g: Pool2dStruct) -> int:
    """Bits that say which place of a window it was: 1, 2, 4 or 8."""
    return next(bits for bits in (1, 2, 4, 8) if g.k_h * g.k_w <= 1 << bits)


def size_of(g: Pool2dStruct) -> int:
    """Bytes of all of them."""
    return -(-g.out_h * g.out_w * g.channels * bits_of(g) // 8)


def are_apart(g: Pool2dStruct) -> bool:
    """Whether no input is in two windows, and the places of a window can be told apart by 8 bits."""
    rows = g.stride_h >= (g.k_h - 1) * g.dilation_h + 1
    return rows and g.stride_w >= (g.k_w - 1) * g.dilation_w + 1 and g.k_h * g.k_w <= 256


def maxpool2d_keep_s8(
    g: Pool2dStruct, x: NDArray[np.int8], y: NDArray[np.int8], kept: NDArray[np.uint8]
) -> None:
    """Largest value of each window, and the place of the first that is as large, 0 where a window is all padding."""
    maps = x[: g.in_h * g.in_w * g.channels].astype(np.int64).reshape(g.in_h, g.in_w, g.channels)
    best = windows(g, maps, -129).argmax(axis=2).reshape(-1)
    maxpool2d_s8(g, x, y)
    each = 8 // bits_of(g)
    whole = np.zeros(size_of(g) * each, np.int64)
    whole[: best.size] = best
    kept[: size_of(g)] = (whole.reshape(-1, each) << bits_of(g) * np.arange(each)).sum(axis=1)


def maxpool2d_grad_kept_s8(
    g: Pool2dStruct, e: NDArray[np.int8], kept: NDArray[np.uint8], e_x: NDArray[np.int8]
) -> None:
    """Each error goes to the input that won; no input is in two windows."""
    bits = bits_of(g)
    places = (kept[: size_of(g), None].astype(np.int64) >> bits * np.arange(8 // bits)) & (1 << bits) - 1
    places = places.reshape(-1)[: g.out_h * g.out_w * g.channels].reshape(g.out_h, g.out_w, g.channels)
    errors = e[: places.size].reshape(places.shape)
    rows, columns = window_index(g, 0), window_index(g, 1)
    result = np.zeros((g.in_h, g.in_w, g.channels), np.int8)
    for oy, ox, c in np.ndindex(places.shape):
        tap = int(places[oy, ox, c])
        if tap < g.k_h * g.k_w:
            row, column = rows[oy, tap // g.k_w], columns[ox, tap % g.k_w]
            if 0 <= row < g.in_h and 0 <= column < g.in_w:
                result[row, column, c] = errors[oy, ox, c]
    e_x[: result.size] = result.reshape(-1)


def lead(g: Pool2dStruct) -> int:
    """Bytes by which the error of the input has to begin before that of the output, to be written over it.

    Row after row of windows, rows of the input up to the next ones are cleared, and then get their errors.
    """
    ends = [min(max(row * g.stride_h - g.pad_top, 0), g.in_h) for row in range(1, g.out_h)] + [g.in_h]
    e_row = g.out_w * g.channels
    most = max(end * g.in_w * g.channels - row * e_row for row, end in enumerate(ends))
    return -(-max(most, 4) // 4) * 4


MAXPOOL2D_KEEP_S8 = Kernel(
    "mcg_maxpool2d_keep_s8", maxpool2d_keep_s8, may_share=(Shared("x", "y", where=is_ahead),)
)
MAXPOOL2D_GRAD_KEPT_S8 = Kernel(
    "mcg_maxpool2d_grad_kept_s8", maxpool2d_grad_kept_s8, may_share=(Shared("e", "e_x", lead=lead),)
)
