"""Flatten in float32: the same bytes as a vector."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.computation_f32 import ComputationF32, error_for
from mcugrad.ops.core.gradients import ErrorAlias
from mcugrad.ops.movement.flatten import Flatten


@dataclass(frozen=True, kw_only=True)
class FlattenF32(ComputationF32):
    """The same bytes under another shape."""

    of: Flatten

    def gradient(self, to: GradientBuilder, e: str) -> None:
        to.add(ErrorAlias(name=f"{self.name}_grad_input", e=e, e_x=error_for(to, self.of.x)))

    def lower(self, to: ProgramBuilder) -> None:
        to.alias(self.y, self.of.x)
