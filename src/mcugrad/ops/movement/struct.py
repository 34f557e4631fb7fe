"""The constants of parts of a map as C sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcugrad.graph import Graph, Shape
from mcugrad.ops.movement.slice import Pad, Slice
from mcugrad.program import Struct


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


def slice_struct(of: Slice, graph: Graph) -> SliceStruct:
    """Where the output lies in the input."""
    return part_of(graph[of.x].shape, graph[of.y].shape, of.start, of.step)


def pad_struct(of: Pad, graph: Graph) -> SliceStruct:
    """Where the input lies in the output."""
    x, y = graph[of.x].shape, graph[of.y].shape
    return part_of(y, x, of.before, (1,) * len(x))


def places(g: SliceStruct) -> tuple[Any, ...]:
    """Where the part lies in the whole, to index it with."""
    axes = (
        (g.first_h, g.step_h, g.part_h),
        (g.first_w, g.step_w, g.part_w),
        (g.first_c, g.step_c, g.part_c),
    )
    return np.ix_(*(first + step * np.arange(count) for first, step, count in axes))
