"""Arguments for the kernels in float32; see cases.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.cases import CHANNELS, ZEROS, Arguments, Draw, Rng, convolution, floats, int8, one, pooling, rngs
from mcugrad.ops.conv2d import Conv2dStruct

LARGEST = float(np.finfo(np.float32).max)


def reals(draw: Draw, rng: Rng, count: int) -> NDArray[np.float32]:
    """Real numbers: usual ones, many zeros, whose products are denormal or overflow, not finite, few different."""
    values = rng.normal(0, 1, count)
    match draw(st.sampled_from(["usual", "usual", "sparse", "zero", "tiny", "huge", "odd", "coarse"])):
        case "sparse":
            values = values * (rng.random(count) < 0.2)
        case "zero":
            values = values * 0
        case "tiny":
            values = values * 1e-20
        case "huge":
            values = values * 1e19
        case "odd":
            values = rng.choice([1, -1, 0, -0.0, np.inf, -np.inf, np.nan, 1e-45, LARGEST], count)
        case "coarse":
            values = np.round(values)
    return values.astype(np.float32)


def old(rng: Rng, count: int) -> NDArray[np.float32]:
    """What a buffer holds before a kernel writes it."""
    return rng.normal(0, 1, count).astype(np.float32)


def clip(draw: Draw) -> NDArray[np.float32]:
    """Bounds of an activation function: none, ReLU, ReLU6, tight, closed."""
    ends = st.sampled_from([(-LARGEST, LARGEST), (0, LARGEST), (0, 6), (-0.5, 0.5), (0, 0), (-3, -1)])
    return np.asarray(draw(ends), np.float32)


def rate(draw: Draw) -> NDArray[np.float32]:
    return np.asarray([draw(st.sampled_from([0.0, 0.01, 1.0, 1e-30]))], np.float32)


def one_map(g: Conv2dStruct) -> Conv2dStruct:
    return replace(g, x_zero=0, y_zero=0)


@st.composite
def grouped(draw: Draw) -> tuple[Conv2dStruct, int]:
    """A convolution of any number of groups, and that number."""
    g = one_map(convolution(draw))
    groups = draw(st.sampled_from([1, 1, 2, 3, g.in_c]))
    if groups in (1, g.in_c):
        outer = 1 if groups == 1 else draw(st.sampled_from([1, 2]))
        return replace(g, out_c=g.out_c if groups == 1 else groups * outer), groups
    inner, outer = (max(1, min(c, 20) // groups) for c in (g.in_c, g.out_c))
    return replace(g, in_c=inner * groups, out_c=outer * groups), groups


def sizes(g: Conv2dStruct, groups: int) -> tuple[int, int, int, int]:
    """Elements of x, w, y, and taps of an output channel."""
    taps = g.taps // groups
    return g.in_h * g.in_w * g.in_c, g.out_c * taps, g.out_h * g.out_w * g.out_c, taps


@st.composite
def dequantize_f32(draw: Draw) -> Arguments:
    count, rng = draw(CHANNELS), rngs(draw)
    return {
        "count": count,
        "x_zero": draw(ZEROS),
        "x": int8(draw, rng, count, -128),
        "x_scale": floats(draw, rng, 1),
        "y": old(rng, count),
    }


@st.composite
def mask_f32(draw: Draw) -> Arguments:
    count, rng = draw(CHANNELS), rngs(draw)
    return {
        "count": count,
        "bounds": clip(draw),
        "x": reals(draw, rng, count),
        "e": reals(draw, rng, count),
    }


@st.composite
def dot_f32(draw: Draw) -> Arguments:
    count, rows, rng = draw(CHANNELS), draw(st.integers(1, 9)), rngs(draw)
    return {
        "count": count,
        "rows": rows,
        "x": reals(draw, rng, count),
        "w": reals(draw, rng, rows * count),
        "sum": old(rng, rows),
    }


@st.composite
def combine_f32(draw: Draw) -> Arguments:
    count, rows, rng = draw(CHANNELS), draw(st.integers(1, 20)), rngs(draw)
    return {
        "rows": rows,
        "count": count,
        "e": reals(draw, rng, rows),
        "w": reals(draw, rng, rows * count),
        "sum": old(rng, count),
    }


@st.composite
def linear_f32(draw: Draw) -> Arguments:
    inputs, out, rng = draw(CHANNELS), draw(CHANNELS), rngs(draw)
    return {
        "inputs": inputs,
        "out": out,
        "x": reals(draw, rng, inputs),
        "w": reals(draw, rng, inputs * out),
        "bias": reals(draw, rng, out),
        "clip": clip(draw),
        "y": old(rng, out),
    }


@st.composite
def linear_update_f32(draw: Draw) -> Arguments:
    inputs, out, rng = draw(CHANNELS), draw(CHANNELS), rngs(draw)
    return {
        "inputs": inputs,
        "out": out,
        "x": reals(draw, rng, inputs),
        "e": reals(draw, rng, out),
        "rate": rate(draw),
        "w": reals(draw, rng, inputs * out),
    }


@st.composite
def bias_update_f32(draw: Draw) -> Arguments:
    pixels, channels, rng = draw(st.integers(1, 40)), draw(CHANNELS), rngs(draw)
    return {
        "pixels": pixels,
        "channels": channels,
        "e": reals(draw, rng, pixels * channels),
        "rate": rate(draw),
        "bias": reals(draw, rng, channels),
    }


@st.composite
def conv2d_f32(draw: Draw) -> Arguments:
    (g, groups), rng = draw(grouped()), rngs(draw)
    x, w, y, taps = sizes(g, groups)
    return {
        "g": g,
        "groups": groups,
        "x": reals(draw, rng, x),
        "w": reals(draw, rng, w),
        "bias": reals(draw, rng, g.out_c),
        "clip": clip(draw),
        "y": old(rng, y),
        "patch": old(rng, taps),
    }


@st.composite
def conv2d_grad_input_f32(draw: Draw) -> Arguments:
    (g, groups), rng = draw(grouped()), rngs(draw)
    x, w, y, taps = sizes(g, groups)
    return {
        "g": g,
        "groups": groups,
        "e": reals(draw, rng, y),
        "w": reals(draw, rng, w),
        "e_x": old(rng, x),
        "patch": old(rng, taps),
    }


@st.composite
def conv2d_update_f32(draw: Draw) -> Arguments:
    (g, groups), rng = draw(grouped()), rngs(draw)
    rows = draw(st.integers(1, 5))
    x, w, y, taps = sizes(g, groups)
    return {
        "g": g,
        "groups": groups,
        "x": reals(draw, rng, x),
        "e": reals(draw, rng, y),
        "rate": rate(draw),
        "rows": rows,
        "w": reals(draw, rng, w),
        "gradient": old(rng, rows * taps),
        "patch": old(rng, taps),
    }


@st.composite
def maxpool2d_f32(draw: Draw) -> Arguments:
    g, rng = pooling(draw), rngs(draw)
    return {
        "g": g,
        "x": reals(draw, rng, g.in_h * g.in_w * g.channels),
        "y": old(rng, g.out_h * g.out_w * g.channels),
    }


@st.composite
def maxpool2d_grad_input_f32(draw: Draw) -> Arguments:
    g, rng = pooling(draw), rngs(draw)
    size = g.in_h * g.in_w * g.channels
    return {
        "g": g,
        "e": reals(draw, rng, g.out_h * g.out_w * g.channels),
        "x": reals(draw, rng, size),
        "e_x": old(rng, size),
    }


@st.composite
def softmax_cross_entropy_f32(draw: Draw) -> Arguments:
    classes, rng = draw(st.sampled_from([1, 2, 3, 10, 65])), rngs(draw)
    return {
        "classes": classes,
        "logits": reals(draw, rng, classes),
        "label": draw(st.integers(0, classes - 1)),
        "smoothing": np.asarray([draw(st.sampled_from([0.0, 0.1, 0.999]))], np.float32),
        "e": old(rng, classes),
        "loss": one(np.float32, rng),
        "confidence": one(np.float32, rng),
    }


@st.composite
def weigh_loss_f32(draw: Draw) -> Arguments:
    classes, rng = draw(st.sampled_from([1, 2, 10])), rngs(draw)
    return {
        "classes": classes,
        "label": draw(st.integers(0, classes - 1)),
        "weight": floats(draw, rng, classes),
        "e": reals(draw, rng, classes),
        "loss": floats(draw, rng, 1),
    }


CASES: dict[str, st.SearchStrategy[Any]] = {
    f"mcg_{make.__name__}": make()
    for make in (
        bias_update_f32,
        combine_f32,
        conv2d_f32,
        conv2d_grad_input_f32,
        conv2d_update_f32,
        dequantize_f32,
        dot_f32,
        linear_f32,
        linear_update_f32,
        mask_f32,
        maxpool2d_f32,
        maxpool2d_grad_input_f32,
        softmax_cross_entropy_f32,
        weigh_loss_f32,
    )
}
