"""Slice and Pad in float32: values move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.computation_f32 import ComputationF32, error_for
from mcugrad.ops.movement.slice import Pad, Slice
from mcugrad.ops.movement.struct import SliceStruct, pad_struct, places, slice_struct
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class SliceF32(ComputationF32):
    """A regular part of an activation."""

    of: Slice

    def gradient(self, to: GradientBuilder, e: str) -> None:
        place, error = slice_struct(self.of, to.graph), error_for(to, self.of.x)
        to.add(ErrorMoveF32(name=f"{self.name}_grad_input", e=e, e_x=error, place=place, spread_out=True))

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            GATHER_F32,
            note=self.describe(to.graph),
            g=slice_struct(self.of, to.graph),
            whole=to.data(self.of.x),
            part=to.data(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class PadF32(ComputationF32):
    """Zeros around an activation."""

    of: Pad

    def gradient(self, to: GradientBuilder, e: str) -> None:
        place, error = pad_struct(self.of, to.graph), error_for(to, self.of.x)
        to.add(ErrorMoveF32(name=f"{self.name}_grad_input", e=e, e_x=error, place=place, spread_out=False))

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            SCATTER_F32,
            note=self.describe(to.graph),
            g=pad_struct(self.of, to.graph),
            part=to.data(self.of.x),
            whole=to.data(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class ErrorMoveF32(BackwardNode):
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
            to.call(SCATTER_F32, note="error moved", g=self.place, part=e, whole=e_x)
        else:
            to.call(GATHER_F32, note="error moved", g=self.place, whole=e, part=e_x)


def gather_f32(g: SliceStruct, whole: NDArray[Any], part: NDArray[Any]) -> None:
    """part = whole[first :: step]."""
    maps = whole[: g.whole_h * g.whole_w * g.whole_c].reshape(g.whole_h, g.whole_w, g.whole_c)
    part[: g.part_h * g.part_w * g.part_c] = maps[places(g)].reshape(-1)


def scatter_f32(g: SliceStruct, part: NDArray[Any], whole: NDArray[Any]) -> None:
    """whole[first :: step] = part; 0 elsewhere."""
    maps = np.zeros((g.whole_h, g.whole_w, g.whole_c), F32)
    maps[places(g)] = part[: g.part_h * g.part_w * g.part_c].reshape(g.part_h, g.part_w, g.part_c)
    whole[: maps.size] = maps.reshape(-1)


GATHER_F32 = Kernel("mcg_gather_f32", gather_f32)
SCATTER_F32 = Kernel("mcg_scatter_f32", scatter_f32)
