"""Arguments for the kernels of pooling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
from hypothesis import strategies as st

from kernels.draws import (
    FEW_CHANNELS,
    ZEROS,
    Arguments,
    Draw,
    Rng,
    clips,
    error_end,
    int8,
    old_int8,
    one,
    output_factors,
    rngs,
    windows,
)
from kernels.real import Plan, nothing, real_cases
from mcugrad.arithmetic import scale_from_float
from mcugrad.ops.pooling.avgpool2d import Weights, inside
from mcugrad.ops.pooling.maxpool2d_kept_s8 import maxpool2d_keep_s8 as keep
from mcugrad.ops.pooling.maxpool2d_kept_s8 import size_of
from mcugrad.ops.pooling.struct import Pool2dStruct


def pooling(draw: Draw) -> Pool2dStruct:
    in_h, in_w, *rest = draw(windows())
    return Pool2dStruct(in_h, in_w, draw(FEW_CHANNELS), *rest)


def one_behind_the_other(draw: Draw) -> Pool2dStruct:
    """Windows within the map, each behind the one before, so that most outputs are ahead."""
    k_h, k_w, stride_h, stride_w, down, across = (draw(st.integers(1, most)) for most in (3, 3, 3, 3, 2, 2))
    out_h, out_w = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    in_h = (out_h - 1) * stride_h + (k_h - 1) * down + 1 + draw(st.integers(0, 2))
    in_w = (out_w - 1) * stride_w + (k_w - 1) * across + 1 + draw(st.integers(0, 2))
    size = (in_h, in_w, draw(FEW_CHANNELS), out_h, out_w)
    return Pool2dStruct(*size, k_h, k_w, stride_h, stride_w, 0, 0, down, across)


def as_large_as_the_map(draw: Draw) -> Pool2dStruct:
    """Windows around each place of a map: an output lies where the windows of later ones begin, and may not share."""
    size, k = (draw(st.integers(3, 6)), draw(st.integers(3, 6))), draw(st.sampled_from([3, 5]))
    return Pool2dStruct(*size, draw(FEW_CHANNELS), *size, k, k, 1, 1, k // 2, k // 2, 1, 1)


@st.composite
def maxpool2d_s8(draw: Draw, windows_of: Sequence[Callable[[Draw], Pool2dStruct]] = (pooling,)) -> Arguments:
    g, rng = draw(st.sampled_from(windows_of))(draw), rngs(draw)
    return {
        "g": g,
        "x": int8(draw, rng, g.in_h * g.in_w * g.channels, -128),
        "y": old_int8(rng, g.out_h * g.out_w * g.channels),
    }


@st.composite
def maxpool2d_grad_input_s8(draw: Draw) -> Arguments:
    g, rng = pooling(draw), rngs(draw)
    size = g.in_h * g.in_w * g.channels
    return {
        "g": g,
        "e": int8(draw, rng, g.out_h * g.out_w * g.channels),
        "x": int8(draw, rng, size, -128),
        "e_x": old_int8(rng, size),
    }


def apart(draw: Draw) -> Pool2dStruct:
    """Windows of which no two have an input in common; some lie in the padding altogether."""
    k_h, k_w, down, across = (draw(st.integers(1, most)) for most in (4, 4, 2, 2))
    size = (draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(FEW_CHANNELS))
    top, left = draw(st.integers(0, k_h + 1)), draw(st.integers(0, k_w + 1))
    stride = (
        (k_h - 1) * down + 1 + draw(st.integers(0, 2)),
        (k_w - 1) * across + 1 + draw(st.integers(0, 2)),
    )
    out = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return Pool2dStruct(*size, *out, k_h, k_w, *stride, top, left, down, across)


@st.composite
def maxpool2d_keep_s8(draw: Draw) -> Arguments:
    g, rng = draw(st.sampled_from([pooling, apart]))(draw), rngs(draw)
    return {
        "g": g,
        "x": int8(draw, rng, g.in_h * g.in_w * g.channels, -128),
        "y": old_int8(rng, g.out_h * g.out_w * g.channels),
        "kept": rng.integers(0, 256, size_of(g)).astype(np.uint8),
    }


@st.composite
def maxpool2d_grad_kept_s8(draw: Draw) -> Arguments:
    g, rng = apart(draw), rngs(draw)
    kept = np.zeros(size_of(g), np.uint8)
    x = rng.integers(-128, 128, g.in_h * g.in_w * g.channels).astype(np.int8)
    keep(g, x, np.zeros(g.out_h * g.out_w * g.channels, np.int8), kept)
    return {
        "g": g,
        "e": int8(draw, rng, g.out_h * g.out_w * g.channels),
        "kept": kept,
        "e_x": old_int8(rng, g.in_h * g.in_w * g.channels),
    }


def pool(x: tuple[int, int, int], kernel: int, stride: int, pad: int = 0, dilation: int = 1) -> Pool2dStruct:
    """A square window."""
    out = [(n + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1 for n in x[:2]]
    return Pool2dStruct(*x, *out, kernel, kernel, stride, stride, pad, pad, dilation, dilation)


POOLS = (
    *(pool((4, 6, channels), 2, 2) for channels in (1, 3, 4, 5, 7, 8, 18)),
    *(pool((5, 5, channels), 3, 1, 1) for channels in (2, 4, 6, 9)),
    *(pool((3, 4, channels), 2, 3, 1) for channels in (4, 7)),
    *(pool((7, 7, channels), 3, 2, 2, 2) for channels in (3, 4, 11)),
    *(pool((2, 2, channels), 2, 2, 2) for channels in (4, 5)),
)
"""Channels that no body takes in whole words; windows that overlap, lie beside the map, or have gaps."""
LEVELS = ((-128, -127), (126, 127), (-128, 127), (0, 0), (-1, 0, 1))
"""Values of inputs: few, so that many are alike, and the first of them counts."""


def maxpool2d_s8_extremes() -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    for g, levels in product(POOLS, LEVELS):
        yield {
            "g": g,
            "x": rng.choice(levels, g.in_h * g.in_w * g.channels).astype(np.int8),
            "y": old_int8(rng, g.out_h * g.out_w * g.channels),
        }


def maxpool2d_keep_s8_extremes() -> Iterator[Arguments]:
    """Values that are equal, and the ends of what there is, in windows of all kinds."""
    for given in maxpool2d_s8_extremes():
        yield {**given, "kept": np.full(size_of(given["g"]), 0xA7, np.uint8)}


def maxpool2d_grad_kept_s8_extremes() -> Iterator[Arguments]:
    """Every place of a window, with errors at their ends, in windows that lie apart."""
    rng = np.random.default_rng(0)
    more = (pool((5, 6, 8), 2, 2), pool((6, 5, 4), 2, 3), pool((6, 8, 12), 2, 2))
    apart = (*POOLS[:7], *more, *POOLS[11:13], *POOLS[-2:])
    for g, levels, errors in product(apart, LEVELS, ((127, -127), (1, 0, -1), (0, 0, 5))):
        x = rng.choice(levels, g.in_h * g.in_w * g.channels).astype(np.int8)
        kept = np.zeros(size_of(g), np.uint8)
        keep(g, x, np.zeros(g.out_h * g.out_w * g.channels, np.int8), kept)
        yield {
            "g": g,
            "e": rng.choice(errors, g.out_h * g.out_w * g.channels).astype(np.int8),
            "kept": kept,
            "e_x": old_int8(rng, x.size),
        }


def maxpool2d_grad_input_s8_extremes() -> Iterator[Arguments]:
    """Sums that saturate on either side, and come back from there."""
    rng = np.random.default_rng(0)
    for g, levels, errors in product(POOLS, LEVELS, ((127, 1), (-127, -1), (127, -127, 100), (0, 0, 5))):
        size = g.in_h * g.in_w * g.channels
        yield {
            "g": g,
            "e": rng.choice(errors, g.out_h * g.out_w * g.channels).astype(np.int8),
            "x": rng.choice(levels, size).astype(np.int8),
            "e_x": old_int8(rng, size),
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


GLOBAL = tuple(
    Pool2dStruct(*size, channels, 1, 1, *size, *size, 0, 0, 1, 1)
    for size, channels in (((5, 3), 7), ((1, 9), 8), ((4, 4), 70))
)
"""One window of the whole map."""
LARGE = tuple(
    Pool2dStruct(*size, channels, 1, 1, *size, *size, 0, 0, 1, 1)
    for size, channels in (
        ((17, 15), 20),
        ((16, 16), 16),
        ((2, 300), 5),
        ((300, 2), 4),
        ((1, 511), 33),
        ((33, 8), 70),
    )
)
"""The same, of as many pixels as a half of a word can add up, and of more."""
BESIDE = (
    Pool2dStruct(3, 5, 18, 4, 4, 3, 2, 2, 3, 3, 2, 1, 1),
    Pool2dStruct(3, 300, 16, 2, 2, 3, 290, 1, 9, 1, 0, 1, 1),
    Pool2dStruct(7, 2, 17, 3, 2, 3, 2, 3, 1, 2, 1, 2, 2),
    Pool2dStruct(4, 4, 13, 2, 2, 3, 3, 3, 3, 2, 2, 1, 1),
)
"""Windows that lie beside the map in part or altogether."""
UNBOUNDED = 1 << 30


def avgpool2d_s8_extremes() -> Iterator[Arguments]:
    """Bytes at their ends, whose sums are beyond a half of a word, in windows of all kinds."""
    rng = np.random.default_rng(0)
    for (i, g), levels in product(enumerate((*GLOBAL, *LARGE, *BESIDE, *POOLS)), LEVELS):
        given = {
            name: Weights.of(inside(g, axis).sum(axis=1), None).values.astype(np.int32)
            for axis, name in enumerate(("weight_h", "weight_w"))
        }
        most = int(given["weight_h"].max()) * int(given["weight_w"].max()) * g.k_h * g.k_w
        yield {
            "g": g,
            "grain": (1, 4)[i % 2] if most < 4096 else 1,
            "x_zero": (-128, -3, 127)[i % 3],
            "y_zero": (-128, 5)[i % 2],
            "x": rng.choice(levels, g.in_h * g.in_w * g.channels).astype(np.int8),
            **given,
            "scale": np.full(1, 0.7 / max(most, 1), np.float32),
            "clip": np.asarray(((-UNBOUNDED, UNBOUNDED), (0, 90))[i % 2], np.int32),
            "y": old_int8(rng, g.out_h * g.out_w * g.channels),
            "peak": one(np.int32, rng),
        }


def avgpool2d_grad_input_s8_extremes() -> Iterator[Arguments]:
    """Errors at the ends of bytes and beyond, all flat or none, with factors that have to be shifted before."""
    rng = np.random.default_rng(0)
    bounds = ((-UNBOUNDED, UNBOUNDED), (0, UNBOUNDED), (-3, 4), (300, 500), (-500, -300), (-UNBOUNDED, 0))
    for (i, g), factor in product(
        enumerate((*GLOBAL, *LARGE[:1], *POOLS, *BESIDE)), (0.4, 0.99, 1.0, 1.01, 2.0)
    ):
        size = g.in_h * g.in_w * g.channels
        given = {
            name: Weights.of(inside(g, axis).sum(axis=1), None).values.astype(np.int32)
            for axis, name in enumerate(("weight_h", "weight_w"))
        }
        most = int(given["weight_h"].max()) * int(given["weight_w"].max())
        errors = ((127, -127), (127, -127, 0, 1), (-127,), (1, 64, -64))[i % 4]
        yield {
            "g": g,
            **given,
            "x_zero": (-128, -3, 127)[i % 3],
            "e": rng.choice(errors, g.out_h * g.out_w * g.channels).astype(np.int8),
            "x": rng.integers(-128, 128, size).astype(np.int8),
            "scale": scale_from_float(
                np.full(1, factor * (128 / 127 if i % 2 else 1) / max(most, 1), np.float32)
            ),
            "clip": np.asarray(bounds[(i + round(factor)) % len(bounds)], np.int32),
            "e_x": old_int8(rng, size),
            "peak": one(np.int32, rng),
        }


def shares(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Of a row and of a column in a mean."""
    lengths = {"share_h": given["g"].out_h, "share_w": given["g"].out_w}
    return {name: rng.random(n).astype(np.float32) for name, n in lengths.items()}


