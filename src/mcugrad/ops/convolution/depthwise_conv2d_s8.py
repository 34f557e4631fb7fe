"""DepthwiseConv2d in int8.

The kernels lay the weights of up to 64 channels side by side in scratch, as maps have them, and then work on whole
rows of channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.convolution.ahead import lead_s8, pays_s8
from mcugrad.ops.convolution.convolution_s8 import centred, gradient_rows, struct_of
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.convolution.planes import (
    PLANE_UPDATE_ROWS,
    plane_forward_scratch,
    plane_grad_input_scratch,
    plane_update_scratch,
)
from mcugrad.ops.convolution.planes_work import (
    Work,
    plane_forward_work,
    plane_frozen_work,
    plane_grad_input_work,
    plane_update_work,
)
from mcugrad.ops.convolution.portable_depthwise import (
    SOME,
    depthwise_grad_input_work,
    depthwise_update_work,
    depthwise_work,
)
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.computation_s8 import from_zero, write_error, write_output
from mcugrad.ops.core.layer_s8 import LayerS8, PassS8
from mcugrad.ops.core.window import each_tap, patches
from mcugrad.ops.update.update import whole_error
from mcugrad.ops.update.update_s8 import update_rows
from mcugrad.program import Kernel, Shared
from mcugrad.program.kernel import Price, Scratch
from mcugrad.training.rules import InPlace

BLOCK = 64
"""`MCG_BLOCK`: channels that a kernel handles at a time."""


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv2dS8(LayerS8):
    """2-D convolution, channel by channel, with a fused activation function."""

    of: DepthwiseConv2d

    def struct(self, to: ProgramBuilder, e_x: str = "") -> Conv2dStruct:
        return struct_of(self.of, to)

    def forward_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> PassS8:
        packed = self._packed(to, g, g.out_c, 1)
        return PassS8(DEPTHWISE_CONV2D_S8, g.k_h * g.k_w, {"packed": packed}, DEPTHWISE_FROZEN_S8)

    def grad_input_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> PassS8:
        multiplier = g.out_c // g.in_c
        packed = self._packed(to, g, g.in_c, multiplier)
        return PassS8(DEPTHWISE_CONV2D_GRAD_INPUT_S8, g.k_h * g.k_w * multiplier, {"packed": packed})

    def update_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> PassS8:
        rows = min(PLANE_UPDATE_ROWS, g.out_c)
        gradient = gradient_rows(self.of, to, rows + 1, g.k_h * g.k_w)
        return PassS8(DEPTHWISE_CONV2D_UPDATE, g.out_h * g.out_w, {"rows": rows, "gradient": gradient})

    def _packed(self, to: ProgramBuilder, g: Conv2dStruct, channels: int, multiplier: int) -> str:
        name = f"{self.name}_packed" if multiplier == 1 else f"{self.name}_grad_packed"
        shape = (multiplier * g.k_h * g.k_w, min(channels, BLOCK))
        return to.alone(name, "int8_t", shape, "weights of a block of channels, tap by tap")


def channel_patches(g: Conv2dStruct, x: NDArray[Any]) -> NDArray[Any]:
    """What every output channel reads: (out_h * out_w, k_h * k_w, out_c), zeros outside the map."""
    read = patches(g, x).reshape(g.out_h * g.out_w, g.k_h * g.k_w, g.in_c)
    return np.repeat(read, g.out_c // g.in_c, axis=2)


def depthwise_conv2d_s8(
    g: Conv2dStruct,
    x: NDArray[Any],
    w: NDArray[Any],
    w_zero: NDArray[Any] | None,
    bias: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    peak: NDArray[Any],
    packed: NDArray[Any],
) -> None:
    """y = clip(rescale(w (x - zero) + bias)), every output channel from the input channel it reads."""
    weights = from_zero(w[: g.out_c * g.k_h * g.k_w], w_zero).reshape(g.out_c, -1)
    acc = np.einsum("pko,ok->po", channel_patches(g, centred(g, x)), weights) + bias[: g.out_c]
    write_output(acc, scale, clip, g.y_zero, y, peak)


def depthwise_frozen_s8(
    g: Conv2dStruct,
    x: NDArray[Any],
    w: NDArray[Any],
    w_zero: NDArray[Any] | None,
    bias: NDArray[Any],
    scale: NDArray[Any],
    mult: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    packed: NDArray[Any],
) -> None:
    """`depthwise_conv2d_s8` without a peak."""
    depthwise_conv2d_s8(g, x, w, w_zero, bias, scale, clip, y, np.zeros(1, np.int32), packed)


def depthwise_conv2d_grad_input_s8(
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
    packed: NDArray[Any],
) -> None:
    """e_x = rescale(sum of w e over taps and outputs of the channel), masked by the activation function that made x."""
    errors = whole_error(e, active, g.out_h * g.out_w, g.out_c).reshape(g.out_h, g.out_w, g.in_c, -1)
    weights = from_zero(w[: g.out_c * g.k_h * g.k_w], w_zero).reshape(g.in_c, -1, g.k_h, g.k_w)
    acc = np.zeros((g.in_h, g.in_w, g.in_c), np.int64)
    for ky, kx, at, there in each_tap(g, (g.out_h, g.out_w), (g.in_h, g.in_w)):
        acc[there] += (errors[at] * weights[:, :, ky, kx]).sum(axis=-1)
    write_error(acc, x, g.x_zero, scale, clip, e_x, peak)


def depthwise_conv2d_update(
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
) -> None:
    """w -= factor * sum of e (x - zero) over positions, one row per output channel, by the update rule."""
    errors = whole_error(e, active, g.out_h * g.out_w, g.out_c)
    gradients = np.einsum("po,pko->ok", errors, channel_patches(g, centred(g, x)))
    update_rows(rule, gradients, factor, seed, step, tensor, w, residual, w_scale, active)


def _work(portable: Work, planes: Work | None, room: int | None, parts: int) -> Work:
    """Of a body without planes, or of one that has planes where there is room for them, and else the other's."""
    if room is None:
        return portable
    return (*(0.0,) * len(portable), *planes) if planes is not None else (*portable, *(0.0,) * parts)


