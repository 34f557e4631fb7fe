"""How often the portable bodies of convolutions do what: their prices are made of it."""

from __future__ import annotations

from mcugrad.abi.constants import constant
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.window import window_index

BLOCK = constant("MCG_BLOCK")


def blocks(channels: int) -> list[int]:
    """Channels that are handled together."""
    return [min(BLOCK, channels - first) for first in range(0, channels, BLOCK)]


def patch_work(g: Conv2dStruct) -> tuple[float, ...]:
    """Copies of all windows: rows in one piece, rows beside the map, taps of others; bytes of the map, and zeros."""
    y, x = window_index(g, 0), window_index(g, 1)
    rows = int(((y >= 0) & (y < g.in_h)).sum())
    there = (x >= 0) & (x < g.in_w)
    whole = int(there.all(1).sum()) * (g.dilation_w == 1)
    copied = rows * int(there.sum())
    return (
        *(rows * whole, (y.size - rows) * g.out_w, rows * (g.out_w - whole) * g.k_w),
        *(copied * g.in_c, (y.size * x.size - copied) * g.in_c),
    )


def conv2d_work(g: Conv2dStruct) -> tuple[float, ...]:
    """Calls, pixels, blocks of channels; copies; products in runs of two rows, such runs, others; outputs."""
    pixels, parts = g.out_h * g.out_w, blocks(g.out_c)
    twos, odd = sum(n // 2 for n in parts), sum(n % 2 for n in parts)
    return (
        *(1, pixels, pixels * len(parts), *patch_work(g)),
        *(pixels * twos * g.taps, pixels * twos, pixels * odd * g.taps, pixels * odd, pixels * g.out_c),
    )


def pointwise_work(g: Conv2dStruct) -> tuple[float, ...]:
    """Calls, channels, weights; products in runs of four rows, such runs, others; blocks of channels; outputs."""
    pixels, parts = g.out_h * g.out_w, blocks(g.out_c)
    fours, rest = sum(n // 4 for n in parts), sum(n % 4 for n in parts)
    rows = (fours * g.in_c, fours, rest * g.in_c, rest, len(parts), g.out_c)
    return (1, g.out_c, g.out_c * g.in_c, *(pixels * each for each in rows))
