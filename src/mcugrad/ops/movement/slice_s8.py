"""Slice and Pad in int8: values move; the scale passes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.computation_s8 import ComputationS8
from mcugrad.ops.core.gradients_s8 import ErrorRescaleS8
from mcugrad.ops.movement.slice import Pad, Slice
from mcugrad.ops.movement.struct import SliceStruct, pad_struct, places, slice_struct
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class SliceS8(ComputationS8):
    """A regular part of an activation."""

    of: Slice

    def gradient(self, to: GradientBuilder, e: str) -> None:
        move_error(to, self.name, e, self.of.x, slice_struct(self.of, to.graph), spread_out=True)

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            GATHER_S8,
            note=self.describe(to.graph),
            g=slice_struct(self.of, to.graph),
            whole=to.data(self.of.x),
            part=to.data(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class PadS8(ComputationS8):
    """Zeros around an activation."""

    of: Pad

    def gradient(self, to: GradientBuilder, e: str) -> None:
        move_error(to, self.name, e, self.of.x, pad_struct(self.of, to.graph), spread_out=False)

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            SCATTER_S8,
            note=self.describe(to.graph),
            g=pad_struct(self.of, to.graph),
            fill=to.zero(self.of.x),
            part=to.data(self.of.x),
            whole=to.data(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class ErrorMoveS8(BackwardNode):
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


def move_error(
    to: GradientBuilder, name: str, e: str, x: str, place: SliceStruct, *, spread_out: bool
) -> None:
    """Carry an error back to `x`, whose values only moved.

    It is masked already: an element of y has the value, and the bounds, of the element of x that it came from.
    """
    carrier = to.carrier(x)
    if carrier is None:
        return
    same = to.carried_by(e) == carrier
    error = to.error_of(x, like=e) if same else to.error_of(x)
    assert error is not None
    moved = error if same else to.moved(f"{name}_moved", e, x)
    to.add(ErrorMoveS8(name=f"{name}_grad_input", e=e, e_x=moved, place=place, spread_out=spread_out))
    if not same:
        to.add(ErrorRescaleS8(name=f"{name}_grad_scale", e=moved, x=x, e_x=error, sign=1))


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
