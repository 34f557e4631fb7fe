"""AvgPool2d in float32."""

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
from mcugrad.ops.core.computation_f32 import ComputationF32, Floats, bounds, clipped, error_for, lower_mask
from mcugrad.ops.core.window import window_index
from mcugrad.ops.pooling.avgpool2d import AvgPool2d
from mcugrad.ops.pooling.struct import Pool2dStruct
from mcugrad.ops.pooling.window import windows
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class AvgPool2dF32(ComputationF32):
    """Mean of each window and channel, with a fused activation function."""

    of: AvgPool2d

    def gradient(self, to: GradientBuilder, e: str) -> None:
        name, x = f"{self.name}_grad_input", self.of.x
        to.add(AvgPool2dGradInputF32(name=name, forward=self, e=e, x=x, e_x=error_for(to, x)))

    def lower(self, to: ProgramBuilder) -> None:
        g = self.struct(to.graph)
        to.call(
            AVGPOOL2D_F32,
            note=self.describe(to.graph),
            g=g,
            x=to.data(self.of.x),
            **self.shares(to, g),
            clip=bounds(to, self.y),
            y=to.data(self.y),
        )

    def struct(self, graph: Graph) -> Pool2dStruct:
        """Constants of the layer as C sees them."""
        return Pool2dStruct.of(self.of.window(graph[self.of.x].shape, graph[self.y].shape))

    def shares(self, to: ProgramBuilder, g: Pool2dStruct) -> dict[str, str]:
        """Buffers of 1 / taps of output rows and columns, by parameter."""
        names = ("share_h", "share_w")
        return {
            key: to.constant(
                f"{self.name}_{key}", "float", (w.values / w.whole).astype(np.float32), "1 / taps"
            )
            for key, w in zip(names, self.of.weights(g), strict=True)
        }


@dataclass(frozen=True, kw_only=True)
class AvgPool2dGradInputF32(BackwardNode):
    """Error of each input: the average's error over the windows that cover it, each by its number of taps."""

    forward: AvgPool2dF32
    e: str
    x: str
    e_x: str

    INPUTS = ("e", "x")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return self.forward.macs(graph)

    def lower(self, to: ProgramBuilder) -> None:
        g = self.forward.struct(to.graph)
        to.call(
            AVGPOOL2D_GRAD_INPUT_F32,
            note=f"error of {self.x}",
            g=g,
            e=to.data(self.e),
            **self.forward.shares(to, g),
            e_x=to.data(self.e_x),
        )
        lower_mask(to, self.x, self.e_x)


def _share(g: Pool2dStruct, share_h: NDArray[Any], share_w: NDArray[Any]) -> Floats:
    result: Floats = (share_h[: g.out_h, None] * share_w[None, : g.out_w])[..., None]
    return result


def avgpool2d_f32(
    g: Pool2dStruct,
    x: NDArray[Any],
    share_h: NDArray[Any],
    share_w: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
) -> None:
    """y = clip(sum of x over the window, row by row, * (share_h[row] * share_w[column]))."""
    maps = x[: g.in_h * g.in_w * g.channels].reshape(g.in_h, g.in_w, g.channels)
    taps = windows(g, maps, 0).astype(F32)
    total = np.zeros((g.out_h, g.out_w, g.channels), F32)
    with np.errstate(all="ignore"):
        for tap in range(g.k_h * g.k_w):
            total += taps[:, :, tap]
        y[: total.size] = clipped(total * _share(g, share_h, share_w), clip).reshape(-1)


def avgpool2d_grad_input_f32(
    g: Pool2dStruct,
    e: NDArray[Any],
    share_h: NDArray[Any],
    share_w: NDArray[Any],
    e_x: NDArray[Any],
) -> None:
    """Each error, times share_h[row] * share_w[column], is added to all inputs of its window."""
    errors = e[: g.out_h * g.out_w * g.channels].reshape(g.out_h, g.out_w, g.channels)
    ys, xs = window_index(g, 0), window_index(g, 1)
    result = np.zeros((g.in_h, g.in_w, g.channels), F32)
    with np.errstate(all="ignore"):
        errors = errors * _share(g, share_h, share_w)
        for oy in range(g.out_h):
            for ox in range(g.out_w):
                down = ys[oy][(ys[oy] >= 0) & (ys[oy] < g.in_h)]
                across = xs[ox][(xs[ox] >= 0) & (xs[ox] < g.in_w)]
                result[np.ix_(down, across)] += errors[oy, ox]
    e_x[: result.size] = result.reshape(-1)


AVGPOOL2D_F32 = Kernel("mcg_avgpool2d_f32", avgpool2d_f32)
AVGPOOL2D_GRAD_INPUT_F32 = Kernel("mcg_avgpool2d_grad_input_f32", avgpool2d_grad_input_f32)
