"""Depthwise convolution in float32.

With one output per channel, channels are the lanes of a vector. Weights lie channel by channel, as everywhere; the
kernels lay those of a block of channels side by side in scratch. With more, it is a convolution in as many groups as
there are channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.convolution.ahead import lead_f32, pays
from mcugrad.ops.convolution.convolution_f32 import (
    grouped_forward,
    grouped_grad_input,
    grouped_update,
    struct_of,
)
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.computation_f32 import Floats, clipped
from mcugrad.ops.core.layer_f32 import LayerF32, PassF32
from mcugrad.ops.core.window import patches, window_index
from mcugrad.ops.update.update import taking_part, whole_error
from mcugrad.ops.update.update_f32 import descend
from mcugrad.program import Kernel, Shared

BLOCK = 32
"""Channels that a kernel handles at a time."""


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv2dF32(LayerF32):
    """Depthwise convolution with a fused activation function."""

    of: DepthwiseConv2d

    def forward_pass(self, to: ProgramBuilder) -> PassF32:
        return (
            (DEPTHWISE_F32, self.block(to)) if self.is_one_to_one(to.graph) else grouped_forward(self.of, to)
        )

    def grad_input_pass(self, to: ProgramBuilder) -> PassF32:
        if self.is_one_to_one(to.graph):
            return DEPTHWISE_GRAD_INPUT_F32, self.block(to)
        return grouped_grad_input(self.of, to)

    def update_pass(self, to: ProgramBuilder) -> PassF32:
        if self.is_one_to_one(to.graph):
            return DEPTHWISE_UPDATE_F32, self.block(to)
        return grouped_update(self.of, to)

    def is_one_to_one(self, graph: Graph) -> bool:
        """Whether every channel has one output."""
        return graph[self.of.w].shape[0] == graph[self.of.x].channels

    def block(self, to: ProgramBuilder) -> dict[str, Any]:
        """What every kernel is told: channels are done block by block."""
        g, _ = struct_of(self.of, to.graph)
        size = min(BLOCK, g.in_c)
        note = "weights of a block of channels, tap by tap"
        packed = to.alone(f"{self.name}_packed", "float", (g.k_h * g.k_w, size), note)
        return {"g": g, "block": size, "packed": packed}


def _read(g: Conv2dStruct, x: NDArray[Any]) -> Floats:
    """(pixels, taps, channels) windows."""
    maps = x[: g.in_h * g.in_w * g.in_c].reshape(g.in_h, g.in_w, g.in_c)
    result: Floats = patches(g, maps).reshape(g.out_h * g.out_w, g.k_h * g.k_w, g.in_c)
    return result


def _weights(g: Conv2dStruct, w: NDArray[Any]) -> Floats:
    """(taps, channels) weights."""
    return w[: g.in_c * g.k_h * g.k_w].reshape(g.in_c, -1).T


def _covered(g: Conv2dStruct) -> NDArray[np.bool_]:
    """(out_h * out_w, taps) whether a tap lies inside the map."""
    ys, xs = window_index(g, 0), window_index(g, 1)
    down, across = (ys >= 0) & (ys < g.in_h), (xs >= 0) & (xs < g.in_w)
    result: NDArray[np.bool_] = (down[:, None, :, None] & across[None, :, None, :]).reshape(
        g.out_h * g.out_w, -1
    )
    return result


def depthwise_conv2d_f32(
    g: Conv2dStruct,
    block: int,
    x: NDArray[Any],
    w: NDArray[Any],
    bias: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    packed: NDArray[Any],
) -> None:
    """y = clip(sum of w x over the taps inside the map, one after the other, + bias), channel by channel."""
    read, weights, covered = _read(g, x), _weights(g, w), _covered(g)
    total = np.zeros((g.out_h * g.out_w, g.in_c), F32)
    with np.errstate(all="ignore"):
        for tap, row in enumerate(weights):
            total += np.where(covered[:, tap, None], read[:, tap] * row, F32(0))
        y[: total.size] = clipped(total + bias[: g.in_c], clip).reshape(-1)


def depthwise_conv2d_grad_input_f32(
    g: Conv2dStruct,
    block: int,
    e: NDArray[Any],
    active: NDArray[Any] | None,
    w: NDArray[Any],
    e_x: NDArray[Any],
    packed: NDArray[Any],
) -> None:
    """Each window, first to last, adds w e to the inputs that it covers, of channels that take part."""
    o = taking_part(active, g.in_c)
    errors = e[: g.out_h * g.out_w * len(o)].reshape(g.out_h, g.out_w, 1, 1, len(o))
    ys, xs = window_index(g, 0), window_index(g, 1)
    result = np.zeros((g.in_h, g.in_w, g.in_c), F32)
    with np.errstate(all="ignore"):
        shares = errors * _weights(g, w).reshape(g.k_h, g.k_w, g.in_c)[..., o]
        for oy in range(g.out_h):
            for ox in range(g.out_w):
                down = (ys[oy] >= 0) & (ys[oy] < g.in_h)
                across = (xs[ox] >= 0) & (xs[ox] < g.in_w)
                place = np.ix_(ys[oy, down], xs[ox, across], o)
                result[place] += shares[oy, ox][down][:, across]
    e_x[: result.size] = result.reshape(-1)


def depthwise_conv2d_update_f32(
    g: Conv2dStruct,
    block: int,
    x: NDArray[Any],
    e: NDArray[Any],
    active: NDArray[Any] | None,
    rate: NDArray[Any],
    w: NDArray[Any],
    packed: NDArray[Any],
) -> None:
    """w -= rate * sum of e x over windows, first window first, of channels that take part."""
    errors = whole_error(e, active, g.out_h * g.out_w, g.in_c)[:, None]
    gradient = np.zeros((g.k_h * g.k_w, g.in_c), F32)
    with np.errstate(all="ignore"):
        products = np.where(_covered(g)[:, :, None], errors * _read(g, x), F32(0))
        for window in products:
            gradient += window
        descend(w, np.ascontiguousarray(gradient.T), rate, active)


DEPTHWISE_F32 = Kernel(
    "mcg_depthwise_conv2d_f32", depthwise_conv2d_f32, may_share=(Shared("x", "y", pays, lead_f32),)
)
DEPTHWISE_GRAD_INPUT_F32 = Kernel("mcg_depthwise_conv2d_grad_input_f32", depthwise_conv2d_grad_input_f32)
DEPTHWISE_UPDATE_F32 = Kernel("mcg_depthwise_conv2d_update_f32", depthwise_conv2d_update_f32)