def forward_work(g: Conv2dStruct, room: int | None) -> Work:
    """How often `mcg_depthwise_conv2d_s8` does what."""
    if room is None:
        return depthwise_work(g)
    return _work(depthwise_work(g, SOME), plane_forward_work(g, room), room, 13)


def frozen_work(g: Conv2dStruct, room: int | None) -> Work:
    """How often `mcg_depthwise_frozen_s8` does what: as the one that is not frozen, or what that would do, and more."""
    others, own = forward_work(g, room), None if room is None else plane_frozen_work(g, room)
    if room is None:
        return others
    none = (0.0,) * len(others)
    return (*others, *none, *(0.0,) * 13) if own is None else (*none, *others, *own)


def backward_work(g: Conv2dStruct, room: int | None) -> Work:
    """How often `mcg_depthwise_conv2d_grad_input_s8` does what."""
    planes = None if room is None else plane_grad_input_work(g, room)
    return _work(depthwise_grad_input_work(g), planes, room, 14)


def update_work(g: Conv2dStruct, room: int | None) -> Work:
    """How often `mcg_depthwise_conv2d_update` does what."""
    planes = None if room is None else plane_update_work(g, room)
    return _work(depthwise_update_work(g), planes, room, 11)


DEPTHWISE_CONV2D_S8 = Kernel(
    "mcg_depthwise_conv2d_s8",
    depthwise_conv2d_s8,
    Scratch(plane_forward_scratch),
    Price(forward_work),
    may_share=(Shared("x", "y", pays_s8, lead_s8),),
)
DEPTHWISE_FROZEN_S8 = Kernel(
    "mcg_depthwise_frozen_s8",
    depthwise_frozen_s8,
    Scratch(plane_forward_scratch),
    Price(frozen_work),
    may_share=(Shared("x", "y", pays_s8, lead_s8),),
)
DEPTHWISE_CONV2D_GRAD_INPUT_S8 = Kernel(
    "mcg_depthwise_conv2d_grad_input_s8",
    depthwise_conv2d_grad_input_s8,
    Scratch(plane_grad_input_scratch),
    Price(backward_work),
)
DEPTHWISE_CONV2D_UPDATE = Kernel(
    "mcg_depthwise_conv2d_update", depthwise_conv2d_update, Scratch(plane_update_scratch), Price(update_work)
)
