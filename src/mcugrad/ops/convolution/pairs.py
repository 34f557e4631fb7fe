"""What convolutions cost where one multiplication makes two products, on Armv6-M: how often their parts do what.

Rows and columns are the same matrices as in panels.py, packed two bytes to a word. See docs/kernels.md. The loop of
products takes what it takes, so its instructions are counted here, not its rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mcugrad.abi.constants import constant
from mcugrad.ops.convolution.panels_back import kinds
from mcugrad.ops.convolution.panels_update import own
from mcugrad.ops.convolution.struct import Conv2dStruct

LEAST, FEW_ROWS, PART = (constant(f"MCG_PAIR_{name}") for name in ("LEAST", "ROWS", "PART"))
FOURS = constant("MCG_PAIR_FOURS")

Work = np.ndarray[tuple[int], np.dtype[np.float64]]


@dataclass(frozen=True)
class Plan:
    """Which rows are in panels at a time: `mcg_pair_plan`."""

    rows: int
    whole: bool

    @classmethod
    def of(cls, steps: int, rows: int, room: int, fours: int = 1) -> Plan:
        """With so many bytes of scratch, of rows of so many words."""
        fits = (room // 4 - 4 * steps) // (steps + 4 + 4 * fours)
        whole = steps > 0 and fits >= min(rows, LEAST)
        return cls(min(rows, fits if whole else FEW_ROWS), whole)

    def blocks(self, rows: int) -> list[int]:
        """Rows that are in panels together."""
        return [min(self.rows, rows - first) for first in range(0, rows, self.rows)]


def products(steps: int, rows: int) -> int:
    """Instructions of the loop of products, once."""
    return 38 + rows * (18 + 16 * steps + 5 * -(-steps // 8))


def line(terms: int, inside: tuple[int, int, int], first: int, count: int, joined: bool) -> Work:
    """What `mcg_pair_line` does: calls, those of one run, those of taps of one term; runs, their words.

    Then words beside the map, and in pieces; runs of odd length.

    Args:
        terms: of a tap.
        inside: taps from one to another are there, of how many.
        first: term.
        count: terms.
        joined: whether a run goes on from tap to tap.
    """
    low, high, taps = inside
    words, at, end = -(-count // 2), first, first + count
    if (joined or terms == 1) and (low, high) == (0, taps):
        return np.asarray([1, 1, 0, 1, words, 0, 0, count % 2], np.float64)
    if terms == 1:
        start = first if low <= first else first + -(-(low - first) // 2) * 2
        inner = max(0, (min(high, end) - start) // 2)
        return np.asarray([1, 0, 1, inner > 0, inner, 0, words - inner, 0], np.float64)
    found = np.asarray([1.0, 0, 0, 0, 0, 0, 0, 0])
    while at < end:
        tap = at // terms
        there = low <= tap < high
        until = high if there and joined else low if tap < low else tap + 1
        n = min(until * terms, end) - at
        n -= 0 if at + n == end else n % 2
        if n > 0:
            found += (0, 0, 0, there, -(-n // 2) * there, -(-n // 2) * (not there), 0, there * (n % 2))
        else:
            n = min(2, end - at)
            found[6] += 1
        at += n
    return found


def inside(left: int, taps: int, step: int, size: int) -> tuple[int, int, int]:
    """Taps of a line that are on the map."""
    there = [i for i in range(taps) if 0 <= left + i * step < size]
    return (there[0], there[-1] + 1, taps) if there else (0, 0, taps)


def parts(run: int, whole: bool) -> list[tuple[int, int]]:
    """First term and terms that are in panels at a time."""
    if whole:
        return [(0, run)]
    return [(at, min(2 * PART, run - at)) for at in range(0, run, 2 * PART)]


@lru_cache(maxsize=4096)
def windows(g: Conv2dStruct, whole: bool) -> tuple[float, ...]:
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
    beside = sum(line(g.in_c, (0, 0, g.k_w), a, n, joined) for a, n in parts(g.k_w * g.in_c, whole))
    for i, column in enumerate(columns):
        if column not in of:
            of[column] = np.sum(
                [line(g.in_c, column, a, n, joined) for a, n in parts(g.k_w * g.in_c, whole)], axis=0
            )
        more = again * (i == g.out_w - 1)
        lines = there.sum() + more * there[-1]
        found += of[column] * lines + beside * ((g.out_h + more) * g.k_h - lines)
        taps += (column[0] + g.k_w - column[1]) * lines
    return (*found.tolist(), float(taps))


def map_work(g: Conv2dStruct, rows: int, room: int, of_row: Work) -> Work:
    """A product of all windows with rows of weights.

    Instructions of products; calls; blocks, rows, windows by four and block; lines of windows and rows, as `line` says;
    rows that are packed one by one, and the sums of those; rows by four.

    Args:
        g: windows.
        rows: of weights.
        room: bytes of scratch.
        of_row: lines of a row.
    """
    steps = g.k_h * -(-g.k_w * g.in_c // 2)
    plan = Plan.of(steps, rows, room)
    fours = -(-g.out_h * g.out_w // 4)
    blocks = plan.blocks(rows)
    if plan.whole:
        loops, alone, times = sum(products(steps, n) for n in blocks) * fours, 0, 1
    else:
        sizes = [-(-n // 2) for _, n in parts(g.k_w * g.in_c, False)]
        loops = sum(products(n, 1) for n in sizes) * g.k_h * rows * fours
        alone, times = rows * fours * len(sizes) * g.k_h, fours
    packed = np.asarray(windows(g, plan.whole)) * len(blocks)
    return np.asarray(
        [
            *(loops, 1, len(blocks), rows, len(blocks) * fours),
            *packed,
            *(of_row * rows * times),
            *(alone, 0 if plan.whole else rows * fours, rows * g.k_h * g.k_w * g.in_c * (not plan.whole)),
            rows * fours,
        ],
        np.float64,
    )


def forward_pairs_work(g: Conv2dStruct, room: int | None) -> tuple[float, ...]:
    """How often a forward pass does what."""
    run = g.k_w * g.in_c
    plan = Plan.of(g.k_h * -(-run // 2), g.out_c, room or 0)
    of_row = g.k_h * np.sum([line(run, (0, 1, 1), a, n, True) for a, n in parts(run, plan.whole)], axis=0)
    # All lines of rows are runs, and as many as there are lines.
    found = map_work(g, g.out_c, room or 0, of_row)
    outputs, relu = g.out_h * g.out_w * g.out_c, g.y_zero == -128
    return (*np.delete(found, (15, 16, 17, 19, 20)).tolist(), outputs * relu, outputs * (not relu))


def grad_input_pairs_work(g: Conv2dStruct, room: int | None) -> tuple[float, ...]:
    """How often the error of an input is made of what."""
    total = np.zeros(26)
    for each in kinds(g, g.out_c):
        run = each.k_w * each.in_c
        plan = Plan.of(each.k_h * -(-run // 2), g.in_c, room or 0)
        pieces = [
            line(each.in_c, (0, each.k_w, each.k_w), a, n, each.k_w == 1) for a, n in parts(run, plan.whole)
        ]
        total += map_work(each, g.in_c, room or 0, each.k_h * np.sum(pieces, axis=0))
    # Pixels of kinds that no taps reach.
    beside = [
        -(-len(range(y, g.in_h, g.stride_h)) * len(range(x, g.in_w, g.stride_w)) // 4)
        for y in range(g.stride_h)
        for x in range(g.stride_w)
        if not (
            reached(y, g.pad_top, g.k_h, g.stride_h, g.dilation_h)
            and reached(x, g.pad_left, g.k_w, g.stride_w, g.dilation_w)
        )
    ]
    blocks = -(-g.in_c // FEW_ROWS)
    return (
        *(g.stride_h * g.stride_w, *total.tolist(), g.in_h * g.in_w * g.in_c),
        *(sum(beside) * blocks, sum(beside) * g.in_c),
    )


def reached(place: int, pad: int, kernel: int, stride: int, dilation: int) -> bool:
    """Whether a tap meets input pixels that are so far behind a multiple of the stride."""
    return any((place + pad - tap * dilation) % stride == 0 for tap in range(kernel))


@lru_cache(maxsize=4096)
def columns(g: Conv2dStruct, length: int, whole: bool) -> tuple[float, ...]:
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
            for first, count in parts(length, whole):
                each = line(1, (low, high, length), first, count, True)
                words = -(-count // 2)
                found += each * there + np.asarray((1, 0, 1, 0, 0, 0, words, 0)) * (lines - there)
    return tuple((found * g.in_c).tolist())


def update_pairs_work(g: Conv2dStruct, room: int | None) -> tuple[float, ...]:
    """How often an update does what, by the rule sr8.

    Instructions of products; calls, blocks, rows; lines of columns; lines of rows, their words; fours of columns, and
    those part by part; rows that are packed one by one; rows by what changes together, fours of these; weights beside.
    """
    flat = (g.in_h, g.in_w, g.k_h, g.k_w) == (g.out_h, g.out_w, 1, 1)
    lines, length = (1, g.out_h * g.out_w) if flat else (g.out_h, g.out_w)
    steps = -(-length // 2)
    plan = Plan.of(lines * steps, g.out_c, max(room or 0, own(g)), FOURS)
    blocks, fours, rest = plan.blocks(g.out_c), -(-g.taps // 4), g.taps % 4
    more = (4 - rest) % 4 / g.taps  # columns beyond the last one are that one again
    per = np.asarray(columns(g, length, plan.whole)) * (1 + more) * len(blocks)
    some = max(1, PART // steps)
    groups = -(-lines // some) * len(parts(length, False))
    alone = 0
    if plan.whole:
        loops = sum(products(lines * steps, n) for n in blocks) * fours
        packed = (g.out_c * lines, g.out_c * lines * steps)
    else:
        sizes = [
            min(some, lines - i) * -(-n // 2) for i in range(0, lines, some) for _, n in parts(length, False)
        ]
        loops = sum(products(n, 1) for n in sizes) * g.out_c * fours
        alone = groups * g.out_c * fours
        packed = (g.out_c * fours * lines * len(parts(length, False)), g.out_c * fours * lines * steps)
    together = -(-fours // (FOURS if plan.whole else 1))
    return (
        *(loops, 1, len(blocks), g.out_c, g.out_c * lines * length * (not plan.whole)),
        *per,
        *packed,
        *(len(blocks) * fours * (1 if plan.whole else groups), 0 if plan.whole else g.out_c * fours, alone),
        *(g.out_c * together, g.out_c * (g.taps // 4), g.out_c * (rest > 0), g.out_c * rest),
    )
