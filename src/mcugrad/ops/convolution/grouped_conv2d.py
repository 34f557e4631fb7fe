"""GroupedConv2d: channels in groups, each with a convolution of its own. Weights (out, k_h, k_w, in / groups).

The kernels differ from those of Conv2d by a loop over groups, which the latter are spared. With one input channel
per group it is a DepthwiseConv2d, which has faster kernels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.program import ProgramBuilder
from mcugrad.errors import ModelError
from mcugrad.graph import Shape
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.convolution import UPDATE_ROWS, Convolution
from mcugrad.ops.core.layer import Pass
from mcugrad.ops.core.weighted import exact_matmul, from_zero, write_error, write_output
from mcugrad.ops.core.window import Conv2dStruct, centred, each_tap, patches, window_shape
from mcugrad.ops.update.update import update_rows, whole_error
from mcugrad.program import Kernel
from mcugrad.training.rules import InPlace


@dataclass(frozen=True, kw_only=True)
class GroupedConv2d(Convolution):
    """2-D convolution in groups, with a fused activation function.

    Attributes:
        groups: how many; group i makes the i-th part of the output channels from the i-th part of the input's.
    """

    groups: int

    @property
    def kind(self) -> str:
        return f"conv {self.groups} x"

    def shape(self, *inputs: Shape) -> Shape:
        x, w, b = inputs
        if (
            len(x) != 3
            or len(w) != 4
            or self.groups < 1
            or w[3] * self.groups != x[2]
            or w[0] % self.groups
            or b != (w[0],)
        ):
            raise ModelError(
                f"convolution of a {x} map in {self.groups} groups with weights {w} and bias {b}: "
                "the shapes do not match",
                where=self.title,
                hint="a (height, width, in) map, (out, k_h, k_w, in / groups) weights and (out,) bias",
            )
        return (*window_shape(self.title, x, w[1:3], self.stride, self.padding, self.dilation), w[0])

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        x, w, b = inputs
        self.shape(x.shape[1:], w.shape, b.shape)
        one = Conv2d(
            name=self.name,
            x="x",
            w="w",
            b="b",
            y="y",
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )
        parts = zip(*(np.split(a, self.groups, axis) for a, axis in ((x, 3), (w, 0), (b, 0))), strict=True)
        return self.activate(np.concatenate([one.forward(*part) for part in parts], axis=3))

    def forward_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> Pass:
        taps = g.taps // self.groups
        return Pass(GROUPED_CONV2D_S8, taps, {"groups": self.groups, "patch": self.patch(to, taps)})

    def grad_input_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> Pass:
        terms = g.out_c // self.groups * g.k_h * g.k_w
        return Pass(GROUPED_CONV2D_GRAD_INPUT_S8, terms, {"groups": self.groups})

    def update_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> Pass:
        taps, rows = g.taps // self.groups, min(UPDATE_ROWS, g.out_c // self.groups)
        arguments: dict[str, str | int] = {
            "groups": self.groups,
            "rows": rows,
            "gradient": self.gradient_rows(to, rows, taps),
            "patch": self.patch(to, taps),
        }
        return Pass(GROUPED_CONV2D_UPDATE, g.out_h * g.out_w, arguments)


def group_slices(g: Conv2dStruct, groups: int) -> Iterator[tuple[Conv2dStruct, slice, slice]]:
    """Constants of one group's convolution, its input channels and its output channels, for every group."""
    inner, outer = g.in_c // groups, g.out_c // groups
    for i in range(groups):
        one = replace(g, in_c=inner, out_c=outer)
        yield one, slice(i * inner, (i + 1) * inner), slice(i * outer, (i + 1) * outer)


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
