"""Transposed convolution in float32: every input pixel adds its kernels to the output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.convolution.conv_transpose2d import ConvTranspose2d, each_reach
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.computation_f32 import Floats, clipped, combined, dots
from mcugrad.ops.core.layer_f32 import LayerF32, PassF32
from mcugrad.ops.update.update import whole_error
from mcugrad.ops.update.update_f32 import descend
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class ConvTranspose2dF32(LayerF32):
    """2-D transposed convolution with a fused activation function."""

    of: ConvTranspose2d

    def forward_pass(self, to: ProgramBuilder) -> PassF32:
        g = self.struct(to.graph)
        return CONV_TRANSPOSE2D_F32, {"g": g, "patch": self.patch(to, g)}

    def grad_input_pass(self, to: ProgramBuilder) -> PassF32:
        g = self.struct(to.graph)
        return CONV_TRANSPOSE2D_GRAD_INPUT_F32, {"g": g, "patch": self.patch(to, g)}

    def update_pass(self, to: ProgramBuilder) -> PassF32:
        g = self.struct(to.graph)
        gradient = to.temporary(
            f"{self.name}_update_gradient", "float", (g.taps,), "weight gradients of a channel"
        )
        return CONV_TRANSPOSE2D_UPDATE_F32, {"g": g, "gradient": gradient}

    def struct(self, graph: Graph) -> Conv2dStruct:
        """Constants of the layer as C sees them."""
        of = self.of
        return Conv2dStruct.of(of.window(graph[of.x].shape, graph[of.y].shape, graph[of.w].shape))

    def patch(self, to: ProgramBuilder, g: Conv2dStruct) -> str:
        """Scratch for what one input pixel adds to the output."""
        shape = (g.out_c, g.k_h, g.k_w)
        return to.alone(f"{self.name}_patch", "float", shape, "share of one input pixel")


def _pixels(g: Conv2dStruct, x: NDArray[Any]) -> Floats:
    return x[: g.in_h * g.in_w * g.in_c].reshape(-1, g.in_c)


def _rows(g: Conv2dStruct, w: NDArray[Any]) -> Floats:
    return w[: g.out_c * g.taps].reshape(-1, g.in_c)


def _gathered(g: Conv2dStruct, e: NDArray[Any], active: NDArray[Any] | None) -> Floats:
    """(in_h * in_w, out_c * taps) errors that each input pixel reaches; 0 outside the output."""
    errors = whole_error(e, active, g.out_h * g.out_w, g.out_c).reshape(g.out_h, g.out_w, g.out_c)
    result = np.zeros((g.in_h, g.in_w, g.out_c, g.k_h, g.k_w), F32)
    for ky, kx, pixels, there in each_reach(g):
        result[:, :, :, ky, kx][pixels] = errors[there]
    return result.reshape(g.in_h * g.in_w, -1)


def conv_transpose2d_f32(
    g: Conv2dStruct,
    x: NDArray[Any],
    w: NDArray[Any],
    bias: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    patch: NDArray[Any],
) -> None:
    """y = clip(sum of w x over the input pixels that reach it, first pixel first, + bias)."""
    total = np.zeros((g.out_h, g.out_w, g.out_c), F32)
    with np.errstate(all="ignore"):
        shares = dots(_pixels(g, x), _rows(g, w)).reshape(g.in_h, g.in_w, g.out_c, g.k_h, g.k_w)
        for iy in range(g.in_h):
            down = iy * g.stride_h - g.pad_top + np.arange(g.k_h) * g.dilation_h
            rows = (down >= 0) & (down < g.out_h)
            for ix in range(g.in_w):
                across = ix * g.stride_w - g.pad_left + np.arange(g.k_w) * g.dilation_w
                columns = (across >= 0) & (across < g.out_w)
                place = np.ix_(down[rows], across[columns])
                total[place] += shares[iy, ix][:, rows][:, :, columns].transpose(1, 2, 0)
        y[: total.size] = clipped(total + bias[: g.out_c], clip).reshape(-1)


def conv_transpose2d_grad_input_f32(
    g: Conv2dStruct,
    e: NDArray[Any],
    active: NDArray[Any] | None,
    w: NDArray[Any],
    e_x: NDArray[Any],
    patch: NDArray[Any],
) -> None:
    """e_x = sum of w e over output channels and taps; errors of 0 are skipped."""
    with np.errstate(all="ignore"):
        result = combined(_gathered(g, e, active), _rows(g, w))
    e_x[: result.size] = result.reshape(-1)


def conv_transpose2d_update_f32(
    g: Conv2dStruct,
    x: NDArray[Any],
    e: NDArray[Any],
    active: NDArray[Any] | None,
    rate: NDArray[Any],
    w: NDArray[Any],
    gradient: NDArray[Any],
) -> None:
    """w -= rate * sum of e x over input pixels, first pixel first; errors of 0 are skipped."""
    with np.errstate(all="ignore"):
        gradients = combined(_gathered(g, e, active).T, _pixels(g, x))
        descend(w, gradients.reshape(g.out_c, -1), rate, active)


CONV_TRANSPOSE2D_F32 = Kernel("mcg_conv_transpose2d_f32", conv_transpose2d_f32)
CONV_TRANSPOSE2D_GRAD_INPUT_F32 = Kernel(
    "mcg_conv_transpose2d_grad_input_f32", conv_transpose2d_grad_input_f32
)
CONV_TRANSPOSE2D_UPDATE_F32 = Kernel("mcg_conv_transpose2d_update_f32", conv_transpose2d_update_f32)
