"""Conv2d in float32."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.convolution_f32 import ConvolutionF32


@dataclass(frozen=True, kw_only=True)
class Conv2dF32(ConvolutionF32):
    """2-D convolution with a fused activation function: one group."""

    of: Conv2d