CASES: dict[str, st.SearchStrategy[Arguments]] = {
    f"mcg_{case.__name__}": case()
    for case in (
        maxpool2d_s8,
        maxpool2d_grad_input_s8,
        maxpool2d_keep_s8,
        maxpool2d_grad_kept_s8,
        avgpool2d_s8,
        mean_s8,
        avgpool2d_grad_input_s8,
    )
}
"""Strategy of the arguments of every kernel here, by its C name."""
OVER = {"mcg_maxpool2d_s8": maxpool2d_s8((pooling, one_behind_the_other, as_large_as_the_map))}
"""Arguments of which arrays may share bytes, by C names, where those of all arguments seldom may."""
EXTREMES = {
    "mcg_maxpool2d_s8": maxpool2d_s8_extremes,
    "mcg_maxpool2d_grad_input_s8": maxpool2d_grad_input_s8_extremes,
    "mcg_maxpool2d_keep_s8": maxpool2d_keep_s8_extremes,
    "mcg_maxpool2d_grad_kept_s8": maxpool2d_grad_kept_s8_extremes,
    "mcg_avgpool2d_s8": avgpool2d_s8_extremes,
    "mcg_avgpool2d_grad_input_s8": avgpool2d_grad_input_s8_extremes,
}
"""Arguments at which bodies of a kernel could differ, by its C name: of kernels with several bodies."""
PLAN: Plan = {
    "avgpool2d": (shares, "avgpool2d_s8"),
    "avgpool2d_grad_input": (shares, "avgpool2d_grad_input_s8"),
    "maxpool2d": (nothing, "maxpool2d_s8"),
    "maxpool2d_grad_input": (nothing, "maxpool2d_grad_input_s8"),
}
CASES |= real_cases(PLAN, CASES)
