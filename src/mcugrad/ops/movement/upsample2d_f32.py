"""Upsample2d in float32."""

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
from mcugrad.ops.core.computation_f32 import ComputationF32, error_for
from mcugrad.ops.movement.upsample2d import Upsample2d
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class Upsample2dF32(ComputationF32):
    """A larger map of the same values."""

    of: Upsample2d

    def gradient(self, to: GradientBuilder, e: str) -> None:
        name, error = f"{self.name}_grad_input", error_for(to, self.of.x)
        to.add(Upsample2dGradInputF32(name=name, forward=self, e=e, e_x=error))

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            UPSAMPLE2D_F32,
            note=self.describe(to.graph),
            **self.of.size(to.graph),
            x=to.data(self.of.x),
            y=to.data(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class Upsample2dGradInputF32(BackwardNode):
    """Error of a pixel: the sum over its copies."""

    forward: Upsample2dF32
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


UPSAMPLE2D_F32 = Kernel("mcg_upsample2d_f32", upsample2d_f32)
UPSAMPLE2D_GRAD_INPUT_F32 = Kernel("mcg_upsample2d_grad_input_f32", upsample2d_grad_input_f32)
