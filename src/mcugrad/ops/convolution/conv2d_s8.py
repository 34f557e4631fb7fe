"""Conv2d in int8: any kernel, stride, padding and dilation; windows of one pixel have kernels of their own.

On a map of one pixel they are fully connected layers, and take the kernels of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.convolution_s8 import UPDATE_ROWS, centred, gradient_rows, patch_of, struct_of
from mcugrad.ops.convolution.pairs import (
    conv2d_grad_input_pairs_work,
    conv2d_pairs_work,
    conv2d_update_pairs_work,
)
from mcugrad.ops.convolution.panels import forward_scratch, panel_forward_work
from mcugrad.ops.convolution.panels_back import grad_input_scratch, panel_grad_input_work
from mcugrad.ops.convolution.panels_update import panel_update_work, update_scratch
from mcugrad.ops.convolution.pointwise_s8 import POINTWISE_FROZEN_S8, POINTWISE_S8, POINTWISE_UPDATE
from mcugrad.ops.convolution.portable import conv2d_update_work, conv2d_work, grad_input_work
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.computation_s8 import exact_matmul, from_zero, write_error, write_output
from mcugrad.ops.core.layer_s8 import LayerS8, PassS8
from mcugrad.ops.core.window import each_tap, patches
from mcugrad.ops.linear.linear_s8 import (
    LINEAR_GRAD_INPUT_S8,
    LINEAR_S8,
    LINEAR_UPDATE,
    LinearStruct,
)
from mcugrad.ops.update.update import whole_error
from mcugrad.ops.update.update_s8 import update_rows
from mcugrad.program import Kernel
from mcugrad.program.kernel import Price, Scratch
from mcugrad.training.rules import InPlace


@dataclass(frozen=True, kw_only=True)
class Conv2dS8(LayerS8):
    """2-D convolution with a fused activation function."""

    of: Conv2d

    def struct(self, to: ProgramBuilder, e_x: str = "") -> Conv2dStruct | LinearStruct:
        g = struct_of(self.of, to)
        if self.is_linear(g):
            return LinearStruct(
                g.in_c, g.out_c, to.error_channels(e_x) if e_x else g.in_c, g.x_zero, g.y_zero
            )
        return g

    def forward_pass(self, to: ProgramBuilder, g: Conv2dStruct | LinearStruct) -> PassS8:
        if isinstance(g, LinearStruct):
            return PassS8(LINEAR_S8, g.inputs)
        if self.is_pointwise(g):
            return PassS8(POINTWISE_S8, g.taps, frozen=POINTWISE_FROZEN_S8)
        return PassS8(CONV2D_S8, g.taps, {"patch": patch_of(self.of, to, g.taps)})

    def grad_input_pass(self, to: ProgramBuilder, g: Conv2dStruct | LinearStruct) -> PassS8:
        if isinstance(g, LinearStruct):
            return PassS8(LINEAR_GRAD_INPUT_S8, g.out)
        return PassS8(CONV2D_GRAD_INPUT_S8, g.out_c * g.k_h * g.k_w)

    def update_pass(self, to: ProgramBuilder, g: Conv2dStruct | LinearStruct) -> PassS8:
        if isinstance(g, LinearStruct):
            return PassS8(LINEAR_UPDATE, 1)
        rows = min(UPDATE_ROWS, g.out_c)
        arguments: dict[str, str | int] = {"rows": rows, "gradient": gradient_rows(self.of, to, rows, g.taps)}
        if self.is_pointwise(g):
            return PassS8(POINTWISE_UPDATE, g.out_h * g.out_w, arguments)
        arguments["patch"] = patch_of(self.of, to, g.taps)
        return PassS8(CONV2D_UPDATE, g.out_h * g.out_w, arguments)

    def is_pointwise(self, g: Conv2dStruct) -> bool:
        """Whether every window is one pixel of the input, and every pixel one window."""
        return g.k_h == g.k_w == 1 and self.of.stride == (1, 1) and not any(self.of.padding)

    def is_linear(self, g: Conv2dStruct) -> bool:
        """Whether the one window is the only pixel: then each weight is read once, as in a fully connected layer."""
        return g.in_h == g.in_w == g.k_h == g.k_w == 1 and not any(self.of.padding)


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


def forward_work(g: Conv2dStruct, room: int | None) -> tuple[float, ...]:
    """How often `mcg_conv2d_s8` does what."""
    return conv2d_work(g) if room is None else panel_forward_work(g, room)


def backward_work(g: Conv2dStruct, room: int | None) -> tuple[float, ...]:
    """How often `mcg_conv2d_grad_input_s8` does what."""
    return grad_input_work(g) if room is None else panel_grad_input_work(g, room)


def update_work(g: Conv2dStruct, room: int | None) -> tuple[float, ...]:
    """How often `mcg_conv2d_update` does what."""
    return conv2d_update_work(g) if room is None else panel_update_work(g, room)


CONV2D_S8 = Kernel(
    "mcg_conv2d_s8", conv2d_s8, Scratch(forward_scratch), Price(forward_work, conv2d_pairs_work)
)
CONV2D_GRAD_INPUT_S8 = Kernel(
    "mcg_conv2d_grad_input_s8",
    conv2d_grad_input_s8,
    Scratch(grad_input_scratch),
    Price(backward_work, conv2d_grad_input_pairs_work),
)
CONV2D_UPDATE = Kernel(
    "mcg_conv2d_update", conv2d_update, Scratch(update_scratch), Price(update_work, conv2d_update_pairs_work)
)
