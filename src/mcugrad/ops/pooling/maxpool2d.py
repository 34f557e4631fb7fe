"""MaxPool2d: any window, stride, padding and dilation. The scale of the input passes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.errors import ModelError
from mcugrad.graph import BackwardNode, Graph, Operator, Shape
from mcugrad.ops.core.window import Pair, window_index, window_shape
from mcugrad.program import Kernel, Struct


@dataclass(frozen=True, kw_only=True)
class MaxPool2d(Operator):
    """Largest value of each window and channel.

    Attributes:
        kernel: (height, width) of the window.
        stride: (vertical, horizontal).
        padding: (top, left, bottom, right); what lies outside never wins.
        dilation: (vertical, horizontal).
    """

    x: str
    kernel: Pair
    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)

    INPUTS = ("x",)
    passes_scale = True
    keeps_channels = True

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) != 3:
            raise ModelError(
                f"pooling of {x} values: a (height, width, channels) map is needed",
                where=self.title,
                hint="check the shapes in the file",
            )
        return (*window_shape(self.title, x, self.kernel, self.stride, self.padding, self.dilation), x[2])

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        (x,) = inputs
        g = self.geometry(x.shape[1:], self.shape(x.shape[1:]))
        return np.stack([np.max(windows(g, sample, -np.inf), axis=2) for sample in x]).astype(np.float32)

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = to.error_of(self.x, like=e)
        if error is not None:
            to.add(MaxPool2dGradInput(name=f"{self.name}_grad_input", forward=self, e=e, x=self.x, e_x=error))

    def macs(self, graph: Graph) -> int:
        return 0

    def describe(self, graph: Graph) -> str:
        maps = " -> ".join("x".join(map(str, graph[t].shape)) for t in (self.x, self.y))
        return f"maxpool {self.kernel[0]}x{self.kernel[1]}/{self.stride[0]}  {maps}"

    def lower(self, to: ProgramBuilder) -> None:
        g = self.geometry(to.graph[self.x].shape, to.graph[self.y].shape)
        to.call(MAXPOOL2D_S8, note=self.describe(to.graph), g=g, x=to.data(self.x), y=to.data(self.y))

    def geometry(self, x: Shape, y: Shape) -> Pool2dStruct:
        """Constants of the layer as C sees them."""
        values = (*x, *y[:2], *self.kernel, *self.stride, *self.padding[:2], *self.dilation)
        return Pool2dStruct(*values)


@dataclass(frozen=True, kw_only=True)
class MaxPool2dGradInput(BackwardNode):
    """The error of each output goes to the input that won; windows that overlap add up, saturating."""

    forward: MaxPool2d
    e: str
    x: str
    e_x: str

    INPUTS = ("e", "x")
    OUTPUTS = ("e_x",)

    def lower(self, to: ProgramBuilder) -> None:
        g = self.forward.geometry(to.graph[self.x].shape, to.graph[self.e].shape)
        to.call(
            MAXPOOL2D_GRAD_INPUT_S8,
            note=f"error of {self.x}",
            g=g,
            e=to.data(self.e),
            x=to.data(self.x),
            e_x=to.data(self.e_x),
        )


@dataclass(frozen=True)
class Pool2dStruct(Struct):
    """`mcg_pool2d_t`."""

    in_h: int
    in_w: int
    channels: int
    out_h: int
    out_w: int
    k_h: int
    k_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    dilation_h: int
    dilation_w: int

    @classmethod
    def ctype(cls) -> str:
        return "mcg_pool2d_t"


def windows(g: Pool2dStruct, x: NDArray[Any], outside: float) -> NDArray[Any]:
    """(out_h, out_w, k_h * k_w, channels) values under each window, `outside` where there is padding."""
    rows, columns = window_index(g, 0), window_index(g, 1)
    inside = ((rows >= 0) & (rows < g.in_h))[:, None, :, None] & ((columns >= 0) & (columns < g.in_w))[
        None, :, None, :
    ]
    picked = x[
        np.clip(rows, 0, g.in_h - 1)[:, None, :, None], np.clip(columns, 0, g.in_w - 1)[None, :, None, :]
    ]
    filled = np.where(inside[..., None], picked, outside)
    return filled.reshape(g.out_h, g.out_w, g.k_h * g.k_w, g.channels)


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


MAXPOOL2D_S8 = Kernel("mcg_maxpool2d_s8", maxpool2d_s8)
MAXPOOL2D_GRAD_INPUT_S8 = Kernel("mcg_maxpool2d_grad_input_s8", maxpool2d_grad_input_s8)
