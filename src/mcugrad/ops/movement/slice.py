"""Slice and Pad: a regular part of an activation, and the reverse. Values move; the scale passes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.errors import ModelError
from mcugrad.graph import BackwardNode, Graph, Operator, Shape
from mcugrad.ops.core.gradients import ErrorRescale
from mcugrad.program import Kernel, Struct


@dataclass(frozen=True, kw_only=True)
class Slice(Operator):
    """Every `step`-th element from `start` up to but not including `stop`, along every axis.

    Attributes:
        start: first element along each axis, batch aside; not negative.
        stop: end along each axis, at most its length.
        step: at least 1.
        whole_channels: whether every channel is kept in its place.
    """

    x: str
    start: tuple[int, ...]
    stop: tuple[int, ...]
    step: tuple[int, ...]
    whole_channels: bool

    INPUTS = ("x",)
    passes_scale = True

    @property
    def keeps_channels(self) -> bool:
        return self.whole_channels

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        fits = len(x) == len(self.start) == len(self.stop) == len(self.step) in (1, 3)
        ranges = tuple(zip(self.start, self.stop, self.step, strict=True)) if fits else ()
        if not fits or any(not (0 <= a < b <= n and s > 0) for (a, b, s), n in zip(ranges, x, strict=True)):
            raise ModelError(
                f"a part from {self.start} to {self.stop} in steps of {self.step} of {x} values: it is empty "
                "or reaches outside",
                where=self.title,
                hint="at least one element along each axis, in order",
            )
        result = tuple(len(range(*r)) for r in ranges)
        if self.whole_channels != (result[-1] == x[-1]):
            raise ModelError(
                f"a part of {result[-1]} of {x[-1]} channels with whole_channels={self.whole_channels}",
                where=self.title,
                hint="whole_channels is true where all channels are kept",
            )
        return result

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        parts = (slice(*r) for r in zip(self.start, self.stop, self.step, strict=True))
        return inputs[0][(slice(None), *parts)]

    def gradient(self, to: GradientBuilder, e: str) -> None:
        move_error(to, self.name, e, self.x, self.struct(to.graph), spread_out=True)

    def macs(self, graph: Graph) -> int:
        return 0

    def describe(self, graph: Graph) -> str:
        return f"slice  {' -> '.join('x'.join(map(str, graph[t].shape)) for t in (self.x, self.y))}"

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            GATHER_S8,
            note=self.describe(to.graph),
            g=self.struct(to.graph),
            whole=to.data(self.x),
            part=to.data(self.y),
        )

    def struct(self, graph: Graph) -> SliceStruct:
        """Where the part lies."""
        return part_of(graph[self.x].shape, graph[self.y].shape, self.start, self.step)


@dataclass(frozen=True, kw_only=True)
class Pad(Operator):
    """Zeros around an activation.

    Attributes:
        before: how many along each axis, batch aside, in front.
        after: how many behind.
    """

    x: str
    before: tuple[int, ...]
    after: tuple[int, ...]

    INPUTS = ("x",)
    passes_scale = True

    @property
    def keeps_channels(self) -> bool:
        return self.before[-1] == self.after[-1] == 0

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if not len(x) == len(self.before) == len(self.after) in (1, 3) or min(self.before + self.after) < 0:
            raise ModelError(
                f"padding of {self.before} before and {self.after} behind {x} values",
                where=self.title,
                hint="one number per axis, not negative",
            )
        return tuple(b + n + a for b, n, a in zip(self.before, x, self.after, strict=True))

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        return np.pad(inputs[0], ((0, 0), *zip(self.before, self.after, strict=True)))

    def gradient(self, to: GradientBuilder, e: str) -> None:
        move_error(to, self.name, e, self.x, self.struct(to.graph), spread_out=False)

    def macs(self, graph: Graph) -> int:
        return 0

    def describe(self, graph: Graph) -> str:
        return f"pad  {' -> '.join('x'.join(map(str, graph[t].shape)) for t in (self.x, self.y))}"

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            SCATTER_S8,
            note=self.describe(to.graph),
            g=self.struct(to.graph),
            fill=to.zero(self.x),
            part=to.data(self.x),
            whole=to.data(self.y),
        )

    def struct(self, graph: Graph) -> SliceStruct:
        """Where the input lies in the output."""
        x, y = graph[self.x].shape, graph[self.y].shape
        return part_of(y, x, self.before, (1,) * len(x))


@dataclass(frozen=True, kw_only=True)
class ErrorMove(BackwardNode):
    """Errors copied to where their values came from.

    Attributes:
        place: how the smaller of both lies in the larger.
        spread_out: whether `e_x` is the larger; what `e` does not cover becomes 0.
    """

    e: str
    e_x: str
    place: SliceStruct
    spread_out: bool

    INPUTS = ("e",)
    OUTPUTS = ("e_x",)

    def lower(self, to: ProgramBuilder) -> None:
        e, e_x = to.data(self.e), to.data(self.e_x)
        if self.spread_out:
            to.call(SCATTER_S8, note="error moved", g=self.place, fill=0, part=e, whole=e_x)
        else:
            to.call(GATHER_S8, note="error moved", g=self.place, whole=e, part=e_x)


@dataclass(frozen=True)
class SliceStruct(Struct):
    """`mcg_slice_t`."""

    whole_h: int
    whole_w: int
    whole_c: int
    part_h: int
    part_w: int
    part_c: int
    first_h: int
    first_w: int
    first_c: int
    step_h: int
    step_w: int
    step_c: int

    @classmethod
    def ctype(cls) -> str:
        return "mcg_slice_t"


def part_of(whole: Shape, part: Shape, first: tuple[int, ...], step: tuple[int, ...]) -> SliceStruct:
    """Constants of a part as C sees them; a vector is a map of one pixel."""
    fill = 3 - len(whole)
    ones, zeros = (1,) * fill, (0,) * fill
    return SliceStruct(*ones, *whole, *ones, *part, *zeros, *first, *ones, *step)


def move_error(
    to: GradientBuilder, name: str, e: str, x: str, place: SliceStruct, *, spread_out: bool
) -> None:
    """Carry an error back to `x`, whose values only moved.

    It is masked already: an element of y has the value, and the bounds, of the element of x that it came from.
    """
    carrier = to.carrier(x)
    if carrier is None:
        return
    same = to.graph[e].quant.carrier == carrier  # type: ignore[union-attr]
    error = to.error_of(x, like=e) if same else to.error_of(x)
    assert error is not None
    moved = error if same else to.moved(f"{name}_moved", e, x)
    to.add(ErrorMove(name=f"{name}_grad_input", e=e, e_x=moved, place=place, spread_out=spread_out))
    if not same:
        to.add(ErrorRescale(name=f"{name}_grad_scale", e=moved, x=x, e_x=error, sign=1))


def places(g: SliceStruct) -> tuple[Any, ...]:
    """Where the part lies in the whole, to index it with."""
    axes = (
        (g.first_h, g.step_h, g.part_h),
        (g.first_w, g.step_w, g.part_w),
        (g.first_c, g.step_c, g.part_c),
    )
    return np.ix_(*(first + step * np.arange(count) for first, step, count in axes))


def gather_s8(g: SliceStruct, whole: NDArray[Any], part: NDArray[Any]) -> None:
    """part = whole[first :: step]."""
    maps = whole[: g.whole_h * g.whole_w * g.whole_c].reshape(g.whole_h, g.whole_w, g.whole_c)
    part[: g.part_h * g.part_w * g.part_c] = maps[places(g)].reshape(-1)


def scatter_s8(g: SliceStruct, fill: int, part: NDArray[Any], whole: NDArray[Any]) -> None:
    """whole[first :: step] = part; `fill` elsewhere."""
    maps = np.full((g.whole_h, g.whole_w, g.whole_c), fill, np.int8)
    maps[places(g)] = part[: g.part_h * g.part_w * g.part_c].reshape(g.part_h, g.part_w, g.part_c)
    whole[: maps.size] = maps.reshape(-1)


GATHER_S8 = Kernel("mcg_gather_s8", gather_s8)
SCATTER_S8 = Kernel("mcg_scatter_s8", scatter_s8)
