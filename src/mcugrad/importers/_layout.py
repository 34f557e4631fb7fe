"""Shapes: where ONNX has the axes of a value, and operators that change shapes but move nothing."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Shape
from mcugrad.importers._builder import VECTOR, Builder, Flow, at, integers, label, optional
from mcugrad.importers._reorder import reordered
from mcugrad.ops.flatten import Flatten
from mcugrad.ops.reshape import Reshape

FIRST, LAST = (2, 0, 1), (0, 1, 2)
"""Axes of a map that is channels first in ONNX, and channels last."""
SIGNAL = (2, 1)
"""Axes of a sequence, channels first in ONNX: a map of height 1 here."""
Layout = tuple[Shape, tuple[int, ...]]


def layouts(dims: Shape) -> Iterator[Layout]:
    """Our shapes, with their axes, for what ONNX has as `dims` after the batch: the most usual first."""
    match dims:
        case (features,):
            yield (features,), VECTOR
        case (a, b):
            yield (1, b, a), SIGNAL
            yield (1, a, b), (1, 2)
            yield (a, b, 1), (0, 1)
        case (a, b, c):
            yield (b, c, a), FIRST
            yield (a, b, c), LAST


def memory_order(shape: Shape, axes: tuple[int, ...]) -> NDArray[np.int64]:
    """Where ONNX has each of our elements, as an index into its flattened value."""
    indices = np.arange(prod(shape)).reshape([shape[a] for a in axes])
    return indices.transpose(np.argsort(axes)).reshape(-1)


def relaid(to: Builder, node: ir.Node, x: Flow, options: list[Layout]) -> Flow | None:
    """The same values in the first layout that leaves them where they are; None if there is none."""
    shape = to.shape(x)
    old = memory_order(shape, x.axes) if x.order is None else x.order
    for new, axes in sorted(options, key=lambda option: option[0] != shape):
        if np.array_equal(memory_order(new, axes), old):
            if new == shape:
                return Flow(x.tensor, axes, raw=x.raw, shares=x.shares)
            return shaped(to, node, x, new, axes)
    return None


def shaped(to: Builder, node: ir.Node, x: Flow, shape: Shape, axes: tuple[int, ...]) -> Flow:
    """The same memory under another shape of ours."""
    name = to.name("flatten" if len(shape) == 1 else "reshape")
    fields = {"name": name, "source": label(node), "x": x.tensor, "y": f"{name}_y"}
    y = to.add(Flatten(**fields) if len(shape) == 1 else Reshape(**fields, to=shape))
    return Flow(y.tensor, axes, raw=x.raw, shares=x.shares)


def as_map(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """A value as a map or sequence with the channels first in ONNX. Raises ModelError for anything else."""
    shape = to.shape(x)
    if (x.axes == FIRST or (x.axes == SIGNAL and shape[0] == 1)) and x.order is None:
        return x
    dims = to.onnx_shape(x)[1:]
    if len(dims) in (2, 3):
        wanted = next(layouts(dims))
        found = relaid(to, node, x, [wanted])
        if found is not None:
            return found
        if reordered(to, x, memory_order(shape, x.axes), wanted[0], memory_order(*wanted)):
            return Flow(x.tensor, wanted[1], raw=x.raw)
    raise ModelError(
        f"{node.op_type} needs a (batch, channels, height, width) map or a (batch, channels, length) sequence; its "
        f"input is {to.onnx_shape(x)}" + (" with the axes in another order" if len(dims) in (2, 3) else ""),
        where=at(node),
        hint="export the network with such an input",
    )


def reshape(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Flatten, Reshape, Squeeze and Unsqueeze: all that leave every element where it is."""
    old = to.onnx_shape(x)
    return with_dims(to, node, x, target_shape(node, old, to.batch))


def with_dims(to: Builder, node: ir.Node, x: Flow, new: Shape) -> Flow:
    """A value that ONNX has in another shape, batch first."""
    old = to.onnx_shape(x)
    if new == old:
        return x
    if new[:1] == (1,) and prod(new) == prod(old):
        if len(new) == 2:
            return flattened(to, node, x)
        found = relaid(to, node, x, list(layouts(new[1:])))
        if found is not None:
            return found
    raise ModelError(
        f"{node.op_type} from {old} to {new} mixes axes or changes the batch",
        where=at(node),
        hint="torch.flatten(x, 1) before the first fully connected layer; adding or removing axes of length 1 is "
        "supported, too",
    )


def flattened(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """A vector of all elements, remembering where ONNX has them."""
    shape = to.shape(x)
    if len(shape) == 1:
        return x
    order = memory_order(shape, x.axes)
    y = shaped(to, node, x, (prod(shape),), VECTOR)
    if (order == np.arange(len(order))).all():
        return y
    return Flow(y.tensor, VECTOR, order, x.raw, x.shares)


def target_shape(node: ir.Node, old: Shape, batch: int) -> Shape:
    """Shape that Flatten, Reshape, Squeeze or Unsqueeze gives to `old`, batch first."""
    if node.op_type == "Flatten":
        axis = node.attributes.get_int("axis", 1)
        axis += len(old) if axis < 0 else 0
        return (prod(old[:axis]), prod(old[axis:])) if axis or batch == 1 else ()
    values = integers(optional(node, 1))
    if node.op_type == "Squeeze":
        axes = {v % len(old) for v in values} or {i for i, n in enumerate(old) if n == 1}
        return tuple(n for i, n in enumerate(old) if i not in axes)
    if node.op_type == "Unsqueeze":
        rank = len(old) + len(values)
        rest = iter(old)
        added = {v % rank for v in values}
        if 0 in added and batch != 1:
            return ()
        return (
            tuple(1 if i in added else next(rest) for i in range(rank)) if len(added) == len(values) else ()
        )
    if not node.attributes.get_int("allowzero", 0):
        values = [old[i] if v == 0 and i < len(old) else v for i, v in enumerate(values)]
    if values and values[0] == batch:
        values[0] = 1  # the exported batch size, written into the target
    if values.count(-1) == 1:
        rest_size = prod(v for v in values if v != -1)
        values[values.index(-1)] = prod(old) // rest_size if rest_size > 0 else -1
    return tuple(values)


def transpose_problem(node: ir.Node) -> str:
    """Why not."""
    order = tuple(node.attributes.get_ints("perm", ()))
    if not order:
        return "perm is missing: the batch would come last"
    if sorted(order) != list(range(len(order))):
        return f"perm {list(order)} is no order of axes"
    return "" if order[0] == 0 else f"perm {list(order)} moves the batch"


def transpose(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Nothing moves: only what ONNX calls the axes changes."""
    order = node.attributes.get_ints("perm", ())
    if len(order) != len(x.axes) + 1:
        raise ModelError(
            f"Transpose of {to.onnx_shape(x)} by {list(order)}: the number of axes differs",
            where=at(node),
            hint="check the file",
        )
    return Flow(x.tensor, tuple(x.axes[i - 1] for i in order[1:]), x.order, x.raw, x.shares)
