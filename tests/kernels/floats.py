"""Arguments for the kernels in float32; see cases.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.cases import (
    CHANNELS,
    FEW_CHANNELS,
    ZEROS,
    Arguments,
    Draw,
    Rng,
    actives,
    convolution,
    floats,
    int8,
    one,
    pooling,
    rngs,
    windows,
)
from kernels.shapes import part
from mcugrad.ops.curves import Function
from mcugrad.ops.window import Conv2dStruct

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


def kept(draw: Draw, rng: Rng, g: Conv2dStruct) -> Arguments:
    """A list of output channels that take part, or none, and their errors."""
    active, count = actives(draw, rng, g.out_c)
    return {"e": reals(draw, rng, g.out_h * g.out_w * count), "active": active}


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
    active, taking = actives(draw, rng, rows)
    return {
        "rows": taking,
        "count": count,
        "e": reals(draw, rng, taking),
        "active": active,
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
def linear_grad_input_f32(draw: Draw) -> Arguments:
    inputs, out, rng = draw(CHANNELS), draw(CHANNELS), rngs(draw)
    active, taking = actives(draw, rng, out)
    return {
        "inputs": inputs,
        "out": out,
        "e": reals(draw, rng, taking),
        "active": active,
        "w": reals(draw, rng, inputs * out),
        "e_x": old(rng, inputs),
    }


@st.composite
def linear_update_f32(draw: Draw) -> Arguments:
    inputs, out, rng = draw(CHANNELS), draw(CHANNELS), rngs(draw)
    active, taking = actives(draw, rng, out)
    return {
        "inputs": inputs,
        "out": out,
        "x": reals(draw, rng, inputs),
        "e": reals(draw, rng, taking),
        "active": active,
        "rate": rate(draw),
        "w": reals(draw, rng, inputs * out),
    }


@st.composite
def bias_update_f32(draw: Draw) -> Arguments:
    pixels, channels, rng = draw(st.integers(1, 40)), draw(CHANNELS), rngs(draw)
    active, taking = actives(draw, rng, channels)
    return {
        "pixels": pixels,
        "channels": channels,
        "e": reals(draw, rng, pixels * taking),
        "active": active,
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
    x, w, _, taps = sizes(g, groups)
    return {
        "g": g,
        "groups": groups,
        **kept(draw, rng, g),
        "w": reals(draw, rng, w),
        "e_x": old(rng, x),
        "patch": old(rng, taps),
    }


@st.composite
def conv2d_update_f32(draw: Draw) -> Arguments:
    (g, groups), rng = draw(grouped()), rngs(draw)
    rows = draw(st.integers(1, 5))
    x, w, _, taps = sizes(g, groups)
    return {
        "g": g,
        "groups": groups,
        "x": reals(draw, rng, x),
        **kept(draw, rng, g),
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


@st.composite
def add_f32(draw: Draw) -> Arguments:
    count, rng = draw(CHANNELS), rngs(draw)
    return {
        "count": count,
        "sign": draw(st.sampled_from([1, -1])),
        "a": reals(draw, rng, count),
        "b": reals(draw, rng, count),
        "clip": clip(draw),
        "y": old(rng, count),
    }


def parts(draw: Draw) -> dict[str, int]:
    """Rows of a part within rows of the whole."""
    count, before, behind = draw(CHANNELS), draw(st.integers(0, 9)), draw(st.integers(0, 9))
    return {
        "rows": draw(st.integers(1, 4)),
        "count": count,
        "pitch": before + count + behind,
        "offset": before,
    }


@st.composite
def part_f32(draw: Draw) -> Arguments:
    g, rng = parts(draw), rngs(draw)
    return {
        **g,
        "sign": draw(st.sampled_from([1, -1])),
        "e": reals(draw, rng, g["rows"] * g["pitch"]),
        "e_x": old(rng, g["rows"] * g["count"]),
    }


@st.composite
def concat_f32(draw: Draw) -> Arguments:
    g, rng = parts(draw), rngs(draw)
    return {
        **g,
        "x": reals(draw, rng, g["rows"] * g["count"]),
        "clip": clip(draw),
        "y": old(rng, g["rows"] * g["pitch"]),
    }


@st.composite
def mul_f32(draw: Draw) -> Arguments:
    period, rows, rng = draw(CHANNELS), draw(st.integers(1, 5)), rngs(draw)
    return {
        "count": period * rows,
        "period": period,
        "a": reals(draw, rng, period * rows),
        "b": reals(draw, rng, period),
        "clip": clip(draw),
        "y": old(rng, period * rows),
    }


@st.composite
def mul_grad_b_f32(draw: Draw) -> Arguments:
    period, rows, rng = draw(CHANNELS), draw(st.integers(1, 5)), rngs(draw)
    return {
        "count": period * rows,
        "period": period,
        "e": reals(draw, rng, period * rows),
        "a": reals(draw, rng, period * rows),
        "e_b": old(rng, period),
    }


@st.composite
def avgpool2d_f32(draw: Draw) -> Arguments:
    g, rng = pooling(draw), rngs(draw)
    return {
        "g": g,
        "x": reals(draw, rng, g.in_h * g.in_w * g.channels),
        "share_h": rng.random(g.out_h).astype(np.float32),
        "share_w": rng.random(g.out_w).astype(np.float32),
        "clip": clip(draw),
        "y": old(rng, g.out_h * g.out_w * g.channels),
    }


@st.composite
def avgpool2d_grad_input_f32(draw: Draw) -> Arguments:
    g, rng = pooling(draw), rngs(draw)
    return {
        "g": g,
        "e": reals(draw, rng, g.out_h * g.out_w * g.channels),
        "share_h": rng.random(g.out_h).astype(np.float32),
        "share_w": rng.random(g.out_w).astype(np.float32),
        "e_x": old(rng, g.in_h * g.in_w * g.channels),
    }


def function(draw: Draw) -> Arguments:
    return {
        "function": int(draw(st.sampled_from(list(Function)))),
        "parameters": np.asarray([draw(st.sampled_from([1.0, 0.2, -1.5])), 0.5], np.float32),
    }


def widened(x: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return x * np.float32(factor)


@st.composite
def function_f32(draw: Draw) -> Arguments:
    count, rng = draw(CHANNELS), rngs(draw)
    spread = draw(st.sampled_from([1, 5, 100]))
    return {
        "count": count,
        **function(draw),
        "x": widened(reals(draw, rng, count), spread),
        "y": old(rng, count),
    }


@st.composite
def function_grad_f32(draw: Draw) -> Arguments:
    count, rng = draw(CHANNELS), rngs(draw)
    return {
        "count": count,
        **function(draw),
        "e": reals(draw, rng, count),
        "x": widened(reals(draw, rng, count), 5),
        "e_x": old(rng, count),
    }


def sloped(draw: Draw, result: str, *read: str) -> Arguments:
    channels, rows, rng = draw(CHANNELS), draw(st.integers(1, 4)), rngs(draw)
    return {
        "count": channels * rows,
        "channels": channels,
        **{name: reals(draw, rng, channels * rows) for name in read},
        "slope": reals(draw, rng, channels),
        result: old(rng, channels * rows),
    }


@st.composite
def prelu_f32(draw: Draw) -> Arguments:
    return sloped(draw, "y", "x")


@st.composite
def prelu_grad_f32(draw: Draw) -> Arguments:
    return sloped(draw, "e_x", "e", "x")


@st.composite
def gather_f32(draw: Draw) -> Arguments:
    g, rng = part(draw), rngs(draw)
    return {
        "g": g,
        "whole": reals(draw, rng, g.whole_h * g.whole_w * g.whole_c),
        "part": old(rng, g.part_h * g.part_w * g.part_c),
    }


@st.composite
def scatter_f32(draw: Draw) -> Arguments:
    g, rng = part(draw), rngs(draw)
    return {
        "g": g,
        "part": reals(draw, rng, g.part_h * g.part_w * g.part_c),
        "whole": old(rng, g.whole_h * g.whole_w * g.whole_c),
    }


def upsampling(draw: Draw, smaller: str, larger: str, read: str) -> Arguments:
    side, rng = st.integers(1, 4), rngs(draw)
    height, width, factor_h, factor_w = (draw(side) for _ in range(4))
    channels = draw(st.sampled_from([1, 2, 5, 65]))
    count = height * width * channels
    sizes = {smaller: count, larger: count * factor_h * factor_w}
    return {
        "height": height,
        "width": width,
        "channels": channels,
        "factor_h": factor_h,
        "factor_w": factor_w,
        **{key: reals(draw, rng, n) if key == read else old(rng, n) for key, n in sizes.items()},
    }


@st.composite
def upsample2d_f32(draw: Draw) -> Arguments:
    return upsampling(draw, "x", "y", "x")


@st.composite
def upsample2d_grad_input_f32(draw: Draw) -> Arguments:
    return upsampling(draw, "e_x", "e", "e")


@st.composite
def depthwise(draw: Draw) -> tuple[Conv2dStruct, int]:
    """A depthwise convolution with one output per channel, and channels that are handled at a time."""
    in_h, in_w, out_h, out_w, k_h, k_w, *rest = draw(windows())
    channels = draw(FEW_CHANNELS)
    g = Conv2dStruct(in_h, in_w, channels, out_h, out_w, channels, k_h, k_w, *rest, 0, 0)
    return g, draw(st.integers(1, channels))


@st.composite
def depthwise_conv2d_f32(draw: Draw) -> Arguments:
    (g, block), rng = draw(depthwise()), rngs(draw)
    x, w, y, taps = sizes(g, g.in_c)
    return {
        "g": g,
        "block": block,
        "x": reals(draw, rng, x),
        "w": reals(draw, rng, w),
        "bias": reals(draw, rng, g.out_c),
        "clip": clip(draw),
        "y": old(rng, y),
        "packed": old(rng, taps * block),
    }


@st.composite
def depthwise_conv2d_grad_input_f32(draw: Draw) -> Arguments:
    (g, block), rng = draw(depthwise()), rngs(draw)
    x, w, _, taps = sizes(g, g.in_c)
    return {
        "g": g,
        "block": block,
        **kept(draw, rng, g),
        "w": reals(draw, rng, w),
        "e_x": old(rng, x),
        "packed": old(rng, taps * block),
    }


@st.composite
def depthwise_conv2d_update_f32(draw: Draw) -> Arguments:
    (g, block), rng = draw(depthwise()), rngs(draw)
    x, w, _, taps = sizes(g, g.in_c)
    return {
        "g": g,
        "block": block,
        "x": reals(draw, rng, x),
        **kept(draw, rng, g),
        "rate": rate(draw),
        "w": reals(draw, rng, w),
        "packed": old(rng, taps * block),
    }


@st.composite
def transposed(draw: Draw) -> Conv2dStruct:
    g = convolution(draw)
    # The reverse of a convolution: its outputs are our inputs.
    return replace(
        g,
        in_h=g.out_h,
        in_w=g.out_w,
        in_c=g.out_c,
        out_h=g.in_h,
        out_w=g.in_w,
        out_c=g.in_c,
        x_zero=0,
        y_zero=0,
    )


@st.composite
def conv_transpose2d_f32(draw: Draw) -> Arguments:
    g, rng = draw(transposed()), rngs(draw)
    x, w, y, _ = sizes(g, 1)
    return {
        "g": g,
        "x": reals(draw, rng, x),
        "w": reals(draw, rng, w),
        "bias": reals(draw, rng, g.out_c),
        "clip": clip(draw),
        "y": old(rng, y),
        "patch": old(rng, g.out_c * g.k_h * g.k_w),
    }


@st.composite
def conv_transpose2d_grad_input_f32(draw: Draw) -> Arguments:
    g, rng = draw(transposed()), rngs(draw)
    x, w, _, _ = sizes(g, 1)
    return {
        "g": g,
        **kept(draw, rng, g),
        "w": reals(draw, rng, w),
        "e_x": old(rng, x),
        "patch": old(rng, g.out_c * g.k_h * g.k_w),
    }


@st.composite
def conv_transpose2d_update_f32(draw: Draw) -> Arguments:
    g, rng = draw(transposed()), rngs(draw)
    x, w, _, taps = sizes(g, 1)
    return {
        "g": g,
        "x": reals(draw, rng, x),
        **kept(draw, rng, g),
        "rate": rate(draw),
        "w": reals(draw, rng, w),
        "gradient": old(rng, taps),
    }


@st.composite
def binary_cross_entropy_f32(draw: Draw) -> Arguments:
    outputs, rng = draw(st.sampled_from([1, 2, 10, 65])), rngs(draw)
    return {
        "outputs": outputs,
        "logits": reals(draw, rng, outputs),
        "target": rng.integers(0, 3, outputs).astype(np.uint8),
        "e": old(rng, outputs),
        "loss": one(np.float32, rng),
    }


@st.composite
def regression_loss_f32(draw: Draw) -> Arguments:
    outputs, rng = draw(st.sampled_from([1, 2, 10, 65])), rngs(draw)
    return {
        "outputs": outputs,
        "target_zero": draw(ZEROS),
        "y": reals(draw, rng, outputs),
        "target": int8(draw, rng, outputs, -128),
        "target_scale": floats(draw, rng, 1),
        "linear": np.asarray([draw(st.sampled_from([0.0, 0.5, 1.0, 3e38]))], np.float32),
        "e": old(rng, outputs),
        "loss": one(np.float32, rng),
    }


CASES: dict[str, st.SearchStrategy[Any]] = {
    f"mcg_{make.__name__}": make()
    for make in (
        add_f32,
        avgpool2d_f32,
        avgpool2d_grad_input_f32,
        bias_update_f32,
        binary_cross_entropy_f32,
        combine_f32,
        concat_f32,
        conv2d_f32,
        conv2d_grad_input_f32,
        conv2d_update_f32,
        conv_transpose2d_f32,
        conv_transpose2d_grad_input_f32,
        conv_transpose2d_update_f32,
        depthwise_conv2d_f32,
        depthwise_conv2d_grad_input_f32,
        depthwise_conv2d_update_f32,
        dequantize_f32,
        dot_f32,
        function_f32,
        function_grad_f32,
        gather_f32,
        linear_f32,
        linear_grad_input_f32,
        linear_update_f32,
        mask_f32,
        maxpool2d_f32,
        maxpool2d_grad_input_f32,
        mul_f32,
        mul_grad_b_f32,
        part_f32,
        prelu_f32,
        prelu_grad_f32,
        regression_loss_f32,
        scatter_f32,
        softmax_cross_entropy_f32,
        upsample2d_f32,
        upsample2d_grad_input_f32,
        weigh_loss_f32,
    )
}
