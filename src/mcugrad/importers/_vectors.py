"""Fully connected layers, changes of shape, and the softmax at the end."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Shape
from mcugrad.importers._builder import (
    Builder,
    Flow,
    at,
    computed,
    floats,
    label,
    numbers,
    optional,
    per_channel,
    required,
)
from mcugrad.ops.flatten import Flatten
from mcugrad.ops.linear import Linear

TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""Transpositions of a map from channels last to channels first, and back."""


def matrix_problem(node: ir.Node) -> str:
    """Why weights cannot be used."""
    shape = numbers(required(node, 1)).shape
    if len(shape) != 2:
        return f"weights have {len(shape)} dimensions, 2 are needed"
    return f"weights of shape {shape} are empty" if 0 in shape else ""


def gemm_problem(node: ir.Node) -> str:
    """Why not."""
    turned = node.attributes.get_int("transA", 0)
    return "transA is set: the batch would become features" if turned else matrix_problem(node)


def gemm(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """y = alpha x B + beta C."""
    with np.errstate(over="ignore", invalid="ignore"):
        w = floats(required(node, 1)) * np.float32(node.attributes.get_float("alpha", 1.0))
        if not node.attributes.get_int("transB", 0):
            w = w.T
        c = optional(node, 2)
        bias = (
            np.zeros(1, np.float32)
            if c is None
            else floats(c) * np.float32(node.attributes.get_float("beta", 1.0))
        )
    return linear(to, node, x, w, per_channel(node, bias, len(w), axis=1))


def matmul_problem(node: ir.Node) -> str:
    """Why not."""
    return matrix_problem(node) if computed(node) == [0] else "weights stand on the left"


def matmul(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """y = x B."""
    w = floats(required(node, 1)).T
    return linear(to, node, x, w, np.zeros(len(w), np.float32))


def linear(to: Builder, node: ir.Node, x: Flow, w: NDArray[Any], bias: NDArray[Any]) -> Flow:
    """A fully connected layer; columns follow the order of a flattened map."""
    name = to.name("fc")
    to.shared(required(node, 1), name)
    if x.order is not None and w.shape[1] == len(x.order):
        w = w[:, x.order]
    return to.add(
        Linear(
            name=name,
            source=label(node),
            x=x.tensor,
            y=f"{name}_y",
            w=to.constant(f"{name}_w", w),
            b=to.constant(f"{name}_b", bias),
        )
    )


def reshape(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Flatten, Reshape and Squeeze: flattening, moving a lone channel, or nothing."""
    shape, old = to.shape(x), to.onnx_shape(x)
    new = target_shape(node, old, to.batch)
    if new == old:
        return x
    if x.last and shape[2] == 1 and new == (1, 1, *shape[:2]):
        return replace(x, last=False)
    if new != (1, prod(shape)):
        raise ModelError(
            f"{node.op_type} from {old} to {new}; only to (1, {prod(shape)}), all but the batch, is supported",
            where=at(node),
            hint="torch.flatten(x, 1) before the first fully connected layer",
        )
    name = to.name("flatten")
    y = to.add(Flatten(name=name, source=label(node), x=x.tensor, y=f"{name}_y"))
    height, width, channels = shape
    order = np.arange(prod(shape))
    moved = order.reshape(channels, height, width).transpose(1, 2, 0).reshape(-1)
    return y if x.last or (moved == order).all() else replace(y, order=moved)


def target_shape(node: ir.Node, old: Shape, batch: int) -> Shape:
    """Shape that Flatten, Reshape or Squeeze gives to `old`, batch first."""
    if node.op_type == "Flatten":
        axis = node.attributes.get_int("axis", 1)
        axis += len(old) if axis < 0 else 0
        return prod(old[:axis]), prod(old[axis:])
    argument = optional(node, 1)
    values = [] if argument is None else [int(v) for v in numbers(argument).reshape(-1)]
    if node.op_type == "Squeeze":
        axes = {v % len(old) for v in values} or {i for i, n in enumerate(old) if n == 1}
        return tuple(n for i, n in enumerate(old) if i not in axes)
    if not node.attributes.get_int("allowzero", 0):
        values = [old[i] if v == 0 and i < len(old) else v for i, v in enumerate(values)]
    if values and values[0] == batch:
        values[0] = 1  # the exported batch size, written into the target
    if values.count(-1) == 1:
        rest = prod(v for v in values if v != -1)
        values[values.index(-1)] = prod(old) // rest if rest > 0 else -1
    return tuple(values)


def transpose_problem(node: ir.Node) -> str:
    """Why not."""
    order = tuple(node.attributes.get_ints("perm", ()))
    return "" if order in (TO_FIRST, TO_LAST) else f"perm {list(order)} is neither {TO_FIRST} nor {TO_LAST}"


def transpose(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Nothing moves: here the channels are last anyway."""
    to_last = tuple(node.attributes.get_ints("perm", ())) == TO_LAST
    if len(to.shape(x)) != 3 or x.last == to_last:
        raise ModelError(
            f"Transpose of {to.onnx_shape(x)} by {TO_LAST if to_last else TO_FIRST} mixes channels and pixels",
            where=at(node),
            hint="transpose only between channels-first and channels-last maps",
        )
    return replace(x, last=to_last)


def enters_last(nodes: list[ir.Node], shape: Shape) -> bool:
    """Whether a 4-D input has its channels last: the first node that changes its shape moves them."""
    for node in nodes:
        if node.op_type == "Transpose":
            return tuple(node.attributes.get_ints("perm", ())) == TO_FIRST
        if node.op_type == "Reshape" and shape[3] == 1:
            return target_shape(node, shape, 0) == (1, 1, *shape[1:3])
        if node.op_type in ("Conv", "MaxPool", "GlobalMaxPool", "ReduceMax", "Flatten", "Reshape", "Squeeze"):
            return False
    return False


def softmax(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Left out: the largest logit is the most probable class, and the loss has its own."""
    shape = to.onnx_shape(x)
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
    return x
