"""How often depthwise convolutions over planes do what: their prices are made of it.

Loops in assembler take what they take, so their instructions are counted here, not their rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from mcugrad.abi.constants import constant
from mcugrad.ops.convolution.panels import up4
from mcugrad.ops.convolution.panels_back import kinds
from mcugrad.ops.convolution.planes import (
    CHANNELS,
    Axes,
    Gradient,
    forward_own,
    grad_input_own,
    served,
    update_own,
)
from mcugrad.ops.convolution.struct import Conv2dStruct

Work = tuple[float, ...]
SUM_PARTS = 11
"""Numbers that `_sums` has."""
TOLD_APART = constant("MCG_PLANE_APART")


def plane_forward_work(g: Conv2dStruct, room: int) -> Work | None:
    """Of a forward pass; None where there is no room for planes.

    Instructions in assembler; calls, channels; then as `_sums` has it.
    """
    axes, room = served(g), max(room, forward_own(g))
    if axes is None or axes.rows(room) == 0:
        return None
    pixel = 28 if g.y_zero == -128 else 31
    loops, *others = _sums(axes, room, g.out_c, pixel)
    return (loops, 1, g.out_c, *others)


def plane_frozen_work(g: Conv2dStruct, room: int) -> Work | None:
    """Of a forward pass whose sums become outputs at once; None where others do it, or there is no room."""
    axes, room = served(g), max(room, forward_own(g))
    if axes is None or axes.rows(room) == 0 or axes.g.out_w % 4:
        return None
    if not axes.close and not (axes.whole and axes.g.k_h <= axes.g.k_w):
        return None
    loops, *others = _sums(axes, room, g.out_c, None)
    return (loops, 1, g.out_c, *others)


def plane_grad_input_work(g: Conv2dStruct, room: int) -> Work | None:
    """Of the error of an input: instructions in assembler; calls, kinds of pixels; then as `_sums` has it.

    At last errors of pixels that no tap reaches, which may be all.
    """
    if g.in_c != g.out_c or g.in_c < CHANNELS:
        return None
    found, room = [], max(room, grad_input_own(g))
    for each in kinds(g, g.out_c):
        axes = Axes.of(each)
        if axes is None or axes.rows(room) == 0:
            return None
        found.append(_sums(axes, room, g.in_c, 24.5))
    loops, *others = map(sum, zip(*found, strict=True)) if found else (0.0,) * SUM_PARTS
    beside = g.in_h * g.in_w - sum(each.out_h * each.out_w for each in kinds(g, g.out_c))
    return (loops, 1, g.stride_h * g.stride_w, *others, beside * g.in_c)


def _sums(axes: Axes, room: int, channels: int, pixel: float | None) -> Work:
    """Sums of all channels and what becomes of them, `pixel` instructions for four; None for outputs at once.

    Instructions in assembler; bands, fours of channels in them; places of outputs; words that are cleared; kernel
    rows of tables where taps are not 3x3 neighbours, and steps, taps and pixels between taps of them; rows whose last
    pixel is alone; calls of sums.
    """
    g, rows, tables = axes.g, axes.rows(room), axes.tables(room)
    bands, fours = -(-g.out_h // rows), -(-channels // CHANNELS)
    lines = there = cleared = sums = calls = 0
    for first in range(0, g.out_h, rows):
        top = first * g.stride_h - g.pad_top
        height = axes.lines(rows)
        lines += max(0, min(top + height, g.in_h) - max(top, 0))
        there += 1
        cleared += CHANNELS * height * axes.words
        for count, kernel_rows in _together(axes, first, min(rows, g.out_h - first), tables, pixel is None):
            around = 16 if axes.whole else 14
            four = (41 if g.stride_w == 1 else 45) if axes.close else around + axes.row * kernel_rows
            row, channel = 7, 12
            if pixel is None:
                four = four + 12 if axes.close else 25 + (axes.row - 3) * kernel_rows
                row, channel = 11, 22
            sums += CHANNELS * (count * (axes.fours * four + row) + channel) + 2 * CHANNELS // tables
            calls += CHANNELS // tables
    together = not axes.turned and g.in_w == 2 * axes.there == 2 * axes.words
    pack = _pack(lines, there, axes.there, together)
    loops = sums + (pixel or 0) * g.out_h * g.out_w
    of_tables = 0 if axes.close else CHANNELS * bands * fours * g.k_h * axes.share
    return (
        fours * (loops + pack),
        *(bands, bands * fours, g.out_h * g.out_w, cleared),
        *(of_tables, 0 if axes.whole else of_tables * axes.steps_of_row),
        of_tables * g.k_w if g.dilation_w > 1 else 0,
        of_tables * (g.k_w - 1) * (g.dilation_w - 1),
        *(fours * lines * axes.half, fours * calls),
    )


def _together(axes: Axes, first: int, rows: int, tables: int, frozen: bool) -> Iterator[tuple[int, int]]:
    """Rows of outputs of a band whose sums are made by one call, and the kernel rows that they meet."""
    few = not frozen and axes.steps * axes.fours * tables < TOLD_APART
    if axes.close or axes.g.dilation_h > 1 or few:
        yield rows, axes.g.k_h
        return
    for met, group in groupby(map(axes.kernel_rows, range(first, first + rows))):
        yield len(list(group)), len(met)


def _pack(lines: int, calls: int, words: int, together: bool) -> int:
    """Instructions that take rows of four channels apart; as one row where nothing is between them."""
    if words == 0:
        return 0
    if together:
        lines, words = calls, lines * words // calls
    row = 27 * words // 2 if words % 2 == 0 else 15 * words
    return lines * (row + 6) + 6 * calls


def plane_update_work(g: Conv2dStruct, room: int) -> Work | None:
    """Of an update by the rule sr8.

    Instructions in assembler; calls, fours of channels, bands in them, channels; steps of weights, and runs of them;
    products of planes that are called for; sums in order; words that are cleared; rows whose last pixel is alone.
    """
    axes = served(g)
    layout = None if axes is None else Gradient(axes)
    rows = 0 if layout is None else layout.rows(max(room, update_own(g)))
    if axes is None or layout is None or rows == 0:
        return None
    a, fours = axes.g, -(-g.out_c // CHANNELS)
    bands, taps = -(-a.out_h // rows), g.k_h * g.k_w
    wide = a.stride_w == 2
    whole = 0 if wide else layout.e_words // 4
    others = (layout.e_words - 4 * whole) // 2
    loops = calls = 0
    at = a.pad_left % 2
    for _ in range(layout.groups):
        odd = at % 2
        if whole:
            loops += _products(a, whole * (22 if odd else 21), bands)
            calls += 1
        if others:
            loops += _products(a, others * (17 if wide else 14 if odd else 13), bands)
            calls += 1
        at += 3 if a.dilation_w == 1 else a.dilation_w
    # The last four channels need not be whole.
    loops = loops * g.out_c // CHANNELS + 2 * calls * bands * fours
    lines = cleared = 0
    for first in range(0, a.out_h, rows):
        top = first * a.stride_h - a.pad_top
        height = layout.lines(rows)
        lines += max(0, min(top + height, a.in_h) - max(top, 0))
        cleared += CHANNELS * (height * layout.x_words + rows * layout.e_words)
    x_together = not axes.turned and a.in_w == 2 * layout.there == 2 * layout.x_words
    e_together = not axes.turned and a.out_w == 2 * layout.e_words
    loops += fours * _pack(lines, bands, layout.there, x_together)
    loops += fours * _pack(a.out_h, bands, a.out_w // 2, e_together)
    steps = up4(taps) // 4
    loops += steps * (43 * g.out_c + 9 * fours)
    halves = lines * layout.half + a.out_h * (a.out_w % 2)
    return (
        loops,
        *(1, fours, fours * bands, g.out_c, steps * g.out_c, steps * fours, fours * bands * calls),
        *(fours * 3 * layout.groups * g.k_h, cleared * (1 if bands == 1 else fours), fours * halves),
    )


def _products(g: Conv2dStruct, row: int, bands: int) -> int:
    """Instructions of products of all bands, of four channels, by those of a row."""
    return CHANNELS * (g.k_h * (g.out_h * (row + 7) + 11 * bands) + 12 * bands)
