"""Operators that move values: other shapes, parts, borders, joins, copies; and what is left out at the end."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from mcugrad.errors import ModelError
from mcugrad.importers.shared.flow import Flow
from mcugrad.importers.shared.layout import as_map, transposed, with_dims
from mcugrad.importers.shared.parts import (
    demand,
    dropped,
    expanded_shape,
    joined,
    padded,
    part,
    places,
    repeated,
    take,
)
from mcugrad.importers.shared.parts import split as parts
from mcugrad.importers.tflite.builder import Builder, fused
from mcugrad.importers.tflite.read import Step
from mcugrad.ops.movement.upsample2d import Upsample2d

MOST = 1 << 24
"""Padding and other counts stay below this."""


def reshape(to: Builder, step: Step, x: Flow) -> Flow:
    """RESHAPE: the shape is an input, or an attribute in old files."""
    to.need_one_scale(step)
    if to.has(step, 1):
        wanted = to.integers(step, 1)
    else:
        count = step.option("NewShapeLength", 0)
        wanted = [int(step.options.NewShape(i)) for i in range(min(count, 9))]
    size = to.tensors[x.tensor].size
    if len(wanted) > 1 and wanted[0] == to.source.batch:
        wanted[0] = 1
    if wanted.count(-1) == 1:
        rest = prod(v for v in wanted if v != -1)
        wanted[wanted.index(-1)] = size // rest if rest > 0 else -1
    if not wanted or min(wanted) < 1 or prod(wanted) != size:
        raise ModelError(
            f"RESHAPE from {to.dims(x)} to {tuple(wanted)}",
            where=step.title,
            hint="convert the network again",
        )
    return with_dims(to, step, x, tuple(wanted))


def squeeze(to: Builder, step: Step, x: Flow) -> Flow:
    """SQUEEZE: axes of length 1 go; all of them but the batch where none is named."""
    to.need_one_scale(step)
    count = step.option("SqueezeDimsLength", 0)
    dims = to.dims(x)
    axes = [int(step.options.SqueezeDims(i)) for i in range(min(count, 9))]
    gone = places(to, step, x, axes) if axes else [i for i, n in enumerate(dims) if n == 1 and (i or x.bare)]
    if any(dims[a] != 1 for a in gone):
        raise ModelError(
            f"SQUEEZE of axes {sorted(gone)} of {dims}", where=step.title, hint="axes of length 1"
        )
    return dropped(to, step, x, gone)


def expand_dims(to: Builder, step: Step, x: Flow) -> Flow:
    """EXPAND_DIMS: one more axis of length 1."""
    to.need_one_scale(step)
    axis, *_ = to.integers(step, 1) or [0]
    return expanded(to, step, x, axis)


def expanded(to: Builder, step: Step, x: Flow, axis: int) -> Flow:
    """A value with one more axis of length 1."""
    dims = to.dims(x)
    place = axis + len(dims) + 1 if axis < 0 else axis
    if not 0 <= place <= len(dims):
        raise ModelError(f"{step.kind} at axis {axis} of {dims}", where=step.title, hint="another axis")
    return with_dims(to, step, x, (*dims[:place], 1, *dims[place:]))


def transpose(to: Builder, step: Step, x: Flow) -> Flow:
    """TRANSPOSE: nothing moves, only what the file calls the axes changes."""
    to.need_one_scale(step)
    return transposed(to, step, x, to.integers(step, 1))


def concat_problem(to: Builder, step: Step) -> str:
    """Why not."""
    constant = [s.name for i in range(len(step.inputs)) if (s := to.stored(step, i)).data is not None]
    return f"{constant[0]} is constant; only computed values are joined" if constant else ""


def concat(to: Builder, step: Step, x: Flow) -> Flow:
    """CONCATENATION."""
    xs = [to.flows[i] for i in step.inputs]
    if len({len(to.dims(p)) for p in xs}) > 1:
        raise ModelError(
            f"CONCATENATION of {', '.join(str(to.dims(p)) for p in xs)}",
            where=step.title,
            hint="values with as many dimensions",
        )
    low, high = fused(step)
    return joined(to, step, xs, step.option("Axis", 0), low=low, high=high)


def pack(to: Builder, step: Step, x: Flow) -> Flow:
    """PACK: side by side along a new axis."""
    axis = step.option("Axis", 0)
    place = axis + len(to.dims(x)) + 1 if axis < 0 else axis
    return joined(to, step, [expanded(to, step, to.flows[i], place) for i in step.inputs], place)


def pad_problem(to: Builder, step: Step) -> str:
    """Why not."""
    if step.kind == "PADV2" and to.real(to.stored(step, 2)).any():
        return f"pads with {to.real(to.stored(step, 2)).reshape(-1)[:4].tolist()}; zeros are supported"
    return ""


def pad(to: Builder, step: Step, x: Flow) -> Flow:
    """PAD with zeros; a convolution that follows takes it over."""
    amounts = to.integers(step, 1)
    if len(amounts) != 2 * len(to.dims(x)) or not all(0 <= v < MOST for v in amounts):
        raise ModelError(
            f"PAD of {to.dims(x)} by {amounts}", where=step.title, hint="padding of one sample, not the batch"
        )
    if any(amounts):
        to.need_one_scale(step)
    return padded(to, step, x, dict(enumerate(amounts[::2])), dict(enumerate(amounts[1::2])))


def slice_part(to: Builder, step: Step, x: Flow) -> Flow:
    """SLICE: from `begin` on, `size` elements, -1 for all that are left."""
    to.need_one_scale(step)
    begin, size = to.integers(step, 1), to.integers(step, 2)
    dims = sample_dims(to, x)
    demand(to, step, x, len(begin) == len(size) == len(dims))
    ends = [n if s == -1 else b + s for b, s, n in zip(begin, size, dims, strict=True)]
    return part(to, step, x, {i: range(a, b) for i, (a, b) in enumerate(zip(begin, ends, strict=True))})


def sample_dims(to: Builder, x: Flow) -> list[int]:
    """Dimensions of the file with the batch that it was made for."""
    dims = list(to.dims(x))
    return dims if x.bare else [to.batch, *dims[1:]]


def strided_problem(to: Builder, step: Step) -> str:
    """Why not."""
    if step.option("EllipsisMask", 0) or step.option("NewAxisMask", 0) or step.option("Offset", False):
        return "an ellipsis, a new axis or ends that are offsets"
    return ""


def strided_slice(to: Builder, step: Step, x: Flow) -> Flow:
    """STRIDED_SLICE with begin, end, strides as in Python, and bits that leave ends open or drop axes."""
    to.need_one_scale(step)
    begin, end, stride = (to.integers(step, i) for i in (1, 2, 3))
    dims = sample_dims(to, x)
    if not len(begin) == len(end) == len(stride) <= len(dims) or any(s < 1 for s in stride):
        raise ModelError(
            f"STRIDED_SLICE of {to.dims(x)} from {begin} to {end} in steps of {stride}",
            where=step.title,
            hint="positive steps",
        )
    chosen, gone = strided(step, dims, begin, end, stride)
    return dropped(to, step, part(to, step, x, dict(enumerate(chosen))), gone)


def strided(
    step: Step, dims: list[int], begin: list[int], end: list[int], stride: list[int]
) -> tuple[list[range], list[int]]:
    """Indices along the axes that a STRIDED_SLICE names, and the axes that it drops."""
    drop = step.option("ShrinkAxisMask", 0)
    chosen = []
    for i in range(len(begin)):
        start = None if step.option("BeginMask", 0) >> i & 1 else begin[i]
        stop = None if step.option("EndMask", 0) >> i & 1 else end[i]
        if drop >> i & 1:
            start, stop = begin[i], begin[i] + 1 or None
        chosen.append(range(dims[i])[start : stop : stride[i]])
    return chosen, [i for i in range(len(begin)) if drop >> i & 1]


def gather_problem(to: Builder, step: Step) -> str:
    """Why not."""
    if step.option("BatchDims", 0):
        return "an index for each sample"
    indices = to.stored(step, 1)
    if indices.data is None or indices.data.ndim > 1 or not indices.data.size:
        return f"indices of shape {indices.shape}; one constant number or a list of numbers is supported"
    return ""


def gather(to: Builder, step: Step, x: Flow) -> Flow:
    """GATHER at constant indices: slices, joined."""
    to.need_one_scale(step)
    data = to.stored(step, 1).data
    assert data is not None
    return take(to, step, x, step.option("Axis", 0), [int(i) for i in data.reshape(-1)], data.ndim == 0)


def split(to: Builder, step: Step, x: Flow) -> tuple[Flow, ...]:
    """SPLIT into equal parts, SPLIT_V into given ones, UNPACK into parts without the axis."""
    count = len(step.outputs)
    if step.kind == "UNPACK":
        axis = step.option("Axis", 0)
    else:
        (axis,) = to.integers(step, 0 if step.kind == "SPLIT" else 2)
    (place,) = places(to, step, x, [axis])
    size = to.dims(x)[place]
    sizes = [size // count] * count
    if step.kind == "SPLIT_V":
        sizes = to.integers(step, 1)
        if sizes.count(-1) == 1:
            sizes[sizes.index(-1)] = size - sum(sizes) - 1
    demand(to, step, x, len(sizes) == count and (step.kind != "UNPACK" or count == size))
    to.need_one_scale(step)
    used = [to.readers(i) > 0 for i in step.outputs]
    pieces = parts(to, step, x, place, sizes, used)
    if step.kind == "UNPACK":
        pieces = [dropped(to, step, y, [place]) if u else y for y, u in zip(pieces, used, strict=True)]
    return tuple(pieces)


def upsample_problem(to: Builder, step: Step) -> str:
    """Why not."""
    return "align_corners is set" if step.option("AlignCorners", False) else ""


def upsample(to: Builder, step: Step, x: Flow) -> Flow:
    """RESIZE_NEAREST_NEIGHBOR by whole factors, where it does not matter whether pixels have their centre at a half."""
    size = to.integers(step, 1)
    fits = len(size) == 2 and len(to.dims(x)) == 4
    x = as_map(to, step, x) if fits else x
    old = to.shape(x)
    if not fits or any(not 0 < n < MOST or n % o for n, o in zip(size, old, strict=False)):
        raise ModelError(
            f"RESIZE_NEAREST_NEIGHBOR from {to.dims(x)} to {size}; whole factors are supported",
            where=step.title,
            hint="a size that is a multiple of the input's",
        )
    factor = (size[0] // old[0], size[1] // old[1])
    if factor == (1, 1):
        return x
    name = to.name("upsample")
    return to.moved(step, Upsample2d(name=name, source=step.label, x=x.tensor, y=f"{name}_y", factor=factor))


def expand(to: Builder, step: Step, x: Flow) -> Flow:
    """BROADCAST_TO: one number per channel, repeated for every pixel."""
    to.need_one_scale(step)
    whole = expanded_shape(to, step, x, to.integers(step, 1))
    return x if whole == to.dims(x) else repeated(to, step, x, whole)


def left_out(to: Builder, step: Step, x: Flow) -> Flow:
    """SOFTMAX or LOGISTIC at the end: the loss has its own."""
    dims = to.dims(x)
    if len(dims) > 1 and dims[-1] != to.tensors[x.tensor].size and step.kind != "LOGISTIC":
        raise ModelError(
            f"{step.kind} over the last axis of {dims}; class scores are one vector",
            where=step.title,
            hint="one class per sample",
        )
    what = "sigmoid" if step.kind == "LOGISTIC" else "softmax"
    to.notes.append(
        f"{step.kind} at the end left out: the outputs are logits, and the loss has its own {what}"
    )
    return replace(x, shares=True)
