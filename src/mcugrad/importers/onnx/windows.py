"""Convolutions: 1-D and 2-D, in groups, depthwise, transposed. What windows have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Shape
from mcugrad.importers.onnx.builder import Builder, at, floats, label, numbers, optional, place, required
from mcugrad.importers.onnx.rule import Rule
from mcugrad.importers.shared.flow import Flow
from mcugrad.importers.shared.layout import as_map
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.conv_transpose2d import ConvTranspose2d
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.convolution.grouped_conv2d import GroupedConv2d
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.core.window import Pair

Padding = tuple[int, int, int, int]
LIMIT = 1 << 15
"""Kernel sizes, strides, paddings and dilations stay below this."""


def window_problem(node: ir.Node, kernel: Sequence[int]) -> str:
    """Why a window's attributes cannot be used; empty if they can."""
    axes = len(kernel)
    if axes not in (1, 2):
        return f"{axes}-D windows; 1-D and 2-D are supported"
    for name, default, count, least in (
        ("kernel_shape", kernel, axes, 1),
        ("strides", (1,) * axes, axes, 1),
        ("dilations", (1,) * axes, axes, 1),
        ("pads", (0,) * 2 * axes, 2 * axes, 0),
    ):
        values = node.attributes.get_ints(name, default)
        if len(values) != count:
            return f"{name} has {len(values)} entries, {axes}-D needs {count}"
        if not all(least <= v < LIMIT for v in values):
            return f"{name} {list(values)} is outside {least} to {LIMIT - 1}"
    mode = node.attributes.get_string("auto_pad", "NOTSET")
    return "" if mode in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER") else f"auto_pad {mode} is unknown"


def window_fields(node: ir.Node, x: Shape, kernel: Pair) -> dict[str, Any]:
    """Stride, padding and dilation of a window over a map."""
    stride = pair(node.attributes.get_ints("strides", (1, 1)))
    dilation = pair(node.attributes.get_ints("dilations", (1, 1)))
    padding = explicit(node)
    mode = node.attributes.get_string("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        (top, bottom), (left, right) = (
            same(x[i], stride[i], reach(kernel, dilation, i), mode == "SAME_UPPER") for i in (0, 1)
        )
        padding = top, left, bottom, right
    return {"stride": stride, "padding": padding, "dilation": dilation}


def explicit(node: ir.Node) -> Padding:
    """Padding (top, left, bottom, right) as the file gives it; none if it is automatic."""
    pads = list(node.attributes.get_ints("pads", (0, 0, 0, 0)))
    if node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
        return 0, 0, 0, 0
    if len(pads) == 2:
        pads = [0, pads[0], 0, pads[1]]
    top, left, bottom, right = (int(p) for p in pads)
    return top, left, bottom, right


