"""GroupedConv2d in float32."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.ops.convolution.convolution_f32 import ConvolutionF32
from mcugrad.ops.convolution.grouped_conv2d import GroupedConv2d


@dataclass(frozen=True, kw_only=True)
class GroupedConv2dF32(ConvolutionF32):
    """2-D convolution in groups, with a fused activation function."""

    of: GroupedConv2d
