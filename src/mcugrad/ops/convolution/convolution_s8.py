"""What convolutions in int8 share: constants and buffers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.convolution.convolution import Convolution
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.layer_s8 import LayerS8

UPDATE_ROWS = 4
"""Output channels whose gradients are gathered at a time: each costs 4 bytes of scratch per weight of a channel."""


@dataclass(frozen=True, kw_only=True)
class ConvolutionS8(LayerS8):
    """A convolution with a fused activation function."""

    of: Convolution

    def struct(self, to: ProgramBuilder, e_x: str = "") -> Conv2dStruct:
        graph = to.graph
        shapes = (graph[t].shape for t in (self.of.x, self.y, self.of.w))
        return Conv2dStruct.of(self.of.window(*shapes), to.zero(self.of.x), to.zero(self.y))

    def patch(self, to: ProgramBuilder, count: int) -> str:
        """Buffer of input values that are multiplied together; forward pass and update share its name."""
        return to.temporary(f"{self.name}_patch", "int16_t", (count,), "a part of the input")

    def gradient_rows(self, to: ProgramBuilder, *shape: int) -> str:
        """Buffer of the weight gradients of a few rows."""
        return to.temporary(f"{self.name}_gradient", "int32_t", shape, "weight gradients of a few rows")


def centred(g: Conv2dStruct, x: NDArray[Any]) -> NDArray[np.int64]:
    """Input map in steps from its zero point."""
    size = g.in_h * g.in_w * g.in_c
    return x[:size].astype(np.int64).reshape(g.in_h, g.in_w, g.in_c) - g.x_zero
