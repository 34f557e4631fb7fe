"""Errors of float layers on their way back: sums of several, parts of one, and those that only pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.core.computation_f32 import clipped, error_for, lower_mask, open_bounds, real
from mcugrad.ops.core.gradients import ErrorAlias
from mcugrad.program import Kernel, Shared


@dataclass(frozen=True, kw_only=True)
class ErrorSumF32(BackwardNode):
    """Sum of two errors of the same activation."""

    a: str
    b: str
    e: str

    INPUTS = ("a", "b")
    OUTPUTS = ("e",)

    def macs(self, graph: Graph) -> int:
        return graph[self.e].size

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            ADD_F32,
            note="sum of two errors",
            count=to.graph[self.e].size,
            sign=1,
            a=to.data(self.a),
            b=to.data(self.b),
            clip=open_bounds(to),
            y=to.data(self.e),
        )


@dataclass(frozen=True, kw_only=True)
class ErrorPartF32(BackwardNode):
    """The error of `x`: rows cut out of that of `y`, with a sign.

    Attributes:
        rows: how many.
        offset: where a row of x begins in a row of y.
        sign: 1, or -1 where the value was subtracted.
    """

    e: str
    x: str
    e_x: str
    rows: int = 1
    offset: int = 0
    sign: int = 1

    INPUTS = ("e", "x")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return graph[self.e_x].size

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            PART_F32,
            note=f"error of {self.x}",
            rows=self.rows,
            count=to.graph[self.e_x].size // self.rows,
            pitch=to.graph[self.e].size // self.rows,
            offset=self.offset,
            sign=self.sign,
            e=to.data(self.e),
            e_x=to.data(self.e_x),
        )
        lower_mask(to, self.x, self.e_x)


def pass_float_error(to: GradientBuilder, name: str, e: str, x: str, sign: int = 1) -> None:
    """Carry the error of a value back to `x`, from which it came unchanged but for its sign."""
    error = error_for(to, x)
    if sign == 1 and not real(to.graph, x).bounded:
        to.add(ErrorAlias(name=name, e=e, e_x=error))
    else:
        to.add(ErrorPartF32(name=name, e=e, x=x, e_x=error, sign=sign))


def part_f32(
    rows: int,
    count: int,
    pitch: int,
    offset: int,
    sign: int,
    e: NDArray[Any],
    e_x: NDArray[Any],
) -> None:
    """e_x[r, i] = sign * e[r, offset + i]; rows have `count` elements in e_x and `pitch` in e."""
    part = e[: rows * pitch].reshape(rows, pitch)[:, offset : offset + count]
    e_x[: rows * count] = (F32(sign) * part).reshape(-1)


def add_f32(
    count: int,
    sign: int,
    a: NDArray[Any],
    b: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
) -> None:
    """y = clip(a + sign * b)."""
    with np.errstate(all="ignore"):
        y[:count] = clipped(a[:count] + F32(sign) * b[:count], clip)


ADD_F32 = Kernel("mcg_add_f32", add_f32, may_share=(Shared("a", "y"), Shared("b", "y")))
PART_F32 = Kernel("mcg_part_f32", part_f32)
