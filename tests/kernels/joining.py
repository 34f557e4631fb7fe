"""Arguments for the kernels that join activations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product as pairs

import numpy as np
from hypothesis import strategies as st

from kernels.draws import (
    CHANNELS,
    ZEROS,
    Arguments,
    Draw,
    Rng,
    clips,
    error_end,
    floats,
    int8,
    old_int8,
    one,
    output_factors,
    rngs,
    some_int32,
)
from kernels.real import Plan, nothing, real_cases
from mcugrad.arithmetic import scale_from_float

SHIFTS = st.integers(1, 30)


@st.composite
def prepare_add(draw: Draw) -> Arguments:
    rng = rngs(draw)
    return {
        "sign": draw(st.sampled_from([1, -1])),
        "a_scale": floats(draw, rng, 1),
        "b_scale": floats(draw, rng, 1),
        "y_scale": floats(draw, rng, 1),
        "factor": some_int32(rng, 3),
    }


@st.composite
def add_s8(draw: Draw) -> Arguments:
    count, rng = draw(CHANNELS), rngs(draw)
    # The larger factor has 16 bits; 20 bits only where the sum is far larger than y can hold.
    factor = rng.integers(-(2**20), 2**20 + 1, 2) if draw(st.booleans()) else rng.integers(-65535, 65536, 2)
    return {
        "count": count,
        "a_zero": draw(ZEROS),
        "b_zero": draw(ZEROS),
        "y_zero": draw(ZEROS),
        "a": int8(draw, rng, count, -128),
        "b": int8(draw, rng, count, -128),
        "factor": np.asarray([*factor, draw(SHIFTS)], np.int32),
        "clip": clips(draw),
        "y": old_int8(rng, count),
        "peak": one(np.int32, rng),
    }


@st.composite
def prepare_product(draw: Draw) -> Arguments:
    rng = rngs(draw)
    names = ("a_scale", "b_scale", "y_scale")
    return {**{name: floats(draw, rng, 1) for name in names}, "scale": np.zeros(1, np.float32)}


def product(draw: Draw, rng: Rng) -> Arguments:
    """Sizes, zero points and the two factors of a product."""
    period = draw(CHANNELS)
    count = period * draw(st.integers(1, 6))
    return {
        "count": count,
        "period": period,
        "a_zero": draw(ZEROS),
        "b_zero": draw(ZEROS),
        "a": int8(draw, rng, count, -128),
        "b": int8(draw, rng, period, -128),
    }


@st.composite
def mul_s8(draw: Draw) -> Arguments:
    rng = rngs(draw)
    given = product(draw, rng)
    return {
        **given,
        "y_zero": draw(ZEROS),
        "scale": output_factors(draw, rng, 1, 1 / 128),
        "clip": clips(draw),
        "y": old_int8(rng, given["count"]),
        "peak": one(np.int32, rng),
    }


def channels_of(draw: Draw, count: int) -> int:
    """A number of factors that repeats a whole number of times."""
    return draw(st.sampled_from([n for n in range(1, count + 1) if count % n == 0]))


@st.composite
def mul_grad_a_s8(draw: Draw) -> Arguments:
    rng = rngs(draw)
    given = product(draw, rng)
    channels = channels_of(draw, given["count"])
    end = error_end(draw, rng, "a", given["count"], channels, 1 / 128)
    return {**given, **end, "channels": channels, "e": int8(draw, rng, given["count"])}


@st.composite
def mul_grad_b_s8(draw: Draw) -> Arguments:
    rng = rngs(draw)
    given = product(draw, rng)
    channels = channels_of(draw, given["period"])
    end = error_end(draw, rng, "b", given["period"], channels, 1 / 256)
    return {**given, **end, "channels": channels, "e": int8(draw, rng, given["count"])}


@st.composite
def concat_s8(draw: Draw) -> Arguments:
    rows, count, rng = draw(st.integers(1, 4)), draw(CHANNELS), rngs(draw)
    offset = draw(st.one_of(st.just(0), st.integers(1, 70)))
    pitch = offset + count + draw(st.integers(0, 70))
    return {
        "rows": rows,
        "count": count,
        "pitch": pitch,
        "offset": offset,
        "x_zero": draw(ZEROS),
        "y_zero": draw(ZEROS),
        "x": int8(draw, rng, rows * count, -128),
        "scale": output_factors(draw, rng, 1, 1.0),
        "clip": clips(draw),
        "y": old_int8(rng, rows * pitch),
        "peak": np.asarray([draw(st.sampled_from([0, 100, 300]))], np.int32),
    }


UNBOUNDED = 1 << 30
BOUNDS = ((-UNBOUNDED, UNBOUNDED), (0, UNBOUNDED), (-20, 30), (300, 500))
OUTPUTS = (
    *((-UNBOUNDED, UNBOUNDED, zero) for zero in (-128, -1, 0, 127)),
    *((0, UNBOUNDED, -128), (0, 255, -128), (0, 254, -128), (0, UNBOUNDED, 0), (1, UNBOUNDED, -128)),
    *((-60, UNBOUNDED, 0), (-60, 150, 0), (-9, 300, -100), (-20, 30, 0), (-300, 200, 0), (-400, 300, 5)),
)
"""Bounds of outputs, from their zero point, and that."""


def add_s8_extremes() -> Iterator[Arguments]:
    """Sums at the ends of bytes, of halves and of what fits before it is shifted, with either sign and on ties."""
    rng = np.random.default_rng(0)
    factors = (
        *((1 << 20, 1 << 20, 20), (1 << 20, -(1 << 20), 20), (-(1 << 19), 3 << 18, 20), (3, 1, 1), (1, 1, 1)),
        *((1 << 21, 1 << 21, 30), (1 << 21, 1 << 21, 15), (1 << 21, -(1 << 21), 14), (1 << 21, 9, 22)),
        *((65535, 65535, 10), (63, 62, 1), (64, 64, 1), (1 << 21, 1 << 20, 1)),
    )
    for i, ((low, high, zero), (a, b, shift)) in enumerate(pairs(OUTPUTS, factors)):
        count = (1, 4, 7, 24, 3)[i % 5]
        zeros = ((-128, 127), (0, 0), (127, -128), (5, -7))[i % 4]
        ends = ((-128, 127), (-128, -1, 0, 1, 127), range(-128, 128))[i % 3]
        yield {
            "count": count,
            "a_zero": zeros[0],
            "b_zero": zeros[1],
            "y_zero": zero,
            "a": rng.choice(ends, count).astype(np.int8),
            "b": rng.choice(ends, count).astype(np.int8),
            "factor": np.asarray([a, b, shift], np.int32),
            "clip": np.asarray([low, high], np.int32),
            "y": old_int8(rng, count),
            "peak": one(np.int32, rng),
        }


def mul_s8_extremes() -> Iterator[Arguments]:
    """Products at their ends, outputs at those of bytes and of halves, and on ties."""
    rng = np.random.default_rng(0)
    scales = (1 / 65025, 0.49 / 127, 1 / 128, 0.5, 0.49, 1.0, 100.0)
    for i, ((low, high, zero), scale) in enumerate(pairs(OUTPUTS, scales)):
        count, period, _ = SIZES[i % len(SIZES)]
        zeros = ((-128, 127), (0, 0), (127, -128), (-3, 5))[i % 4]
        ends = ((-128, 127), (-128, -1, 0, 1, 127), range(-128, 128))[i % 3]
        yield {
            "count": count,
            "period": period,
            "a_zero": zeros[0],
            "b_zero": zeros[1],
            "y_zero": zero,
            "a": rng.choice(ends, count).astype(np.int8),
            "b": rng.choice(ends, period).astype(np.int8),
            "scale": np.asarray([scale], np.float32),
            "clip": np.asarray([low, high], np.int32),
            "y": old_int8(rng, count),
            "peak": one(np.int32, rng),
        }


def joined(count: int, period: int, channels: int, of: str, i: int) -> Arguments:
    """Products at their ends, and errors of one of the factors at those of bytes and beyond."""
    rng = np.random.default_rng(i)
    sizes = {"a": count, "b": period}
    zeros = ((-128, 127), (0, 0), (127, -128))[i % 3]
    terms = count // period if of == "b" else 1
    factor = (0.49, 1.0, 0.3, 100.0)[i % 4] / (255 * terms if i % 4 != 3 else 1)
    return {
        "count": count,
        "period": period,
        "channels": channels,
        "a_zero": zeros[0],
        "b_zero": zeros[1],
        "e": rng.choice(((127, -127), (-127, 0, 1), (1,))[i % 3], count).astype(np.int8),
        **{name: rng.choice((-128, 127, 3), size).astype(np.int8) for name, size in sizes.items()},
        "scale": scale_from_float(np.full(channels, factor, np.float32)),
        "clip": np.asarray(BOUNDS[i // 2 % 4], np.int32),
        f"e_{of}": old_int8(rng, sizes[of]),
        "peak": one(np.int32, rng),
    }


SIZES = (
    (1, 1, 1),
    (15, 5, 5),
    (24, 8, 1),
    (24, 8, 4),
    (130, 65, 1),
    (260, 130, 13),
    (70, 70, 70),
    (96, 4, 2),
)
"""Elements of a product, of its second factor, and factors of errors."""


def mul_grad_a_s8_extremes() -> Iterator[Arguments]:
    for i in range(6 * len(SIZES)):
        yield joined(*SIZES[i % len(SIZES)], "a", i)


def mul_grad_b_s8_extremes() -> Iterator[Arguments]:
    for i in range(6 * len(SIZES)):
        yield joined(*SIZES[i % len(SIZES)], "b", i)


EXTREMES = {
    "mcg_add_s8": add_s8_extremes,
    "mcg_mul_s8": mul_s8_extremes,
    "mcg_mul_grad_a_s8": mul_grad_a_s8_extremes,
    "mcg_mul_grad_b_s8": mul_grad_b_s8_extremes,
}
"""Arguments at which bodies of a kernel could differ, by its C name: of kernels with several bodies."""
CASES: dict[str, st.SearchStrategy[Arguments]] = {
    f"mcg_{case.__name__}": case()
    for case in (
        prepare_add,
        add_s8,
        prepare_product,
        mul_s8,
        mul_grad_a_s8,
        mul_grad_b_s8,
        concat_s8,
    )
}
"""Strategy of the arguments of every kernel here, by its C name."""
PLAN: Plan = {
    "concat": (nothing, "concat_s8"),
    "mul": (nothing, "mul_s8"),
    "mul_grad_b": (nothing, "mul_grad_b_s8"),
}
CASES |= real_cases(PLAN, CASES)