def same(size: int, stride: int, extent: int, upper: bool) -> Pair:
    """Padding (before, after) that makes ceil(size / stride) outputs; an odd one goes after for `upper`."""
    return halves(max((-(-size // stride) - 1) * stride + extent - size, 0), upper)


def halves(total: int, upper: bool) -> Pair:
    """A number as a sum of two; an odd one goes after for `upper`."""
    less = total // 2
    return (less, total - less) if upper else (total - less, less)


def reach(kernel: Pair, dilation: Pair, axis: int) -> int:
    """Rows or columns from a window's first to its last tap."""
    return dilation[axis] * (kernel[axis] - 1) + 1


def pair(values: Sequence[int]) -> Pair:
    """Two integers; a 1-D window is one row."""
    first, second = (1, *values) if len(values) == 1 else values
    return int(first), int(second)


def checked_map(to: Builder, node: ir.Node, x: Flow, axes: int) -> tuple[Flow, Shape]:
    """A map for 2-D windows, a sequence for 1-D ones. Raises ModelError for anything else."""
    x = as_map(to, place(node), x)
    if len(x.axes) != axes + 1:
        raise ModelError(
            f"{axes}-D {node.op_type} on {to.dims(x)}: the number of axes differs",
            where=at(node),
            hint="check the file",
        )
    return x, to.shape(x)


# -- convolution ---------------------------------------------------------------------------------------------------


def conv_problem(node: ir.Node) -> str:
    """Why not."""
    shape = numbers(required(node, 1)).shape
    if len(shape) not in (3, 4):
        return f"{len(shape) - 2}-D convolution; 1-D and 2-D are supported"
    if 0 in shape:
        return f"weights of shape {shape} are empty"
    kernel = tuple(node.attributes.get_ints("kernel_shape", shape[2:]))
    if kernel != shape[2:]:
        return f"kernel_shape {list(kernel)} differs from the weights {list(shape)}"
    group = node.attributes.get_int("group", 1)
    parted = shape[0]
    if group < 1 or parted % group:
        return f"group is {group}, which does not divide {parted} channels"
    if node.op_type == "ConvTranspose" and group != 1:
        return f"group is {group}; transposed convolutions have one group"
    return window_problem(node, kernel)


def conv(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Weights from (out, in, k_h, k_w) to (out, k_h, k_w, in)."""
    source = required(node, 1)
    w = floats(source)
    x, shape = checked_map(to, node, x, w.ndim - 2)
    name = to.name("conv")
    w = rows_of_pixels(w).transpose(0, 2, 3, 1)
    group = node.attributes.get_int("group", 1)
    fields = layer_fields(to, node, x, name, w, 0)
    fields |= window_fields(node, shape, pair(w.shape[1:3]))
    layer: Weighted
    if group == 1:
        layer = Conv2d(**fields)
    elif group == shape[2] and w.shape[3] == 1:
        layer = DepthwiseConv2d(**fields)
    else:
        layer = GroupedConv2d(**fields, groups=group)
    return to.add(layer, x)


def layer_fields(to: Builder, node: ir.Node, x: Flow, name: str, w: NDArray[Any], out: int) -> dict[str, Any]:
    """What every convolution has; `out` is the axis of the file's weights that is the output channel."""
    bias = optional(node, 2)
    return {
        "name": name,
        "source": label(node),
        "x": x.tensor,
        "y": f"{name}_y",
        "w": to.weights(required(node, 1), f"{name}_w", w, out),
        "b": to.constant(f"{name}_b", np.zeros(len(w), np.float32) if bias is None else floats(bias)),
    }


def rows_of_pixels(w: NDArray[Any]) -> NDArray[Any]:
    """Weights of a 1-D convolution as those of a 2-D one of height 1."""
    return w if w.ndim == 4 else w[:, :, None, :]


# -- transposed convolution ----------------------------------------------------------------------------------------


def conv_transpose(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Weights from (in, out, k_h, k_w) to (out, k_h, k_w, in)."""
    w = floats(required(node, 1))
    x, shape = checked_map(to, node, x, w.ndim - 2)
    name = to.name("conv")
    w = rows_of_pixels(w).transpose(1, 2, 3, 0)
    layer = ConvTranspose2d(
        **layer_fields(to, node, x, name, w, 1), **transposed_fields(node, shape, pair(w.shape[1:3]))
    )
    return to.add(layer, x)


def transposed_fields(node: ir.Node, x: Shape, kernel: Pair) -> dict[str, Any]:
    """Stride, dilation, what is cut off the output, and what is added to it."""
    stride = pair(node.attributes.get_ints("strides", (1, 1)))
    dilation = pair(node.attributes.get_ints("dilations", (1, 1)))
    extra = node.attributes.get_ints("output_padding", (0, 0))
    added = (0, int(extra[0])) if len(extra) == 1 else pair(extra)
    mode = node.attributes.get_string("auto_pad", "NOTSET")
    wanted = list(node.attributes.get_ints("output_shape", ()))[
        -len(node.attributes.get_ints("strides", (1, 1))) :
    ]
    if not wanted and mode not in ("SAME_UPPER", "SAME_LOWER"):
        fields = {"stride": stride, "dilation": dilation, "output_padding": added}
        return {**fields, "padding": explicit(node)}
    size = pair(wanted) if wanted else (x[0] * stride[0], x[1] * stride[1])
    before, after, more = [], [], []
    for i in (0, 1):
        cut = stride[i] * (x[i] - 1) + added[i] + reach(kernel, dilation, i) - size[i]
        first, last = halves(max(cut, 0), mode == "SAME_UPPER")
        before.append(first)
        after.append(last)
        more.append(added[i] + max(-cut, 0))
    return {
        "stride": stride,
        "dilation": dilation,
        "output_padding": pair(more),
        "padding": (*before, *after),
    }


RULES = {
    "Conv": Rule(conv_problem, conv, data=True),
    "ConvTranspose": Rule(conv_problem, conv_transpose, data=True),
}
