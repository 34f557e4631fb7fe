"""What convolutions cost where one multiplication makes two products, on Armv6-M: how often their parts do what.

Rows and columns are the same matrices as in panels.py, packed two bytes to a word. See docs/kernels.md. The loop of
products takes what it takes, so its instructions are counted here, not its rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from mcugrad.abi.constants import constant
from mcugrad.ops.convolution.convolution_s8 import UPDATE_ROWS
from mcugrad.ops.convolution.panels_back import kinds
from mcugrad.ops.convolution.portable import (
    conv2d_update_work,
    conv2d_work,
    grad_input_work,
    pointwise_update_work,
    pointwise_work,
)
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.window import window_index

FOURS, PIXELS, WINDOWS, SMALL, BAND = (
    constant(f"MCG_PAIR_{name}") for name in ("FOURS", "PIXELS", "WINDOWS", "SMALL", "BAND")
)

Work = np.ndarray[tuple[int], np.dtype[np.float64]]


def blocks_of(steps: int, rows: int, room: int, fours: int = 1) -> list[int]:
    """Rows of so many words that are in panels together, with so many bytes of scratch: `mcg_pair_plan`.

    None where not even one fits.
    """
    each, words = steps + 4 + 4 * fours, room // 4 - 4 * steps
    if words < each:
        return []
    count = -(-rows // min(rows, words // each))
    most = -(-rows // count)
    return [min(most, rows - first) for first in range(0, rows, most)]


def cost(blocks: list[int], lines: int, runs: int, steps: int, fours: int) -> int:
    """`mcg_pair_cost`: instructions, about, by which a body chooses."""
    rows = sum(blocks)
    columns = len(blocks) * (900 * runs + 36 * steps + 420) + rows * (16 * steps + 210)
    return fours * columns + rows * (100 * lines + 18 * steps)


def runs_of(lines: int, taps: int, terms: int, apart: int) -> int:
    """`mcg_pair_runs`: what packing a column begins with."""
    runs = lines if apart == 1 else lines * taps
    return (3 * runs + 1) // 2 if taps > 1 and terms > 1 and terms % 2 else runs


def small(pixels: int, products: int) -> bool:
    """`mcg_pair_small`: whether there is too little to do."""
    return pixels < PIXELS or pixels * products < SMALL


def products(steps: int, rows: int) -> int:
    """Instructions of the loop of products, once."""
    return 38 + rows * (18 + 16 * steps + 5 * -(-steps // 8))


def line(terms: int, inside: tuple[int, int, int], joined: bool) -> Work:
    """What `mcg_pair_line` does: calls, those of one run, those of taps of one term; runs, their words.

    Then words beside the map, and in pieces; runs of odd length.

    Args:
        terms: of a tap.
        inside: taps from one to another are there, of how many.
        joined: whether a run goes on from tap to tap.
    """
    low, high, taps = inside
    count = terms * taps
    words, at = -(-count // 2), 0
    if (joined or terms == 1) and (low, high) == (0, taps):
        return np.asarray([1, 1, 0, 1, words, 0, 0, count % 2], np.float64)
    if terms == 1:
        inner = max(0, (high - low - low % 2) // 2)
        return np.asarray([1, 0, 1, inner > 0, inner, 0, words - inner, 0], np.float64)
    found = np.asarray([1.0, 0, 0, 0, 0, 0, 0, 0])
    while at < count:
        tap = at // terms
        there = low <= tap < high
        until = high if there and joined else low if tap < low else tap + 1
        n = until * terms - at
        n -= 0 if at + n == count else n % 2
        if n > 0:
            found += (0, 0, 0, there, -(-n // 2) * there, -(-n // 2) * (not there), 0, there * (n % 2))
        else:
            n = min(2, count - at)
            found[6] += 1
        at += n
    return found


def inside(left: int, taps: int, step: int, size: int) -> tuple[int, int, int]:
    """Taps of a line that are on the map."""
    there = [i for i in range(taps) if 0 <= left + i * step < size]
    return (there[0], there[-1] + 1, taps) if there else (0, 0, taps)


@lru_cache(maxsize=4096)
def windows(g: Conv2dStruct) -> tuple[float, ...]:
    """Lines of all windows, four at a time; taps of lines on the map that are beside it."""
    columns = [inside(x * g.stride_w - g.pad_left, g.k_w, g.dilation_w, g.in_w) for x in range(g.out_w)]
    joined = g.k_w == 1 or g.dilation_w == 1
    pixels = g.out_h * g.out_w
    there = np.asarray(
        [
            sum(0 <= y * g.stride_h - g.pad_top + k * g.dilation_h < g.in_h for k in range(g.k_h))
            for y in range(g.out_h)
        ]
    )
    again = -pixels % 4  # windows beyond the last one are that one again
    found, taps = np.zeros(8), 0
    of: dict[tuple[int, int, int], Work] = {}
    beside = line(g.in_c, (0, 0, g.k_w), joined)
    for i, column in enumerate(columns):
        if column not in of:
            of[column] = line(g.in_c, column, joined)
        more = again * (i == g.out_w - 1)
        lines = there.sum() + more * there[-1]
        found += of[column] * lines + beside * ((g.out_h + more) * g.k_h - lines)
        taps += (column[0] + g.k_w - column[1]) * lines
    return (*found.tolist(), float(taps))


def map_work(g: Conv2dStruct, blocks: list[int], of_row: Work) -> Work:
    """A product of all windows with rows of weights.

    Instructions of products; calls; blocks, rows, windows by four and block; lines of windows and rows, as `line` says;
    rows by four.

    Args:
        g: windows.
        blocks: of rows.
        of_row: lines of a row.
    """
    steps, rows = g.k_h * -(-g.k_w * g.in_c // 2), sum(blocks)
    fours = -(-g.out_h * g.out_w // 4)
    return np.asarray(
        [
            *(sum(products(steps, n) for n in blocks) * fours, 1, len(blocks), rows, len(blocks) * fours),
            *(each * len(blocks) for each in windows(g)),
            *(of_row * rows),
            rows * fours,
        ],
        np.float64,
    )


def forward_pays(g: Conv2dStruct, room: int) -> bool:
    """Whether a forward pass is done by pairs."""
    steps, pixels = g.k_h * -(-g.k_w * g.in_c // 2), g.out_h * g.out_w
    blocks = blocks_of(steps, g.out_c, room)
    if small(pixels, g.out_c * steps) or not blocks:
        return False
    runs = runs_of(g.k_h, g.k_w, g.in_c, g.dilation_w)
    window = 0 if is_flat(g) else 30 * steps + 100 * g.k_h
    pairs = cost(blocks, g.k_h, runs, steps, -(-pixels // 4)) + 500
    return pairs < pixels * (g.out_c * (12 * steps + 100) + window)


def is_flat(g: Conv2dStruct) -> bool:
    """`mcg_pair_flat`: whether every window is a pixel."""
    return (g.in_h, g.in_w, g.k_h, g.k_w) == (g.out_h, g.out_w, 1, 1)


def forward_pairs_work(g: Conv2dStruct, room: int) -> tuple[float, ...]:
    """How often a forward pass by pairs does what."""
    run = g.k_w * g.in_c
    blocks = blocks_of(g.k_h * -(-run // 2), g.out_c, room)
    found = map_work(g, blocks, g.k_h * line(run, (0, 1, 1), True))
    outputs, relu = g.out_h * g.out_w * g.out_c, g.y_zero == -128
    # Each line of a row is one run, so rows are counted by these.
    return (*np.delete(found, (3, 15, 16, 17, 19, 20, 21)).tolist(), outputs * relu, outputs * (not relu))


def grad_input_pays(g: Conv2dStruct, room: int) -> bool:
    """Whether the error of an input is made by pairs, where no error is 0."""
    pixels, pairs = g.in_h * g.in_w, 0
    if small(pixels, g.out_c * g.taps) or (g.k_h * g.k_w > 1 and pixels < WINDOWS):
        return False
    for each in kinds(g, g.out_c):
        steps = each.k_h * -(-each.k_w * each.in_c // 2)
        blocks = blocks_of(steps, g.in_c, room)
        if not blocks:
            return False
        runs = runs_of(each.k_h, each.k_w, each.in_c, each.dilation_w)
        pairs += 2600 + cost(blocks, each.k_h * each.k_w, runs, steps, -(-each.out_h * each.out_w // 4))
    y, x = window_index(g, 0), window_index(g, 1)
    hits = int(((y >= 0) & (y < g.in_h)).sum()) * int(((x >= 0) & (x < g.in_w)).sum())
    return pairs < hits * (300 + g.out_c * (30 + 6 * g.in_c)) + 84 * pixels * g.in_c


def grad_input_pairs_work(g: Conv2dStruct, room: int) -> tuple[float, ...]:
    """How often the error of an input is made of what."""
    total = np.zeros(23)
    for each in kinds(g, g.out_c):
        blocks = blocks_of(each.k_h * -(-each.k_w * each.in_c // 2), g.in_c, room)
        of_row = each.k_h * line(each.in_c, (0, each.k_w, each.k_w), each.k_w == 1)
        total += map_work(each, blocks, of_row)
    beside = g.in_h * g.in_w - sum(each.out_h * each.out_w for each in kinds(g, g.out_c))
    strided = g.stride_h * g.stride_w if g.stride_h * g.stride_w > 1 else 0
    return (strided, *total.tolist(), g.in_h * g.in_w * g.in_c, beside, beside * g.in_c)


@lru_cache(maxsize=4096)
def columns(g: Conv2dStruct, length: int) -> tuple[float, ...]:
    """Lines of what all weights are multiplied with at all pixels."""
    flat = length != g.out_w
    found = np.zeros(8)
    for kx in range(g.k_w):
        left = kx * g.dilation_w - g.pad_left
        low, high, _ = (0, length, 0) if flat else inside(left, g.out_w, g.stride_w, g.in_w)
        for ky in range(g.k_h):
            y = np.arange(g.out_h) * g.stride_h - g.pad_top + ky * g.dilation_h
            there = 1 if flat else int(((y >= 0) & (y < g.in_h)).sum())
            lines = 1 if flat else g.out_h
            beside = np.asarray((1, 0, 1, 0, 0, 0, -(-length // 2), 0))
            found += line(1, (low, high, length), True) * there + beside * (lines - there)
    return tuple((found * g.in_c).tolist())


@dataclass(frozen=True)
class Errors:
    """How errors lie in panels: `mcg_pair_whole`, `mcg_pair_banded`.

    Attributes:
        lines, steps: all of them, and the words of one.
        some: lines that are in panels at a time.
        blocks: rows that are there together.
        cost: instructions, about.
    """

    lines: int
    steps: int
    some: int
    blocks: list[int]
    cost: int

    @property
    def bands(self) -> list[int]:
        """Words of a row that are there at a time."""
        return [self.steps * min(self.some, self.lines - first) for first in range(0, self.lines, self.some)]

    @classmethod
    def of(cls, g: Conv2dStruct, room: int) -> Errors | None:
        """What takes least; None where nothing fits."""
        fours, room = -(-g.taps // 4), max(room, 4 * min(UPDATE_ROWS, g.out_c) * g.taps)
        lines, length = (1, g.out_h * g.out_w) if is_flat(g) else (g.out_h, g.out_w)
        steps = -(-length // 2)
        found = []
        if blocks := blocks_of(lines * steps, g.out_c, room, FOURS):
            found.append(cls(lines, steps, lines, blocks, cost(blocks, lines, lines, lines * steps, fours)))
        if len(blocks) != 1 and g.out_h * g.out_w > 2 * BAND:
            lines, steps = g.out_h, -(-g.out_w // 2)
            some = min(lines, -(-BAND // steps))
            blocks = blocks_of(some * steps, g.out_c, room, fours + 1)
            while 2 * some < lines and len(blocks) == len(
                more := blocks_of(2 * some * steps, g.out_c, room, fours + 1)
            ):
                some, blocks = 2 * some, more
            if blocks:
                again = -(-lines // some) * fours * (400 * len(blocks) + 60 * g.out_c)
                each = cost(blocks, lines, lines, lines * steps, fours) + again
                found.append(cls(lines, steps, some, blocks, each))
        return min(found, key=lambda errors: errors.cost, default=None)


def update_pays(g: Conv2dStruct, room: int) -> bool:
    """Whether an update is done by pairs, where no error is 0."""
    pixels, errors = g.out_h * g.out_w, Errors.of(g, room)
    if small(pixels, g.out_c * g.taps) or errors is None:
        return False
    windows = 0 if is_flat(g) else pixels * -(-g.out_c // 4)
    rest = windows * (5 * g.taps + 120 * g.k_h) + 62 * g.out_c * g.taps
    return errors.cost + 2800 < rest + pixels * g.out_c * (7 * g.taps + 45)


def update_pairs_work(g: Conv2dStruct, room: int) -> tuple[float, ...]:
    """How often an update does what, by the rule sr8.

    Instructions of products; calls, blocks, rows; lines of columns; lines of rows, their words; fours of columns; sums
    that are added to others; rows by what changes together, fours of these; weights beside.
    """
    errors = Errors.of(g, room)
    assert errors is not None
    blocks, bands = errors.blocks, errors.bands
    fours, rest = -(-g.taps // 4), g.taps % 4
    more = (4 - rest) % 4 / g.taps  # columns beyond the last one are that one again
    length = g.out_h * g.out_w if errors.lines == 1 else g.out_w
    return (
        *(sum(products(words, n) for n in blocks for words in bands) * fours, 1, len(blocks), g.out_c),
        *np.asarray(columns(g, length)) * (1 + more) * len(blocks),
        *(g.out_c * errors.lines, g.out_c * sum(bands), len(blocks) * fours * len(bands)),
        g.out_c * fours * (len(bands) - 1),
        *(g.out_c * -(-fours // FOURS), g.out_c * (g.taps // 4), g.out_c * (rest > 0), g.out_c * rest),
    )


Pays = Callable[[Conv2dStruct, int], bool]
Pairs = Callable[[Conv2dStruct, int], tuple[float, ...]]
Portable = Callable[[Conv2dStruct], tuple[float, ...]]


def or_portable(
    pays: Pays, pairs: Pairs, portable: Portable, g: Conv2dStruct, room: int | None
) -> tuple[float, ...]:
    """The work of a body that leaves to the portable one what takes less there."""
    mine, other = pays(g, room or 0), portable(g)
    # How many parts there are is the same with any scratch.
    found = pairs(g, (room or 0) if mine else 1 << 30)
    return (*found, *(0.0 for _ in other)) if mine else (*(0.0 for _ in found), *other)


# Not functions within a function: programs are copied and pickled with their kernels.
conv2d_pairs_work = partial(or_portable, forward_pays, forward_pairs_work, conv2d_work)
pointwise_pairs_work = partial(or_portable, forward_pays, forward_pairs_work, pointwise_work)
conv2d_grad_input_pairs_work = partial(or_portable, grad_input_pays, grad_input_pairs_work, grad_input_work)
conv2d_update_pairs_work = partial(or_portable, update_pays, update_pairs_work, conv2d_update_work)
pointwise_update_pairs_work = partial(or_portable, update_pays, update_pairs_work, pointwise_update_work)
