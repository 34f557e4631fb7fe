"""Operators that move values: other shapes, padding, slices, splitting, enlarging."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Shape
from mcugrad.importers.onnx.builder import (
    Builder,
    at,
    computed,
    floats,
    integers,
    label,
    numbers,
    optional,
    place,
    required,
)
from mcugrad.importers.onnx.rule import Rule, fine
from mcugrad.importers.shared.flow import Flow
from mcugrad.importers.shared.layout import as_map, transposed, with_dims
from mcugrad.importers.shared.parts import (
    demand,
    dropped,
    expanded_shape,
    padded,
    part,
    places,
    repeated,
    take,
)
from mcugrad.importers.shared.parts import split as parts
from mcugrad.ops.movement.upsample2d import Upsample2d

NEAREST = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")


def pad_problem(node: ir.Node) -> str:
    """Why not."""
    mode = node.attributes.get_string("mode", "constant")
    if mode != "constant":
        return f"mode {mode}; only constant zeros are supported"
    value = optional(node, 2)
    return "pads with another value than 0" if value is not None and numbers(value).any() else ""


def pad(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Zeros in front and behind; negative padding cuts off."""
    pads, given = integers(required(node, 1)), optional(node, 3)
    at = place(node)
    axes = places(to, at, x, integers(given) if given is not None else list(range(len(to.dims(x)))))
    demand(to, at, x, len(pads) == 2 * len(axes))
    before, after = (dict(zip(axes, half, strict=True)) for half in (pads[: len(axes)], pads[len(axes) :]))
    return padded(to, at, x, before, after)


def slice_problem(node: ir.Node) -> str:
    """Why not."""
    steps = integers(optional(node, 4))
    return "" if all(s > 0 for s in steps) else "counts backwards"


