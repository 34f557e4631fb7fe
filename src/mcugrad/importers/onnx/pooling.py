"""Pooling: the largest value or the mean of windows, of whole maps, of rows or columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from mcugrad.errors import ModelError
from mcugrad.graph import Shape
from mcugrad.importers.onnx.builder import Builder, at, integers, label, optional, place
from mcugrad.importers.onnx.pointwise import multiplied
from mcugrad.importers.onnx.rule import Rule, fine
from mcugrad.importers.onnx.windows import (
    Padding,
    checked_map,
    pair,
    reach,
    window_fields,
    window_problem,
)
from mcugrad.importers.shared.flow import Flow
from mcugrad.importers.shared.layout import as_map
from mcugrad.importers.shared.parts import reduced
from mcugrad.ops.core.window import Pair
from mcugrad.ops.pooling.avgpool2d import AvgPool2d
from mcugrad.ops.pooling.maxpool2d import MaxPool2d


def pool_problem(node: ir.Node) -> str:
    """Why not."""
    kernel = node.attributes.get_ints("kernel_shape", ())
    if len(kernel) not in (1, 2):
        return f"{len(kernel)}-D pooling; 1-D and 2-D are supported"
    return window_problem(node, kernel)


def max_pool(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """ceil_mode becomes padding at the bottom and on the right, which never wins."""
    given = node.attributes.get_ints("kernel_shape", ())
    x, shape = checked_map(to, node, x, len(given))
    name = to.name("pool")
    kernel = pair(given)
    fields = window_fields(node, shape, kernel)
    if rounds_up(node):
        fields["padding"] = rounded_up(shape, kernel, **fields)
    layer = MaxPool2d(name=name, source=label(node), x=x.tensor, y=f"{name}_y", kernel=kernel, **fields)
    y = to.add(layer, x)
    refuse_empty_windows(to, layer, shape, y)
    return Flow(y.tensor, y.axes, raw=x.raw)


def average_pool(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """ceil_mode becomes padding, which does not count; where padding counts, it must change nothing."""
    given = node.attributes.get_ints("kernel_shape", ())
    x, shape = checked_map(to, node, x, len(given))
    kernel = pair(given)
    fields = window_fields(node, shape, kernel)
    counts = bool(node.attributes.get_int("count_include_pad", 0)) and any(fields["padding"])
    if rounds_up(node):
        padding = rounded_up(shape, kernel, **fields)
        more = any(a > b for a, b in zip(padding, fields["padding"], strict=True))
        if counts and more:
            raise ModelError(
                "ceil_mode adds windows that reach beyond padding that counts as zeros",
                where=at(node),
                hint="count_include_pad=False, or ceil_mode=False",
            )
        fields["padding"] = padding
    name = to.name("pool")
    layer = AvgPool2d(
        name=name,
        source=label(node),
        x=x.tensor,
        y=f"{name}_y",
        kernel=kernel,
        count_padding=counts,
        **fields,
    )
    y = to.add(layer, x)
    if not counts:
        refuse_empty_windows(to, layer, shape, y)
    return y


def rounds_up(node: ir.Node) -> bool:
    """Whether a window that lies partly behind the map counts."""
    automatic = node.attributes.get_string("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER")
    return not automatic and node.attributes.get_int("ceil_mode", 0) != 0


def refuse_empty_windows(to: Builder, layer: MaxPool2d | AvgPool2d, shape: Shape, y: Flow) -> None:
    """Raise ModelError where a window lies in the padding alone."""
    for axis in (0, 1):
        empty = empty_windows(layer, shape, to.shape(y), axis)
        if empty:
            raise ModelError(
                f"{empty} of {to.shape(y)[axis]} pooling windows lie in the padding, where there are no values",
                where=layer.title,
                hint="less padding or dilation",
            )


def empty_windows(layer: MaxPool2d | AvgPool2d, x: Shape, y: Shape, axis: int) -> int:
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


# -- whole maps ----------------------------------------------------------------------------------------------------


def global_pool(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """The whole map is one window."""
    x = as_map(to, place(node), x)
    height, width, _ = to.shape(x)
    kernel = height, width
    name = to.name("pool")
    fields: dict[str, Any] = {"name": name, "source": label(node), "x": x.tensor, "y": f"{name}_y"}
    fields |= {"kernel": kernel, "stride": kernel}
    largest = node.op_type == "GlobalMaxPool"
    y = to.add(MaxPool2d(**fields) if largest else AvgPool2d(**fields), x)
    return Flow(y.tensor, y.axes, raw=x.raw)


def reduce_problem(node: ir.Node) -> str:
    """Why not."""
    if not reduced_axes(node):
        return "" if node.attributes.get_int("noop_with_empty_axes", 0) else "reduces the batch, too"
    return "reduces the batch, too" if 0 in reduced_axes(node) else ""


def reduced_axes(node: ir.Node) -> list[int]:
    """Axes that are reduced: an input since operator set 18, an attribute before."""
    given = optional(node, 1)
    return [int(v) for v in node.attributes.get_ints("axes", ())] if given is None else integers(given)


def reduce(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Largest value, mean or sum over some axes: PyTorch writes AdaptiveMaxPool2d(1) so."""
    axes = reduced_axes(node)
    if not axes:
        return x
    keep = node.attributes.get_int("keepdims", 1) != 0
    largest = node.op_type == "ReduceMax"

    def pool(name: str, read: str, kernel: Pair) -> MaxPool2d | AvgPool2d:
        fields: dict[str, Any] = {"name": name, "source": label(node), "x": read, "y": f"{name}_y"}
        fields |= {"kernel": kernel, "stride": kernel}
        return MaxPool2d(**fields) if largest else AvgPool2d(**fields)

    y = reduced(to, place(node), x, axes, keep, pool)
    count = to.tensors[x.tensor].size // to.tensors[y.tensor].size
    return multiplied(to, node, y, count if node.op_type == "ReduceSum" else 1)


RULES = {
    "AveragePool": Rule(pool_problem, average_pool),
    "GlobalAveragePool": Rule(fine, global_pool),
    "GlobalMaxPool": Rule(fine, global_pool, raw=True),
    "MaxPool": Rule(pool_problem, max_pool, raw=True),
    "ReduceMax": Rule(reduce_problem, reduce, raw=True),
    "ReduceMean": Rule(reduce_problem, reduce),
    "ReduceSum": Rule(reduce_problem, reduce),
}
