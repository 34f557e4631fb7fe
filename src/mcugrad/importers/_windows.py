"""Convolution and pooling: layers that move a window over a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from mcugrad.errors import ModelError
from mcugrad.graph import Shape
from mcugrad.importers._builder import Builder, Flow, floats, label, numbers, optional, required
from mcugrad.ops.conv2d import Conv2d, Pair
from mcugrad.ops.flatten import Flatten
from mcugrad.ops.maxpool2d import MaxPool2d

Padding = tuple[int, int, int, int]
LIMIT = 1 << 15
"""Kernel sizes, strides, paddings and dilations stay below this."""


def window_problem(node: ir.Node, kernel: Sequence[int]) -> str:
    """Why a window's attributes cannot be used; empty if they can."""
    for name, default, count, least in (
        ("kernel_shape", kernel, 2, 1),
        ("strides", (1, 1), 2, 1),
        ("dilations", (1, 1), 2, 1),
        ("pads", (0, 0, 0, 0), 4, 0),
    ):
        values = node.attributes.get_ints(name, default)
        if len(values) != count:
            return f"{name} has {len(values)} entries, 2-D needs {count}"
        if not all(least <= v < LIMIT for v in values):
            return f"{name} {list(values)} is outside {least} to {LIMIT - 1}"
    mode = node.attributes.get_string("auto_pad", "NOTSET")
    return "" if mode in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER") else f"auto_pad {mode} is unknown"


def window_fields(node: ir.Node, x: Shape, kernel: Pair) -> dict[str, Any]:
    """Stride, padding and dilation of a window over a map."""
    stride = pair(node.attributes.get_ints("strides", (1, 1)))
    dilation = pair(node.attributes.get_ints("dilations", (1, 1)))
    top, left, bottom, right = node.attributes.get_ints("pads", (0, 0, 0, 0))
    mode = node.attributes.get_string("auto_pad", "NOTSET")
    if mode != "NOTSET":
        top = left = bottom = right = 0
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        (top, bottom), (left, right) = (
            same(x[i], stride[i], reach(kernel, dilation, i), mode == "SAME_UPPER") for i in (0, 1)
        )
    return {"stride": stride, "padding": (top, left, bottom, right), "dilation": dilation}


def same(size: int, stride: int, extent: int, upper: bool) -> Pair:
    """Padding (before, after) that makes ceil(size / stride) outputs; an odd one goes after for `upper`."""
    total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    less = total // 2
    return (less, total - less) if upper else (total - less, less)


def reach(kernel: Pair, dilation: Pair, axis: int) -> int:
    """Rows or columns from a window's first to its last tap."""
    return dilation[axis] * (kernel[axis] - 1) + 1


def pair(values: Sequence[int]) -> Pair:
    """Two integers."""
    first, second = values
    return int(first), int(second)


def conv_problem(node: ir.Node) -> str:
    """Why not."""
    shape = numbers(required(node, 1)).shape
    if len(shape) != 4:
        return f"{len(shape) - 2}-D convolution; only 2-D is supported"
    if 0 in shape:
        return f"weights of shape {shape} are empty"
    group = node.attributes.get_int("group", 1)
    if group != 1:
        return f"group is {group}; only 1 is supported"
    kernel = tuple(node.attributes.get_ints("kernel_shape", shape[2:]))
    if kernel != shape[2:]:
        return f"kernel_shape {list(kernel)} differs from the weights {list(shape)}"
    return window_problem(node, kernel)


def conv(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Weights from (out, in, k_h, k_w) to (out, k_h, k_w, in)."""
    shape = to.need_map(node, x)
    name = to.name("conv")
    weights, bias = required(node, 1), optional(node, 2)
    to.shared(weights, name)
    w = floats(weights).transpose(0, 2, 3, 1)
    return to.add(
        Conv2d(
            name=name,
            source=label(node),
            x=x.tensor,
            y=f"{name}_y",
            w=to.constant(f"{name}_w", w),
            b=to.constant(f"{name}_b", np.zeros(len(w), np.float32) if bias is None else floats(bias)),
            **window_fields(node, shape, pair(w.shape[1:3])),
        )
    )


def pool_problem(node: ir.Node) -> str:
    """Why not."""
    kernel = node.attributes.get_ints("kernel_shape", ())
    return (
        window_problem(node, kernel)
        if len(kernel) == 2
        else f"{len(kernel)}-D pooling; only 2-D is supported"
    )


def pool(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """ceil_mode becomes padding at the bottom and on the right, which never wins."""
    shape = to.need_map(node, x)
    name = to.name("pool")
    kernel = pair(node.attributes.get_ints("kernel_shape", ()))
    fields = window_fields(node, shape, kernel)
    explicit = node.attributes.get_string("auto_pad", "NOTSET") == "NOTSET"
    if explicit and node.attributes.get_int("ceil_mode", 0) != 0:
        fields["padding"] = rounded_up(shape, kernel, **fields)
    layer = MaxPool2d(name=name, source=label(node), x=x.tensor, y=f"{name}_y", kernel=kernel, **fields)
    y = to.add(layer)
    for axis in (0, 1):
        empty = empty_windows(layer, shape, to.shape(y), axis)
        if empty:
            raise ModelError(
                f"{empty} of {to.shape(y)[axis]} pooling windows lie in the padding, where no value is largest",
                where=layer.title,
                hint="less padding or dilation",
            )
    return y


def empty_windows(layer: MaxPool2d, x: Shape, y: Shape, axis: int) -> int:
    """Number of positions along an axis at which no tap meets the map."""
    start = np.arange(y[axis]) * layer.stride[axis] - layer.padding[axis]
    step = layer.dilation[axis]
    first = np.maximum(-(start // step), 0)
    last = np.minimum((x[axis] - 1 - start) // step, layer.kernel[axis] - 1)
    return int((first > last).sum())


def rounded_up(x: Shape, kernel: Pair, *, stride: Pair, padding: Padding, dilation: Pair) -> Padding:
    """Padding that gives when rounding down what `padding` gives with ceil_mode.

    A last window that would start behind the map and its left padding does not count, as in ONNX and PyTorch.
    """
    after = []
    for i in (0, 1):
        extent = reach(kernel, dilation, i)
        steps = -(-(x[i] + padding[i] + padding[i + 2] - extent) // stride[i])
        if steps * stride[i] >= x[i] + padding[i]:
            steps -= 1
        after.append(max(padding[i + 2], steps * stride[i] + extent - x[i] - padding[i]))
    return padding[0], padding[1], after[0], after[1]


def global_pool(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """The whole map is one window."""
    height, width, _ = to.need_map(node, x)
    name = to.name("pool")
    return to.add(MaxPool2d(name=name, source=label(node), x=x.tensor, y=f"{name}_y", kernel=(height, width)))


def reduce_max_problem(node: ir.Node) -> str:
    """Why not."""
    axes = reduced(node)
    return "" if axes == [2, 3] else f"axes {axes} are not height and width"


def reduced(node: ir.Node) -> list[int]:
    """Axes that are reduced: an input since operator set 18, an attribute before."""
    given = optional(node, 1)
    axes = node.attributes.get_ints("axes", ()) if given is None else numbers(given).reshape(-1).tolist()
    return sorted(int(axis) % 4 for axis in axes)


def reduce_max(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """The largest value of each channel: PyTorch writes AdaptiveMaxPool2d(1) so."""
    y = global_pool(to, node, x)
    if node.attributes.get_int("keepdims", 1) != 0:
        return y
    name = to.name("flatten")
    return to.add(Flatten(name=name, source=label(node), x=y.tensor, y=f"{name}_y"))
