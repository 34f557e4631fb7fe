"""Arguments for the kernels that operators of every family share."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import lcm
from typing import Any

import numpy as np
from hypothesis import strategies as st

from kernels import activation, joining, linear, sums_extremes
from kernels.draws import (
    CHANNELS,
    FEW_CHANNELS,
    ZEROS,
    Arguments,
    Draw,
    Rng,
    error_end,
    error_numbers,
    error_ranges,
    floats,
    int8,
    old_int8,
    one,
    rngs,
    some_int32,
    two,
)
from kernels.real import BOUNDS, Plan, nothing, real_cases, reals
from mcugrad.abi.records import SCALE
from mcugrad.arithmetic import scale_from_float


@st.composite
def prepare_s8(draw: Draw) -> Arguments:
    channels, rng = draw(CHANNELS), rngs(draw)
    signs = rng.choice(np.asarray([-1, 1], np.float32), channels)
    return {
        "channels": channels,
        "x_scale": floats(draw, rng, 1),
        "w_scale": floats(draw, rng, channels),
        "bias": floats(draw, rng, channels) * signs,
        "y_scale": floats(draw, rng, 1),
        "scale": np.zeros(channels, np.float32),
        "bias_acc": some_int32(rng, channels),
    }


@st.composite
def prepare_error_sum(draw: Draw) -> Arguments:
    rng = rngs(draw)
    return {
        "a_c": error_numbers(draw, rng),
        "b_c": error_numbers(draw, rng),
        "range": error_ranges(draw, rng),
        "factor": some_int32(rng, 2),
        "unit": two(rng),
    }


@st.composite
def add_errors_s8(draw: Draw) -> Arguments:
    count, rng = draw(CHANNELS), rngs(draw)
    limit = draw(st.sampled_from([65536, 1 << 22]))
    return {
        "count": count,
        "a": int8(draw, rng, count),
        "b": int8(draw, rng, count),
        "factor": rng.integers(0, limit + 1, 2).astype(np.int32),
        "e": old_int8(rng, count),
        "peak": one(np.int32, rng),
    }


ENDS = (0, 1, -1, 126, 127, 128, 129, -126, -127, -128, -129, 255, -256, 32767)
"""Results about the ends of what a byte holds, and far from there."""
COUNTS = (1, 3, 4, 5, 8, 63, 64, 65, 150)


def add_errors_s8_extremes() -> Iterator[Arguments]:
    """Ends of all ranges; sums that just saturate, anywhere; ties; with a sum in the place of either."""
    rng = np.random.default_rng(0)

    def given(a: Any, b: Any, factor: tuple[int, int]) -> Arguments:
        return {
            "count": len(a),
            "a": np.asarray(a, np.int8),
            "b": np.asarray(b, np.int8),
            "factor": np.asarray(factor, np.int32),
            "e": old_int8(rng, len(a)),
            "peak": one(np.int32, rng),
        }

    for count, factor in product(
        COUNTS, ((1 << 22, 1 << 22), (65536, 65536), (65536, 0), (32768, 0), (40000, 25000))
    ):
        a, b = (rng.integers(-127, 128, count) for _ in range(2))
        yield given(a, b, factor)
        yield given(np.full(count, 127), np.full(count, -127 if count % 2 else 127), factor)
    for value, at in product(ENDS, range(9)):
        a, b = np.zeros(9, np.int64), np.ones(9, np.int64)
        a[at] = np.clip(value - 1, -127, 127)
        b[at] = np.clip(value - a[at], -127, 127)
        yield given(a, b, (65536, 65536))
        yield given(a, b, (65536, 32768))


def rescale_error_s8_extremes() -> Iterator[Arguments]:
    """Factors that repeat in any way, and results about the ends of bytes; factors that ask for a shift."""
    rng = np.random.default_rng(0)
    for channels, pixels, rows, sign in product((1, 3, 4, 16, 33, 64, 65, 130), (1, 5), (1, 3), (1, -1)):
        count, before = channels * pixels, int(rng.integers(0, 9))
        pitch = before + count + int(rng.integers(0, 9))
        for most in (0.49, 1.01, 3.0, 2.0**20):
            scale = most * 2.0 ** -rng.integers(0, 3, channels)
            yield {
                "rows": rows,
                "count": count,
                "pitch": pitch,
                "offset": before,
                "channels": channels,
                "x_zero": int(rng.integers(-128, 128)),
                "sign": sign,
                "e": rng.choice([-127, -126, -1, 0, 1, 63, 64, 126, 127], rows * pitch).astype(np.int8),
                "x": rng.integers(-128, 128, rows * count).astype(np.int8),
                "scale": scale_from_float(scale.astype(np.float32)),
                "clip": np.asarray([(-(1 << 30), 1 << 30), (0, 1 << 30), (-20, 30)][count % 3], np.int32),
                "e_x": old_int8(rng, rows * count),
                "peak": one(np.int32, rng),
            }


@st.composite
def prepare_error_ratio(draw: Draw) -> Arguments:
    e_channels, x_channels, rng = draw(FEW_CHANNELS), draw(FEW_CHANNELS), rngs(draw)
    channels = lcm(e_channels, x_channels)
    return {
        "channels": channels,
        "e_channels": e_channels,
        "x_channels": x_channels,
        "range": floats(draw, rng, 1),
        "c": error_numbers(draw, rng),
        "e_scale": floats(draw, rng, e_channels),
        "e_x_scale": floats(draw, rng, x_channels),
        "scale": np.zeros(channels, SCALE),
    }


@st.composite
def rescale_error_s8(draw: Draw) -> Arguments:
    channels, pixels, rows = draw(CHANNELS), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    before, behind, rng = draw(st.integers(0, 70)), draw(st.integers(0, 70)), rngs(draw)
    count = channels * pixels
    pitch = before + count + behind
    return {
        "rows": rows,
        "count": count,
        "pitch": pitch,
        "offset": before,
        "channels": channels,
        "x_zero": draw(ZEROS),
        "sign": draw(st.sampled_from([1, -1])),
        "e": int8(draw, rng, rows * pitch),
        **error_end(draw, rng, "x", rows * count, channels, 1.0),
    }


@st.composite
def scale_unit(draw: Draw) -> Arguments:
    rng = rngs(draw)
    return {"c": error_numbers(draw, rng), "factor": floats(draw, rng, 1), "unit": two(rng)}


def signed(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    return {"sign": draw(st.sampled_from([1, -1]))}


def rows(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Sums of products over the rows of a linear layer's weights."""
    return {"count": given["g"].inputs, "rows": given["g"].out, "sum": given["g"].out}


