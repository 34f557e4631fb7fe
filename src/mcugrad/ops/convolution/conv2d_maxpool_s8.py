"""Conv2d and MaxPool2d in one, in int8: a few rows of windows at a time, so that a whole map never exists.

Each call does what two calls do, and computes the same bytes: largest values of all rows, and the places of those that
won; errors, which are 0 where nothing won; sums of products, from which those of zero errors are missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.ops.convolution.conv2d_s8 import (
    CONV2D_GRAD_INPUT_S8,
    CONV2D_S8,
    CONV2D_UPDATE,
    conv2d_grad_input_s8,
    conv2d_s8,
    conv2d_update,
)
from mcugrad.ops.convolution.panels import forward_scratch
from mcugrad.ops.convolution.panels_back import grad_input_scratch
from mcugrad.ops.convolution.panels_update import update_scratch
from mcugrad.ops.convolution.portable import update_blocks
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.window import window_index
from mcugrad.ops.pooling.maxpool2d_kept_s8 import (
    are_apart,
    bits_of,
    maxpool2d_grad_kept_s8,
    maxpool2d_keep_s8,
)
from mcugrad.ops.pooling.maxpool2d_s8 import maxpool2d_s8
from mcugrad.ops.pooling.struct import Pool2dStruct
from mcugrad.program import Kernel, Struct
from mcugrad.program.kernel import Price, Scratch
from mcugrad.training.rules import InPlace


@dataclass(frozen=True)
class PooledConv2dStruct(Struct):
    """`mcg_pooled_conv2d_t`.

    Attributes:
        conv: the convolution.
        pool: what its output is pooled by; windows have nothing in common, and lie within it.
        lines: rows of windows at a time.
    """

    conv: Conv2dStruct
    pool: Pool2dStruct
    lines: int

    @classmethod
    def ctype(cls) -> str:
        return "mcg_pooled_conv2d_t"

    @property
    def band(self) -> int:
        """Values of the convolution's output that exist at a time in a forward pass."""
        rows = min(self.lines * self.pool.stride_h, self.conv.out_h)
        return rows * self.pool.in_w * self.pool.channels

    @property
    def error_band(self) -> int:
        """Errors of the convolution's output that exist at a time while those of its input are made."""
        rows = max(self._rows_of_windows(part) for part in self.input_parts())
        return rows * self.pool.in_w * self.pool.channels

    def parts(self) -> Iterator[Conv2dStruct]:
        """The convolution of each band, with the rows of the input that it reads."""
        g, step = self.conv, self.lines * self.pool.stride_h
        for row in range(0, g.out_h, step):
            rows = min(g.out_h - row, step)
            top = row * g.stride_h - g.pad_top
            end = min(g.in_h, top + (rows - 1) * g.stride_h + (g.k_h - 1) * g.dilation_h + 1)
            skipped = max(top, 0)
            yield replace(g, in_h=end - skipped, out_h=rows, pad_top=skipped - top)

    def input_parts(self) -> Iterator[tuple[int, int, int, int]]:
        """Rows of the input, from and to, and those of the convolution's output that they reach, from and to."""
        g, step = self.conv, self.lines * self.pool.stride_h * self.conv.stride_h
        for row in range(0, g.in_h, step):
            end = min(g.in_h, row + step)
            low = max(row + g.pad_top - (g.k_h - 1) * g.dilation_h + g.stride_h - 1, 0) // g.stride_h
            yield row, end, low, min((end - 1 + g.pad_top) // g.stride_h + 1, g.out_h)

    def grad_parts(self) -> Iterator[Conv2dStruct]:
        """The convolution of each band of the input, with the rows of the output that it reaches."""
        for row, end, low, high in self.input_parts():
            pad_top = self.conv.pad_top + row - low * self.conv.stride_h
            yield replace(self.conv, in_h=end - row, out_h=high - low, pad_top=pad_top)

    def _rows_of_windows(self, part: tuple[int, int, int, int]) -> int:
        """Rows of the convolution's output whose errors are spread for a band of the input."""
        _, _, low, high = part
        first, last = (min(row // self.pool.stride_h, self.pool.out_h - 1) for row in (low, high - 1))
        return max(high, last * self.pool.stride_h + self.pool.k_h) - first * self.pool.stride_h


def may_be_one(g: Conv2dStruct, pool: Pool2dStruct) -> bool:
    """Whether a convolution and what pools its output can be one call.

    Windows have nothing in common and lie within the output, and a row of them fills whole bytes of places. The
    convolution reads a row of its input in each row of its output, and reaches all rows of its input.
    """
    inside = not (pool.pad_top or pool.pad_left) and pool.dilation_h == pool.dilation_w == 1
    inside &= (pool.out_h - 1) * pool.stride_h + pool.k_h <= pool.in_h
    inside &= (pool.out_w - 1) * pool.stride_w + pool.k_w <= pool.in_w
    whole = pool.out_w * pool.channels * bits_of(pool) % 8 == 0
    reach = (g.k_h - 1) * g.dilation_h
    last = (g.out_h - 1) * g.stride_h - g.pad_top
    reads = g.pad_top <= reach and last < g.in_h
    return (
        inside
        and whole
        and are_apart(pool)
        and reads
        and g.stride_h <= reach + 1
        and last + reach >= g.in_h - 1
    )


def conv2d_maxpool_s8(
    g: PooledConv2dStruct,
    x: NDArray[Any],
    w: NDArray[Any],
    w_zero: NDArray[Any] | None,
    bias: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    kept: NDArray[Any] | None,
    peak: NDArray[Any],
    band: NDArray[Any],
    patch: NDArray[Any],
) -> None:
    """y = maxpool(clip(rescale(w (x - zero) + bias))); the peak is that of all outputs."""
    whole = np.zeros(g.conv.out_h * g.conv.out_w * g.conv.out_c, np.int8)
    conv2d_s8(g.conv, x, w, w_zero, bias, scale, clip, whole, peak, patch)
    if kept is None or not kept.size:  # programs pass an array of nothing for what is written nowhere
        maxpool2d_s8(g.pool, whole, y)
    else:
        maxpool2d_keep_s8(g.pool, whole, y, kept)


def conv2d_maxpool_grad_input_s8(
    g: PooledConv2dStruct,
    e: NDArray[Any],
    kept: NDArray[Any],
    w: NDArray[Any],
    w_zero: NDArray[Any] | None,
    x: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    e_x: NDArray[Any],
    peak: NDArray[Any],
    band: NDArray[Any],
) -> None:
    """e_x = rescale(sum of w e over output channels and taps), where e is 0 but for outputs that won."""
    conv2d_grad_input_s8(g.conv, _spread(g, e, kept), None, w, w_zero, x, scale, clip, e_x, peak)


def conv2d_maxpool_update(
    g: PooledConv2dStruct,
    x: NDArray[Any],
    e: NDArray[Any],
    kept: NDArray[Any],
    factor: NDArray[Any],
    rule: InPlace,
    seed: NDArray[Any],
    step: NDArray[Any],
    tensor: int,
    rows: int,
    w: NDArray[Any],
    residual: NDArray[Any],
    w_scale: NDArray[Any],
    gradient: NDArray[Any],
    patch: NDArray[Any],
) -> None:
    """w -= factor * (e (x - zero)^T), where e is 0 but for outputs that won."""
    conv2d_update(
        g.conv,
        x,
        _spread(g, e, kept),
        None,
        factor,
        rule,
        seed,
        step,
        tensor,
        rows,
        w,
        residual,
        w_scale,
        gradient,
        patch,
    )


def _spread(g: PooledConv2dStruct, e: NDArray[Any], kept: NDArray[Any]) -> NDArray[np.int8]:
    """Errors of the convolution's output."""
    whole = np.zeros(g.conv.out_h * g.conv.out_w * g.conv.out_c, np.int8)
    maxpool2d_grad_kept_s8(g.pool, e, kept, whole)
    return whole


def update_work(g: PooledConv2dStruct, room: int | None) -> tuple[float, ...]:
    """How often `mcg_conv2d_maxpool_update` does what, where no error is 0.

    Pixels of all blocks of rows; errors; kernel rows of all pieces, those on the map, fours of values in them, those
    left, and where some are; channels, weights. Of each window so much is on the map as of all that are pooled, on
    average.
    """
    conv, pool, parts = g.conv, g.pool, len(update_blocks(g.conv.out_c))
    errors = pool.out_h * pool.out_w * pool.channels
    y = window_index(conv, 0)[: (pool.out_h - 1) * pool.stride_h + pool.k_h]
    x = window_index(conv, 1)[: (pool.out_w - 1) * pool.stride_w + pool.k_w]
    down = float(((y >= 0) & (y < conv.in_h)).sum() / len(y))
    together = conv.k_w if conv.dilation_w == 1 else 1  # taps that are a piece of a row
    pieces = ((x >= 0) & (x < conv.in_w)).reshape(len(x), -1, together).sum(2) * conv.in_c
    lines = errors * pieces.shape[1]
    values = [float(part.sum()) / len(x) for part in (pieces // 4, pieces % 4, pieces % 4 > 0)]
    return (
        *(parts * pool.out_h * pool.out_w, errors, lines * conv.k_h, lines * down),
        *(errors * down * each for each in values),
        *(conv.out_c, conv.out_c * conv.taps),
    )


def _whole(g: PooledConv2dStruct) -> int:
    """Bytes of all errors of the convolution's output."""
    return -(-g.conv.out_h * g.conv.out_w * g.conv.out_c // 4) * 4


def _forward_sizes(g: PooledConv2dStruct) -> tuple[int, ...]:
    return forward_scratch(max(g.parts(), key=lambda part: part.out_h))


def _grad_input_sizes(g: PooledConv2dStruct) -> tuple[int, ...]:
    return grad_input_scratch(max(g.grad_parts(), key=lambda part: part.in_h))


def _update_sizes(g: PooledConv2dStruct) -> tuple[int, ...]:
    """None, or all errors and what makes an update from them fast: without that it would take more of the stack."""
    return (0, *(_whole(g) + size for size in update_scratch(g.conv) if size))


CONV2D_MAXPOOL_S8 = Kernel(
    "mcg_conv2d_maxpool_s8",
    conv2d_maxpool_s8,
    Scratch(_forward_sizes),
    parts=lambda g, room: Counter((CONV2D_S8, part, room) for part in g.parts()),
)
CONV2D_MAXPOOL_GRAD_INPUT_S8 = Kernel(
    "mcg_conv2d_maxpool_grad_input_s8",
    conv2d_maxpool_grad_input_s8,
    Scratch(_grad_input_sizes),
    parts=lambda g, room: Counter((CONV2D_GRAD_INPUT_S8, part, room) for part in g.grad_parts()),
)
CONV2D_MAXPOOL_UPDATE = Kernel(
    "mcg_conv2d_maxpool_update",
    conv2d_maxpool_update,
    Scratch(_update_sizes),
    Price(update_work),
    lambda g, room: {(CONV2D_UPDATE, g.conv, room - _whole(g)): 1} if room >= _whole(g) else {},
)
