"""Directed arguments for kernels of convolutions: ends of all ranges, ties, shapes that bodies treat differently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, product

import numpy as np

from kernels.draws import Arguments, Rng, old_int8, one
from mcugrad import arithmetic as ar
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.training.rules import IN_PLACE, InPlace

UNBOUNDED = 1 << 30
ENDS = ((127, 127, -128), (-128, -127, 127), (-128, 127, 126), (127, -127, 0))
"""Of inputs, weights and zero points: the largest products, with either sign; two of them are below 2^15."""
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
LARGE = (
    window((3, 3, 500), 2, (3, 3), pad=(0, 1, 0, 0)),
    window((1, 2, 4100), 3),
    window((12, 12, 1), 66, (3, 3), pad=SAME),
    window((2, 3, 70), 50, (3, 3), pad=SAME),
)
"""Windows that are too large for a stack, and more pixels, channels and taps than bodies with AVX2 gather or pack at
once: those for cores keep less at once, and treat none of these in another way than smaller ones."""
MANY_CHANNELS = window((1, 3, 3), 1030)
"""More than such a body takes at a time, backwards."""
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
    window((1, 3, 5), 6, (3, 1), (2, 1), (3, 0, 1, 0), (2, 1)),
    window((1, 3, 4), 5, (1, 3), pad=(0, 16, 0, 0), dilation=(1, 8)),
    window((2, 1, 8), 3, (2, 3), pad=(1, 1, 0, 9), dilation=(1, 4)),
    window((1, 1, 530), 3),
    window((2, 2, 60), 2, (3, 3), pad=SAME),
    window((9, 15, 1), 2, (3, 3), pad=SAME),
    window((1, 2, 3), 66),
    *LARGE,
)
"""Channels, kernel rows and pixels that are no multiples of 4, all kinds of borders, one pixel, many rows; taps of
which none is on the map, or that are beside it for longer than a row of outputs; more pixels, channels and taps than
bodies for cores take at once."""
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
        *((-60, UNBOUNDED, 0), (-60, 150, 0), (-1, 300, -100), (-129, 127, 1), (2, UNBOUNDED, 0)),
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
    # Sums about ties, for factors that floats are slow with: nearer to them than 16 bits of a factor tell, or not.
    for mantissa, shift in product(
        (1.0, 1 + 2.0**-23, 1.2345678, 1.5 - 2.0**-17, 2 - 2.0**-23), (9, 12, 16, 20)
    ):
        factor = mantissa * 2.0**-shift
        for value in (0, 1, -1, 100, -101, 126, 127, -128, 254):
            near = round((value + 0.5) / factor)
            away = np.asarray([0, 1, -1, 2, round(2**-7 / factor), -round(2**-8 / factor)])
            yield {
                **forward(replace(g, y_zero=0 if value < 127 else -128), rng),
                "bias": (near + rng.permutation(away)[: g.out_c]).astype(np.int32),
                "scale": np.full(g.out_c, factor, np.float32),
                "clip": np.asarray([-UNBOUNDED if value < 127 else 0, UNBOUNDED], np.int32),
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
    # Outputs beyond bounds that are themselves beyond the codes: the peak is that of what is clipped.
    beyond = (
        (0, 255, -128),
        (0, 275, -128),
        (-300, 200, 0),
        (-128, 1000, 0),
        (-1000, 127, 0),
        (-400, 300, 5),
    )
    for (low, high, zero), at in product(beyond, (0.9, 0.01)):
        yield {
            **forward(replace(g, x_zero=-128, y_zero=zero), rng),
            "x": np.full(g.in_h * g.in_w * g.in_c, 127, np.int8),
            "w": rng.choice([-127, 127], g.out_c)[:, None].repeat(g.taps, 1).reshape(-1).astype(np.int8),
            "scale": np.full(g.out_c, at * 32500 / most, np.float32),
            "clip": np.asarray([low, high], np.int32),
        }


def conv2d_s8_extremes() -> Iterator[Arguments]:
    return forward_extremes(SHAPES)


def pointwise_s8_extremes() -> Iterator[Arguments]:
    return forward_extremes(POINTWISE)


FEW = (
    window((3, 3, 8), 5, (3, 3), pad=SAME),
    window((1, 1, 4), 3, (3, 3), pad=SAME),
    window((5, 7, 4), 2, (3, 3), (2, 2), SAME),
    window((6, 4, 12), 4, (1, 1), pad=(0, 0, 0, 0)),
    window((7, 6, 4), 3, (1, 1), (2, 2), pad=(0, 0, 0, 0)),
    window((4, 9, 8), 3, (5, 2), (1, 3), pad=(2, 1, 0, 3)),
    window((1, 12, 16), 9, (1, 4), (1, 2), pad=(0, 1, 0, 1)),
    window((4, 4, 8), 16, (3, 3), pad=(0, 0, 0, 0)),
    window((18, 13, 4), 3, (3, 3), pad=SAME),
    window((12, 16, 4), 4, (3, 3), (1, 2), pad=SAME),
    window((1, 2, 4), 8, (3, 5), (7, 3), pad=(1, 5, 1, 0)),
    window((2, 1, 4), 8, (5, 3), (3, 2), pad=(5, 1, 0, 1)),
)
"""Whole fours of input channels; odd numbers of pixels, terms, and pixels of a line; kinds that no tap reaches, or that
have no pixel; more lines than there may be room for."""


def backward(g: Conv2dStruct, rng: Rng, count: int | None = None) -> Arguments:
    """A layer of zeros whose error passes everywhere; `count` channels are listed, where that is given."""
    active = None
    if count is not None:
        active = np.zeros(1 + g.out_c, np.uint16)
        active[: 1 + count] = count, *np.sort(rng.choice(g.out_c, count, replace=False))
    return {
        "g": g,
        "e": np.zeros(g.out_h * g.out_w * (g.out_c if count is None else count), np.int8),
        "active": active,
        "w": np.zeros(g.out_c * g.taps, np.int8),
        "w_zero": None,
        "x": np.zeros(g.in_h * g.in_w * g.in_c, np.int8),
        "scale": ar.scale_from_float(np.full(g.in_c, 0.25, np.float32)),
        "clip": np.asarray([-UNBOUNDED, UNBOUNDED], np.int32),
        "e_x": old_int8(rng, g.in_h * g.in_w * g.in_c),
        "peak": one(np.int32, rng),
    }


BACK = (
    *SHAPES,
    window((7, 5, 6), 5, (1, 1), (2, 3)),
    window((5, 7, 4), 8, (2, 2), (3, 3), (1, 0, 2, 1)),
    window((9, 8, 5), 4, (3, 2), (2, 2), (2, 2, 2, 2), (2, 3)),
    window((8, 4, 9), 12, (3, 3), (3, 1), SAME, (2, 1)),
    window((2, 3, 85), 9, (1, 2), pad=(0, 1, 0, 0)),
    MANY_CHANNELS,
    window((2, 1, 4), 3, (1, 3), pad=(0, 2, 0, 0)),
)
"""More strides than taps, and strides that dilations divide, or not; taps that are always beside the map;
more channels than bodies take at a time."""


def conv2d_grad_input_s8_extremes() -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    for i, g in enumerate(BACK):
        for count in (None, g.out_c // 2, 0):
            given = backward(replace(g, x_zero=int(rng.integers(-128, 128))), rng, count)
            e, x, w = (
                rng.integers(low, 128, given[n].size) for n, low in (("e", -127), ("x", -128), ("w", -127))
            )
            yield {
                **given,
                "e": e.astype(np.int8),
                "w": w.astype(np.int8),
                "w_zero": np.asarray([i * 7 % 256 - 128], np.int32) if i % 3 == 2 else None,
                "x": x.astype(np.int8),
                "scale": ar.scale_from_float(np.full(g.in_c, 0.01, np.float32)),
                "clip": np.asarray([(-UNBOUNDED, UNBOUNDED), (0, UNBOUNDED), (-9, 40)][i % 3], np.int32),
            }
        # The largest sums of either sign, and a factor that has to be shifted before, with its clamp.
        for e, w, factor in ((127, 127, 1e-4), (-127, 127, 1e-4), (127, -127, 3.0), (-127, -127, 2.0**26)):
            yield {
                **backward(g, rng),
                "e": np.full(g.out_h * g.out_w * g.out_c, e, np.int8),
                "w": np.full(g.out_c * g.taps, w, np.int8),
                "scale": ar.scale_from_float(np.full(g.in_c, factor, np.float32)),
            }
    # Errors at the ends of int8 and at ties: 4 w + w' quarters, and where x is flat, for bounds of all kinds.
    g = window((4, 3, 4), 4)
    for v, quarters in product(
        (0, 1, 126, 127, 128, 129, -1, -126, -127, -128, -129, 250), (-3, -2, -1, 0, 1, 2, 3)
    ):
        low, rest = divmod(4 * v + quarters, 4)
        w = np.zeros((4, 4), np.int8)
        w[:, rng.integers(4)] = np.clip([low, rest, 0, 0], -127, 127)
        yield {**backward(g, rng), "e": np.tile(np.asarray([4, 1, 0, 0], np.int8), 12), "w": w.reshape(-1)}
    for zero, (low, high) in product(
        (-128, -127, 0, 126, 127),
        (
            (-UNBOUNDED, UNBOUNDED),
            (0, UNBOUNDED),
            (0, 255),
            (0, 254),
            (0, 6),
            (-1, 1),
            (0, 0),
            (3, -3),
            (-UNBOUNDED, -1),
        ),
    ):
        near = np.concatenate(
            [[-128, -127, 126, 127], zero + low + np.arange(-1, 3), zero + high + np.arange(-2, 2)]
        )
        yield {
            **backward(replace(g, x_zero=zero), rng),
            "e": np.full(48, 100, np.int8),
            "w": rng.integers(-3, 4, 16).astype(np.int8),
            "x": np.resize(np.clip(near, -128, 127), 48).astype(np.int8),
            "clip": np.asarray([low, high], np.int32),
        }
    # Factors about the one from which on two errors might not share a word.
    for at, w in product((0.5, 0.99, 1.0, 1.01, 30.0), (None, -128)):
        most = 4 * 127 * (128 if w is None else 255)
        yield {
            **backward(g, rng),
            "e": np.full(48, 127, np.int8),
            "w": np.full(16, 127, np.int8) if w is None else rng.choice([-128, 127], 16).astype(np.int8),
            "w_zero": None if w is None else np.asarray([127], np.int32),
            "scale": ar.scale_from_float(np.full(4, at * 32500 / most, np.float32)),
        }
    # Errors beyond int8, and beyond 16 bits, and factors that are shifted before, of few channels that take part.
    for i, g in enumerate(FEW):
        for j, factor in enumerate((1e-3, 0.02, 0.4, 0.7, 3.0, 60.0, 250.0, 2.0**26)):
            sizes = {"e": g.out_h * g.out_w * g.out_c, "w": g.out_c * g.taps, "x": g.in_h * g.in_w * g.in_c}
            drawn = {name: rng.integers(-127, 128, size).astype(np.int8) for name, size in sizes.items()}
            factors = np.where(rng.random(g.in_c) < 0.5, factor, factor / 5).astype(np.float32)
            yield {
                **backward(replace(g, x_zero=int(rng.integers(-128, 128))), rng, 1 + (i + j) % g.out_c),
                **drawn,
                "w_zero": np.asarray([i * 31 % 256 - 128], np.int32) if j % 3 == 2 else None,
                "scale": ar.scale_from_float(factors),
                "clip": np.asarray(
                    [(0, UNBOUNDED), (-9, 40), (-UNBOUNDED, UNBOUNDED)][(i + j) % 3], np.int32
                ),
            }


def update(g: Conv2dStruct, rule: InPlace, rng: Rng, value: float, count: int | None = None) -> Arguments:
    """A layer whose weights are `value` of their range, or anywhere where it is 0; the error is 0."""
    given = backward(g, rng, count)
    real = np.full((g.out_c, g.taps), value) if value else rng.uniform(-1, 1, (g.out_c, g.taps))
    w, residual = rule.encode(real, np.full(g.out_c, 1 / 127.5))
    return {
        "g": g,
        "x": np.zeros(g.in_h * g.in_w * g.in_c, np.int8),
        "e": given["e"],
        "active": given["active"],
        "factor": ar.scale_from_float(np.full(g.out_c, 1.0, np.float32)),
        "rule": rule,
        "seed": np.asarray([rng.integers(0, 2**32)], np.uint32),
        "step": np.asarray([3], np.uint32),
        "tensor": 16,
        "w": w.reshape(-1),
        "residual": residual.reshape(-1) if rule.residual_bits else None,
        "w_scale": np.full(g.out_c, 0.01, np.float32),
        "rows": 4,
        "gradient": np.zeros(4 * g.taps, np.int32),
        "patch": np.zeros(g.taps, np.int16),
    }


def update_extremes(shapes: tuple[Conv2dStruct, ...]) -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    rules = list(IN_PLACE.values())
    # Every shape: some rows saturate, with factors that have to be shifted before, or not; lists of channels.
    for i, g in enumerate(shapes):
        for j, count in enumerate((None, g.out_c // 2, 0)):
            rule = rules[(i + j) % len(rules)]
            given = update(replace(g, x_zero=int(rng.integers(-128, 128))), rule, rng, 0, count)
            typical = 65536 / (3000 * (g.out_h * g.out_w) ** 0.5)
            factor = typical * rng.choice([0.1, 1, 30, 3000], g.out_c)
            yield {
                **given,
                "x": rng.integers(-128, 128, given["x"].size).astype(np.int8),
                "e": rng.integers(-127, 128, given["e"].size).astype(np.int8),
                "factor": ar.scale_from_float(factor.astype(np.float32)),
            }
        # The largest sums of either sign: below what a shift leaves of them, at it, and clamped.
        for j, (x, e) in enumerate(((127, 127), (127, -127), (-128, 127))):
            rule, zero = rules[(i + j) % len(rules)], -128 if x > 0 else 127
            given = update(replace(g, x_zero=zero), rule, rng, 0, (None, g.out_c)[(i + j) % 2])
            pre = np.floor(np.log2((1 << 30) / (g.out_h * g.out_w * 127 * 255)))
            yield {
                **given,
                "x": np.full(given["x"].size, x, np.int8),
                "e": np.full(given["e"].size, e, np.int8),
                "factor": ar.scale_from_float((2.0 ** (pre - 2 + np.arange(g.out_c) % 4)).astype(np.float32)),
            }
    # Weights near the ends move by whole steps over them, or just not; then by halves of the last bit, which are ties.
    g = window((1, 1, 8), 5)
    for rule, value in product(rules, (1.0, -1.0, 125 / 127.5, -125 / 127.5)):
        for moved in (range(-4, 4), (1, -1, 2, -2, 127, -127, 100, 90)):
            yield {
                **update(replace(g, x_zero=0), rule, rng, value),
                "x": np.asarray(moved, np.int8),
                "e": np.asarray([100, -100, 1, 0, -1], np.int8),
                "factor": ar.scale_from_float(np.full(5, 655.36, np.float32)),
            }
    for rule, residual_bits in product(rules, (8, 9, 12, 13, 14, 15, 16)):
        yield {
            **update(replace(g, x_zero=0), rule, rng, 0),
            "x": np.asarray([1, -1, 3, -3, 5, 7, 127, -128], np.int8),
            "e": np.asarray([1, -1, 2, 3, -127], np.int8),
            "factor": ar.scale_from_float(np.full(5, 2.0 ** (residual_bits - 2), np.float32)),
        }


ODD = (
    window((5, 7, 5), 5, (3, 3), pad=SAME),
    window((4, 6, 15), 7, (3, 3), pad=SAME),
    window((6, 5, 7), 3, (2, 3), (2, 1), SAME, (2, 1)),
    window((3, 4, 6), 4, (2, 2), pad=(0, 0, 1, 1)),
    window((4, 8, 9), 3, (3, 3), (1, 2), (2, 2, 2, 2), (1, 2)),
    window((5, 6, 3), 4, (3, 3), pad=SAME),
    window((4, 5, 1), 3, (5, 2), pad=(2, 1, 2, 0)),
)
"""Words of four weights that are of two taps, of two kernel rows, or more: in the last line of the map as well, and
beside its ends."""


def conv2d_update_extremes() -> Iterator[Arguments]:
    yield from update_extremes((*BACK, *FEW, *ODD))
    # All the room there is are gradients of some rows, about as much as panels of one pixel take.
    rng, rules = np.random.default_rng(0), list(IN_PLACE.values())
    for g, rows, count in product(FEW[-2:], range(1, 9), (2, 3, 5)):
        given = update(g, rules[rows % len(rules)], rng, 0, count)
        yield {
            **given,
            "x": rng.integers(-128, 128, given["x"].size).astype(np.int8),
            "e": rng.integers(-127, 128, given["e"].size).astype(np.int8),
            "rows": rows,
            "gradient": np.zeros(rows * g.taps, np.int32),
        }


def pointwise_update_extremes() -> Iterator[Arguments]:
    return update_extremes(POINTWISE)


EXTREMES = {
    "mcg_conv2d_s8": conv2d_s8_extremes,
    "mcg_pointwise_s8": pointwise_s8_extremes,
    "mcg_conv2d_grad_input_s8": conv2d_grad_input_s8_extremes,
    "mcg_conv2d_update": conv2d_update_extremes,
    "mcg_pointwise_update": pointwise_update_extremes,
}
"""Arguments at which bodies of a kernel could differ, by its C name: of kernels with several bodies."""
