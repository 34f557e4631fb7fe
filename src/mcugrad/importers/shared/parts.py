"""Operators that cut, pad, pick, join and reduce, whatever the file calls them. Axes are counted as the file does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from mcugrad.errors import ModelError
from mcugrad.graph import Operator, Shape
from mcugrad.importers.shared.flow import Flow, GraphBuilder, Origin
from mcugrad.importers.shared.layout import shaped, with_dims
from mcugrad.ops.core.window import Pair
from mcugrad.ops.joining.concat import Concat
from mcugrad.ops.movement.slice import Pad, Slice
from mcugrad.ops.movement.upsample2d import Upsample2d

MOST_RUNS = 16
"""Regular parts that a list of indices may consist of."""


def places(to: GraphBuilder, at: Origin, x: Flow, axes: Sequence[int]) -> list[int]:
    """Axes of the file as indices into `dims`. Raises ModelError where there is no such axis, or one comes twice."""
    rank = len(to.dims(x))
    demand(to, at, x, all(-rank <= a < rank for a in axes))
    found = [a % rank for a in axes]
    demand(to, at, x, len(set(found)) == len(found))
    return found


def ours(x: Flow, place: int) -> int | None:
    """Our axis for one of the file; None for the batch."""
    place -= not x.bare
    return None if place < 0 else x.axes[place]


def demand(to: GraphBuilder, at: Origin, x: Flow, fits: bool) -> None:
    """Raise ModelError if something does not fit."""
    if not fits:
        raise ModelError(
            f"{at.kind} of {to.dims(x)} values reaches outside, moves samples, or cuts a flattened map",
            where=at.title,
            hint="a part along the axes of one sample, before it is flattened",
        )


def part(to: GraphBuilder, at: Origin, x: Flow, chosen: dict[int, range]) -> Flow:
    """A regular part of a value.

    Args:
        to: what to add to.
        at: the operator.
        x: the value.
        chosen: indices along axes of the file; all of those that are not named.
    """
    shape = to.shape(x)
    start, stop, step = [0] * len(shape), list(shape), [1] * len(shape)
    for place, indices in chosen.items():
        axis = ours(x, place)
        size = to.batch if axis is None else shape[axis]
        inside = len(indices) > 0 and indices.step > 0 and indices[0] >= 0 and indices[-1] < size
        demand(to, at, x, inside and (axis is not None or len(indices) in (size, 1)))
        if axis is None:
            demand(to, at, x, len(indices) == size)
            continue
        start[axis], stop[axis], step[axis] = indices[0], indices[-1] + 1, indices.step
        if len(indices) == 1:
            step[axis] = 1
    if start == [0] * len(shape) and stop == list(shape) and step == [1] * len(shape):
        return x
    demand(to, at, x, x.order is None)
    name = to.name("slice")
    node = Slice(
        name=name,
        source=at.label,
        x=x.tensor,
        y=f"{name}_y",
        start=tuple(start),
        stop=tuple(stop),
        step=tuple(step),
        whole_channels=len(range(start[-1], stop[-1], step[-1])) == shape[-1],
    )
    return replace(x, tensor=to.put(at, node))


def padded(to: GraphBuilder, at: Origin, x: Flow, before: dict[int, int], after: dict[int, int]) -> Flow:
    """Zeros in front of and behind axes of the file; negative numbers cut off."""
    shape, dims = to.shape(x), to.dims(x)
    cut = {
        place: range(max(-before[place], 0), dims[place] - max(-after[place], 0))
        for place in before
        if before[place] < 0 or after[place] < 0
    }
    y = part(to, at, x, cut)
    front, back = [0] * len(shape), [0] * len(shape)
    for place in before:
        axis = ours(x, place)
        if axis is None:
            demand(to, at, x, before[place] == after[place] == 0)
        else:
            front[axis], back[axis] = max(before[place], 0), max(after[place], 0)
    if not any(front + back):
        return y
    demand(to, at, x, x.order is None)
    name = to.name("pad")
    node = Pad(name=name, source=at.label, x=y.tensor, y=f"{name}_y", before=tuple(front), after=tuple(back))
    return replace(y, tensor=to.put(at, node))


def split(
    to: GraphBuilder, at: Origin, x: Flow, axis: int, sizes: Sequence[int], used: Sequence[bool]
) -> list[Flow]:
    """Parts side by side along an axis of the file; what is not used is not cut."""
    (place,) = places(to, at, x, [axis])
    demand(to, at, x, sum(sizes) == to.dims(x)[place] and min(sizes, default=0) > 0)
    ends = np.cumsum([0, *sizes]).tolist()
    pieces = zip(ends, ends[1:], used, strict=False)
    return [part(to, at, x, {place: range(a, b)}) if needed else x for a, b, needed in pieces]


def take(to: GraphBuilder, at: Origin, x: Flow, axis: int, indices: Sequence[int], scalar: bool) -> Flow:
    """Elements at constant indices along an axis of the file, which goes where the index is one number."""
    (place,) = places(to, at, x, [axis])
    size = to.dims(x)[place]
    demand(to, at, x, all(-size <= i < size for i in indices) and len(indices) > 0)
    found = runs([i % size for i in indices])
    if len(found) > MOST_RUNS:
        raise ModelError(
            f"{at.kind} picks {len(indices)} of {size} values in {len(found)} regular parts; "
            f"{MOST_RUNS} are supported",
            where=at.title,
            hint="indices that count up evenly, or the samples in another order",
        )
    y = joined(to, at, [part(to, at, x, {place: run}) for run in found], place)
    return dropped(to, at, y, [place]) if scalar else y


def runs(indices: Sequence[int]) -> list[range]:
    """Ranges that count up evenly and together are a list of indices."""
    found: list[range] = []
    i = 0
    while i < len(indices):
        step = indices[i + 1] - indices[i] if i + 1 < len(indices) else 0
        end = i + 1
        while step > 0 and end < len(indices) and indices[end] - indices[end - 1] == step:
            end += 1
        found.append(range(indices[i], indices[end - 1] + 1, max(step, 1)))
        i = end
    return found


def dropped(to: GraphBuilder, at: Origin, x: Flow, gone: Sequence[int]) -> Flow:
    """A value without axes of length 1."""
    dims = to.dims(x)
    rest = tuple(n for i, n in enumerate(dims) if i not in gone)
    if gone and not x.bare and 0 in gone and len(rest) == len(x.axes):
        return replace(x, bare=True)  # one sample of one
    return with_dims(to, at, x, rest or (1,))


def joined(to: GraphBuilder, at: Origin, xs: Sequence[Flow], axis: int, **fields: Any) -> Flow:
    """Side by side along an axis of the file; of vectors, the file's order is kept track of."""
    if len(xs) == 1:
        return xs[0]
    first, rank = xs[0], len(to.dims(xs[0]))
    same = all(x.axes == first.axes and x.bare == first.bare for x in xs)
    if not same or not -rank <= axis < rank or ours(first, axis % rank) is None:
        shapes = ", ".join(str(to.dims(x)) for x in xs)
        raise ModelError(
            f"{at.kind} of {shapes} values along axis {axis}: their axes differ",
            where=at.title,
            hint="values with the same axes",
        )
    name = to.name("concat")
    node = Concat(
        name=name,
        source=at.label,
        xs=tuple(x.tensor for x in xs),
        axis=ours(first, axis % rank) or 0,
        axes=len(to.shape(first)),
        y=f"{name}_y",
        **fields,
    )
    order = None
    if any(x.order is not None for x in xs):
        sizes = np.cumsum([0, *(to.shape(x)[0] for x in xs)])
        parts = (np.arange(to.shape(x)[0]) if x.order is None else x.order for x in xs)
        order = np.concatenate([part + first for part, first in zip(parts, sizes, strict=False)])
    return replace(first, tensor=to.put(at, node), order=order)