def slice_(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Every step-th element from start to end along some axes."""
    starts, ends = integers(required(node, 1)), integers(required(node, 2))
    given, at = optional(node, 3), place(node)
    axes = places(to, at, x, integers(given) if given is not None else list(range(len(starts))))
    steps = integers(optional(node, 4)) or [1] * len(axes)
    demand(to, at, x, len(starts) == len(ends) == len(axes) == len(steps))
    dims = list(to.dims(x))
    if not x.bare:
        dims[0] = to.batch
    bounds = zip(axes, starts, ends, steps, strict=True)
    return part(to, at, x, {axis: range(dims[axis])[first:last:by] for axis, first, last, by in bounds})


def gather_problem(node: ir.Node) -> str:
    """Why not."""
    indices = required(node, 1)
    shape = numbers(indices).shape
    if computed(node) != [0]:
        return f"{indices.name} is computed; indices must be constant"
    if len(shape) > 1 or numbers(indices).dtype.kind not in "iu" or 0 in shape:
        return f"indices of shape {shape}; one number or a list of numbers is supported"
    return ""


def gather(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Elements at constant indices: slices, joined."""
    indices = required(node, 1)
    axis = node.attributes.get_int("axis", 0)
    return take(to, place(node), x, axis, integers(indices), numbers(indices).ndim == 0)


def split(to: Builder, node: ir.Node, x: Flow) -> tuple[Flow, ...]:
    """One slice for each output."""
    at, count = place(node), len(node.outputs)
    (axis,) = places(to, at, x, [node.attributes.get_int("axis", 0)])
    length = to.dims(x)[axis]
    size = -(-length // count)
    sizes = integers(optional(node, 1)) or [min(size, length - i * size) for i in range(count)]
    demand(to, at, x, len(sizes) == count)
    used = [bool(to.readers(v)) for v in node.outputs]
    return tuple(parts(to, at, x, axis, sizes, used))


def expand(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """One number per channel, repeated; nothing where sums and products that follow repeat it by themselves."""
    dims, wanted = to.dims(x), integers(required(node, 1))
    whole = expanded_shape(to, place(node), x, wanted)
    users = [use.node for use in node.outputs[0].uses()]
    others = [v for user in users for v in user.inputs if v is not None and v is not node.outputs[0]]
    joins = bool(users) and all(
        user.op_type in ("Add", "Mul", "Sub") and len(user.inputs) == 2 for user in users
    )
    known = [v.shape.numpy() if v.shape is not None and v.shape.is_static() else () for v in others]
    if whole == dims or (joins and len(known) == len(users) and all(shape == whole for shape in known)):
        return x
    return repeated(to, place(node), x, whole)


def reshape(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Flatten, Reshape, Squeeze and Unsqueeze: all that leave every element where it is."""
    if node.op_type == "Squeeze" and 0 in integers(optional(node, 1)) and to.batch == 1:
        return dropped(to, place(node), x, places(to, place(node), x, integers(optional(node, 1))))
    return with_dims(to, place(node), x, new_shape(node, to.dims(x), to.batch))


def new_shape(node: ir.Node, old: Shape, batch: int) -> Shape:
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
        values[0] = 1  # the exported batch size, written into the shape
    if values.count(-1) == 1:
        rest_size = prod(v for v in values if v != -1)
        values[values.index(-1)] = prod(old) // rest_size if rest_size > 0 else -1
    return tuple(values)


def transpose_problem(node: ir.Node) -> str:
    """Why not."""
    order = tuple(node.attributes.get_ints("perm", ()))
    if not order:
        return "perm is missing: the batch would come last"
    return "" if sorted(order) == list(range(len(order))) else f"perm {list(order)} is no order of axes"


def transpose(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Nothing moves: only what ONNX calls the axes changes."""
    return transposed(to, place(node), x, list(node.attributes.get_ints("perm", ())))


# -- enlarging -----------------------------------------------------------------------------------------------------


def resize_problem(node: ir.Node) -> str:
    """Why not."""
    mode = node.attributes.get_string("mode", "nearest")
    if mode != "nearest":
        return f"mode {mode}; only nearest by whole factors is supported"
    way = node.attributes.get_string("nearest_mode", "round_prefer_floor")
    if way not in NEAREST:
        return f"nearest_mode {way} is unknown"
    policy = node.attributes.get_string("keep_aspect_ratio_policy", "stretch")
    return "" if policy == "stretch" else f"keep_aspect_ratio_policy {policy} is not supported"


def resize(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Pixels repeated. Every rule of rounding is accepted that comes to this."""
    x = as_map(to, place(node), x)
    dims = to.dims(x)
    scales, sizes = optional(node, 2), optional(node, 3)
    wanted = integers(sizes)
    factors = [float(v) for v in floats(scales).reshape(-1)] if scales is not None else []
    chosen = places(to, place(node), x, list(node.attributes.get_ints("axes", range(len(dims)))))
    given = wanted or factors
    ours = [1, 1, 1]
    fits = len(given) == len(chosen)
    for axis, value in zip(chosen, given, strict=False):
        size = dims[axis]
        length = int(value) if wanted else int(np.floor(size * value)) if 0 < value < 1 << 15 else 0
        factor = length // size
        fits = fits and length == factor * size and factor > 0 and (axis > 0 or factor == 1)
        fits = fits and length <= 1 << 15 and _repeats(node, size, factor)
        if axis and fits:
            ours[x.axes[axis - 1]] = factor
    if not fits or ours[2] != 1:
        raise ModelError(
            f"{node.op_type} of {dims} by {given} is not every pixel repeated",
            where=at(node),
            hint="nearest-neighbour upsampling of height and width by whole factors",
        )
    if ours == [1, 1, 1]:
        return x
    name = to.name("upsample")
    layer = Upsample2d(name=name, source=label(node), x=x.tensor, y=f"{name}_y", factor=(ours[0], ours[1]))
    return replace(to.add(layer, x), raw=x.raw)


def _repeats(node: ir.Node, size: int, factor: int) -> bool:
    """Whether output i is input i // factor by the rules that the node gives."""
    i = np.arange(size * factor)
    mode = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    old = i.astype(np.float64)
    where: NDArray[np.float64]
    match mode:
        case "half_pixel" | "half_pixel_symmetric":
            where = (old + 0.5) / factor - 0.5
        case "pytorch_half_pixel":
            where = (old + 0.5) / factor - 0.5 if len(i) > 1 else old * 0
        case "align_corners":
            where = old * (size - 1) / (len(i) - 1) if len(i) > 1 else old * 0
        case "asymmetric":
            where = old / factor
        case _:
            return False
    way = node.attributes.get_string("nearest_mode", "round_prefer_floor")
    nearest = {
        "floor": np.floor(where),
        "ceil": np.ceil(where),
        "round_prefer_floor": np.ceil(where - 0.5),
        "round_prefer_ceil": np.floor(where + 0.5),
    }[way]
    return bool((np.clip(nearest, 0, size - 1) == i // factor).all())


_RESHAPE = Rule(fine, reshape, raw=True)

RULES = {
    "Expand": Rule(fine, expand),
    "Flatten": _RESHAPE,
    "Gather": Rule(gather_problem, gather, raw=True),
    "Pad": Rule(pad_problem, pad),
    "Reshape": _RESHAPE,
    "Resize": Rule(resize_problem, resize, raw=True),
    "Slice": Rule(slice_problem, slice_, raw=True),
    "Split": Rule(fine, split, raw=True),
    "Squeeze": _RESHAPE,
    "Transpose": Rule(transpose_problem, transpose, raw=True),
    "Unsqueeze": _RESHAPE,
}
