"""What moves values in float32: Flatten and Reshape, Slice and Pad, Upsample2d."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import BackwardNode, Graph
from mcugrad.ops.core.gradients import ErrorAlias
from mcugrad.ops.core.operator_f32 import FloatOperator, error_for
from mcugrad.ops.movement.flatten import Flatten
from mcugrad.ops.movement.reshape import Reshape
from mcugrad.ops.movement.slice import Pad, Slice, SliceStruct, places
from mcugrad.ops.movement.upsample2d import Upsample2d
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class FloatReshape(FloatOperator):
    """The same bytes under another shape."""

    of: Flatten | Reshape

    passes_scale = True

    def gradient(self, to: GradientBuilder, e: str) -> None:
        to.add(ErrorAlias(name=f"{self.name}_grad_input", e=e, e_x=error_for(to, self.of.x)))

    def lower(self, to: ProgramBuilder) -> None:
        to.alias(self.y, self.of.x)


@dataclass(frozen=True, kw_only=True)
class FloatSlice(FloatOperator):
    """A regular part of an activation."""

    of: Slice

    passes_scale = True

    def gradient(self, to: GradientBuilder, e: str) -> None:
        place, error = self.of.struct(to.graph), error_for(to, self.of.x)
        to.add(FloatErrorMove(name=f"{self.name}_grad_input", e=e, e_x=error, place=place, spread_out=True))

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            GATHER_F32,
            note=self.describe(to.graph),
            g=self.of.struct(to.graph),
            whole=to.data(self.of.x),
            part=to.data(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class FloatPad(FloatOperator):
    """Zeros around an activation."""

    of: Pad

    passes_scale = True

    def gradient(self, to: GradientBuilder, e: str) -> None:
        place, error = self.of.struct(to.graph), error_for(to, self.of.x)
        to.add(FloatErrorMove(name=f"{self.name}_grad_input", e=e, e_x=error, place=place, spread_out=False))

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            SCATTER_F32,
            note=self.describe(to.graph),
            g=self.of.struct(to.graph),
            part=to.data(self.of.x),
            whole=to.data(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class FloatErrorMove(BackwardNode):
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


@dataclass(frozen=True, kw_only=True)
class FloatUpsample2d(FloatOperator):
    """A larger map of the same values."""

    of: Upsample2d

    passes_scale = True

    def gradient(self, to: GradientBuilder, e: str) -> None:
        name, error = f"{self.name}_grad_input", error_for(to, self.of.x)
        to.add(FloatUpsample2dGradInput(name=name, forward=self, e=e, e_x=error))

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            UPSAMPLE2D_F32,
            note=self.describe(to.graph),
            **self.of.size(to.graph),
            x=to.data(self.of.x),
            y=to.data(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class FloatUpsample2dGradInput(BackwardNode):
    """Error of a pixel: the sum over its copies."""

    forward: FloatUpsample2d
    e: str
    e_x: str

    INPUTS = ("e",)
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return graph[self.e].size

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            UPSAMPLE2D_GRAD_INPUT_F32,
            note=f"error of {self.forward.of.x}",
            **self.forward.of.size(to.graph),
            e=to.data(self.e),
            e_x=to.data(self.e_x),
        )


def gather_f32(g: SliceStruct, whole: NDArray[Any], part: NDArray[Any]) -> None:
    """part = whole[first :: step]."""
    maps = whole[: g.whole_h * g.whole_w * g.whole_c].reshape(g.whole_h, g.whole_w, g.whole_c)
    part[: g.part_h * g.part_w * g.part_c] = maps[places(g)].reshape(-1)


def scatter_f32(g: SliceStruct, part: NDArray[Any], whole: NDArray[Any]) -> None:
    """whole[first :: step] = part; 0 elsewhere."""
    maps = np.zeros((g.whole_h, g.whole_w, g.whole_c), F32)
    maps[places(g)] = part[: g.part_h * g.part_w * g.part_c].reshape(g.part_h, g.part_w, g.part_c)
    whole[: maps.size] = maps.reshape(-1)


def upsample2d_f32(
    height: int,
    width: int,
    channels: int,
    factor_h: int,
    factor_w: int,
    x: NDArray[Any],
    y: NDArray[Any],
) -> None:
    """y[i, j] = x[i // factor_h, j // factor_w]."""
    maps = x[: height * width * channels].reshape(height, width, channels)
    result = maps.repeat(factor_h, axis=0).repeat(factor_w, axis=1)
    y[: result.size] = result.reshape(-1)


def upsample2d_grad_input_f32(
    height: int,
    width: int,
    channels: int,
    factor_h: int,
    factor_w: int,
    e: NDArray[Any],
    e_x: NDArray[Any],
) -> None:
    """e_x = sum of e over the copies of a pixel, row by row."""
    count = height * factor_h * width * factor_w * channels
    errors = e[:count].reshape(height, factor_h, width, factor_w, channels)
    total = np.zeros((height, width, channels), F32)
    with np.errstate(all="ignore"):
        for i in range(factor_h):
            for j in range(factor_w):
                total += errors[:, i, :, j]
    e_x[: total.size] = total.reshape(-1)


GATHER_F32 = Kernel("mcg_gather_f32", gather_f32)
SCATTER_F32 = Kernel("mcg_scatter_f32", scatter_f32)
UPSAMPLE2D_F32 = Kernel("mcg_upsample2d_f32", upsample2d_f32)
UPSAMPLE2D_GRAD_INPUT_F32 = Kernel("mcg_upsample2d_grad_input_f32", upsample2d_grad_input_f32)
