"""Directed arguments for depthwise convolutions: ends of all ranges, ties, shapes that bodies treat differently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, product

import numpy as np

from kernels import convolution_extremes as ordinary
from kernels.convolution_extremes import ENDS, REACHED, SAME, SUMS, UNBOUNDED
from kernels.draws import Arguments, Rng, old_int8
from mcugrad import arithmetic as ar
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.training.rules import IN_PLACE, InPlace


def window(
    size: tuple[int, int],
    channels: int,
    kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    pad: tuple[int, int, int, int] = SAME,
    dilation: tuple[int, int] = (1, 1),
    multiplier: int = 1,
) -> Conv2dStruct:
    """Constants of a depthwise convolution: size of the map, padding above, left, below, right."""
    return ordinary.window((*size, channels), channels * multiplier, kernel, stride, pad, dilation)


AROUND = (2, 2, 2, 2)
SHAPES = (
    window((3, 3), 4),
    window((1, 1), 4),
    window((1, 1), 1),
    window((5, 7), 5),
    window((8, 8), 8),
    window((7, 5), 9),
    window((4, 9), 6, stride=(2, 2)),
    window((9, 6), 7, stride=(2, 2), pad=(0, 0, 1, 1)),
    window((11, 3), 4, (5, 5), pad=AROUND),
    window((6, 10), 11, (5, 5), (2, 2), AROUND),
    window((8, 9), 4, (7, 7), pad=(3, 3, 3, 3)),
    window((1, 14), 5, (1, 3), pad=(0, 1, 0, 1)),
    window((13, 1), 4, (3, 1), (2, 1), (1, 0, 1, 0)),
    window((17, 1), 6, (9, 1), pad=(4, 0, 4, 0)),
    window((6, 6), 4, (2, 2), pad=(0, 0, 0, 0)),
    window((7, 9), 8, (4, 2), (1, 2), (1, 0, 2, 1)),
    window((9, 9), 4, pad=AROUND, dilation=(2, 2)),
    window((1, 20), 5, (1, 3), pad=(0, 8, 0, 0), dilation=(1, 4)),
    window((10, 9), 4, (3, 2), (2, 1), AROUND, (2, 3)),
    window((9, 10), 6, stride=(3, 1)),
    window((10, 9), 5, stride=(3, 3)),
    window((5, 4), 4, pad=(3, 4, 5, 6)),
    window((4, 4), 4, (1, 1), pad=(0, 0, 0, 0)),
    window((5, 5), 3),
    window((4, 5), 2, multiplier=3),
    window((3, 4), 5, stride=(2, 2), multiplier=2),
    window((6, 33), 4),
    window((2, 2), 65),
    window((1, 3), 5, (3, 1), (2, 1), (3, 0, 1, 0), (2, 1)),
    window((1, 3), 5, (1, 3), pad=(0, 16, 0, 0), dilation=(1, 8)),
    window((2, 1), 6, (2, 3), pad=(1, 1, 0, 9), dilation=(1, 4)),
    window((2, 2), 5, (5, 5), pad=AROUND),
    window((4, 4), 6, (7, 7), pad=(3, 3, 3, 3)),
    window((4, 3), 4, (5, 5), (2, 2), AROUND),
    window((5, 19), 5, (7, 7), pad=(3, 3, 3, 3)),
)
"""One pixel, one channel, channels, rows and pixels that are no multiples of 4, all kinds of borders and of kernels;
strides along one axis alone, with dilations, and such as no body for planes takes; bands of few rows; taps of which
none is on the map, or that are beside it for longer than a row of outputs; kernels larger than the map, of which
rows and columns, or some of them for some rows of outputs, are beside it."""


def taps_of(g: Conv2dStruct) -> int:
    """Weights of a channel."""
    return g.k_h * g.k_w


def forward(g: Conv2dStruct, rng: Rng) -> Arguments:
    """A layer of zeros, without bounds."""
    given = ordinary.forward(g, rng)
    del given["patch"]
    return {
        **given,
        "w": np.zeros(g.out_c * taps_of(g), np.int8),
        "packed": old_int8(rng, taps_of(g) * min(g.out_c, 64)),
    }


def depthwise_conv2d_s8_extremes() -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    for i, g in enumerate(SHAPES):
        for j, (bias, factor) in enumerate(SUMS):
            x_end, w_end, zero = ENDS[(i + j) % len(ENDS)]
            w_zero = rng.choice([-128, 127]) if bias in (1, 3) else None
            yield {
                **forward(replace(g, x_zero=zero, y_zero=int(rng.integers(-128, 128))), rng),
                "x": np.full(g.in_h * g.in_w * g.in_c, x_end, np.int8),
                "w": np.full(g.out_c * taps_of(g), w_end if w_zero is None else -128, np.int8),
                "w_zero": None if w_zero is None else np.asarray([w_zero], np.int32),
                "bias": np.full(g.out_c, bias, np.int32),
                "scale": np.full(g.out_c, factor, np.float32),
            }
    # What is beside the map must not count; every weight and every input is another.
    for g, relu in zip(SHAPES * 2, cycle((True, False, False))):
        yield {
            **forward(replace(g, x_zero=-3, y_zero=-128 if relu else 5), rng),
            "x": rng.integers(-128, 128, g.in_h * g.in_w * g.in_c).astype(np.int8),
            "w": rng.integers(-127, 128, g.out_c * taps_of(g)).astype(np.int8),
            "bias": rng.integers(-900, 900, g.out_c).astype(np.int32),
            "scale": np.full(g.out_c, 1 / (60 * taps_of(g) ** 0.5), np.float32),
            "clip": np.asarray([0 if relu else -UNBOUNDED, UNBOUNDED], np.int32),
        }
    # Outputs and peaks at the ends of what bytes and halves of words hold, with all kinds of bounds.
    bounds = (
        *((0, UNBOUNDED, -128), (0, 255, -128), (0, 254, -128), (1, UNBOUNDED, -128), (0, UNBOUNDED, -127)),
        *((-UNBOUNDED, UNBOUNDED, zero) for zero in (-128, -1, 0, 127)),
        *((-128, 127, 0), (-127, 127, 0), (-5, 7, 3), (0, 275, -128), (-300, 200, 0), (-400, 300, 5)),
        *((-60, UNBOUNDED, 0), (-60, 150, 0), (-1, 300, -100), (-129, 127, 1), (2, UNBOUNDED, 0)),
    )
    g = SHAPES[0]
    for (low, high, zero), reached in product(bounds, REACHED):
        bias = rng.permutation(np.resize([0, 1, -1, reached], g.out_c))
        halved = reached % 2 == 0
        yield {
            **forward(replace(g, y_zero=zero), rng),
            "bias": (bias * (2 if halved else 1) + (reached % 4 // 2 if halved else 0)).astype(np.int32),
            "scale": np.full(g.out_c, 0.5 if halved else 1, np.float32),
            "clip": np.asarray([low, high], np.int32),
        }
    # Factors about the one from which on two outputs might not share a word.
    most = taps_of(g) * 255 * 127
    for at, relu in product((0.9, 0.99, 1.0, 1.01, 2.0, 1e30), (True, False)):
        yield {
            **forward(replace(g, x_zero=-128, y_zero=-128 if relu else 0), rng),
            "x": np.full(g.in_h * g.in_w * g.in_c, 127, np.int8),
            "w": rng.choice([-127, 127], g.out_c)[:, None].repeat(taps_of(g), 1).reshape(-1).astype(np.int8),
            "scale": np.full(g.out_c, at * 32500 / most, np.float32),
            "clip": np.asarray([0 if relu else -UNBOUNDED, UNBOUNDED], np.int32),
        }


def backward(g: Conv2dStruct, rng: Rng, count: int | None = None) -> Arguments:
    """A layer of zeros whose error passes everywhere; `count` channels are listed, where that is given."""
    taps = taps_of(g) * g.out_c // g.in_c
    return {
        **ordinary.backward(g, rng, count),
        "w": np.zeros(g.out_c * taps_of(g), np.int8),
        "packed": old_int8(rng, taps * min(g.in_c, 64)),
    }


def neighbours(given: Arguments, g: Conv2dStruct) -> Arguments:
    """The same, the listed channels side by side."""
    count = given["active"][0]
    active = given["active"].copy()
    active[1 : 1 + count] = np.arange(count) + (g.out_c - count)
    return {**given, "active": active}


def depthwise_conv2d_grad_input_s8_extremes() -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    for i, g in enumerate(SHAPES):
        for count in (None, (g.out_c + 4) // 2, 4, 0):
            if count is not None and count > g.out_c:
                continue
            given = backward(replace(g, x_zero=int(rng.integers(-128, 128))), rng, count)
            e, x, w = (
                rng.integers(low, 128, given[n].size) for n, low in (("e", -127), ("x", -128), ("w", -127))
            )
            given |= {
                "e": e.astype(np.int8),
                "w": w.astype(np.int8),
                "w_zero": np.asarray([i * 7 % 256 - 128], np.int32) if i % 3 == 2 else None,
                "x": x.astype(np.int8),
                "scale": ar.scale_from_float(np.full(g.in_c, 0.003, np.float32)),
                "clip": np.asarray([(-UNBOUNDED, UNBOUNDED), (0, UNBOUNDED), (-9, 40)][i % 3], np.int32),
            }
            yield given
            if count is not None:
                yield neighbours(given, g)
        # The largest sums of either sign, and a factor that has to be shifted before, with its clamp.
        for e, w, factor in ((127, 127, 1e-4), (-127, 127, 1e-3), (127, -127, 3.0), (-127, -127, 2.0**26)):
            yield {
                **backward(g, rng),
                "e": np.full(g.out_h * g.out_w * g.out_c, e, np.int8),
                "w": np.full(g.out_c * taps_of(g), w, np.int8),
                "scale": ar.scale_from_float(np.full(g.in_c, factor, np.float32)),
            }
    # Errors at the ends of int8 and at ties, in eighths, with a factor that lets two of them share a word.
    g = window((4, 5), 6)
    for v, eighths in product((0, 1, 126, 127, 128, 129, -1, -126, -127, -128, -129, 250), range(-5, 6)):
        w = np.zeros((6, 9), np.int8)
        w[rng.integers(6), 4:6] = np.clip([v, eighths], -127, 127)
        yield {
            **backward(g, rng),
            "e": np.tile(np.asarray([8, 8, 8, 8, 1, 9], np.int8), 20),
            "w": w.reshape(-1),
            "scale": ar.scale_from_float(np.full(6, 0.125, np.float32)),
        }
    for zero, (low, high) in product(
        (-128, -127, 0, 126, 127),
        (
            (-UNBOUNDED, UNBOUNDED),
            *((0, UNBOUNDED), (0, 255), (0, 254), (0, 6), (-1, 1), (0, 1), (0, 0), (3, -3)),
            (-UNBOUNDED, -1),
        ),
    ):
        near = np.concatenate(
            [[-128, -127, 126, 127], zero + low + np.arange(-1, 3), zero + high + np.arange(-2, 2)]
        )
        for count in (None, 4):
            given = backward(replace(g, x_zero=zero), rng, count)
            yield {
                **given,
                "e": np.full(given["e"].size, 100, np.int8),
                "w": rng.integers(-2, 3, 54).astype(np.int8),
                "x": np.resize(np.clip(near, -128, 127), 120).astype(np.int8),
                "scale": ar.scale_from_float(np.full(6, 0.07, np.float32)),
                "clip": np.asarray([low, high], np.int32),
            }
    # Factors about the one from which on two errors might not share a word, one that is shifted beside others.
    for at, w_zero in product((0.5, 0.99, 1.0, 1.01, 30.0), (None, 127)):
        most = 9 * 127 * (128 if w_zero is None else 255)
        scale = np.full(6, at * 32500 / most, np.float32)
        scale[4] *= 3
        yield {
            **backward(g, rng),
            "e": np.full(120, 127, np.int8),
            "w": np.full(54, 127, np.int8) if w_zero is None else rng.choice([-128, 127], 54).astype(np.int8),
            "w_zero": None if w_zero is None else np.asarray([w_zero], np.int32),
            "scale": ar.scale_from_float(scale),
        }


def update(g: Conv2dStruct, rule: InPlace, rng: Rng, value: float, count: int | None = None) -> Arguments:
    """A layer whose weights are `value` of their range, or anywhere where it is 0; the error is 0."""
    given = ordinary.update(g, rule, rng, value, count)
    taps = taps_of(g)
    real = np.full((g.out_c, taps), value) if value else rng.uniform(-1, 1, (g.out_c, taps))
    w, residual = rule.encode(real, np.full(g.out_c, 1 / 127.5))
    rows = int(rng.choice([1, 4, 32]))
    del given["patch"]
    return {
        **given,
        "w": w.reshape(-1),
        "residual": residual.reshape(-1) if rule.residual_bits else None,
        "rows": rows,
        "gradient": np.zeros((rows + 1) * taps, np.int32),
    }


def depthwise_conv2d_update_extremes() -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    rules = list(IN_PLACE.values())
    # Every shape: some rows saturate, with factors that have to be shifted before, or not; lists of channels.
    for i, g in enumerate(SHAPES):
        for j, count in enumerate((None, (g.out_c + 4) // 2, 4, 0)):
            if count is not None and count > g.out_c:
                continue
            rule = rules[(i + j) % len(rules)]
            given = update(replace(g, x_zero=int(rng.integers(-128, 128))), rule, rng, 0, count)
            typical = 65536 / (3000 * (g.out_h * g.out_w) ** 0.5)
            factor = typical * rng.choice([0.1, 1, 30, 3000], g.out_c)
            given |= {
                "x": rng.integers(-128, 128, given["x"].size).astype(np.int8),
                "e": rng.integers(-127, 128, given["e"].size).astype(np.int8),
                "factor": ar.scale_from_float(factor.astype(np.float32)),
            }
            yield given
            if count is not None:
                yield neighbours(given, g)
        # The largest sums of either sign: below what a shift leaves of them, at it, and clamped.
        for j, (x, e) in enumerate(((127, 127), (127, -127), (-128, 127))):
            rule, zero = rules[(i + j) % len(rules)], -128 if x > 0 else 127
            given = update(replace(g, x_zero=zero), rule, rng, 0)
            pre = np.floor(np.log2((1 << 30) / (g.out_h * g.out_w * 127 * 255)))
            yield {
                **given,
                "x": np.full(given["x"].size, x, np.int8),
                "e": np.full(given["e"].size, e, np.int8),
                "factor": ar.scale_from_float((2.0 ** (pre - 2 + np.arange(g.out_c) % 4)).astype(np.float32)),
            }
    # One weight at an end of its range, and its neighbours in rows that have no gradient at all.
    g = window((3, 3), 6)
    for rule, value, sign in product(rules, (-1.0, 1.0, 0.5), (-1, 1)):
        given = update(replace(g, x_zero=-128), rule, rng, value)
        e = np.zeros((9, 6), np.int8)
        e[:, rng.integers(6)] = sign * 127
        x = np.full((9, 6), -128, np.int8)
        x[4] = 127
        yield {**given, "x": x.reshape(-1), "e": e.reshape(-1)}


EXTREMES = {
    "mcg_depthwise_conv2d_s8": depthwise_conv2d_s8_extremes,
    "mcg_depthwise_conv2d_grad_input_s8": depthwise_conv2d_grad_input_s8_extremes,
    "mcg_depthwise_conv2d_update": depthwise_conv2d_update_extremes,
}
"""Arguments at which bodies of a kernel could differ, by its C name."""
