"""Directed arguments for kernels of convolutions: ends of all ranges, ties, shapes that bodies treat differently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, product

import numpy as np

from kernels.draws import Arguments, Rng, old_int8, one
from mcugrad.ops.convolution.struct import Conv2dStruct

UNBOUNDED = 1 << 30
ENDS = ((127, 127, -128), (-128, -127, 127), (-128, 127, 126), (127, -127, 0))
"""Of inputs, weights and zero points: the largest products, with either sign."""
SUMS = ((1 << 29, 2.0**-22), (-(1 << 29), 2.0**-22), (1, 0.5), (3, 0.25), (-1, 0.5))
"""Biases and factors: sums at the ends, and on ties."""
REACHED = (0, 1, -1, 126, 127, 128, 129, -126, -127, -128, -129, 254, 255, 256, 257, -255, -257, 32499, 32767)
"""Outputs, from their zero point: what int8 holds and just does not, and what half a word does."""


def window(
    x: tuple[int, int, int],
    out_c: int,
    kernel: tuple[int, int] = (1, 1),
    stride: tuple[int, int] = (1, 1),
    pad: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> Conv2dStruct:
    """Constants of a convolution: input, output channels, padding above, left, below, right."""
    out = [
        (n + p + q - d * (k - 1) - 1) // s + 1
        for n, k, s, p, q, d in zip(x[:2], kernel, stride, pad[:2], pad[2:], dilation, strict=True)
    ]
    return Conv2dStruct(*x, out[0], out[1], out_c, *kernel, *stride, *pad[:2], *dilation)


SAME = (1, 1, 1, 1)
SHAPES = (
    window((1, 1, 1), 1),
    window((3, 3, 4), 4),
    window((2, 5, 5), 19),
    window((5, 4, 17), 3, stride=(2, 2)),
    window((1, 7, 3), 6, (1, 3)),
    window((6, 5, 1), 5, (3, 3), pad=SAME),
    window((5, 6, 3), 17, (3, 3), (2, 2), SAME),
    window((4, 4, 8), 18, (3, 3), pad=SAME),
    window((3, 7, 2), 7, (3, 2), (1, 2), (2, 0, 0, 3)),
    window((7, 6, 4), 4, (3, 3), (1, 1), (2, 2, 2, 2), (2, 2)),
    window((5, 5, 5), 9, (2, 3), (2, 1), (0, 3, 1, 3), (1, 3)),
    window((2, 2, 12), 8, (5, 5), pad=(2, 2, 2, 2)),
    window((1, 3, 33), 33),
    window((3, 3, 500), 2, (3, 3), pad=(0, 1, 0, 0)),
    window((1, 2, 4100), 3),
)
"""Channels, kernel rows and pixels that are no multiples of 4, all kinds of borders, one pixel, many rows; windows that
are too large for a stack."""
POINTWISE = tuple(g for g in SHAPES if g.k_h == g.k_w == g.stride_h == 1)


def forward(g: Conv2dStruct, rng: Rng) -> Arguments:
    """A layer of zeros, without bounds."""
    return {
        "g": g,
        "x": np.zeros(g.in_h * g.in_w * g.in_c, np.int8),
        "w": np.zeros(g.out_c * g.taps, np.int8),
        "w_zero": None,
        "bias": np.zeros(g.out_c, np.int32),
        "scale": np.ones(g.out_c, np.float32),
        "clip": np.asarray([-UNBOUNDED, UNBOUNDED], np.int32),
        "y": old_int8(rng, g.out_h * g.out_w * g.out_c),
        "peak": one(np.int32, rng),
        "patch": old_int8(rng, g.taps).astype(np.int16),
    }


def forward_extremes(shapes: tuple[Conv2dStruct, ...]) -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    for i, (g, (bias, factor)) in enumerate(product(shapes, SUMS)):
        x_end, w_end, zero = ENDS[i % len(ENDS)]
        w_zero = rng.choice([-128, 127]) if bias in (1, 3) else None
        yield {
            **forward(replace(g, x_zero=zero, y_zero=int(rng.integers(-128, 128))), rng),
            "x": np.full(g.in_h * g.in_w * g.in_c, x_end, np.int8),
            "w": np.full(g.out_c * g.taps, w_end if w_zero is None else -128, np.int8),
            "w_zero": None if w_zero is None else np.asarray([w_zero], np.int32),
            "bias": np.full(g.out_c, bias, np.int32),
            "scale": np.full(g.out_c, factor, np.float32),
        }
    # What is beside the map and behind a row must not count; every weight and every input is another.
    for g, relu in zip(shapes, cycle((True, False))):
        yield {
            **forward(replace(g, x_zero=-3, y_zero=-128 if relu else 5), rng),
            "x": rng.integers(-128, 128, g.in_h * g.in_w * g.in_c).astype(np.int8),
            "w": rng.integers(-127, 128, g.out_c * g.taps).astype(np.int8),
            "scale": np.full(g.out_c, 1 / (60 * g.taps**0.5), np.float32),
            "clip": np.asarray([0 if relu else -UNBOUNDED, UNBOUNDED], np.int32),
        }
    # Outputs and peaks at the ends of what bytes and halves of words hold, with all kinds of bounds.
    bounds = (
        *((0, UNBOUNDED, -128), (0, 255, -128), (0, 254, -128), (1, UNBOUNDED, -128), (0, UNBOUNDED, -127)),
        *((-UNBOUNDED, UNBOUNDED, zero) for zero in (-128, -1, 0, 127)),
        *((-128, 127, 0), (-127, 127, 0), (-128, 126, 0), (-5, 7, 3)),
    )
    g = shapes[1]
    for low, high, zero in bounds:
        for reached in REACHED:
            bias = rng.permutation(np.resize([0, 1, -1, reached], g.out_c))
            for halved in (False, True):
                yield {
                    **forward(replace(g, y_zero=zero), rng),
                    "bias": (bias * (2 if halved else 1) + (reached % 2 if halved else 0)).astype(np.int32),
                    "scale": np.full(g.out_c, 0.5 if halved else 1, np.float32),
                    "clip": np.asarray([low, high], np.int32),
                }
    # Factors about the one from which on two outputs might not share a word.
    most = g.taps * 255 * 127
    for at in (0.99, 1.0, 1.01, 2.0, 1e30):
        yield {
            **forward(replace(g, x_zero=-128), rng),
            "x": np.full(g.in_h * g.in_w * g.in_c, 127, np.int8),
            "w": rng.choice([-127, 127], g.out_c)[:, None].repeat(g.taps, 1).reshape(-1).astype(np.int8),
            "scale": np.full(g.out_c, at * 32500 / most, np.float32),
        }


def conv2d_s8_extremes() -> Iterator[Arguments]:
    return forward_extremes(SHAPES)


def pointwise_s8_extremes() -> Iterator[Arguments]:
    return forward_extremes(POINTWISE)


EXTREMES = {"mcg_conv2d_s8": conv2d_s8_extremes, "mcg_pointwise_s8": pointwise_s8_extremes}
"""Arguments at which bodies of a kernel could differ, by its C name: of kernels with several bodies."""
