"""Shapes: where the file has the axes of a value, and operators that change shapes but move nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Shape
from mcugrad.importers.shared.flow import (
    FIRST,
    LAST,
    SIGNAL,
    STEPS,
    VECTOR,
    Flow,
    GraphBuilder,
    Layout,
    Origin,
)
from mcugrad.importers.shared.hints import MIXED
from mcugrad.importers.shared.reorder import reordered
from mcugrad.ops.movement.flatten import Flatten
from mcugrad.ops.movement.reshape import Reshape

B = TypeVar("B", bound=GraphBuilder)


def first_fit(
    options: list[Layout], enter: Callable[[Layout], B], run: Callable[[B, Layout], str]
) -> tuple[B, str]:
    """Translate with the first layout of the input that leads to the end; the output's name.

    Raises:
        ModelError: no layout does. The error is that of the one that came farthest.
    """
    farthest: tuple[int, ModelError] | None = None
    for layout in options:
        to = enter(layout)
        try:
            return to, run(to, layout)
        except ModelError as error:
            if farthest is None or len(to.flows) > farthest[0]:
                farthest = len(to.flows), error
    assert farthest is not None
    raise farthest[1]


def memory_order(shape: Shape, axes: tuple[int, ...]) -> NDArray[np.int64]:
    """Where the file has each of our elements, as an index into its flattened value."""
    indices = np.arange(prod(shape)).reshape([shape[a] for a in axes])
    return indices.transpose(np.argsort(axes)).reshape(-1)


def relaid(to: GraphBuilder, at: Origin, x: Flow, options: list[Layout], bare: bool = False) -> Flow | None:
    """The same values in the first layout that leaves them where they are; None if there is none."""
    shape = to.shape(x)
    old = memory_order(shape, x.axes) if x.order is None else x.order
    for new, axes in sorted(options, key=lambda option: option[0] != shape):
        if np.array_equal(memory_order(new, axes), old):
            if new == shape:
                return Flow(x.tensor, axes, raw=x.raw, shares=x.shares, bare=bare)
            return shaped(to, at, x, new, axes, bare)
    return None


def shaped(
    to: GraphBuilder, at: Origin, x: Flow, shape: Shape, axes: tuple[int, ...], bare: bool = False
) -> Flow:
    """The same memory under another shape of ours."""
    name = to.name("flatten" if len(shape) == 1 else "reshape")
    fields: dict[str, Any] = {"name": name, "source": at.label, "x": x.tensor, "y": f"{name}_y"}
    y = to.put(at, Flatten(**fields) if len(shape) == 1 else Reshape(**fields, to=shape))
    return Flow(y, axes, raw=x.raw, shares=x.shares, bare=bare)


def as_map(to: GraphBuilder, at: Origin, x: Flow) -> Flow:
    """A value as a map or sequence with the channels where the file usually has them.

    Raises:
        ModelError: it is none, and cannot become one without moving values.
    """
    shape = to.shape(x)
    usual, steps = (FIRST, SIGNAL) if to.first else (LAST, STEPS)
    if (x.axes == usual or (x.axes == steps and shape[0] == 1)) and x.order is None and not x.bare:
        return x
    dims = to.dims(x)[1:]
    possible = len(dims) in (2, 3) and not x.bare
    if possible:
        wanted = to.layouts(dims)[0]
        found = relaid(to, at, x, [wanted])
        if found is not None:
            return found
        if reordered(to, x, memory_order(shape, x.axes), wanted[0], memory_order(*wanted)):
            return Flow(x.tensor, wanted[1], raw=x.raw)
    wanted_dims = (
        "(batch, channels, height, width) map or a (batch, channels, length) sequence"
        if to.first
        else "(batch, height, width, channels) map"
    )
    raise ModelError(
        f"{at.kind} needs a {wanted_dims}; its input is {to.dims(x)}"
        + (" with the axes in another order" if possible else ""),
        where=at.title,
        hint="export the network with such an input",
    )


def with_dims(to: GraphBuilder, at: Origin, x: Flow, new: Shape) -> Flow:
    """A value that the file has in another shape, batch first; without a batch where the first dimension is not 1."""
    old = to.dims(x)
    if new == old:
        return x
    batched = new[:1] == (1,) and len(new) > 1
    if prod(new) == prod(old) and (batched or to.batch == 1):
        inner = new[1:] if batched else new
        if len(inner) == 1:
            return replace(flattened(to, at, x), bare=not batched)
        found = relaid(to, at, x, to.layouts(inner), not batched)
        if found is not None:
            return found
    raise ModelError(
        f"{at.kind} from {old} to {new} mixes axes or changes the batch",
        where=at.title,
        hint=MIXED,
    )


def flattened(to: GraphBuilder, at: Origin, x: Flow) -> Flow:
    """A vector of all elements, remembering where the file has them."""
    shape = to.shape(x)
    if len(shape) == 1:
        return replace(x, bare=False)
    order = memory_order(shape, x.axes)
    y = shaped(to, at, x, (prod(shape),), VECTOR)
    return y if (order == np.arange(len(order))).all() else replace(y, order=order)


def transposed(to: GraphBuilder, at: Origin, x: Flow, order: list[int]) -> Flow:
    """Nothing moves: only what the file calls the axes changes."""
    rank = len(to.dims(x))
    if sorted(order) != list(range(rank)):
        raise ModelError(
            f"{at.kind} of {to.dims(x)} by {order}: the axes differ", where=at.title, hint="check the file"
        )
    if x.bare:
        return replace(x, axes=tuple(x.axes[i] for i in order))
    if order[0] != 0:
        new = tuple(to.dims(x)[i] for i in order)
        longer = [i for i in order if to.dims(x)[i] > 1]
        if to.batch == 1 and longer == sorted(longer):
            return with_dims(to, at, x, new)
        raise ModelError(
            f"{at.kind} of {to.dims(x)} by {order} moves the batch", where=at.title, hint="keep it first"
        )
    return replace(x, axes=tuple(x.axes[i - 1] for i in order[1:]))


def output(to: GraphBuilder, at: Origin, x: Flow) -> str:
    """Name of the network's output, a vector in the device's order."""
    shape = to.shape(x)
    y = flattened(to, at, x)
    if y.order is not None:
        text = ", ".join(map(str, shape)) if len(shape) == 3 else "height, width, channels"
        to.notes.append(f"the device gives its outputs channels last, ({text}), one after the other")
    return y.tensor


def input_notes(to: GraphBuilder, x: Flow) -> list[str]:
    """How the device takes its input, where that is not as in the file."""
    shape = to.shape(x)
    size = ", ".join(map(str, shape))
    if len(x.axes) == 3 and shape[2] > 1 and x.axes != LAST:
        return [f"the device takes its input channels last, ({size}): x.transpose(0, 2, 3, 1)"]
    if len(x.axes) == 2 and x.axes[0] == 2 and 1 not in shape[1:]:
        return [f"the device takes its input channels last, ({size}): x.transpose(0, 2, 1)"]
    return []
