"""Arguments for the kernels that join, move, scale and average activations and errors; see cases.py."""

from __future__ import annotations

from math import lcm

import numpy as np
from hypothesis import strategies as st

from kernels.cases import (
    CHANNELS,
    FEW_CHANNELS,
    ZEROS,
    Arguments,
    Draw,
    Rng,
    clips,
    error_numbers,
    error_ranges,
    factors,
    floats,
    int8,
    old_int8,
    one,
    output_factors,
    pooling,
    rngs,
    some_int32,
    two,
)
from mcugrad.ops.movement.slice import SliceStruct
from mcugrad.ops.pooling.avgpool2d import Weights, inside
from mcugrad.program import SCALE

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


def error_end(draw: Draw, rng: Rng, x: str, count: int, channels: int, typical: float) -> Arguments:
    """What every kernel that makes an error ends with."""
    return {
        x: int8(draw, rng, count, -128),
        "scale": factors(draw, rng, channels, typical),
        "clip": clips(draw),
        f"e_{x}": old_int8(rng, count),
        "peak": one(np.int32, rng),
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


def part(draw: Draw) -> SliceStruct:
    """A regular part of a map; channels are many or few."""
    axes = []
    for lengths in (st.integers(1, 9), st.integers(1, 9), CHANNELS):
        count, step = draw(lengths), draw(st.sampled_from([1, 1, 2, 3]))
        first = draw(st.integers(0, 3))
        whole = first + (count - 1) * step + 1 + draw(st.integers(0, 3))
        axes.append((whole, count, first, step))
    whole, count, first, step = zip(*axes, strict=True)
    return SliceStruct(*whole, *count, *first, *step)


def sizes(g: SliceStruct) -> tuple[int, int]:
    return g.whole_h * g.whole_w * g.whole_c, g.part_h * g.part_w * g.part_c


@st.composite
def gather_s8(draw: Draw) -> Arguments:
    g, rng = part(draw), rngs(draw)
    whole, count = sizes(g)
    return {"g": g, "whole": int8(draw, rng, whole, -128), "part": old_int8(rng, count)}


@st.composite
def scatter_s8(draw: Draw) -> Arguments:
    g, rng = part(draw), rngs(draw)
    whole, count = sizes(g)
    return {
        "g": g,
        "fill": draw(ZEROS),
        "part": int8(draw, rng, count, -128),
        "whole": old_int8(rng, whole),
    }


def upsampling(draw: Draw) -> dict[str, int]:
    size = st.integers(1, 5)
    names = ("height", "width", "factor_h", "factor_w")
    return {**{name: draw(size) for name in names}, "channels": draw(CHANNELS)}


@st.composite
def upsample2d_s8(draw: Draw) -> Arguments:
    g, rng = upsampling(draw), rngs(draw)
    count = g["height"] * g["width"] * g["channels"]
    copies = g["factor_h"] * g["factor_w"]
    return {**g, "x": int8(draw, rng, count, -128), "y": old_int8(rng, count * copies)}


@st.composite
def upsample2d_grad_input_s8(draw: Draw) -> Arguments:
    g, rng = upsampling(draw), rngs(draw)
    count = g["height"] * g["width"] * g["channels"]
    copies = g["factor_h"] * g["factor_w"]
    return {
        **g,
        "x_zero": draw(ZEROS),
        "e": int8(draw, rng, count * copies),
        **error_end(draw, rng, "x", count, 1, copies**-0.5),
    }


def averaging(draw: Draw) -> Arguments:
    """Geometry and weights; channels beyond a kernel's block now and then."""
    g = pooling(draw)
    counted = draw(st.booleans())
    return {
        "g": g,
        **{
            name: Weights.of(inside(g, axis).sum(axis=1), 5 if counted else None).values.astype(np.int32)
            for axis, name in enumerate(("weight_h", "weight_w"))
        },
        "x_zero": draw(ZEROS),
    }


@st.composite
def avgpool2d_s8(draw: Draw) -> Arguments:
    given, rng = averaging(draw), rngs(draw)
    g = given["g"]
    most = int(given["weight_h"].max()) * int(given["weight_w"].max()) * g.k_h * g.k_w
    return {
        **given,
        "grain": draw(st.sampled_from([1, 4])),
        "y_zero": draw(ZEROS),
        "x": int8(draw, rng, g.in_h * g.in_w * g.channels, -128),
        "scale": output_factors(draw, rng, 1, 1 / max(most, 1)),
        "clip": clips(draw),
        "y": old_int8(rng, g.out_h * g.out_w * g.channels),
        "peak": one(np.int32, rng),
    }


@st.composite
def mean_s8(draw: Draw) -> Arguments:
    rng = rngs(draw)
    outer, count, inner = draw(st.integers(1, 3)), draw(st.integers(1, 70)), draw(st.integers(1, 40))
    return {
        "outer": outer,
        "count": count,
        "inner": inner,
        "x_zero": draw(ZEROS),
        "y_zero": draw(ZEROS),
        "x": int8(draw, rng, outer * count * inner, -128),
        "scale": output_factors(draw, rng, 1, 1 / count),
        "clip": clips(draw),
        "y": old_int8(rng, outer * inner),
        "peak": one(np.int32, rng),
    }


@st.composite
def avgpool2d_grad_input_s8(draw: Draw) -> Arguments:
    given, rng = averaging(draw), rngs(draw)
    g = given["g"]
    most = int(given["weight_h"].max()) * int(given["weight_w"].max())
    return {
        **given,
        "e": int8(draw, rng, g.out_h * g.out_w * g.channels),
        **error_end(draw, rng, "x", g.in_h * g.in_w * g.channels, 1, 1 / max(most, 1)),
    }


CASES: dict[str, st.SearchStrategy[Arguments]] = {
    f"mcg_{case.__name__}": case()
    for case in (
        prepare_add,
        add_s8,
        prepare_error_sum,
        add_errors_s8,
        prepare_error_ratio,
        rescale_error_s8,
        scale_unit,
        prepare_product,
        mul_s8,
        mul_grad_a_s8,
        mul_grad_b_s8,
        concat_s8,
        gather_s8,
        scatter_s8,
        upsample2d_s8,
        upsample2d_grad_input_s8,
        avgpool2d_s8,
        mean_s8,
        avgpool2d_grad_input_s8,
    )
}
"""Strategy of the arguments of every kernel, by its C name."""
