"""MaxPool2d in int8: the scale of the input passes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.core.computation_s8 import ComputationS8
from mcugrad.ops.core.window import window_index
from mcugrad.ops.pooling.maxpool2d import MaxPool2d
from mcugrad.ops.pooling.struct import Pool2dStruct
from mcugrad.ops.pooling.window import is_ahead, windows
from mcugrad.program import Kernel, Shared


@dataclass(frozen=True, kw_only=True)
class MaxPool2dS8(ComputationS8):
    """Largest value of each window and channel."""

    of: MaxPool2d

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = to.error_of(self.of.x, like=e)
        if error is not None:
            to.add(
                MaxPool2dGradInputS8(
                    name=f"{self.name}_grad_input", forward=self, e=e, x=self.of.x, e_x=error
                )
            )

    def lower(self, to: ProgramBuilder) -> None:
        g, x, y = self.struct(to.graph), to.data(self.of.x), to.data(self.y)
        to.call(MAXPOOL2D_S8, note=self.describe(to.graph), g=g, x=x, y=y)

    def struct(self, graph: Graph) -> Pool2dStruct:
        """Constants of the layer as C sees them."""
        return Pool2dStruct.of(self.of.window(graph[self.of.x].shape, graph[self.y].shape))


@dataclass(frozen=True, kw_only=True)
class MaxPool2dGradInputS8(BackwardNode):
    """The error of each output goes to the input that won; windows that overlap add up, saturating."""

    forward: MaxPool2dS8
    e: str
    x: str
    e_x: str

    INPUTS = ("e", "x")
    OUTPUTS = ("e_x",)

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            MAXPOOL2D_GRAD_INPUT_S8,
            note=f"error of {self.x}",
            g=self.forward.struct(to.graph),
            e=to.data(self.e),
            x=to.data(self.x),
            e_x=to.data(self.e_x),
        )


def maxpool2d_s8(g: Pool2dStruct, x: NDArray[Any], y: NDArray[Any]) -> None:
    """Largest value of each window; -128 where a window lies in the padding altogether."""
    maps = x[: g.in_h * g.in_w * g.channels].astype(np.int64).reshape(g.in_h, g.in_w, g.channels)
    result = windows(g, maps, -128).max(axis=2)
    y[: result.size] = result.reshape(-1)


def maxpool2d_grad_input_s8(g: Pool2dStruct, e: NDArray[Any], x: NDArray[Any], e_x: NDArray[Any]) -> None:
    """Each error goes to the first winner of its window, in row order; sums saturate one by one."""
    size = g.in_h * g.in_w * g.channels
    maps = x[:size].astype(np.int64).reshape(g.in_h, g.in_w, g.channels)
    best = windows(g, maps, -129).argmax(axis=2)
    covered = windows(g, maps, -129).max(axis=2) > -129
    rows, columns = window_index(g, 0), window_index(g, 1)
    errors = e[: g.out_h * g.out_w * g.channels].astype(np.int64).reshape(g.out_h, g.out_w, g.channels)
    result = np.zeros_like(maps)
    channel = np.arange(g.channels)
    for oy in range(g.out_h):
        for ox in range(g.out_w):
            hit = channel[covered[oy, ox]]
            tap = best[oy, ox, hit]
            place = rows[oy, tap // g.k_w], columns[ox, tap % g.k_w], hit
            result[place] = np.clip(result[place] + errors[oy, ox, hit], -127, 127)
    e_x[:size] = result.reshape(-1)


MAXPOOL2D_S8 = Kernel("mcg_maxpool2d_s8", maxpool2d_s8, may_share=(Shared("x", "y", where=is_ahead),))
MAXPOOL2D_GRAD_INPUT_S8 = Kernel("mcg_maxpool2d_grad_input_s8", maxpool2d_grad_input_s8)
