"""Operators that move values: padding, slices, splitting, enlarging."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.importers._builder import (
    Builder,
    Flow,
    at,
    floats,
    integers,
    label,
    numbers,
    optional,
    required,
)
from mcugrad.importers._layout import as_map
from mcugrad.ops.slice import Pad, Slice
from mcugrad.ops.upsample2d import Upsample2d

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
    rank = len(x.axes) + 1
    axes = _axes(to, node, x, integers(given) if given is not None else list(range(rank)))
    _demand(to, node, x, len(pads) == 2 * len(axes) and len(set(axes)) == len(axes))
    before, after = ([0] * len(to.shape(x)) for _ in range(2))
    for i, axis in enumerate(axes):
        first, last = pads[i], pads[i + len(axes)]
        _demand(to, node, x, axis > 0 or first == last == 0)
        if axis:
            before[x.axes[axis - 1]], after[x.axes[axis - 1]] = first, last
    shape = to.shape(x)
    start = [max(-b, 0) for b in before]
    stop = [n - max(-a, 0) for n, a in zip(shape, after, strict=True)]
    y = part(to, node, x, start, stop, [1] * len(shape))
    before, after = ([max(n, 0) for n in ns] for ns in (before, after))
    if not any(before + after):
        return y
    _demand(to, node, x, x.order is None)
    name = to.name("pad")
    layer = Pad(
        name=name, source=label(node), x=y.tensor, y=f"{name}_y", before=tuple(before), after=tuple(after)
    )
    return _raw(to.add(layer, x), x)


def slice_problem(node: ir.Node) -> str:
    """Why not."""
    steps = integers(optional(node, 4))
    return "" if all(s > 0 for s in steps) else "counts backwards"


def slice_(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Every step-th element from start to end along some axes."""
    starts, ends = integers(required(node, 1)), integers(required(node, 2))
    given = optional(node, 3)
    axes = _axes(to, node, x, integers(given) if given is not None else list(range(len(starts))))
    steps = integers(optional(node, 4)) or [1] * len(axes)
    _demand(to, node, x, len(starts) == len(ends) == len(axes) == len(steps) == len(set(axes)))
    shape = to.shape(x)
    start, stop, step = [0] * len(shape), list(shape), [1] * len(shape)
    for a, first, last, by in zip(axes, starts, ends, steps, strict=True):
        if a == 0:
            _demand(to, node, x, range(to.batch)[first:last] == range(to.batch))
            continue
        ours = x.axes[a - 1]
        chosen = range(shape[ours])[first:last]
        start[ours], stop[ours], step[ours] = chosen.start, chosen.stop, by
    return part(to, node, x, start, stop, step)


def split(to: Builder, node: ir.Node, x: Flow) -> tuple[Flow, ...]:
    """One slice for each output."""
    axis = node.attributes.get_int("axis", 0)
    axis += len(x.axes) + 1 if axis < 0 else 0
    _demand(to, node, x, 1 <= axis <= len(x.axes))
    ours, shape, count = x.axes[axis - 1], to.shape(x), len(node.outputs)
    size = -(-shape[ours] // count)
    sizes = integers(optional(node, 1)) or [min(size, shape[ours] - i * size) for i in range(count)]
    _demand(to, node, x, len(sizes) == count and sum(sizes) == shape[ours] and min(sizes) > 0)
    ends = np.cumsum([0, *sizes]).tolist()
    result = []
    for first, last, output in zip(ends, ends[1:], node.outputs, strict=False):
        start, stop = [0] * len(shape), list(shape)
        start[ours], stop[ours] = first, last
        used = bool(output.uses()) or output.is_graph_output()
        result.append(part(to, node, x, start, stop, [1] * len(shape)) if used else x)
    return tuple(result)


def part(to: Builder, node: ir.Node, x: Flow, start: list[int], stop: list[int], step: list[int]) -> Flow:
    """A regular part of a value; the value itself where it is all of it."""
    shape = to.shape(x)
    if start == [0] * len(shape) and stop == list(shape) and step == [1] * len(shape):
        return x
    _demand(to, node, x, x.order is None)
    name = to.name("slice")
    layer = Slice(
        name=name,
        source=label(node),
        x=x.tensor,
        y=f"{name}_y",
        start=tuple(start),
        stop=tuple(stop),
        step=tuple(step),
        whole_channels=len(range(start[-1], stop[-1], step[-1])) == shape[-1],
    )
    return _raw(to.add(layer, x), x)


def _axes(to: Builder, node: ir.Node, x: Flow, axes: list[int]) -> list[int]:
    """Axes of ONNX, counted from the batch on."""
    rank = len(x.axes) + 1
    _demand(to, node, x, all(-rank <= a < rank for a in axes))
    return [a % rank for a in axes]


def _demand(to: Builder, node: ir.Node, x: Flow, fits: bool) -> None:
    if not fits:
        raise ModelError(
            f"{node.op_type} of {to.onnx_shape(x)} values reaches outside, moves samples, or cuts a flattened map",
            where=at(node),
            hint="a part along the axes of one sample, before it is flattened",
        )


def _raw(y: Flow, x: Flow) -> Flow:
    return Flow(y.tensor, y.axes, y.order, x.raw)


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
    x = as_map(to, node, x)
    dims = to.onnx_shape(x)
    scales, sizes = optional(node, 2), optional(node, 3)
    wanted = integers(sizes)
    factors = [float(v) for v in floats(scales).reshape(-1)] if scales is not None else []
    chosen = _axes(to, node, x, list(node.attributes.get_ints("axes", range(len(dims)))))
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
    return _raw(to.add(layer, x), x)


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
