"""What the error of a convolution's input costs over panels: a convolution of errors for each kind of input pixels."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

from mcugrad.ops.convolution.panels import AT_A_TIME, PART, Layout, panel_scratch, products, up4, windows
from mcugrad.ops.convolution.portable import blocks
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.window import window_index

LISTED = 32
"""Errors that are listed at a time, where there is no room for panels."""
Axis = tuple[int, int, int, int]
"""Input pixels of a kind, taps that reach them, errors from tap to tap, and the error that the first tap meets."""


def axis(place: int, size: int, kernel: int, stride: int, pad: int, dilation: int) -> Axis:
    """Of pixels with one place between strides."""
    first, common = (place - pad) % stride, gcd(stride, dilation)
    tap = next((i for i in range(kernel) if (place - i * dilation) % stride == 0), kernel)
    taps = -(-(kernel - tap) // (stride // common))
    at = (first + pad - tap * dilation) // stride
    return max(0, -(-(size - first) // stride)), taps, dilation // common, at


def kinds(g: Conv2dStruct, channels: int) -> Iterator[Conv2dStruct]:
    """For each kind of input pixels that taps reach: their errors, as a convolution of those of the output."""
    for fy in range(g.stride_h):
        height, rows, down, top = axis(fy, g.in_h, g.k_h, g.stride_h, g.pad_top, g.dilation_h)
        for fx in range(g.stride_w):
            width, columns, right, left = axis(fx, g.in_w, g.k_w, g.stride_w, g.pad_left, g.dilation_w)
            if height and width and rows and columns:
                yield Conv2dStruct(
                    *(g.out_h, g.out_w, channels, height, width, g.in_c, rows, columns, 1, 1),
                    *((rows - 1) * down - top, (columns - 1) * right - left, down, right),
                )


def grad_input_scratch(g: Conv2dStruct) -> tuple[int, ...]:
    """What panels of some input channels need, for the kind of input pixels that most taps reach."""
    most = max((each.k_h * up4(each.k_w * each.in_c) for each in kinds(g, g.out_c)), default=0)
    return panel_scratch(most, g.in_c, 9)


def panel_grad_input_work(g: Conv2dStruct, room: int) -> tuple[float, ...]:
    """How often the error of an input is made of what: over panels, or by rows where there is no room for these."""
    reached = list(kinds(g, g.out_c))
    panels = room >= min(grad_input_scratch(g)[1:], default=0)
    # Where taps reach no pixel at all, everything is beside them; any layer says how many parts there are.
    found = [_kind(each, max(room, 0) if panels else 1 << 30) for each in reached] or [_NONE]
    beside = g.in_h * g.in_w - sum(each.out_h * each.out_w for each in reached)
    over = (1, g.stride_h * g.stride_w, beside, beside * g.in_c, *map(sum, zip(*found, strict=True)))
    rows = row_work(g)
    return (*over, *(0 for _ in rows)) if panels else (*(0 for _ in over), *rows)


def row_work(g: Conv2dStruct) -> tuple[float, ...]:
    """By rows, where no error is 0: instructions in assembler; calls; input pixels, also by blocks of channels.

    Then kernel rows and taps that are looked at; taps that are reached, lists of their errors, errors; taps of channels
    that are no whole four, and these channels. Where there are less than four channels taps, sums, and products
    instead. At last outputs of channels that are no whole four: pixels, and outputs.
    """
    pixels, parts = g.in_h * g.in_w, blocks(g.in_c)
    y, x = window_index(g, 0), window_index(g, 1)
    rows, columns = int(((y >= 0) & (y < g.in_h)).sum()), int(((x >= 0) & (x < g.in_w)).sum())
    hits, lists = rows * columns, [min(LISTED, g.out_c - i) for i in range(0, g.out_c, LISTED)]
    groups = [-(-errors // 4) for errors in lists]
    loops = 0
    for count in parts:
        fours, last = count // 4, int(count % 4 > 0 and count >= 4)
        each = sum(
            (fours + last) * (25 * n + 2 * -(-n // 8) + 11) + 26 * ((fours > 0) + last) for n in groups
        )
        loops += hits * each + pixels * (40 * fours + 15 * (fours > 0))
    rest = [n % 4 for n in parts if n % 4]
    few = g.in_c < 4
    taken = hits * (not few)
    return (
        *(loops, 1, pixels, pixels * len(parts)),
        *(pixels * len(parts) * g.k_h, len(parts) * rows * g.in_w * g.k_w),
        *(len(parts) * hits, len(parts) * taken * len(lists), len(parts) * taken * g.out_c),
        *(taken * len(lists) * len(rest), taken * len(lists) * sum(rest)),
        *(hits * few, hits * g.in_c * few, hits * g.out_c * g.in_c * few),
        *(pixels * len(rest), pixels * sum(rest)),
    )


def turned(layout: Layout, channels: int, rows: int) -> tuple[float, ...]:
    """Turned weights of a row of a window: taps, words of them; where they end within words runs, words of one, of two.

    Then words and bytes of the last 1 to 3 rows, which are read byte by byte.
    """
    fours, last = rows // 4, rows % 4
    starts = range(0, layout.run, 4)
    single = sum(at % channels + 4 <= channels for at in starts)
    if channels % 4 == 0 and (layout.whole or layout.run <= PART):
        first = (fours * layout.run // channels, fours * len(starts), 0.0, 0, 0)
    else:
        runs = len(layout.parts) / layout.kernel_rows
        first = (0, 0, fours * runs, fours * single, fours * (len(starts) - single))
    return (*first, len(starts) * (last > 0), len(starts) * last)


def _kind(g: Conv2dStruct, room: int) -> tuple[float, ...]:
    """Of one kind of pixels."""
    layout = Layout.of(g.k_h, g.k_w * g.in_c, g.out_c, room, 9)
    pixels, fours = g.out_h * g.out_w, -(-g.out_h * g.out_w // 4)
    blocks = list(layout.blocks(g.out_c))
    runs = sum(-(-block // AT_A_TIME) for block in blocks)
    full, times = g.out_c // 4, 1 if layout.whole else fours
    fast = full * (pixels // 4)
    others = g.out_c % 4 * (pixels // 4 * 4) + g.out_c * (pixels % 4)
    loops, *of_windows = windows(g, layout)
    rows = len(layout.parts) * times * len(blocks)
    around, steps = products(layout, g.out_c, fours)
    outputs = fast * 113 + (pixels // 4) * runs * 34 * (full > 0)
    return (
        *(loops * len(blocks) + outputs + around, steps),
        *(1, g.out_c, runs * fours, len(blocks) * fours),
        *(each * len(blocks) for each in of_windows),
        *(rows, *(each * g.k_h * times for each in turned(layout, g.in_c, g.out_c))),
        *(others, (g.out_c % 4 > 0) * (pixels // 4 * 4) + pixels % 4 * runs),
    )


_NONE = (0.0,) * len(_kind(Conv2dStruct(*(1,) * 10, 0, 0, 1, 1), 1 << 30))
