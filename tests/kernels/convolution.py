"""Arguments for the kernels of convolutions: ordinary, pointwise, depthwise, grouped, transposed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from kernels import convolution_extremes
from kernels.draws import (
    CHANNELS,
    FEW_CHANNELS,
    ZEROS,
    Arguments,
    Draw,
    Rng,
    actives,
    biases,
    clips,
    factors,
    int8,
    old_int8,
    one,
    output_factors,
    rngs,
    some_int32,
    updates,
    weights,
    windows,
)
from kernels.real import Plan, real_cases
from mcugrad.ops.convolution.struct import Conv2dStruct

MOST_MACS = 20_000


def convolution(draw: Draw) -> Conv2dStruct:
    in_h, in_w, out_h, out_w, k_h, k_w, *rest = draw(windows())
    in_c, out_c = draw(st.one_of(st.tuples(FEW_CHANNELS, FEW_CHANNELS), st.tuples(CHANNELS, CHANNELS)))
    while out_h * out_w * k_h * k_w * in_c * out_c > MOST_MACS:
        in_c, out_c = (in_c, (out_c + 1) // 2) if out_c > in_c else ((in_c + 1) // 2, out_c)
        if in_c == out_c == 1:
            break
    return Conv2dStruct(in_h, in_w, in_c, out_h, out_w, out_c, k_h, k_w, *rest, draw(ZEROS), draw(ZEROS))


@st.composite
def conv2d_s8(draw: Draw) -> Arguments:
    g, rng = convolution(draw), rngs(draw)
    return {
        "g": g,
        "x": int8(draw, rng, g.in_h * g.in_w * g.in_c, -128),
        **weights(draw, rng, g.out_c * g.taps),
        "bias": biases(draw, rng, g.out_c),
        "scale": output_factors(draw, rng, g.out_c, 1 / (100 * g.taps**0.5)),
        "clip": clips(draw),
        "y": old_int8(rng, g.out_h * g.out_w * g.out_c),
        "peak": one(np.int32, rng),
        "patch": old_int8(rng, g.taps).astype(np.int16),
    }


@st.composite
def conv2d_grad_input_s8(draw: Draw) -> Arguments:
    g, rng = convolution(draw), rngs(draw)
    active, count = actives(draw, rng, g.out_c)
    size = g.in_h * g.in_w * g.in_c
    return {
        "g": g,
        "e": int8(draw, rng, g.out_h * g.out_w * count),
        "active": active,
        **weights(draw, rng, g.out_c * g.taps),
        "x": int8(draw, rng, size, -128),
        "scale": factors(draw, rng, g.in_c, 1 / (60 * (g.out_c * g.k_h * g.k_w) ** 0.5)),
        "clip": clips(draw),
        "e_x": old_int8(rng, size),
        "peak": one(np.int32, rng),
    }


@st.composite
def conv2d_update(draw: Draw) -> Arguments:
    g, rng = convolution(draw), rngs(draw)
    active, count = actives(draw, rng, g.out_c)
    rows = draw(st.sampled_from([1, 2, 3, 4, 5, 7, 8]))
    return {
        "g": g,
        "x": int8(draw, rng, g.in_h * g.in_w * g.in_c, -128),
        "e": int8(draw, rng, g.out_h * g.out_w * count),
        "active": active,
        "factor": factors(draw, rng, g.out_c, 65536 / (3000 * (g.out_h * g.out_w) ** 0.5)),
        **updates(draw, rng, g.out_c, g.taps),
        "rows": rows,
        "gradient": some_int32(rng, min(rows, g.out_c) * g.taps),
        "patch": old_int8(rng, g.taps).astype(np.int16),
    }


FEW = st.sampled_from([1, 2, 3, 4, 5, 7])


def forward_arguments(draw: Draw, rng: Rng, g: Conv2dStruct, taps: int) -> Arguments:
    """What forward kernels share; `taps` weights per output channel."""
    return {
        "g": g,
        "x": int8(draw, rng, g.in_h * g.in_w * g.in_c, -128),
        **weights(draw, rng, g.out_c * taps),
        "bias": biases(draw, rng, g.out_c),
        "scale": output_factors(draw, rng, g.out_c, 1 / (100 * taps**0.5)),
        "clip": clips(draw),
        "y": old_int8(rng, g.out_h * g.out_w * g.out_c),
        "peak": one(np.int32, rng),
    }


def grad_input_arguments(draw: Draw, rng: Rng, g: Conv2dStruct, taps: int, terms: int) -> Arguments:
    """What kernels of input errors share; `terms` products in a sum."""
    size = g.in_h * g.in_w * g.in_c
    active, count = actives(draw, rng, g.out_c)
    return {
        "g": g,
        "e": int8(draw, rng, g.out_h * g.out_w * count),
        "active": active,
        **weights(draw, rng, g.out_c * taps),
        "x": int8(draw, rng, size, -128),
        "scale": factors(draw, rng, g.in_c, 1 / (60 * terms**0.5)),
        "clip": clips(draw),
        "e_x": old_int8(rng, size),
        "peak": one(np.int32, rng),
    }


def update_arguments(draw: Draw, rng: Rng, g: Conv2dStruct, taps: int) -> Arguments:
    """What weight updates share."""
    active, count = actives(draw, rng, g.out_c)
    return {
        "g": g,
        "x": int8(draw, rng, g.in_h * g.in_w * g.in_c, -128),
        "e": int8(draw, rng, g.out_h * g.out_w * count),
        "active": active,
        "factor": factors(draw, rng, g.out_c, 65536 / (3000 * (g.out_h * g.out_w) ** 0.5)),
        **updates(draw, rng, g.out_c, taps),
    }


def window(draw: Draw, in_c: int, out_c: int) -> Conv2dStruct:
    in_h, in_w, out_h, out_w, *rest = draw(windows())
    return Conv2dStruct(in_h, in_w, in_c, out_h, out_w, out_c, *rest, draw(ZEROS), draw(ZEROS))


ONE_EACH = st.tuples(CHANNELS, st.just(1))
MULTIPLIED = st.one_of(
    ONE_EACH,
    st.tuples(FEW, st.sampled_from([2, 3, 8, 65])),
    st.tuples(st.sampled_from([33, 64, 65]), st.just(2)),
)
"""Channels and multipliers of depthwise convolutions; sometimes more than a block of outputs per input."""


def depthwise(draw: Draw, of: st.SearchStrategy[tuple[int, int]]) -> tuple[Conv2dStruct, int]:
    """Constants and the number of taps."""
    channels, multiplier = draw(of)
    g = window(draw, channels, channels * multiplier)
    return g, g.k_h * g.k_w


def grouped(draw: Draw) -> tuple[Conv2dStruct, int, int]:
    """Constants, the number of groups, the number of taps."""
    groups = draw(st.sampled_from([1, 2, 3, 5]))
    in_c, out_c = draw(
        st.one_of(st.tuples(FEW, FEW), st.tuples(st.sampled_from([1, 65]), FEW), st.just((2, 65)))
    )
    g = window(draw, in_c * groups, out_c * groups)
    return g, groups, g.k_h * g.k_w * in_c


BEYOND = st.sampled_from([65, 100, 130])
"""More channels than a block."""
TRANSPOSED = st.one_of(
    *(st.tuples(FEW, more) for more in (FEW, CHANNELS, BEYOND)),
    *(st.tuples(more, FEW) for more in (CHANNELS, BEYOND)),
)
"""Channels of transposed convolutions."""


def transposed(draw: Draw) -> tuple[Conv2dStruct, int]:
    """Constants and the number of taps. The output is as large as all products need, or smaller, or larger."""
    in_c, out_c = draw(TRANSPOSED)
    most = 6 if in_c * out_c < 64 else 2
    in_h, in_w = draw(st.tuples(st.integers(1, most), st.integers(1, most)))
    kernel = draw(st.one_of(st.just((3, 3)), st.tuples(st.integers(1, 4), st.integers(1, 4))))
    stride = draw(st.one_of(st.just((2, 2)), st.tuples(st.integers(1, 4), st.integers(1, 4))))
    dilation = draw(st.one_of(st.just((1, 1)), st.tuples(st.integers(1, 3), st.integers(1, 3))))
    pad = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    more = draw(st.tuples(st.integers(-3, 3), st.integers(-3, 3)))
    out = [
        max(1, (n - 1) * s + d * (k - 1) + 1 - p + m)
        for n, k, s, d, p, m in zip((in_h, in_w), kernel, stride, dilation, pad, more, strict=True)
    ]
    g = Conv2dStruct(
        in_h, in_w, in_c, *out, out_c, *kernel, *stride, *pad, *dilation, draw(ZEROS), draw(ZEROS)
    )
    while g.taps * g.out_c * in_h * in_w > MOST_MACS and g.in_c * g.out_c > 1:
        g = replace(g, in_c=(g.in_c + 1) // 2, out_c=(g.out_c + 1) // 2)
    return g, g.taps


@st.composite
def depthwise_conv2d_s8(draw: Draw, of: st.SearchStrategy[tuple[int, int]] = MULTIPLIED) -> Arguments:
    (g, taps), rng = depthwise(draw, of), rngs(draw)
    return {
        **forward_arguments(draw, rng, g, taps),
        "packed": old_int8(rng, taps * min(g.out_c, 64)),
    }


@st.composite
def depthwise_conv2d_grad_input_s8(
    draw: Draw, of: st.SearchStrategy[tuple[int, int]] = MULTIPLIED
) -> Arguments:
    (g, taps), rng = depthwise(draw, of), rngs(draw)
    terms = taps * g.out_c // g.in_c
    return {
        **grad_input_arguments(draw, rng, g, taps, terms),
        "packed": old_int8(rng, terms * min(g.in_c, 64)),
    }


@st.composite
def depthwise_conv2d_update(draw: Draw, of: st.SearchStrategy[tuple[int, int]] = MULTIPLIED) -> Arguments:
    (g, taps), rng = depthwise(draw, of), rngs(draw)
    rows = draw(st.sampled_from([1, 2, 5, 31, 32]))
    return {
        **update_arguments(draw, rng, g, taps),
        "rows": rows,
        "gradient": some_int32(rng, (rows + 1) * taps),
    }


@st.composite
def grouped_conv2d_s8(draw: Draw) -> Arguments:
    (g, groups, taps), rng = grouped(draw), rngs(draw)
    return {
        **forward_arguments(draw, rng, g, taps),
        "groups": groups,
        "patch": old_int8(rng, taps).astype(np.int16),
    }


@st.composite
def grouped_conv2d_grad_input_s8(draw: Draw) -> Arguments:
    (g, groups, taps), rng = grouped(draw), rngs(draw)
    terms = g.out_c // groups * g.k_h * g.k_w
    return {**grad_input_arguments(draw, rng, g, taps, terms), "groups": groups}


@st.composite
def grouped_conv2d_update(draw: Draw) -> Arguments:
    (g, groups, taps), rng = grouped(draw), rngs(draw)
    rows = draw(st.sampled_from([1, 3, 4, 8]))
    return {
        **update_arguments(draw, rng, g, taps),
        "groups": groups,
        "rows": rows,
        "gradient": some_int32(rng, rows * taps),
        "patch": old_int8(rng, taps).astype(np.int16),
    }


@st.composite
def conv_transpose2d_s8(draw: Draw) -> Arguments:
    (g, taps), rng = transposed(draw), rngs(draw)
    return {**forward_arguments(draw, rng, g, taps), "patch": old_int8(rng, g.in_c).astype(np.int16)}


@st.composite
def conv_transpose2d_grad_input_s8(draw: Draw) -> Arguments:
    (g, taps), rng = transposed(draw), rngs(draw)
    return grad_input_arguments(draw, rng, g, taps, g.k_h * g.k_w * g.out_c)


@st.composite
def conv_transpose2d_update(draw: Draw) -> Arguments:
    (g, taps), rng = transposed(draw), rngs(draw)
    rows = draw(st.sampled_from([1, 3, 4, 8]))
    return {
        **update_arguments(draw, rng, g, taps),
        "rows": rows,
        "gradient": some_int32(rng, rows * taps),
        "patch": old_int8(rng, g.in_c).astype(np.int16),
    }


def pointwise(draw: Draw) -> Conv2dStruct:
    """Constants of a 1x1 convolution."""
    height, width = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    size = height, width
    channels = draw(st.tuples(CHANNELS, CHANNELS))
    return Conv2dStruct(
        *size, channels[0], *size, channels[1], 1, 1, 1, 1, 0, 0, 1, 1, draw(ZEROS), draw(ZEROS)
    )


@st.composite
def pointwise_s8(draw: Draw) -> Arguments:
    g, rng = pointwise(draw), rngs(draw)
    return forward_arguments(draw, rng, g, g.in_c)


@st.composite
def pointwise_update(draw: Draw) -> Arguments:
    g, rng = pointwise(draw), rngs(draw)
    rows = draw(st.sampled_from([1, 3, 4, 64]))
    return {
        **update_arguments(draw, rng, g, g.in_c),
        "rows": rows,
        "gradient": some_int32(rng, rows * g.in_c),
    }


def scratch(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Groups and scratch of a convolution."""
    g, rows = given["g"], draw(st.integers(1, 5))
    taps = given["w"].size // g.out_c
    return {"groups": g.taps // taps, "rows": rows, "gradient": rows * taps, "patch": taps}


def one_each(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """The channels of a depthwise convolution that are handled at a time, and scratch."""
    g, block = given["g"], draw(st.integers(1, given["g"].in_c))
    return {"block": block, "packed": g.k_h * g.k_w * block}


def transposed_scratch(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Scratch of a transposed convolution."""
    g = given["g"]
    return {"gradient": g.taps, "patch": g.out_c * g.k_h * g.k_w}


CASES: dict[str, st.SearchStrategy[Arguments]] = {
    f"mcg_{case.__name__}": case()
    for case in (
        conv2d_s8,
        conv2d_grad_input_s8,
        conv2d_update,
        depthwise_conv2d_s8,
        depthwise_conv2d_grad_input_s8,
        depthwise_conv2d_update,
        grouped_conv2d_s8,
        grouped_conv2d_grad_input_s8,
        grouped_conv2d_update,
        conv_transpose2d_s8,
        conv_transpose2d_grad_input_s8,
        conv_transpose2d_update,
        pointwise_s8,
        pointwise_update,
    )
}
"""Strategy of the arguments of every kernel here, by its C name."""
EXTREMES = convolution_extremes.EXTREMES
PLAN: Plan = {
    "conv2d": (scratch, "conv2d_s8", "grouped_conv2d_s8", "depthwise_conv2d_s8"),
    "conv2d_grad_input": (
        scratch,
        "conv2d_grad_input_s8",
        "grouped_conv2d_grad_input_s8",
        "depthwise_conv2d_grad_input_s8",
    ),
    "conv2d_update": (scratch, "conv2d_update", "grouped_conv2d_update", "depthwise_conv2d_update"),
    "conv_transpose2d": (transposed_scratch, "conv_transpose2d_s8"),
    "conv_transpose2d_grad_input": (transposed_scratch, "conv_transpose2d_grad_input_s8"),
    "conv_transpose2d_update": (transposed_scratch, "conv_transpose2d_update"),
    "depthwise_conv2d": (one_each, "depthwise_conv2d_s8"),
    "depthwise_conv2d_grad_input": (one_each, "depthwise_conv2d_grad_input_s8"),
    "depthwise_conv2d_update": (one_each, "depthwise_conv2d_update"),
}
DEPTHWISE = {
    f"mcg_{case.__name__}": case(ONE_EACH)
    for case in (depthwise_conv2d_s8, depthwise_conv2d_grad_input_s8, depthwise_conv2d_update)
}
"""What has one output per channel, as kernels in float32 do: those with more are grouped."""
CASES |= real_cases({name: row for name, row in PLAN.items() if row[0] is not one_each}, CASES)
CASES |= real_cases({name: row for name, row in PLAN.items() if row[0] is one_each}, DEPTHWISE)
