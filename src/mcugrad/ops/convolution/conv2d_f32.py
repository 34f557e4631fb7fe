"""Conv2d in float32."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.convolution_f32 import grouped_forward, grouped_grad_input, grouped_update
from mcugrad.ops.core.layer_f32 import LayerF32, PassF32


@dataclass(frozen=True, kw_only=True)
class Conv2dF32(LayerF32):
    """2-D convolution with a fused activation function: one group."""

    of: Conv2d

    def forward_pass(self, to: ProgramBuilder) -> PassF32:
        return grouped_forward(self.of, to)

    def grad_input_pass(self, to: ProgramBuilder) -> PassF32:
        return grouped_grad_input(self.of, to)

    def update_pass(self, to: ProgramBuilder) -> PassF32:
        return grouped_update(self.of, to)
