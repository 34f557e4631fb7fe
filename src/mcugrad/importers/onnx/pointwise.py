"""Operators that act element by element: clipping, batch-norm, arithmetic with constants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.importers.onnx.builder import (
    Builder,
    at,
    computed,
    floats,
    label,
    numbers,
    optional,
    place,
    required,
)
from mcugrad.importers.onnx.rule import Rule, fine
from mcugrad.importers.shared.flow import Flow, per_channel
from mcugrad.importers.shared.layout import as_map
from mcugrad.ops.activation.clip import Clip
from mcugrad.ops.normalization.batch_norm import BatchNorm

NO_BOUND = 3e38
"""Clip bounds of this magnitude stand for none: exporters write the largest float32."""
FLOAT_TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE, ir.DataType.BFLOAT16)


def clip_problem(node: ir.Node) -> str:
    """Why not."""
    if node.op_type in ("Max", "Min"):
        wrong = any(numbers(v).size != 1 for v in node.inputs if v is not None and v.const_value is not None)
    else:
        wrong = any(v is not None and numbers(v).size != 1 for v in (optional(node, 1), optional(node, 2)))
    if wrong:
        return "a bound is not one number"
    low, high = bounds(node)
    if any(v is not None and np.isnan(v) for v in (low, high)):
        return "a bound is NaN"
    if low is not None and high is not None and low >= high:
        return f"bounds {low:g} and {high:g} leave a constant"
    return ""


def bounds(node: ir.Node) -> tuple[float | None, float | None]:
    """Lower and upper bound of Relu, Clip, Max and Min; None for none."""
    if node.op_type == "Relu":
        return 0.0, None
    if node.op_type == "Clip":
        given = optional(node, 1), optional(node, 2)
        low, high = (None if v is None else float(floats(v).reshape(())) for v in given)
    else:
        low, high = _limits(node)
    return (
        None if low is not None and low <= -NO_BOUND else low,
        None if high is not None and high >= NO_BOUND else high,
    )


def _limits(node: ir.Node) -> tuple[float | None, float | None]:
    found = [float(floats(v).reshape(())) for v in node.inputs if v is not None and v.const_value is not None]
    if not found:
        return None, None
    return (max(found), None) if node.op_type == "Max" else (None, min(found))


def clip(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Relu is Clip from 0, Max and Min have one bound."""
    low, high = bounds(node)
    if low is None and high is None:
        return x
    name = to.name("clip" if node.op_type in ("Max", "Min") else node.op_type.lower())
    return to.add(Clip(name=name, source=label(node), x=x.tensor, y=f"{name}_y", low=low, high=high), x)


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
    if len(x.axes) in (2, 3) and x.axes[0] != 2:
        x = as_map(to, place(node), x)
    if x.axes[0] != len(to.shape(x)) - 1:
        raise ModelError(
            f"{node.op_type} on {to.dims(x)}: its channels are not axis 1",
            where=at(node),
            hint="(batch, channels, height, width), or (batch, features)",
        )
    values = [floats(required(node, i)) for i in (1, 2, 3, 4)]
    if x.order is not None:
        values = [v[x.order] if v.shape == x.order.shape else v for v in values]
    return normalize(to, node, x, values, node.attributes.get_float("epsilon", 1e-5))


def affine_problem(node: ir.Node) -> str:
    """Why not."""
    if node.op_type == "Div" and computed(node) != [0]:
        return "divides by a computed value"
    if node.op_type == "Div" and not numbers(required(node, 1)).all():
        return "divides by zero"
    return ""


def affine(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """x + c, x - c, c - x, x * c, x / c, -x: into the bias just before, else a batch-norm without statistics."""
    (side,) = computed(node)
    constant = np.ones(1, np.float32) if node.op_type == "Neg" else floats(required(node, 1 - side))
    c = per_channel(to, place(node), constant, x)
    one, zero = np.ones_like(c), np.zeros_like(c)
    with np.errstate(all="ignore"):
        factor, offset = {
            "Add": (one, c),
            "Sub": (one, -c) if side == 0 else (-one, c),
            "Mul": (c, zero),
            "Div": (one / c, zero),
            "Neg": (-one, zero),
        }["Add" if node.op_type == "Sum" else node.op_type]
    if (factor == 1).all() and not offset.any():
        return x
    layer = to.layer_before(node, x)
    if layer is not None and (factor == 1).all():
        bias = to.tensors[layer.b].value
        to.constant(layer.b, offset if bias is None else bias + offset)
        return x
    return normalize(to, node, x, [factor, offset, zero, one], 0.0)


def multiplied(to: Builder, node: ir.Node, x: Flow, factor: float) -> Flow:
    """x times one number."""
    if factor == 1:
        return x
    channels = to.shape(x)[-1]
    one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    return normalize(to, node, x, [one * np.float32(factor), zero, zero, one], 0.0)


def normalize(to: Builder, node: ir.Node, x: Flow, values: list[NDArray[Any]], epsilon: float) -> Flow:
    """A batch-norm with the given gamma, beta, mean and variance, in our order."""
    name = to.name("bn")
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
    return to.add(layer, x)


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
    return replace(x)


RULES = {
    "BatchNormalization": Rule(batch_norm_problem, batch_norm, data=True),
    "Cast": Rule(cast_problem, skip),
    "Clip": Rule(clip_problem, clip),
    "Dropout": Rule(dropout_problem, skip),
    "Identity": Rule(fine, skip, raw=True),
    "Neg": Rule(fine, affine),
    "Relu": Rule(fine, clip),
}
