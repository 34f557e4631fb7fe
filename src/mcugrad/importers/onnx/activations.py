"""Activation functions that are more than clipping."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from mcugrad.importers.onnx.builder import Builder, floats, label, numbers, place, required
from mcugrad.importers.onnx.pointwise import multiplied
from mcugrad.importers.onnx.rule import Rule, fine
from mcugrad.importers.shared.flow import Flow, per_channel
from mcugrad.ops.activation.activation import STEEPEST, Activation
from mcugrad.ops.activation.curves import Function
from mcugrad.ops.activation.prelu import PRelu

CURVES = {
    "Elu": Function.ELU,
    "Gelu": Function.GELU,
    "HardSigmoid": Function.HARD_SIGMOID,
    "HardSwish": Function.HARD_SWISH,
    "Sigmoid": Function.SIGMOID,
    "Silu": Function.SILU,
    "Softplus": Function.SOFTPLUS,
    "Swish": Function.SILU,
    "Tanh": Function.TANH,
}
"""Tabulated functions by operator; Silu is what patterns are replaced by."""
DEFAULTS = {"Celu": 1.0, "Elu": 1.0, "HardSigmoid": 0.2, "Selu": 1.6732632, "Swish": 1.0}
SELU_GAMMA = 1.050701


def curve_problem(node: ir.Node) -> str:
    """Why not."""
    alpha = node.attributes.get_float("alpha", DEFAULTS.get(node.op_type, 1.0))
    if node.op_type == "Swish" and alpha != 1:
        return f"alpha is {alpha:g}; only 1 is supported"
    if node.op_type in ("Elu", "HardSigmoid") and not abs(alpha) <= STEEPEST:
        return f"alpha is {alpha:g}; at most {STEEPEST:g} is supported"
    approximate = node.attributes.get_string("approximate", "none")
    if node.op_type == "Gelu" and approximate not in ("none", "tanh"):
        return f"approximate {approximate} is unknown"
    return ""


def curve(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """A table."""
    function = CURVES[node.op_type]
    if function is Function.GELU and node.attributes.get_string("approximate", "none") == "tanh":
        function = Function.GELU_TANH
    name = to.name(node.op_type.lower())
    layer = Activation(
        name=name,
        source=label(node),
        x=x.tensor,
        y=f"{name}_y",
        function=function,
        alpha=float(node.attributes.get_float("alpha", DEFAULTS.get(node.op_type, 1.0))),
        beta=float(node.attributes.get_float("beta", 0.5)),
    )
    return to.add(layer, x)


def composed_problem(node: ir.Node) -> str:
    """Why not: Selu, Celu, LogSigmoid."""
    alpha = node.attributes.get_float("alpha", DEFAULTS.get(node.op_type, 1.0))
    if node.op_type == "Selu" and not abs(alpha) <= STEEPEST:
        return f"alpha is {alpha:g}; at most {STEEPEST:g} is supported"
    return "" if np.isfinite(alpha) and alpha != 0 else f"alpha is {alpha:g}"


def composed(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """A table between two factors, which go into the layers beside.

    Selu(x) = gamma ELU(x), Celu(x) = alpha ELU(x / alpha), LogSigmoid(x) = -Softplus(-x).
    """
    alpha = float(node.attributes.get_float("alpha", DEFAULTS.get(node.op_type, 1.0)))
    function, before, inner, after = {
        "Celu": (Function.ELU, 1 / alpha, 1.0, alpha),
        "LogSigmoid": (Function.SOFTPLUS, -1.0, 1.0, -1.0),
        "Selu": (Function.ELU, 1.0, alpha, float(node.attributes.get_float("gamma", SELU_GAMMA))),
    }[node.op_type]
    x = multiplied(to, node, x, before)
    name = to.name(node.op_type.lower())
    layer = Activation(
        name=name, source=label(node), x=x.tensor, y=f"{name}_y", function=function, alpha=inner
    )
    return multiplied(to, node, to.add(layer, x), after)


def magnitude(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Abs: a slope of -1 for negative values."""
    return rectified(to, node, x, (-1.0,))


def leaky_problem(node: ir.Node) -> str:
    """Why not."""
    alpha = node.attributes.get_float("alpha", 0.01)
    return "" if np.isfinite(alpha) else f"alpha is {alpha:g}"


def leaky(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """One slope for all."""
    return rectified(to, node, x, (float(node.attributes.get_float("alpha", 0.01)),))


def prelu_problem(node: ir.Node) -> str:
    """Why not."""
    return "" if numbers(required(node, 1)).size else "there are no slopes"


def prelu(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """A slope per channel, or one for all."""
    slope = floats(required(node, 1))
    if slope.size == 1:
        return rectified(to, node, x, (float(slope.reshape(())),))
    slopes = per_channel(to, place(node), slope, x)
    return rectified(to, node, x, tuple(float(s) for s in slopes))


def rectified(to: Builder, node: ir.Node, x: Flow, slope: tuple[float, ...]) -> Flow:
    """PReLU; where slopes are all the same, one of them."""
    if len(set(slope)) == 1:
        slope = slope[:1]
    name = to.name("prelu")
    return to.add(PRelu(name=name, source=label(node), x=x.tensor, y=f"{name}_y", slope=slope), x)


_COMPOSED = Rule(composed_problem, composed)

RULES = {
    "Abs": Rule(fine, magnitude),
    "Celu": _COMPOSED,
    **dict.fromkeys(CURVES, Rule(curve_problem, curve)),
    "LeakyRelu": Rule(leaky_problem, leaky),
    "LogSigmoid": _COMPOSED,
    "PRelu": Rule(prelu_problem, prelu, data=True),
    "Selu": _COMPOSED,
}
