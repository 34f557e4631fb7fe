"""MaxPool2d in float32."""

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
from mcugrad.ops.core.window import window_index
from mcugrad.ops.pooling.maxpool2d import MaxPool2d
from mcugrad.ops.pooling.struct import Pool2dStruct
from mcugrad.ops.pooling.window import is_ahead
from mcugrad.program import Kernel, Shared


@dataclass(frozen=True, kw_only=True)
class MaxPool2dF32(ComputationF32):
    """Largest value of each window and channel."""

    of: MaxPool2d

    def gradient(self, to: GradientBuilder, e: str) -> None:
        name, x = f"{self.name}_grad_input", self.of.x
        to.add(MaxPool2dGradInputF32(name=name, forward=self, e=e, x=x, e_x=error_for(to, x)))

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            MAXPOOL2D_F32,
            note=self.describe(to.graph),
            g=self.struct(to.graph),
            x=to.data(self.of.x),
            y=to.data(self.y),
        )

    def struct(self, graph: Graph) -> Pool2dStruct:
        """Constants of the layer as C sees them."""
        return Pool2dStruct.of(self.of.window(graph[self.of.x].shape, graph[self.y].shape))


@dataclass(frozen=True, kw_only=True)
class MaxPool2dGradInputF32(BackwardNode):
    """The error of each output goes to the input that won; windows that overlap add up."""

    forward: MaxPool2dF32
    e: str
    x: str
    e_x: str

    INPUTS = ("e", "x")
    OUTPUTS = ("e_x",)

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            MAXPOOL2D_GRAD_INPUT_F32,
            note=f"error of {self.x}",
            g=self.forward.struct(to.graph),
            e=to.data(self.e),
            x=to.data(self.x),
            e_x=to.data(self.e_x),
        )


def winners(g: Pool2dStruct, x: NDArray[Any]) -> NDArray[np.int64]:
    """(out_h, out_w, channels) index of the first largest input of each window; -1 where it covers none."""
    ys, xs = window_index(g, 0), window_index(g, 1)
    channel = np.arange(g.channels)
    best = np.full((g.out_h, g.out_w, g.channels), -1, np.int64)
    for oy in range(g.out_h):
        for ox in range(g.out_w):
            for row in ys[oy]:
                for column in xs[ox]:
                    if 0 <= row < g.in_h and 0 <= column < g.in_w:
                        index = (row * g.in_w + column) * g.channels + channel
                        now = best[oy, ox]
                        larger = (now < 0) | (x[index] > x[np.maximum(now, 0)])
                        best[oy, ox] = np.where(larger, index, now)
    return best


def maxpool2d_f32(g: Pool2dStruct, x: NDArray[Any], y: NDArray[Any]) -> None:
    """Largest value of each window; 0 where a window lies in the padding altogether."""
    best = winners(g, x).reshape(-1)
    y[: best.size] = np.where(best < 0, F32(0), x[np.maximum(best, 0)])


def maxpool2d_grad_input_f32(g: Pool2dStruct, e: NDArray[Any], x: NDArray[Any], e_x: NDArray[Any]) -> None:
    """Each error is added to the first winner of its window, in the order of the windows."""
    best = winners(g, x).reshape(-1, g.channels)
    result = np.zeros(g.in_h * g.in_w * g.channels, F32)
    errors = e[: best.size].reshape(best.shape)
    with np.errstate(all="ignore"):
        for place, error in zip(best, errors, strict=True):
            hit = place >= 0
            result[place[hit]] += error[hit]
    e_x[: result.size] = result


MAXPOOL2D_F32 = Kernel("mcg_maxpool2d_f32", maxpool2d_f32, may_share=(Shared("x", "y", where=is_ahead),))
MAXPOOL2D_GRAD_INPUT_F32 = Kernel("mcg_maxpool2d_grad_input_f32", maxpool2d_grad_input_f32)