def columns(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Sums of products over the columns of a linear layer's weights."""
    inputs = given["g"].inputs
    return {"count": inputs, "rows": given["e"].size, "sum": inputs}


def masked(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Values on either side of the bounds, and at them."""
    bounds, x = np.asarray(draw(BOUNDS), np.float32), reals(draw, rng, given["count"])
    return {"bounds": bounds, "x": np.where(rng.random(x.size) < 0.2, rng.choice(bounds, x.size), x)}


def dequantized(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    return {"x_zero": draw(ZEROS), "x_scale": floats(draw, rng, 1)}


@st.composite
def quantize_raw(draw: Draw, kind: type[Any]) -> Arguments:
    """Factors that the interface lets pass, middles within it and values of all sizes."""
    rng, count, limits = rngs(draw), draw(st.integers(1, 40)), np.iinfo(kind)
    factor = draw(st.sampled_from([1e-9, 2.0**-17, 1 / 256, 0.004, 0.49999, 0.5, 1.0, 3.7, 4096.0]))
    raw = rng.integers(limits.min, limits.max + 1, count).astype(kind)
    raw[rng.random(count) < 0.3] = draw(st.sampled_from([limits.min, 0, 2048, limits.max]))
    return {
        "count": count,
        "zero": draw(ZEROS),
        "middle": draw(st.sampled_from([-65536, -1, 0, 2048, 32768, 65536])),
        "scale": scale_from_float(np.full(1, factor, np.float32)),
        "raw": raw,
        "x": old_int8(rng, count),
    }


EXTREMES = {
    "mcg_add_errors_s8": add_errors_s8_extremes,
    "mcg_rescale_error_s8": rescale_error_s8_extremes,
    **sums_extremes.EXTREMES,
}
"""Arguments at which bodies of a kernel could differ, by its C name: of kernels with several bodies."""
CASES: dict[str, st.SearchStrategy[Arguments]] = {
    f"mcg_{case.__name__}": case()
    for case in (
        prepare_s8,
        prepare_error_sum,
        add_errors_s8,
        prepare_error_ratio,
        rescale_error_s8,
        scale_unit,
    )
}
"""Strategy of the arguments of every kernel here, by its C name."""
CASES |= sums_extremes.CASES
CASES |= {"mcg_quantize_s16": quantize_raw(np.int16), "mcg_quantize_u16": quantize_raw(np.uint16)}
PLAN: Plan = {
    "add": (signed, "add_s8"),
    "combine": (columns, "linear_grad_input_s8"),
    "dequantize": (dequantized, "lookup_s8"),
    "dot": (rows, "linear_s8"),
    "mask": (masked, "lookup_grad_s8"),
    "part": (nothing, "rescale_error_s8"),
}
CASES |= real_cases(PLAN, CASES | activation.CASES | joining.CASES | linear.CASES)
