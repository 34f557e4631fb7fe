"""How often the portable bodies of depthwise convolutions do what: their prices are made of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcugrad.ops.convolution.planes import PLANE_UPDATE_ROWS
from mcugrad.ops.convolution.portable import BLOCK, blocks
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.window import window_index

SOME = 32
"""Channels at a time of a forward pass where bodies for planes are: `MCG_DEPTHWISE_SOME`."""


def products_work(terms: NDArray[np.int64], parts: list[int]) -> tuple[float, ...]:
    """Products of neighbouring channels, up to three terms at a time, of all places with so many terms.

    Runs of three terms, fours of channels in them and those that are left; the same of two, and of one.
    """
    runs = (int((terms // 3).sum()), int((terms % 3 == 2).sum()), int((terms % 3 == 1).sum()))
    fours, rest = sum(n // 4 for n in parts), sum(n % 4 for n in parts)
    return tuple(float(n * each) for n in runs for each in (len(parts), fours, rest))


def depthwise_work(g: Conv2dStruct, some: int = BLOCK) -> tuple[float, ...]:
    """Calls, blocks, channels, weights; of all blocks pixels, kernel rows, taps, in rows of the map, and in the map.

    Then products, and outputs. At most `some` channels are handled together.
    """
    pixels, parts, taps = g.out_h * g.out_w, blocks(g.out_c, some), g.k_h * g.k_w
    rows, columns = inside(g)
    each = (pixels, pixels * g.k_h, pixels * taps, rows * g.out_w * g.k_w, rows * columns)
    return (
        *(1, len(parts), g.out_c, g.out_c * taps),
        *(len(parts) * n for n in each),
        *products_work(np.full(pixels, taps), parts),
        pixels * g.out_c,
    )


def depthwise_grad_input_work(g: Conv2dStruct) -> tuple[float, ...]:
    """Calls, blocks, channels, weights; of all blocks pixels, kernel rows and those there, taps in these, and there.

    Then products, and errors.
    """
    pixels, parts = g.in_h * g.in_w, blocks(g.in_c)
    y, x = reached(g, 0), reached(g, 1)
    terms = np.outer(y, x).reshape(-1)
    rows = int(y.sum()) * g.in_w
    each = (pixels, pixels * g.k_h, rows, rows * g.k_w, int(terms.sum()))
    return (
        *(1, len(parts), g.in_c, g.in_c * g.k_h * g.k_w),
        *(len(parts) * n for n in each),
        *products_work(terms, parts),
        pixels * g.in_c,
    )


def inside(g: Conv2dStruct) -> tuple[int, int]:
    """Kernel rows, and columns, of all rows of windows that are in the map."""
    y, x = window_index(g, 0), window_index(g, 1)
    return int(((y >= 0) & (y < g.in_h)).sum()), int(((x >= 0) & (x < g.in_w)).sum())


def reached(g: Conv2dStruct, axis: int) -> NDArray[np.int64]:
    """How many taps reach each input place of an axis."""
    index = window_index(g, axis)
    size = (g.in_h, g.in_w)[axis]
    return np.bincount(index[(index >= 0) & (index < size)], minlength=size)


def depthwise_update_work(g: Conv2dStruct) -> tuple[float, ...]:
    """Where no error is 0, by the rule sr8: calls, blocks of rows, channels, weights; pixels of blocks, errors.

    Then taps of three pixels and their terms, products, and words of weights.
    """
    pixels, taps = g.out_h * g.out_w, g.k_h * g.k_w
    parts = [min(PLANE_UPDATE_ROWS, g.out_c - i) for i in range(0, g.out_c, PLANE_UPDATE_ROWS)]
    rows, columns = inside(g)
    rounds = -(-pixels // 3)
    return (
        *(1, len(parts), g.out_c, g.out_c * taps),
        *(pixels * len(parts), pixels * g.out_c, rounds * taps * len(parts), pixels * taps * len(parts)),
        *(rows * columns * len(parts), rounds * g.k_h * len(parts)),
        *(each * taps for each in products_work(np.asarray([pixels]), parts)),
        g.out_c * (-(-taps // 4)),
    )
