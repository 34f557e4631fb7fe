"""Fully connected layers, on vectors and on the channels of maps, and the softmax at the end."""

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
    required,
)
from mcugrad.importers.onnx.rule import Rule, fine
from mcugrad.importers.shared.flow import VECTOR, Flow
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.linear.linear import Linear


def matrix_problem(node: ir.Node, index: int = 1) -> str:
    """Why weights cannot be used."""
    shape = numbers(required(node, index)).shape
    if len(shape) != 2:
        return f"weights have {len(shape)} dimensions, 2 are needed"
    return f"weights of shape {shape} are empty" if 0 in shape else ""


def gemm_problem(node: ir.Node) -> str:
    """Why not."""
    turned = node.attributes.get_int("transA", 0)
    return "transA is set: the batch would become features" if turned else matrix_problem(node)


def gemm(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """y = alpha x B + beta C."""
    alpha = node.attributes.get_float("alpha", 1.0)
    turned = node.attributes.get_int("transB", 0) != 0
    with np.errstate(over="ignore", invalid="ignore"):
        w = floats(required(node, 1)) * np.float32(alpha)
        c = optional(node, 2)
        bias = (
            np.zeros(1, np.float32)
            if c is None
            else floats(c) * np.float32(node.attributes.get_float("beta", 1.0))
        )
    if x.axes != VECTOR:
        raise ModelError(
            f"Gemm on {to.dims(x)} values; (batch, features) are needed",
            where=at(node),
            hint="Flatten before it",
        )
    out = 0 if turned else 1
    w = w if turned else w.T
    scale = float(alpha) if alpha else 1.0
    return linear(to, node, x, w, _bias(node, bias, len(w)), out, scale)


def _bias(node: ir.Node, c: NDArray[Any], channels: int) -> NDArray[Any]:
    """A constant that broadcasts against (batch, channels)."""
    if c.shape not in ((), (1,), (1, 1), (channels,), (1, channels)):
        raise ModelError(
            f"a constant of shape {c.shape} against {channels} channels; one number for each is supported",
            where=at(node),
            hint=f"a constant of {channels} values, or of 1",
        )
    return np.broadcast_to(c.reshape(-1), (channels,))


def matmul_problem(node: ir.Node) -> str:
    """Why not."""
    return matrix_problem(node, 1 if computed(node) == [0] else 0)


def matmul(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """y = x B over the last axis, or y = A x over the last but one: both must be the channels."""
    (side,) = computed(node)
    w = floats(required(node, 1 - side))
    if side == 0:
        w = w.T
    if side == 1 and x.axes == VECTOR:
        raise ModelError(
            "weights stand on the left: the batch would become features",
            where=at(node),
            hint="values on the left, weights on the right",
        )
    return linear(to, node, x, w, np.zeros(len(w), np.float32), side ^ 1, 1.0)


def linear(
    to: Builder, node: ir.Node, x: Flow, w: NDArray[Any], bias: NDArray[Any], out: int, factor: float
) -> Flow:
    """A fully connected layer, columns in the order of a flattened map; on a map, a convolution pixel by pixel."""
    source = next(v for v in node.inputs[:2] if v is not None and v.const_value is not None)
    pixels = x.axes != VECTOR
    axis = x.axes[-1] if computed(node)[0] == 0 else x.axes[-2]
    if pixels and axis != 2:
        raise ModelError(
            f"{node.op_type} on {to.dims(x)} mixes height or width; only features or channels can be mixed",
            where=at(node),
            hint="torch.flatten(x, 1) before it, or transpose the channels to the end",
        )
    name = to.name("conv" if pixels else "fc")
    if x.order is not None and w.shape[1] == len(x.order):
        w = w[:, x.order]
    fields: dict[str, Any] = {"name": name, "source": label(node), "x": x.tensor, "y": f"{name}_y"}
    shape = (len(w), 1, 1, w.shape[1]) if pixels else w.shape
    fields["w"] = to.weights(source, f"{name}_w", w.reshape(shape), out, factor)
    fields["b"] = to.constant(f"{name}_b", bias)
    return to.add(Conv2d(**fields), x) if pixels else to.add(Linear(**fields))


def softmax(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Left out: the largest logit is the most probable class, and the loss has its own."""
    shape = to.dims(x)
    axis = node.attributes.get_int("axis", -1)
    if len(shape) != 2 or axis not in (1, -1):
        raise ModelError(
            f"{node.op_type} over axis {axis} of {shape}; class scores are one vector",
            where=at(node),
            hint="flatten before it, and axis=1",
        )
    to.notes.append(
        f"{node.op_type} at the end left out: the outputs are logits, and the loss has its own softmax"
    )
    return replace(x, shares=True)


_SOFTMAX = Rule(fine, softmax, last=True)

RULES = {
    "Gemm": Rule(gemm_problem, gemm, data=True),
    "LogSoftmax": _SOFTMAX,
    "MatMul": Rule(matmul_problem, matmul, data=True, reads="one"),
    "Softmax": _SOFTMAX,
}
