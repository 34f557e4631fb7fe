"""Arguments for the kernels of tabulated activation functions and of PReLU."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.draws import (
    CHANNELS,
    ZEROS,
    Arguments,
    Draw,
    Rng,
    clips,
    factors,
    floats,
    int8,
    old_int8,
    one,
    rngs,
    some_int32,
)
from kernels.real import Plan, by_channel, real_cases, reals
from mcugrad import arithmetic as ar
from mcugrad.ops.activation.activation_s8 import ActivationStruct
from mcugrad.ops.activation.curves import Function

COUNTS = st.sampled_from([1, 2, 15, 16, 17, 64, 100, 257])


@st.composite
def prepare_table(draw: Draw) -> Arguments:
    rng = rngs(draw)
    x_scale = floats(draw, rng, 1)
    bounds = draw(st.sampled_from([(-3e38, 3e38), (0.0, 6.0), (-1.0, 1.0), (-3.0, 3e38), (-0.3, 1e-5)]))
    alpha, beta = draw(st.sampled_from([(1.0, 0.5), (0.2, 0.5), (1.9, 0.0), (-1.0, 2.0), (0.0, 1.0)]))
    return {
        "g": ActivationStruct(draw(st.integers(0, len(Function) - 1)), draw(ZEROS), draw(ZEROS)),
        "parameters": np.asarray([alpha, beta, *bounds], np.float32),
        "x_scale": x_scale,
        "made_for": x_scale.copy() if draw(st.integers(0, 9)) == 0 else one(np.float32, rng),
        "value": old_int8(rng, 256),
        "slope": some_int32(rng, 256).astype(np.int16),
        "y_scale": one(np.float32, rng),
        "real": rng.normal(0, 1, 256).astype(np.float32),
    }


@st.composite
def lookup_s8(draw: Draw) -> Arguments:
    count, rng = draw(COUNTS), rngs(draw)
    return {
        "count": count,
        "x": int8(draw, rng, count, -128),
        "value": old_int8(rng, 256),
        "y": old_int8(rng, count),
    }


@st.composite
def lookup_grad_s8(draw: Draw) -> Arguments:
    count, rng = draw(COUNTS), rngs(draw)
    steepest = draw(st.sampled_from([1, 5000, 18500, 32767]))
    return {
        "count": count,
        "e": int8(draw, rng, count),
        "x": int8(draw, rng, count, -128),
        "slope": rng.integers(-steepest, steepest + 1, 256).astype(np.int16),
        "scale": factors(draw, rng, 1, 2.0**-14),
        "e_x": old_int8(rng, count),
        "peak": one(np.int32, rng),
    }


def lookup_grad_s8_extremes() -> Iterator[Arguments]:
    """Errors at the ends of bytes, ties, and what saturates among what does not; factors to be shifted before."""
    rng = np.random.default_rng(0)
    for count, (e, slope), factor in product(
        (1, 4, 7, 16, 37, 64),
        ((1, 1), (127, 16384), (-127, 16384), (127, -32767), (-1, 32767), (0, 5)),
        (1.0, 0.5, 2.0**-14, 2.0**-15, 128 / 127 * 2.0**-14, 129 / 127 * 2.0**-14),
    ):
        x = rng.integers(-128, 128, count)
        rare = rng.random(256) < 0.1
        yield {
            "count": count,
            "e": np.where(rng.random(count) < 0.7, e, 0).astype(np.int8),
            "x": x.astype(np.int8),
            "slope": np.where(rare, slope, rng.integers(-3, 4, 256)).astype(np.int16)
            if count % 2
            else np.full(256, slope, np.int16),
            "scale": ar.scale_from_float(np.full(1, factor, np.float32)),
            "e_x": old_int8(rng, count),
            "peak": one(np.int32, rng),
        }


def slopes(draw: Draw, rng: Rng, channels: int) -> NDArray[np.float32]:
    """Slopes of a PReLU: usual ones, tiny ones, steep ones, and what overflowed."""
    if draw(st.integers(0, 4)) == 0:
        return floats(draw, rng, channels)
    return (rng.uniform(-1, 1, channels) * draw(st.sampled_from([0.3, 1e-6, 15.0]))).astype(np.float32)


@st.composite
def prepare_prelu(draw: Draw) -> Arguments:
    channels, rng = draw(CHANNELS), rngs(draw)
    return {
        "channels": channels,
        "x_scale": floats(draw, rng, 1),
        "y_scale": floats(draw, rng, 1),
        "slope": slopes(draw, rng, channels),
        "factor": some_int32(rng, channels + 2),
    }


def sides(draw: Draw, rng: Rng, channels: int) -> NDArray[np.int32]:
    """Factors of a PReLU within their limits, or at them."""
    limit = draw(st.sampled_from([1 << 16, 1 << 20]))
    factor = rng.integers(-limit, limit + 1, channels + 2)
    factor[0] = draw(st.sampled_from([limit, 1 << 15, 0]))
    factor[-1] = draw(st.integers(1, 30))
    return factor.astype(np.int32)


@st.composite
def prelu_s8(draw: Draw) -> Arguments:
    channels, pixels, rng = draw(CHANNELS), draw(st.integers(1, 5)), rngs(draw)
    count = channels * pixels
    return {
        "count": count,
        "channels": channels,
        "x_zero": draw(ZEROS),
        "y_zero": draw(ZEROS),
        "x": int8(draw, rng, count, -128),
        "factor": sides(draw, rng, channels),
        "y": old_int8(rng, count),
        "peak": one(np.int32, rng),
    }


@st.composite
def prelu_grad_s8(draw: Draw) -> Arguments:
    channels, pixels, rng = draw(CHANNELS), draw(st.integers(1, 5)), rngs(draw)
    count = channels * pixels
    return {
        "count": count,
        "channels": channels,
        "x_zero": draw(ZEROS),
        "e": int8(draw, rng, count),
        "x": int8(draw, rng, count, -128),
        "factor": sides(draw, rng, channels),
        "scale": factors(draw, rng, 1, 2.0**-15),
        "clip": clips(draw),
        "e_x": old_int8(rng, count),
        "peak": one(np.int32, rng),
    }


def function(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """A function of real numbers that are spread wide, now and then."""
    with np.errstate(over="ignore"):
        x = reals(draw, rng, given["count"]) * np.float32(draw(st.sampled_from([1, 5, 100])))
    return {
        "function": int(draw(st.sampled_from(list(Function)))),
        "parameters": np.asarray([draw(st.sampled_from([1.0, 0.2, -1.5])), 0.5], np.float32),
        "x": x,
    }


CASES: dict[str, st.SearchStrategy[Arguments]] = {
    f"mcg_{case.__name__}": case()
    for case in (
        prepare_table,
        lookup_s8,
        lookup_grad_s8,
        prepare_prelu,
        prelu_s8,
        prelu_grad_s8,
    )
}
"""Strategy of the arguments of every kernel here, by its C name."""
EXTREMES = {"mcg_lookup_grad_s8": lookup_grad_s8_extremes}
"""Arguments at which bodies of a kernel could differ, by its C name: of kernels with several bodies."""
PLAN: Plan = {
    "function": (function, "lookup_s8"),
    "function_grad": (function, "lookup_grad_s8"),
    "prelu": (by_channel, "prelu_s8"),
    "prelu_grad": (by_channel, "prelu_grad_s8"),
}
CASES |= real_cases(PLAN, CASES)
