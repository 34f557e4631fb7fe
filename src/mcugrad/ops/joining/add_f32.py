"""Add and Sub in float32."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.computation_f32 import ComputationF32, bounds
from mcugrad.ops.core.gradients_f32 import ADD_F32, pass_float_error
from mcugrad.ops.joining.add import Add


@dataclass(frozen=True, kw_only=True)
class AddF32(ComputationF32):
    """Sum or difference with a fused activation function."""

    of: Add

    def gradient(self, to: GradientBuilder, e: str) -> None:
        pass_float_error(to, f"{self.name}_grad_a", e, self.of.a)
        pass_float_error(to, f"{self.name}_grad_b", e, self.of.b, self.of.sign)

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            ADD_F32,
            note=self.describe(to.graph),
            count=to.graph[self.y].size,
            sign=self.of.sign,
            a=to.data(self.of.a),
            b=to.data(self.of.b),
            clip=bounds(to, self.y),
            y=to.data(self.y),
        )
