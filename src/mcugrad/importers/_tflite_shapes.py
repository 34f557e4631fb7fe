"""Operators that move values: other shapes, parts, borders, joins, copies; and what is left out at the end."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mcugrad.errors import ModelError
from mcugrad.importers._tflite_builder import Builder, Flow, axis_of, fused
from mcugrad.importers._tflite_read import Step
from mcugrad.ops.concat import Concat
from mcugrad.ops.slice import Pad, Slice
from mcugrad.ops.upsample2d import Upsample2d

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
    if len(wanted) > 1 and wanted[0] in (-1, to.source.batch) and -1 not in wanted[1:]:
        wanted[0] = 1
    if wanted.count(-1) == 1:
        rest = prod(v for v in wanted if v != -1)
        wanted[wanted.index(-1)] = size // rest if rest > 0 else -1
    if not wanted or min(wanted) < 1:
        raise ModelError(
            f"RESHAPE from {x.shape} to {tuple(wanted)}", where=step.title, hint="convert the network again"
        )
    return to.reshaped(step, x, tuple(wanted))


def squeeze(to: Builder, step: Step, x: Flow) -> Flow:
    """SQUEEZE: axes of length 1 go; all of them but the batch where none is named."""
    to.need_one_scale(step)
    count = step.option("SqueezeDimsLength", 0)
    rank = len(x.shape)
    axes = {int(step.options.SqueezeDims(i)) for i in range(min(count, 9))}
    gone = {a + rank if a < 0 else a for a in axes} or {i for i, n in enumerate(x.shape) if n == 1 and i}
    if any(not 0 <= a < rank or x.shape[a] != 1 for a in gone):
        raise ModelError(
            f"SQUEEZE of axes {sorted(gone)} of {x.shape}", where=step.title, hint="axes of length 1"
        )
    return to.reshaped(step, x, tuple(n for i, n in enumerate(x.shape) if i not in gone) or (1,))


def expand_dims(to: Builder, step: Step, x: Flow) -> Flow:
    """EXPAND_DIMS: one more axis of length 1, behind the batch."""
    to.need_one_scale(step)
    axis, *_ = to.integers(step, 1) or [0]
    place = axis + len(x.shape) + 1 if axis < 0 else axis
    if not 0 <= place <= len(x.shape):
        raise ModelError(f"EXPAND_DIMS at axis {axis} of {x.shape}", where=step.title, hint="another axis")
    return to.reshaped(step, x, (*x.shape[:place], 1, *x.shape[place:]))


def transpose(to: Builder, step: Step, x: Flow) -> Flow:
    """TRANSPOSE, where it only moves axes of length 1."""
    order = to.integers(step, 1)
    if sorted(order) != list(range(len(x.shape))):
        raise ModelError(
            f"TRANSPOSE of {x.shape} by {order}", where=step.title, hint="convert the network again"
        )
    longer = [i for i in order if x.shape[i] > 1]
    if longer != sorted(longer):
        raise ModelError(
            f"TRANSPOSE of {x.shape} by {order} reorders values; moving axes of length 1 is supported",
            where=step.title,
            hint="a channels-last network, converted without channels-first layers",
        )
    to.need_one_scale(step)
    return to.reshaped(step, x, tuple(x.shape[i] for i in order))


def concat_problem(to: Builder, step: Step) -> str:
    """Why not."""
    constant = [s.name for i in range(len(step.inputs)) if (s := to.stored(step, i)).data is not None]
    return f"{constant[0]} is constant; only computed values are joined" if constant else ""


def concat(to: Builder, step: Step, x: Flow) -> Flow:
    """CONCATENATION."""
    parts = [to.flows[i] for i in step.inputs]
    axis = step.option("Axis", 0)
    rank = len(x.shape)
    place = axis_of(step, axis, rank)
    if any(len(p.shape) != rank for p in parts):
        raise ModelError(
            f"CONCATENATION of {', '.join(str(p.shape) for p in parts)}",
            where=step.title,
            hint="values with as many dimensions",
        )
    low, high = fused(step)
    name = to.name("concat")
    node = Concat(
        name=name,
        source=step.label,
        xs=tuple(p.tensor for p in parts),
        y=f"{name}_y",
        axis=place,
        axes=len(to.shape(x)),
        low=low,
        high=high,
    )
    shape = list(x.shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    return to.add(step, node, tuple(shape))


def pad_problem(to: Builder, step: Step) -> str:
    """Why not."""
    if step.kind == "PADV2" and to.real(to.stored(step, 2)).any():
        return f"pads with {to.real(to.stored(step, 2)).reshape(-1)[:4].tolist()}; zeros are supported"
    return ""


def pad(to: Builder, step: Step, x: Flow) -> Flow:
    """PAD with zeros; a convolution that follows takes it over."""
    amounts = to.integers(step, 1)
    rank = len(x.shape)
    if len(amounts) != 2 * rank or not all(0 <= v < MOST for v in amounts) or (rank > 1 and any(amounts[:2])):
        raise ModelError(
            f"PAD of {x.shape} by {amounts}", where=step.title, hint="padding of one sample, not the batch"
        )
    if not any(amounts):
        return x
    before, after = (per_axis(amounts[i::2], 0) for i in (0, 1))
    name = to.name("pad")
    node = Pad(name=name, source=step.label, x=x.tensor, y=f"{name}_y", before=before, after=after)
    grown = (n + a + b for n, a, b in zip(x.shape, amounts[::2], amounts[1::2], strict=True))
    return to.moved(step, node, tuple(grown))


def per_axis(values: Sequence[int], fill: int) -> tuple[int, ...]:
    """One number per axis of the file, batch first, as one per axis of the graph."""
    rest = tuple(values[1:]) if len(values) > 1 else tuple(values)
    return (fill, *rest) if len(rest) == 2 else rest


def slice_part(to: Builder, step: Step, x: Flow) -> Flow:
    """SLICE: from `begin` on, `size` elements, -1 for all that are left."""
    begin, size = to.integers(step, 1), to.integers(step, 2)
    if not len(begin) == len(size) == len(x.shape):
        raise ModelError(
            f"SLICE of {x.shape} from {begin}", where=step.title, hint="convert the network again"
        )
    ends = [n if s == -1 else b + s for b, s, n in zip(begin, size, x.shape, strict=True)]
    return part(to, step, x, begin, ends, [1] * len(begin))


def strided_problem(to: Builder, step: Step) -> str:
    """Why not."""
    if step.option("EllipsisMask", 0) or step.option("NewAxisMask", 0) or step.option("Offset", False):
        return "an ellipsis, a new axis or ends that are offsets"
    return ""


def strided_slice(to: Builder, step: Step, x: Flow) -> Flow:
    """STRIDED_SLICE with begin, end, strides as in Python, and bits that leave ends open or drop axes."""
    begin, end, stride = (to.integers(step, i) for i in (1, 2, 3))
    rank = len(x.shape)
    if not len(begin) == len(end) == len(stride) <= rank or any(s < 1 for s in stride):
        raise ModelError(
            f"STRIDED_SLICE of {x.shape} from {begin} to {end} in steps of {stride}",
            where=step.title,
            hint="positive steps",
        )
    drop = step.option("ShrinkAxisMask", 0)
    first, last = [], []
    for i, n in enumerate(x.shape[: len(begin)]):
        start = None if step.option("BeginMask", 0) >> i & 1 else begin[i]
        stop = None if step.option("EndMask", 0) >> i & 1 else end[i]
        if drop >> i & 1:
            start, stop = begin[i], begin[i] + 1 or None
        a, b, _ = slice(start, stop, stride[i]).indices(n)
        first.append(a)
        last.append(b)
    missing = range(len(begin), rank)
    first += [0 for _ in missing]
    last += [x.shape[i] for i in missing]
    stride = stride + [1 for _ in missing]
    y = part(to, step, x, first, last, stride)
    if not drop:
        return y
    return to.reshaped(step, y, tuple(n for i, n in enumerate(y.shape) if not drop >> i & 1) or (1,))


def part(
    to: Builder, step: Step, x: Flow, first: Sequence[int], last: Sequence[int], stride: Sequence[int]
) -> Flow:
    """A regular part of every sample."""
    to.need_one_scale(step)
    lengths = tuple(len(range(a, b, s)) for a, b, s in zip(first, last, stride, strict=True))
    rank = len(x.shape)
    if min(lengths) < 1 or min(first) < 0 or any(b > n for b, n in zip(last, x.shape, strict=True)):
        raise ModelError(
            f"{step.kind} of {x.shape} from {tuple(first)} to {tuple(last)}: empty, or outside",
            where=step.title,
            hint="at least one element along each axis",
        )
    if lengths == x.shape:
        return x
    if rank > 1 and lengths[0] != 1:
        raise ModelError(f"{step.kind} of the batch", where=step.title, hint="parts of one sample")
    ends = [min(a + (n - 1) * s + 1, m) for a, n, s, m in zip(first, lengths, stride, x.shape, strict=True)]
    start, stop, step_by = per_axis(first, 0), per_axis(ends, 1), per_axis(stride, 1)
    name = to.name("slice")
    node = Slice(
        name=name,
        source=step.label,
        x=x.tensor,
        y=f"{name}_y",
        start=start,
        stop=stop,
        step=step_by,
        whole_channels=lengths[-1] == x.shape[-1],
    )
    return to.add(step, node, lengths)


def upsample_problem(to: Builder, step: Step) -> str:
    """Why not."""
    return "align_corners is set" if step.option("AlignCorners", False) else ""


def upsample(to: Builder, step: Step, x: Flow) -> Flow:
    """RESIZE_NEAREST_NEIGHBOR by whole factors, where it does not matter whether pixels have their centre at a half."""
    size = to.integers(step, 1)
    old = to.shape(x)
    if (
        len(size) != 2
        or len(x.shape) != 4
        or any(not 0 < n < MOST or n % o for n, o in zip(size, old, strict=False))
    ):
        raise ModelError(
            f"RESIZE_NEAREST_NEIGHBOR from {x.shape} to {size}; whole factors are supported",
            where=step.title,
            hint="a size that is a multiple of the input's",
        )
    factor = (size[0] // old[0], size[1] // old[1])
    if factor == (1, 1):
        return x
    name = to.name("upsample")
    return to.moved(step, Upsample2d(name=name, source=step.label, x=x.tensor, y=f"{name}_y", factor=factor))


def left_out(to: Builder, step: Step, x: Flow) -> Flow:
    """SOFTMAX or LOGISTIC at the end: the loss has its own."""
    if len(x.shape) > 1 and x.shape[-1] != to.tensors[x.tensor].size and step.kind != "LOGISTIC":
        raise ModelError(
            f"{step.kind} over the last axis of {x.shape}; class scores are one vector",
            where=step.title,
            hint="one class per sample",
        )
    what = "sigmoid" if step.kind == "LOGISTIC" else "softmax"
    to.notes.append(
        f"{step.kind} at the end left out: the outputs are logits, and the loss has its own {what}"
    )
    return x


def vector(to: Builder, x: Flow) -> Flow:
    """The output as a vector, in the order that TFLite has it in memory."""
    size = to.tensors[x.tensor].size
    return to.reshaped(to.source.steps[-1], x, (1, size))
