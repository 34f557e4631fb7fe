"""What convolutions in int8 share: constants and buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.conv_transpose2d import ConvTranspose2d
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.convolution.grouped_conv2d import GroupedConv2d
from mcugrad.ops.convolution.struct import Conv2dStruct

Convolution = Conv2d | ConvTranspose2d | DepthwiseConv2d | GroupedConv2d
UPDATE_ROWS = 4
"""Output channels whose gradients are gathered at a time: each costs 4 bytes of scratch per weight of a channel."""


def struct_of(of: Convolution, to: ProgramBuilder) -> Conv2dStruct:
    """Constants of the layer as C sees them."""
    shapes = (to.graph[t].shape for t in (of.x, of.y, of.w))
    return Conv2dStruct.of(of.window(*shapes), to.zero(of.x), to.zero(of.y))


def patch_of(of: Convolution, to: ProgramBuilder, count: int) -> str:
    """Buffer of input values that are multiplied together."""
    return to.alone(f"{of.name}_patch", "int16_t", (count,), "a part of the input")


def gradient_rows(of: Convolution, to: ProgramBuilder, *shape: int) -> str:
    """Buffer of the weight gradients of a few rows."""
    return to.temporary(f"{of.name}_gradient", "int32_t", shape, "weight gradients of a few rows")


def centred(g: Conv2dStruct, x: NDArray[Any]) -> NDArray[np.int64]:
    """Input map in steps from its zero point."""
    size = g.in_h * g.in_w * g.in_c
    return x[:size].astype(np.int64).reshape(g.in_h, g.in_w, g.in_c) - g.x_zero
