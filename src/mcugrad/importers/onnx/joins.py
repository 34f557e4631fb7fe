"""Operators that join several computed values: sums, differences, products, concatenation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from mcugrad.errors import ModelError
from mcugrad.importers.onnx.builder import Builder, at, computed, label, place
from mcugrad.importers.onnx.pointwise import affine, affine_problem, clip, clip_problem
from mcugrad.importers.onnx.rule import Rule
from mcugrad.importers.shared.flow import Flow
from mcugrad.importers.shared.parts import demand_same_axes, same_rank, spread
from mcugrad.importers.shared.parts import joined as side_by_side
from mcugrad.ops.joining.add import Add
from mcugrad.ops.joining.mul import Mul

JOINS_SAMPLES = "joins samples"


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
    a, b = same_rank(to, place(node), a, b)
    demand_same_axes(to, place(node), a, b)
    source = label(node)
    if node.op_type == "Mul":
        if np.prod(to.shape(a)) < np.prod(to.shape(b)):
            a, b = b, a
        name = to.name("mul")
        return to.add(Mul(name=name, source=source, a=a.tensor, b=b.tensor, y=f"{name}_y"), a)
    whole = tuple(max(n, m) for n, m in zip(to.shape(a), to.shape(b), strict=True))
    a, b = (spread(to, place(node), x, whole) for x in (a, b))
    name = to.name("sub" if node.op_type == "Sub" else "add")
    sign = -1 if node.op_type == "Sub" else 1
    return to.add(Add(name=name, source=source, a=a.tensor, b=b.tensor, y=f"{name}_y", sign=sign), a)


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
    return JOINS_SAMPLES if node.attributes.get_int("axis", 0) == 0 else ""


def concat(to: Builder, node: ir.Node, *xs: Flow) -> Flow:
    """Side by side; of vectors, ONNX's order is kept track of."""
    if len(xs) == 1:
        return xs[0]
    axis = node.attributes.get_int("axis", 1)
    if len({x.raw for x in xs}) > 1 or (xs[0].raw and len({_codes(to, x) for x in xs}) > 1):
        raise ModelError(
            "Concat of integers with different scales",
            where=at(node),
            hint="DequantizeLinear before it and QuantizeLinear behind it",
        )
    y = side_by_side(to, place(node), xs, axis)
    quant = to.scale_of(xs[0])
    if xs[0].raw and quant is not None:
        to.scaled(y, replace(quant, owner=y.tensor))
    return y


def _codes(to: Builder, x: Flow) -> object:
    quant = to.scale_of(x)
    return None if quant is None else (quant.scale, quant.zero)


_ARITHMETIC = Rule(arithmetic_problem, arithmetic, data=True, reads="any")
_EXTREMUM = Rule(extremum_problem, extremum, reads="any")

RULES = {
    "Add": _ARITHMETIC,
    "Concat": Rule(concat_problem, concat, reads="any", raw=True),
    "Div": _ARITHMETIC,
    "Max": _EXTREMUM,
    "Min": _EXTREMUM,
    "Mul": _ARITHMETIC,
    "Sub": _ARITHMETIC,
    "Sum": _ARITHMETIC,
}