def same_rank(to: GraphBuilder, at: Origin, a: Flow, b: Flow) -> tuple[Flow, Flow]:
    """Two operands with as many axes: the smaller one gets axes of length 1 in front, as broadcasting does."""
    rank = max(len(to.dims(a)), len(to.dims(b)))
    a, b = (
        x if len(to.dims(x)) == rank else with_dims(to, at, x, (1,) * (rank - len(to.dims(x))) + to.dims(x))
        for x in (a, b)
    )
    return a, b


def demand_same_axes(to: GraphBuilder, at: Origin, *xs: Flow) -> None:
    """Raise ModelError where values do not lie in memory in the same way."""
    first, shapes = xs[0], [to.dims(x) for x in xs]
    for x, shape in zip(xs[1:], shapes[1:], strict=True):
        same = (len(x.axes), x.bare) == (len(first.axes), first.bare) and all(
            a == b or 1 in (n, m)
            for a, b, n, m in zip(
                first.axes, x.axes, shapes[0][-len(x.axes) :], shape[-len(x.axes) :], strict=True
            )
        )
        orders = (x.order, first.order)
        if not same or (any(o is not None for o in orders) and not _equal(*orders)):
            raise ModelError(
                f"{at.kind} of {' and '.join(map(str, shapes))} values that lie in memory in different orders",
                where=at.title,
                hint="the same number of axes, and flattened maps only with flattened maps",
            )


