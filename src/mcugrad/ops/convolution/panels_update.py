"""What the update of a convolution's weights needs and costs over panels: rows of errors, and columns of inputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.constants import constant
from mcugrad.ops.convolution.convolution_s8 import UPDATE_ROWS
from mcugrad.ops.convolution.panels import PART_ROWS, up4
from mcugrad.ops.convolution.struct import Conv2dStruct

ROW = 7
"""Words that are kept of a row: `mcg_panel_row_t`."""
PIXELS, FEW, SOME = 64, constant("MCG_PANEL_UPDATE"), 184
"""Pixels in panels at a time, where sums of all weights exist; words on the stack that stand in for scratch; words with
which twice as many rows are in panels, where these are of hardly any pixels."""


def up2(value: int) -> int:
    """The smallest even number that is not below."""
    return value + value % 2


def own(g: Conv2dStruct) -> int:
    """Bytes that an update has anyway: where other bodies keep gradients of a few rows, or on the stack."""
    return 4 * max(min(UPDATE_ROWS, g.out_c) * g.taps, FEW)


@dataclass(frozen=True)
class UpdateLayout:
    """What of a gradient exists at a time.

    Attributes:
        rows: output channels.
        pixels: whose errors are in panels.
        fours: of weights whose sums exist.
        whole: whether the pixels are all.
    """

    rows: int
    pixels: int
    fours: int
    whole: bool

    @classmethod
    def of(cls, g: Conv2dStruct, room: int) -> UpdateLayout:
        """With so many bytes of scratch."""
        even, weights, most = up2(g.out_h * g.out_w), up4(g.taps), up4(g.out_c)
        words = max(room, own(g)) // 4
        part = min(even, PIXELS)
        whole = min(most, (words - 2 * even) // (even // 2 + 8 + ROW) // 4 * 4)
        parts = min(most, (words - 2 * part) // (part // 2 + weights + ROW) // 4 * 4)
        if whole >= 4 and (whole >= parts or -(-most // whole) <= -(-most // parts)):
            return cls(whole, even, 1, True)
        if parts >= 4:
            return cls(parts, part, weights // 4, False)
        rows = PART_ROWS if words < SOME else 2 * PART_ROWS
        few = (words - rows * (4 + ROW)) // (2 + rows // 2) // 2 * 2
        return cls(rows, min(even, few), 1, False)


def update_scratch(g: Conv2dStruct) -> tuple[int, ...]:
    """None; panels of all pixels and of 4, 8, 16 rows and so on, or all; as many sums, and panels of some pixels."""
    even, weights, most = up2(g.out_h * g.out_w), up4(g.taps), up4(g.out_c)
    part = min(even, PIXELS)
    rows = [*(4 << i for i in range(most.bit_length()) if 4 << i < most), most]
    whole = {4 * (2 * even + n * (even // 2 + 8 + ROW)) for n in rows}
    parts = {4 * (2 * part + n * (part // 2 + weights + ROW)) for n in rows}
    return (0, *sorted(n for n in whole | {n for n in parts if n < max(whole)} if n > own(g)))


@lru_cache(maxsize=4096)
def taps_work(g: Conv2dStruct) -> tuple[float, ...]:
    """What all weights, four by four, are multiplied with, as panels of all pixels.

    Instructions in assembler; lines of outputs, those of four channels of a tap apart; words that are there, that are
    beside the map, that are made of pieces, and pixel by pixel; byte by byte, where a pixel has fewer than four, and
    words of such pixels that are there.
    """
    return tuple(np.sum([_four(g, k) for k in range(0, g.taps, 4)], axis=0).tolist())


def _four(g: Conv2dStruct, k: int) -> NDArray[np.float64]:
    """The same of four weights."""
    run, last = g.k_w * g.in_c, min(k + 3, g.taps - 1)
    if (g.in_h, g.in_w, g.k_h, g.k_w) == (g.out_h, g.out_w, 1, 1):
        return np.asarray([14 + 5 * g.out_h * g.out_w, 0, 0, 0, 0, 0, k + 4 > g.taps, 0, 0], np.float64)
    ky, start = divmod(k, run)
    tap, one = start % g.in_c + 4 <= g.in_c, last // run == ky
    top = np.arange(g.out_h) * g.stride_h - g.pad_top
    lower, upper = top + ky * g.dilation_h, top + last // run * g.dilation_h
    beside = int(((upper < 0) | (lower >= g.in_h)).sum())
    there = int(((lower >= 0) & (upper < g.in_h)).sum())
    offset = start + start // g.in_c * (g.dilation_w - 1) * g.in_c if one else 0
    at = np.arange(g.out_w) * g.stride_w * g.in_c + offset - g.pad_left * g.in_c
    columns = int(((at >= 0) & (at + (4 if one else max(run, 4)) <= g.in_w * g.in_c)).sum())
    if not tap and g.dilation_w != 1:
        columns = 0
    inside, rest = there * columns, (g.out_h - beside - there) * g.out_w + there * (g.out_w - columns)
    if tap:
        return np.asarray([5 * inside, 0, g.out_h, inside, beside * g.out_w + rest, *[0] * 4], np.float64)
    found = [5 * inside * one, g.out_h, 0, inside * one, beside * g.out_w, inside * (not one)]
    found += [0, rest, inside] if g.in_c < 4 else [rest, 0, 0]
    return np.asarray(found, np.float64)


def panel_update_work(g: Conv2dStruct, room: int) -> tuple[float, ...]:
    """How often an update over panels does what, by the rule sr8."""
    layout = UpdateLayout.of(g, room)
    pixels, fours, channels = g.out_h * g.out_w, up4(g.taps) // 4, g.out_c
    blocks = [min(layout.rows, channels - i) for i in range(0, channels, layout.rows)]
    parts = [min(layout.pixels, pixels - i) for i in range(0, pixels, layout.pixels)]
    groups = -(-fours // layout.fours)
    again = 1 if layout.whole else groups  # errors of a block are packed
    loops = others = packed = products = 0
    for rows in blocks:
        pairs = -(-rows // 2)
        for part in parts:
            steps = -(-part // 2)
            loops += fours * (23 + pairs * (12 + 3 * -(-steps // 8)))
            products += fours * pairs * steps
            loops += again * (rows // 4 * (11 + 21 * (part // 2) // 2))
            others += again * (rows // 4 * (part % 2) + (rows % 4 > 0) * steps)
            packed += again * -(-rows // 4)
    loops += (g.taps // 4) * (43 * channels + 9 * len(blocks))
    asm, lines, simple, there, *words = (each * len(blocks) for each in taps_work(g))
    even = broken = 0.0
    if g.out_w % 2 == 0 and layout.pixels % g.out_w == 0:
        even, simple = simple, 0
    elif len(parts) > 1:
        broken, simple = simple, 0
    calls = len(blocks) * fours * len(parts)
    flat = (g.in_h, g.in_w, g.k_h, g.k_w) == (g.out_h, g.out_w, 1, 1)
    # Ends of parts within lines: these go on in the next one, which counts as one more.
    cut = 0 if flat else sum(at % g.out_w > 0 for at in range(layout.pixels, pixels, layout.pixels))
    share = broken / (g.out_h * len(blocks) * fours)
    lines += cut * len(blocks) * fours * (1 - share)
    broken += cut * len(blocks) * fours * share
    cleared = sum(up4(rows) for rows in blocks) * 4 * (1 if layout.whole else fours)
    left = g.taps % 4
    return (
        *(loops + asm, products),
        *(1, channels, len(blocks), cleared, len(blocks) * again * len(parts), packed, others),
        *(calls * flat, calls * (not flat), lines, simple, even, broken, there, *words),
        *(calls, calls * (len(parts) > 1), len(blocks) * fours, channels * (left > 0), channels * left),
    )
