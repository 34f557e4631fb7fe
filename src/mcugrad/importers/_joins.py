"""Operators that join several computed values: sums, differences, products, concatenation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from mcugrad.errors import ModelError
from mcugrad.importers._builder import Builder, Flow, at, computed, label
from mcugrad.importers._pointwise import affine, affine_problem, clip, clip_problem
from mcugrad.ops.add import Add
from mcugrad.ops.concat import Concat
from mcugrad.ops.mul import Mul
from mcugrad.ops.upsample2d import Upsample2d


def arithmetic_problem(node: ir.Node) -> str:
    """Why not: Add, Sub, Mul, Div, Sum."""
    if len(computed(node)) == 1:
        return affine_problem(node) if len(node.inputs) <= 2 else "several constants"
    return "divides by a computed value" if node.op_type == "Div" else ""


def arithmetic(to: Builder, node: ir.Node, *xs: Flow) -> Flow:
    """With a constant, or of two computed values; Sum of any number."""
    if len(xs) == 1:
        return xs[0] if len(node.inputs) == 1 and node.op_type == "Sum" else affine(to, node, *xs)
    total = xs[0]
    for x in xs[1:]:
        total = joined(to, node, total, x)
    return total


def joined(to: Builder, node: ir.Node, a: Flow, b: Flow) -> Flow:
    """Sum, difference or product of two values; one of them may have one number per channel."""
    _demand_same_axes(to, node, a, b)
    source = label(node)
    if node.op_type == "Mul":
        if np.prod(to.shape(a)) < np.prod(to.shape(b)):
            a, b = b, a
        name = to.name("mul")
        return to.add(Mul(name=name, source=source, a=a.tensor, b=b.tensor, y=f"{name}_y"), a)
    whole = tuple(max(n, m) for n, m in zip(to.shape(a), to.shape(b), strict=True))
    a, b = (_spread(to, node, x, whole) for x in (a, b))
    name = to.name("sub" if node.op_type == "Sub" else "add")
    sign = -1 if node.op_type == "Sub" else 1
    return to.add(Add(name=name, source=source, a=a.tensor, b=b.tensor, y=f"{name}_y", sign=sign), a)


def _spread(to: Builder, node: ir.Node, x: Flow, whole: tuple[int, ...]) -> Flow:
    """One number per channel, repeated for every pixel."""
    shape = to.shape(x)
    if shape == whole or shape[-1] != whole[-1] or shape[:-1] != (1, 1):
        return x
    name = to.name("upsample")
    layer = Upsample2d(name=name, source=label(node), x=x.tensor, y=f"{name}_y", factor=(whole[0], whole[1]))
    return to.add(layer, x)


def _demand_same_axes(to: Builder, node: ir.Node, *xs: Flow) -> None:
    """Raise ModelError where values do not lie in memory in the same way."""
    first, shapes = xs[0], [to.onnx_shape(x) for x in xs]
    for x, shape in zip(xs[1:], shapes[1:], strict=True):
        same = len(x.axes) == len(first.axes) and all(
            a == b or 1 in (n, m)
            for a, b, n, m in zip(first.axes, x.axes, shapes[0][1:], shape[1:], strict=True)
        )
        orders = (x.order, first.order)
        if not same or (any(o is not None for o in orders) and not _equal(*orders)):
            raise ModelError(
                f"{node.op_type} of {' and '.join(map(str, shapes))} values that lie in memory in different orders",
                where=at(node),
                hint="the same number of axes, and flattened maps only with flattened maps",
            )


def _equal(a: object, b: object) -> bool:
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)


def extremum_problem(node: ir.Node) -> str:
    """Why not: Max and Min."""
    several = len(computed(node)) > 1
    return f"{node.op_type} of several computed values" if several else clip_problem(node)


def extremum(to: Builder, node: ir.Node, *xs: Flow) -> Flow:
    """Max and Min with constants: a bound."""
    return clip(to, node, xs[0])


def concat_problem(node: ir.Node) -> str:
    """Why not."""
    if len(computed(node)) != len(node.inputs):
        return "a constant is among what is joined"
    return "joins samples" if node.attributes.get_int("axis", 0) == 0 else ""


def concat(to: Builder, node: ir.Node, *xs: Flow) -> Flow:
    """Side by side; of vectors, ONNX's order is kept track of."""
    if len(xs) == 1:
        return xs[0]
    axis = node.attributes.get_int("axis", 1)
    axis += len(xs[0].axes) + 1 if axis < 0 else 0
    same = all(x.axes == xs[0].axes for x in xs)
    if not same or not 1 <= axis <= len(xs[0].axes):
        shapes = ", ".join(str(to.onnx_shape(x)) for x in xs)
        raise ModelError(
            f"Concat of {shapes} values along axis {axis}: their axes differ",
            where=at(node),
            hint="values with the same axes",
        )
    if len({x.raw for x in xs}) > 1 or (xs[0].raw and len({_codes(to, x) for x in xs}) > 1):
        raise ModelError(
            "Concat of integers with different scales",
            where=at(node),
            hint="DequantizeLinear before it and QuantizeLinear behind it",
        )
    name = to.name("concat")
    shape = to.shape(xs[0])
    layer = Concat(
        name=name,
        source=label(node),
        xs=tuple(x.tensor for x in xs),
        axis=xs[0].axes[axis - 1],
        axes=len(shape),
        y=f"{name}_y",
    )
    order = None
    if any(x.order is not None for x in xs):
        sizes = np.cumsum([0, *(to.shape(x)[0] for x in xs)])
        parts = (np.arange(to.shape(x)[0]) if x.order is None else x.order for x in xs)
        order = np.concatenate([part + first for part, first in zip(parts, sizes, strict=False)])
    y = to.add(layer)
    quant = to.scale_of(xs[0])
    if xs[0].raw and quant is not None:
        to.scaled(y, replace(quant, owner=y.tensor))
    return Flow(y.tensor, xs[0].axes, order, xs[0].raw)


def _codes(to: Builder, x: Flow) -> object:
    quant = to.scale_of(x)
    return None if quant is None else (quant.scale, quant.zero)