def spread(to: GraphBuilder, at: Origin, x: Flow, whole: Shape) -> Flow:
    """One number per channel, repeated for every pixel."""
    shape = to.shape(x)
    if shape == whole or shape[-1] != whole[-1] or shape[:-1] != (1, 1):
        return x
    name = to.name("upsample")
    factor = (whole[0], whole[1])
    node = Upsample2d(name=name, source=at.label, x=x.tensor, y=f"{name}_y", factor=factor)
    return replace(x, tensor=to.put(at, node))


def expanded_shape(to: GraphBuilder, at: Origin, x: Flow, wanted: Sequence[int]) -> Shape:
    """Shape of a value repeated along axes of length 1, as broadcasting does it. Raises ModelError if not possible."""
    dims = to.dims(x)
    rank = max(len(dims), len(wanted))
    old, new = ((1,) * (rank - len(d)) + tuple(d) for d in (dims, wanted))
    batch = (1, to.batch)
    if old[0] == 1 and new[0] in batch:
        new = (1, *new[1:])
    if (
        x.bare
        or len(wanted) > len(dims)
        or any(1 not in (a, b) and a != b for a, b in zip(old, new, strict=True))
    ):
        raise ModelError(
            f"{at.kind} of {dims} values to {tuple(wanted)}",
            where=at.title,
            hint="values that are repeated along axes of length 1, as many axes as before",
        )
    return tuple(map(max, old, new))


def repeated(to: GraphBuilder, at: Origin, x: Flow, whole: Shape) -> Flow:
    """One number per channel, repeated for every pixel of a map that the file has in the shape `whole`."""
    shape = to.shape(x)
    if len(shape) == 3 and x.order is None and len(x.axes) == 3:
        places = dict(zip(x.axes, whole[1:], strict=True))
        y = spread(to, at, x, (places[0], places[1], places[2]))
        if to.shape(y) == (places[0], places[1], places[2]):
            return y
    raise ModelError(
        f"{at.kind} of {to.dims(x)} values to {whole}; one number per channel is repeated for every pixel",
        where=at.title,
        hint="a sum or product with the value as it is, which repeats it by itself",
    )


def _equal(a: object, b: object) -> bool:
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)


def reduced(
    to: GraphBuilder,
    at: Origin,
    x: Flow,
    axes: Sequence[int],
    keep: bool,
    pool: Callable[[str, str, Pair], Operator],
) -> Flow:
    """The mean or the largest value along axes of the file, as one window after the other.

    Args:
        to: what to add to.
        at: the operator.
        x: the value.
        axes: of the file.
        keep: whether they stay, 1 long.
        pool: makes the node of a name, what it reads, and the size of the window.
    """
    found = places(to, at, x, axes)
    shape, dims = to.shape(x), to.dims(x)
    gone = {axis for place in found if (axis := ours(x, place)) is not None}
    if (0 in found and not x.bare and to.batch != 1) or x.order is not None:
        raise ModelError(
            f"{at.kind} over axes {list(axes)} of {dims} takes samples together, or a flattened map",
            where=at.title,
            hint="axes of one sample, before it is flattened",
        )
    after = tuple(1 if i in gone else n for i, n in enumerate(shape))
    if len(shape) == 3 and (2 not in gone or shape[2] == 1):
        kernel = tuple(shape[i] if i in gone else 1 for i in (0, 1))
        y = replace(x, tensor=to.put(at, pool(to.name("pool"), x.tensor, (kernel[0], kernel[1]))))
    else:
        y = _reduced_channels(to, at, x, gone, after, pool)
    return y if keep else dropped(to, at, y, found)


def _reduced_channels(
    to: GraphBuilder,
    at: Origin,
    x: Flow,
    gone: set[int],
    after: Shape,
    pool: Callable[[str, str, Pair], Operator],
) -> Flow:
    """Channels, and what lies before them without a gap, as the columns of a map with one channel."""
    shape = to.shape(x)
    first = min(i for i in range(len(shape)) if all(j in gone or shape[j] == 1 for j in range(i, len(shape))))
    if any(i < first and shape[i] > 1 for i in gone):
        raise ModelError(
            f"{at.kind} over channels and height, but not width, of {to.dims(x)}",
            where=at.title,
            hint="one after the other: over the channels first",
        )
    rows, columns = prod(shape[:first]), prod(shape[first:])
    flat = shaped(to, at, x, (rows, columns, 1), (0, 1, 2)) if shape != (rows, columns, 1) else x
    y = to.put(at, pool(to.name("pool"), flat.tensor, (1, columns)))
    if to.tensors[y].shape == after:
        return replace(x, tensor=y)
    return replace(shaped(to, at, replace(x, tensor=y), after, x.axes), bare=x.bare)
