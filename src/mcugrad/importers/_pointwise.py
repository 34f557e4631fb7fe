"""Operators that act element by element: activation functions, batch-norm, arithmetic with constants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mcugrad.importers._builder import (
    Builder,
    Flow,
    computed,
    floats,
    label,
    numbers,
    optional,
    per_channel,
    required,
)
from mcugrad.ops.batch_norm import BatchNorm
from mcugrad.ops.clip import Clip
from mcugrad.ops.weighted import Weighted

NO_BOUND = 3e38
"""Clip bounds of this magnitude stand for none: exporters write the largest float32."""
FLOAT_TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE, ir.DataType.BFLOAT16)


def clip_problem(node: ir.Node) -> str:
    """Why not."""
    if any(v is not None and numbers(v).size != 1 for v in (optional(node, 1), optional(node, 2))):
        return "a bound is not one number"
    low, high = bounds(node)
    if any(v is not None and np.isnan(v) for v in (low, high)):
        return "a bound is NaN"
    if low is not None and high is not None and low >= high:
        return f"bounds {low:g} and {high:g} leave a constant"
    return ""


def bounds(node: ir.Node) -> tuple[float | None, float | None]:
    """Lower and upper bound of Clip; None for none."""
    low, high = (
        None if v is None else float(floats(v).reshape(())) for v in (optional(node, 1), optional(node, 2))
    )
    return (
        None if low is not None and low <= -NO_BOUND else low,
        None if high is not None and high >= NO_BOUND else high,
    )


def clip(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Relu is Clip from 0."""
    low, high = (0.0, None) if node.op_type == "Relu" else bounds(node)
    if low is None and high is None:
        return x
    name = to.name(node.op_type.lower())
    y = to.add(Clip(name=name, source=label(node), x=x.tensor, y=f"{name}_y", low=low, high=high))
    return replace(x, tensor=y.tensor)


def batch_norm_problem(node: ir.Node) -> str:
    """Why not."""
    if node.attributes.get_int("training_mode", 0):
        return "training_mode is set; export after net.eval()"
    smallest = float(floats(required(node, 4)).min(initial=np.inf)) + node.attributes.get_float(
        "epsilon", 1e-5
    )
    return "" if smallest > 0 else f"variance + epsilon is {smallest:g}, not positive"


def batch_norm(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Statistics, one per channel."""
    if x.last:
        to.need_map(node, x)
    values = [floats(required(node, i)) for i in (1, 2, 3, 4)]
    return normalize(to, node, x, values, node.attributes.get_float("epsilon", 1e-5))


def affine_problem(node: ir.Node) -> str:
    """Why not."""
    if node.op_type == "Div" and computed(node) == [1]:
        return "divides by a computed value"
    if node.op_type == "Div" and not numbers(required(node, 1)).all():
        return "divides by zero"
    return ""


def affine(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """x + c, x - c, c - x, x * c, x / c: into the bias just before, else a batch-norm without statistics."""
    (side,) = computed(node)
    shape = to.shape(x)
    axis = 3 if len(shape) == 3 and not x.last else 1
    c = per_channel(node, floats(required(node, 1 - side)), shape[-1], axis)
    one, zero = np.ones_like(c), np.zeros_like(c)
    with np.errstate(all="ignore"):
        factor, offset = {
            "Add": (one, c),
            "Sub": (one, -c) if side == 0 else (-one, c),
            "Mul": (c, zero),
            "Div": (one / c, zero),
        }[node.op_type]
    last = to.nodes[-1] if to.nodes else None
    if isinstance(last, Weighted) and last.y == x.tensor and (factor == 1).all():
        bias = to.tensors[last.b].value
        to.constant(last.b, offset if bias is None else bias + offset)
        return x
    return normalize(to, node, x, [factor, offset, zero, one], 0.0)


def normalize(to: Builder, node: ir.Node, x: Flow, values: list[NDArray[Any]], epsilon: float) -> Flow:
    """A batch-norm with the given gamma, beta, mean and variance, in ONNX order."""
    name = to.name("bn")
    if x.order is not None:
        values = [v[x.order] if v.shape == x.order.shape else v for v in values]
    gamma, beta, mean, variance = (
        to.constant(f"{name}_{kind}", value)
        for kind, value in zip(("gamma", "beta", "mean", "variance"), values, strict=True)
    )
    layer = BatchNorm(
        name=name,
        source=label(node),
        x=x.tensor,
        y=f"{name}_y",
        gamma=gamma,
        beta=beta,
        mean=mean,
        variance=variance,
        epsilon=float(epsilon),
    )
    return replace(x, tensor=to.add(layer).tensor)


def cast_problem(node: ir.Node) -> str:
    """Why not."""
    kind = ir.DataType(node.attributes.get_int("to", 0))
    return "" if kind in FLOAT_TYPES else f"casts to {kind.name.lower()}"


def dropout_problem(node: ir.Node) -> str:
    """Why not."""
    mode = optional(node, 2)
    return "training_mode is set; export after net.eval()" if mode is not None and numbers(mode).any() else ""


def skip(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Changes nothing that matters here."""
    return x
