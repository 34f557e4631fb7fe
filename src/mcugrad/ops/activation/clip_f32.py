"""Clip in float32: a part of a concatenation, and all of it."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.activation.clip import Clip
from mcugrad.ops.core.computation_f32 import ComputationF32, bounds
from mcugrad.ops.core.gradients_f32 import pass_float_error
from mcugrad.ops.joining.concat_f32 import CONCAT_F32


@dataclass(frozen=True, kw_only=True)
class ClipF32(ComputationF32):
    """y = min(max(x, low), high)."""

    of: Clip

    def gradient(self, to: GradientBuilder, e: str) -> None:
        pass_float_error(to, f"{self.name}_grad_input", e, self.of.x)

    def lower(self, to: ProgramBuilder) -> None:
        size = to.graph[self.y].size
        to.call(
            CONCAT_F32,
            note=self.describe(to.graph),
            rows=1,
            count=size,
            pitch=size,
            offset=0,
            x=to.data(self.of.x),
            clip=bounds(to, self.y),
            y=to.data(self.y),
        )
