"""GroupedConv2d in int8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.convolution.convolution_s8 import UPDATE_ROWS, centred, gradient_rows, patch_of, struct_of
from mcugrad.ops.convolution.grouped_conv2d import GroupedConv2d
from mcugrad.ops.convolution.struct import Conv2dStruct, group_slices
from mcugrad.ops.core.computation_s8 import exact_matmul, from_zero, write_error, write_output
from mcugrad.ops.core.layer_s8 import LayerS8, PassS8
from mcugrad.ops.core.window import each_tap, patches
from mcugrad.ops.update.update import whole_error
from mcugrad.ops.update.update_s8 import update_rows
from mcugrad.program import Kernel
from mcugrad.training.rules import InPlace


@dataclass(frozen=True, kw_only=True)
class GroupedConv2dS8(LayerS8):
    """2-D convolution in groups, with a fused activation function."""

    of: GroupedConv2d

    def struct(self, to: ProgramBuilder, e_x: str = "") -> Conv2dStruct:
        return struct_of(self.of, to)

    def forward_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> PassS8:
        taps = g.taps // self.of.groups
        return PassS8(
            GROUPED_CONV2D_S8, taps, {"groups": self.of.groups, "patch": patch_of(self.of, to, taps)}
        )

    def grad_input_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> PassS8:
        terms = g.out_c // self.of.groups * g.k_h * g.k_w
        return PassS8(GROUPED_CONV2D_GRAD_INPUT_S8, terms, {"groups": self.of.groups})

    def update_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> PassS8:
        taps, rows = g.taps // self.of.groups, min(UPDATE_ROWS, g.out_c // self.of.groups)
        arguments: dict[str, str | int] = {
            "groups": self.of.groups,
            "rows": rows,
            "gradient": gradient_rows(self.of, to, rows, taps),
            "patch": patch_of(self.of, to, taps),
        }
        return PassS8(GROUPED_CONV2D_UPDATE, g.out_h * g.out_w, arguments)


def grouped_conv2d_s8(
    g: Conv2dStruct,
    groups: int,
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
    """y = clip(rescale(w (x - zero) + bias)), per output channel, from the channels of its group."""
    matrix = from_zero(w[: g.out_c * g.taps // groups], w_zero).reshape(g.out_c, -1)
    read = centred(g, x)
    acc = np.empty((g.out_h * g.out_w, g.out_c), np.int64)
    for one, inner, outer in group_slices(g, groups):
        acc[:, outer] = exact_matmul(patches(one, read[:, :, inner]), matrix[outer].T)
    write_output(acc + bias[: g.out_c].astype(np.int64), scale, clip, g.y_zero, y, peak)


def grouped_conv2d_grad_input_s8(
    g: Conv2dStruct,
    groups: int,
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
    """e_x = rescale(sum of w e over taps and a group's outputs), masked by the activation function that made x."""
    errors = whole_error(e, active, g.out_h * g.out_w, g.out_c).reshape(g.out_h, g.out_w, -1)
    weights = from_zero(w[: g.out_c * g.taps // groups], w_zero).reshape(g.out_c, g.k_h, g.k_w, -1)
    acc = np.zeros((g.in_h, g.in_w, g.in_c), np.int64)
    for _, inner, outer in group_slices(g, groups):
        for ky, kx, at, there in each_tap(g, (g.out_h, g.out_w), (g.in_h, g.in_w)):
            acc[:, :, inner][there] += exact_matmul(errors[at][..., outer], weights[outer, ky, kx])
    write_error(acc, x, g.x_zero, scale, clip, e_x, peak)


def grouped_conv2d_update(
    g: Conv2dStruct,
    groups: int,
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
    read = centred(g, x)
    gradients = np.concatenate(
        [
            exact_matmul(errors[:, outer].T, patches(one, read[:, :, inner]))
            for one, inner, outer in group_slices(g, groups)
        ]
    )
    update_rows(rule, gradients, factor, seed, step, tensor, w, residual, w_scale, active)


GROUPED_CONV2D_S8 = Kernel("mcg_grouped_conv2d_s8", grouped_conv2d_s8)
GROUPED_CONV2D_GRAD_INPUT_S8 = Kernel("mcg_grouped_conv2d_grad_input_s8", grouped_conv2d_grad_input_s8)
GROUPED_CONV2D_UPDATE = Kernel("mcg_grouped_conv2d_update", grouped_conv2d_update)
