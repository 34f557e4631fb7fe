"""What convolutions cost where they are made of panels: scratch, and how often their parts do what.

On cores with the DSP extension every pass of a convolution is a product of matrices, whose rows lie in panels of two
and whose columns, windows of a map, in panels of four. See docs/kernels.md. Loops in assembler take what they take, so
their instructions are counted here, not their rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.constants import constant
from mcugrad.ops.convolution.struct import Conv2dStruct

AT_A_TIME = 2 * constant("MCG_PANEL_PAIRS")
PART, PART_ROWS = constant("MCG_PANEL_PART"), constant("MCG_PANEL_ROWS")
"""Rows in panels at a time, and what is of a kernel row, where there is no scratch for 4 rows of whole panels."""


def up4(value: int) -> int:
    """The smallest multiple of 4 that is not below."""
    return -(-value // 4) * 4


def panel_words(k: int, rows: int, of_row: int) -> int:
    """Scratch for some rows of k terms, four windows, and what there is for each row besides."""
    return 2 * k + rows * (k // 2 + of_row)


def panel_scratch(k: int, rows: int, of_row: int = 8) -> tuple[int, ...]:
    """Bytes: none, or for 4, 8, 16 rows and so on, or for all."""
    most = up4(rows)
    some = [4 << i for i in range(most.bit_length()) if 4 << i < most]
    return (0, *(4 * panel_words(k, each, of_row) for each in (*some, most)))


@dataclass(frozen=True)
class Part:
    """What is taken of windows at a time: kernel rows, and bytes of each, from one on."""

    rows: int
    words: int


@dataclass(frozen=True)
class Layout:
    """Which parts of two matrices are in panels at a time.

    Attributes:
        terms: of a sum, kernel rows in whole words.
        run: bytes of a kernel row.
        rows: of one matrix.
        whole: whether all terms are.
        kernel_rows: rows of a kernel.
    """

    terms: int
    run: int
    rows: int
    whole: bool
    kernel_rows: int

    @classmethod
    def of(cls, kernel_rows: int, run: int, rows: int, room: int, of_row: int = 8) -> Layout:
        """With so many bytes of scratch."""
        terms = kernel_rows * up4(run)
        fits = (room // 4 - 2 * terms) // (terms // 2 + of_row)
        whole = fits >= 4
        return cls(terms, run, min(fits // 4 * 4, up4(rows)) if whole else PART_ROWS, whole, kernel_rows)

    @property
    def parts(self) -> list[Part]:
        """What is in panels at a time."""
        if self.whole:
            return [Part(self.kernel_rows, up4(self.run) // 4)]
        ends = range(0, self.run, PART)
        return [Part(1, -(-min(self.run - i, PART) // 4)) for _ in range(self.kernel_rows) for i in ends]

    def blocks(self, rows: int) -> Iterator[int]:
        """Rows that are in panels together."""
        for first in range(0, rows, self.rows):
            yield min(self.rows, rows - first)


def products(layout: Layout, rows: int, fours: int) -> tuple[float, float]:
    """The loop of products: instructions around its steps, and steps, which are more instructions on some cores."""
    count = whole = 0
    for block in layout.blocks(rows):
        runs, pairs = -(-block // AT_A_TIME), -(-block // 2)
        for part in layout.parts:
            steps = 2 * part.rows * part.words
            count += 23 * runs + pairs * (12 + 3 * -(-steps // 8))
            whole += pairs * steps
    return count * fours, whole * fours


@lru_cache(maxsize=4096)
def windows(g: Conv2dStruct, layout: Layout) -> tuple[float, ...]:
    """All windows of a map as panels, four at a time.

    Instructions in assembler; fours, those in two lines, those of which something is copied together; words of kernel
    rows that are beside the map for all four; windows that are copied by themselves, their kernel rows, and of these
    what is beside the map, in words, and words of both; windows of fours in lines that are not all there, and their
    kernel rows; words, those with several taps, and kernel rows, where taps are no neighbours.
    """
    if layout.whole:
        return tuple(_windows(g, layout, np.arange(g.k_h)).tolist())
    rows = sum(_windows(g, layout, np.asarray([ky])) for ky in range(g.k_h))
    return tuple((len(layout.parts) / g.k_h * np.asarray(rows)).tolist())


def _windows(g: Conv2dStruct, layout: Layout, ky: NDArray[np.int64]) -> NDArray[np.float64]:
    """The same of some kernel rows, where these are in panels together."""
    at = np.arange(up4(g.out_h * g.out_w)).clip(max=g.out_h * g.out_w - 1)
    top, left = at // g.out_w * g.stride_h - g.pad_top, at % g.out_w * g.stride_w - g.pad_left
    piece = g.k_w == 1 or g.dilation_w == 1
    split = 1 if layout.whole else len(layout.parts) / g.k_h
    words = up4(layout.run) / 4 / split
    kx = left[:, None] + np.arange(g.k_w) * g.dilation_w
    before, behind = (kx < 0).sum(1), (kx >= g.in_w).sum(1)
    y = top[:, None] + ky * g.dilation_h
    there = (y >= 0) & (y < g.in_h)
    level = (top[::4] == top[3::4]) & piece
    even = level | (there.all(1).reshape(-1, 4).all(1) & piece)
    # What is behind the last run of the map is not read.
    ends = ((y * g.in_w).max(1, initial=0, where=there) + left) * g.in_c + up4(layout.run)
    cut = (ends > g.in_h * g.in_w * g.in_c) & (np.arange(at.size) >= at.size - 4)
    alone = (before + behind > 0) | cut
    rows = there.sum(1)
    together = even & (rows[::4] > 0)
    whole = together & ~alone.reshape(-1, 4).all(1)
    loops = (13 + rows[::4] * (8 + 18 * words))[whole].sum()
    single = np.repeat(together, 4) & alone
    uneven = ~np.repeat(even, 4)
    own = (single | uneven) & (rows > 0)
    lines, share = rows * own, (g.k_w - before - behind) / g.k_w
    loops += ((9 + rows * (6 + 7 * words * share)) * own * (share > 0)).sum() * piece
    odd = g.in_c % 4 > 0
    mixed = (before * g.in_c % 4 > 0) * 1 + ((behind > 0) & ((g.k_w - behind) * g.in_c % 4 > 0)) + cut
    found = [
        loops,
        *(len(level), (~level).sum(), together.sum()),
        ((len(ky) - rows[::4]) * even).sum() * 8 * words,
        *(own.sum(), lines.sum(), (lines * (1 - share)).sum() * words, (lines * mixed).sum() / split),
        *(uneven.sum(), uneven.sum() * len(ky), ((len(ky) - rows) * uneven).sum() * words),
        *((lines * share).sum() * words * (not piece), (lines * share).sum() * words * (not piece) * odd),
        lines.sum() * (not piece),
    ]
    return np.asarray(found, np.float64)


def panel_rows(layout: Layout, rows: int, times: int) -> tuple[float, ...]:
    """Rows of weights as panels: instructions in assembler; how often, kernel rows of pairs, and those with a rest."""
    words, rest = layout.run // 4, layout.run % 4 > 0
    pairs, parts = -(-rows // 2), len(layout.parts)
    calls = len(list(layout.blocks(rows))) * parts * times
    kernel_rows = pairs * layout.kernel_rows * times
    runs = pairs * parts * times if not layout.whole else kernel_rows
    return (9 * kernel_rows * words + 12 * runs, calls, runs, kernel_rows * rest)


def forward_scratch(g: Conv2dStruct) -> tuple[int, ...]:
    """What panels of some output channels need."""
    return panel_scratch(g.k_h * up4(g.k_w * g.in_c), g.out_c)


def panel_forward_work(g: Conv2dStruct, room: int) -> tuple[float, ...]:
    """How often a forward pass over panels does what."""
    layout = Layout.of(g.k_h, g.k_w * g.in_c, g.out_c, room)
    pixels, fours = g.out_h * g.out_w, -(-g.out_h * g.out_w // 4)
    blocks = list(layout.blocks(g.out_c))
    runs = sum(-(-block // AT_A_TIME) for block in blocks)
    times = 1 if layout.whole or len(layout.parts) == 1 else fours
    relu, full = g.y_zero == -128, g.out_c // 4
    fast = full * (pixels // 4)
    others = g.out_c % 4 * (pixels // 4 * 4) + g.out_c * (pixels % 4)
    loops, *of_windows = windows(g, layout)
    rows, *of_rows = panel_rows(layout, g.out_c, times)
    around, steps = products(layout, g.out_c, fours)
    outputs = fast * (106 if relu else 139) + (pixels // 4) * runs * (28 if relu else 36) * (full > 0)
    return (
        *(loops * len(blocks) + rows + outputs + around, steps),
        *(1, g.out_c, g.out_c * (1 if layout.whole else fours), runs * fours, len(blocks) * fours),
        *(each * len(blocks) for each in of_windows),
        *of_rows,
        *(others, (g.out_c % 4 > 0) * (pixels // 4 * 4) + pixels % 4 * runs),
    )


def panel_frozen_work(g: Conv2dStruct, room: int) -> tuple[float, ...] | None:
    """Of a pointwise layer whose sums become outputs at once; None where others do it, or there is no room.

    Instructions in assembler; steps; calls, channels, blocks, fours of pixels in them; those that are made byte by
    byte, their words, and bytes; channels without a pair, at fours of pixels; then of rows as `panel_rows` has it.
    """
    layout = Layout.of(1, g.in_c, g.out_c, room)
    pixels, fours = g.out_h * g.out_w, -(-g.out_h * g.out_w // 4)
    if pixels < 4 or not layout.whole:
        return None
    blocks, words, odd = list(layout.blocks(g.out_c)), up4(g.in_c) // 4, g.in_c % 4 > 0
    pairs, steps = sum(block // 2 for block in blocks), 2 * words
    around = fours * (20 * len(blocks) + pairs * (44 + 3 * -(-steps // 8)))
    copies = 0 if odd else fours * len(blocks) * (13 + 18 * words)
    rows, *of_rows = panel_rows(layout, g.out_c, 1)
    return (
        *(around + copies + rows, 11 * pairs * steps * fours),
        *(1, g.out_c, len(blocks), fours * len(blocks)),
        *(fours * len(blocks) * each * odd for each in (1, words, g.in_c)),
        *(fours * sum(block % 2 for block in blocks), *of_rows),
    )
