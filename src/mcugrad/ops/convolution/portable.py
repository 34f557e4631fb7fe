"""How often the portable bodies of convolutions do what: their prices are made of it."""

from __future__ import annotations

from mcugrad.abi.constants import constant
from mcugrad.ops.convolution.convolution_s8 import UPDATE_ROWS
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.window import window_index

BLOCK = constant("MCG_BLOCK")


def blocks(channels: int, most: int = BLOCK) -> list[int]:
    """Channels that are handled together."""
    return [min(most, channels - first) for first in range(0, channels, most)]


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


def grad_input_work(g: Conv2dStruct) -> tuple[float, ...]:
    """Where no error is 0: calls; input pixels, also by blocks of channels; kernel rows, taps that are looked at.

    Then sums over output channels, blocks of these, channels; runs of 16 products of four rows, runs of less, and
    products in these; outputs.
    """
    pixels, parts = g.in_h * g.in_w, blocks(g.in_c)
    y, x = window_index(g, 0), window_index(g, 1)
    rows, columns = int(((y >= 0) & (y < g.in_h)).sum()), int(((x >= 0) & (x < g.in_w)).sum())
    hits = rows * columns
    outer = blocks(g.out_c)
    fours = hits * sum(-(-n // 4) for n in outer)
    whole, rest = sum(n // 16 for n in parts), [n % 16 for n in parts if n % 16]
    return (
        *(1, pixels, pixels * len(parts), pixels * len(parts) * g.k_h, len(parts) * rows * g.in_w * g.k_w),
        *(len(parts) * hits, len(parts) * hits * len(outer), len(parts) * hits * g.out_c),
        *(
            fours * len(parts),
            fours * whole,
            fours * len(rest),
            fours * sum(rest),
            fours * sum(n % 4 for n in rest),
        ),
        pixels * g.in_c,
    )


def pointwise_work(g: Conv2dStruct) -> tuple[float, ...]:
    """Calls, channels, weights; products in runs of four rows, such runs, others; blocks of channels; outputs."""
    pixels, parts = g.out_h * g.out_w, blocks(g.out_c)
    fours, rest = sum(n // 4 for n in parts), sum(n % 4 for n in parts)
    rows = (fours * g.in_c, fours, rest * g.in_c, rest, len(parts), g.out_c)
    return (1, g.out_c, g.out_c * g.in_c, *(pixels * each for each in rows))


def conv2d_update_work(g: Conv2dStruct) -> tuple[float, ...]:
    """Where no error is 0, by the rule sr8: calls, blocks of rows, pixels of each, errors; copies; products.

    These are runs of two rows, products in them, runs of one row, products in them. Then gradients that are cleared;
    rows, blocks of weights, weights, and words of them.
    """
    pixels, parts = g.out_h * g.out_w, update_blocks(g.out_c)
    twos, odd = sum(n // 2 for n in parts), sum(n % 2 for n in parts)
    return (
        *(
            1,
            len(parts),
            len(parts) * pixels,
            pixels * g.out_c,
            *(len(parts) * each for each in patch_work(g)),
        ),
        *(pixels * twos, pixels * twos * g.taps, pixels * odd, pixels * odd * g.taps, g.out_c * g.taps),
        *(g.out_c, g.out_c * len(blocks(g.taps)), g.out_c * g.taps, g.out_c * (-(-g.taps // 4))),
    )


def pointwise_update_work(g: Conv2dStruct) -> tuple[float, ...]:
    """The same where windows are pixels, two at a time."""
    pixels, parts = g.out_h * g.out_w, update_blocks(g.out_c)
    twos, odd, pairs = sum(n // 2 for n in parts), sum(n % 2 for n in parts), -(-pixels // 2)
    single = pixels // 2 * 2 * odd + pixels % 2 * g.out_c
    return (
        *(1, len(parts), len(parts) * pairs, pixels * g.out_c),
        *(pixels // 2 * twos, pixels // 2 * twos * g.in_c, single, single * g.in_c, g.out_c * g.in_c),
        *(g.out_c, g.out_c * len(blocks(g.in_c)), g.out_c * (-(-g.in_c // 4)), g.out_c * (g.in_c % 4)),
        g.out_c * (g.in_c % 8 // 4),
    )


def update_blocks(channels: int) -> list[int]:
    """Rows whose gradients exist together."""
    return [min(UPDATE_ROWS, channels - first) for first in range(0, channels, UPDATE_ROWS)]
