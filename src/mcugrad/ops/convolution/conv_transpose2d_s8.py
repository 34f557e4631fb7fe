"""ConvTranspose2d in int8."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.convolution.conv_transpose2d import ConvTranspose2d, each_reach, spread
from mcugrad.ops.convolution.convolution_s8 import UPDATE_ROWS, centred, gradient_rows, patch_of, struct_of
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.computation_s8 import exact_matmul, from_zero, write_error, write_output
from mcugrad.ops.core.layer_s8 import LayerS8, PassS8
from mcugrad.ops.update.update import whole_error
from mcugrad.ops.update.update_s8 import update_rows
from mcugrad.program import Kernel
from mcugrad.training.rules import InPlace


@dataclass(frozen=True, kw_only=True)
class ConvTranspose2dS8(LayerS8):
    """2-D transposed convolution with a fused activation function."""

    of: ConvTranspose2d

    def struct(self, to: ProgramBuilder, e_x: str = "") -> Conv2dStruct:
        return struct_of(self.of, to)

    def forward_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> PassS8:
        # Taps that meet in one output lie a whole number of strides apart.
        apart = [s // gcd(s, d) for s, d in zip(self.of.stride, self.of.dilation, strict=True)]
        rows, columns = min(g.in_h, -(-g.k_h // apart[0])), min(g.in_w, -(-g.k_w // apart[1]))
        return PassS8(CONV_TRANSPOSE2D_S8, rows * columns * g.in_c, {"patch": patch_of(self.of, to, g.in_c)})

    def grad_input_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> PassS8:
        return PassS8(CONV_TRANSPOSE2D_GRAD_INPUT_S8, g.k_h * g.k_w * g.out_c)

    def update_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> PassS8:
        rows = min(UPDATE_ROWS, g.out_c)
        arguments: dict[str, str | int] = {
            "rows": rows,
            "gradient": gradient_rows(self.of, to, rows, g.taps),
            "patch": patch_of(self.of, to, g.in_c),
        }
        return PassS8(CONV_TRANSPOSE2D_UPDATE, g.in_h * g.in_w, arguments)


def conv_transpose2d_s8(
    g: Conv2dStruct,
    x: NDArray[Any],
    w: NDArray[Any],
    w_zero: NDArray[Any] | None,
    bias: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    peak: NDArray[Any],
    patch: NDArray[Any],
) -> None:
    """y = clip(rescale(sum of w (x - zero) + bias)), per output channel."""
    weights = from_zero(w[: g.out_c * g.taps], w_zero).reshape(g.out_c, g.k_h, g.k_w, g.in_c)
    acc = spread(g, centred(g, x), weights).astype(np.int64)
    write_output(acc + bias[: g.out_c].astype(np.int64), scale, clip, g.y_zero, y, peak)


def conv_transpose2d_grad_input_s8(
    g: Conv2dStruct,
    e: NDArray[Any],
    active: NDArray[Any] | None,
    w: NDArray[Any],
    w_zero: NDArray[Any] | None,
    x: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    e_x: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """e_x = rescale(sum of w e over taps and output channels), masked by the activation function that made x."""
    errors = whole_error(e, active, g.out_h * g.out_w, g.out_c).reshape(g.out_h, g.out_w, g.out_c)
    weights = from_zero(w[: g.out_c * g.taps], w_zero).reshape(g.out_c, g.k_h, g.k_w, g.in_c)
    acc = np.zeros((g.in_h, g.in_w, g.in_c), np.int64)
    for ky, kx, pixels, there in each_reach(g):
        acc[pixels] += exact_matmul(errors[there], weights[:, ky, kx])
    write_error(acc, x, g.x_zero, scale, clip, e_x, peak)


def conv_transpose2d_update(
    g: Conv2dStruct,
    x: NDArray[Any],
    e: NDArray[Any],
    active: NDArray[Any] | None,
    factor: NDArray[Any],
    rule: InPlace,
    seed: NDArray[Any],
    step: NDArray[Any],
    tensor: int,
    rows: int,
    w: NDArray[Any],
    residual: NDArray[Any],
    w_scale: NDArray[Any],
    gradient: NDArray[Any],
    patch: NDArray[Any],
) -> None:
    """w -= factor * sum of e (x - zero) over pixels, one row per output channel, by the update rule."""
    errors = whole_error(e, active, g.out_h * g.out_w, g.out_c).reshape(g.out_h, g.out_w, g.out_c)
    read = centred(g, x)
    gradients = np.zeros((g.out_c, g.k_h, g.k_w, g.in_c), np.int64)
    for ky, kx, pixels, there in each_reach(g):
        found, values = errors[there].reshape(-1, g.out_c), read[pixels].reshape(-1, g.in_c)
        gradients[:, ky, kx] = exact_matmul(found.T, values)
    update_rows(
        rule, gradients.reshape(g.out_c, -1), factor, seed, step, tensor, w, residual, w_scale, active
    )


CONV_TRANSPOSE2D_S8 = Kernel("mcg_conv_transpose2d_s8", conv_transpose2d_s8)
CONV_TRANSPOSE2D_GRAD_INPUT_S8 = Kernel("mcg_conv_transpose2d_grad_input_s8", conv_transpose2d_grad_input_s8)
CONV_TRANSPOSE2D_UPDATE = Kernel("mcg_conv_transpose2d_update", conv_transpose2d_update)
