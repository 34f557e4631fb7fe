"""Conv2d: any kernel, stride, padding and dilation. Maps are HWC, weights [out][k_h][k_w][in]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.program import ProgramBuilder
from mcugrad.errors import ModelError
from mcugrad.graph import Shape
from mcugrad.numerics import grid_bits, on_grid, whole_products
from mcugrad.ops.convolution.convolution import UPDATE_ROWS, Convolution
from mcugrad.ops.convolution.pointwise import POINTWISE_S8, POINTWISE_UPDATE
from mcugrad.ops.core.layer import Pass
from mcugrad.ops.core.weighted import exact_matmul, from_zero, write_error, write_output
from mcugrad.ops.core.window import (
    Conv2dStruct,
    batches,
    centred,
    each_tap,
    patches,
    patches_of_all,
    window_shape,
)
from mcugrad.ops.update.update import update_rows, whole_error
from mcugrad.program import Kernel
from mcugrad.training.rules import InPlace


@dataclass(frozen=True, kw_only=True)
class Conv2d(Convolution):
    """2-D convolution with a fused activation function."""

    @property
    def kind(self) -> str:
        return "conv"

    def shape(self, *inputs: Shape) -> Shape:
        x, w, b = inputs
        if len(x) != 3 or len(w) != 4 or w[3] != x[2] or b != (w[0],):
            raise ModelError(
                f"convolution of a {x} map with weights {w} and bias {b}: the shapes do not match",
                where=self.title,
                hint="a (height, width, in) map, (out, k_h, k_w, in) weights and (out,) bias",
            )
        return (*window_shape(self.title, x, w[1:3], self.stride, self.padding, self.dilation), w[0])

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        x, w, b = inputs
        y = self.shape(x.shape[1:], w.shape, b.shape)
        g = self.constants(x.shape[1:], y, w.shape)
        x_bits, w_bits = grid_bits(g.taps)
        values, unit = on_grid(x, x_bits, shared=(1, 2, 3))
        matrix, row_unit = on_grid(w.reshape(g.out_c, -1).T, w_bits, shared=(0,))
        result = np.empty((len(x), *y), np.float32)
        for part in batches(len(x), g.out_h * g.out_w * g.taps):
            sums = whole_products(patches_of_all(g, values[part]), matrix).reshape(-1, *y)
            sums *= unit[part] * row_unit
            result[part] = np.add(sums, b, out=sums)
        return self.activate(result)

    def forward_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> Pass:
        if self.is_pointwise(g):
            return Pass(POINTWISE_S8, g.taps)
        return Pass(CONV2D_S8, g.taps, {"patch": self.patch(to, g.taps)})

    def grad_input_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> Pass:
        return Pass(CONV2D_GRAD_INPUT_S8, g.out_c * g.k_h * g.k_w)

    def update_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> Pass:
        rows = min(UPDATE_ROWS, g.out_c)
        arguments: dict[str, str | int] = {"rows": rows, "gradient": self.gradient_rows(to, rows, g.taps)}
        if self.is_pointwise(g):
            return Pass(POINTWISE_UPDATE, g.out_h * g.out_w, arguments)
        arguments["patch"] = self.patch(to, g.taps)
        return Pass(CONV2D_UPDATE, g.out_h * g.out_w, arguments)

    def is_pointwise(self, g: Conv2dStruct) -> bool:
        """Whether every window is one pixel of the input, and every pixel one window."""
        return g.k_h == g.k_w == 1 and self.stride == (1, 1) and not any(self.padding)


def conv2d_s8(
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
    """y = clip(rescale(w (x - zero) + bias)), per output channel."""
    matrix = from_zero(w[: g.out_c * g.taps], w_zero).reshape(g.out_c, g.taps)
    acc = exact_matmul(patches(g, centred(g, x)), matrix.T) + bias[: g.out_c].astype(np.int64)
    write_output(acc, scale, clip, g.y_zero, y, peak)


def conv2d_grad_input_s8(
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
    """e_x = rescale(sum of w e over output channels and taps), masked by the activation function that made x."""
    errors = whole_error(e, active, g.out_h * g.out_w, g.out_c).reshape(g.out_h, g.out_w, -1)
    weights = from_zero(w[: g.out_c * g.taps], w_zero).reshape(g.out_c, g.k_h, g.k_w, g.in_c)
    acc = np.zeros((g.in_h, g.in_w, g.in_c), np.int64)
    for ky, kx, at, there in each_tap(g, (g.out_h, g.out_w), (g.in_h, g.in_w)):
        acc[there] += exact_matmul(errors[at], weights[:, ky, kx])
    write_error(acc, x, g.x_zero, scale, clip, e_x, peak)


def conv2d_update(
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
    """w -= factor * (e (x - zero)^T), one row per output channel, by the update rule."""
    errors = whole_error(e, active, g.out_h * g.out_w, g.out_c)
    gradients = exact_matmul(errors.T, patches(g, centred(g, x)))
    update_rows(rule, gradients, factor, seed, step, tensor, w, residual, w_scale, active)


CONV2D_S8 = Kernel("mcg_conv2d_s8", conv2d_s8)
CONV2D_GRAD_INPUT_S8 = Kernel("mcg_conv2d_grad_input_s8", conv2d_grad_input_s8)
CONV2D_UPDATE = Kernel("mcg_conv2d_update", conv2d_update)
