"""Reshape in float32: the same bytes under another shape."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.gradients import ErrorAlias
from mcugrad.ops.core.operator_f32 import OperatorF32, error_for
from mcugrad.ops.movement.reshape import Reshape


@dataclass(frozen=True, kw_only=True)
class ReshapeF32(OperatorF32):
    """The same bytes under another shape."""

    of: Reshape

    passes_scale = True

    def gradient(self, to: GradientBuilder, e: str) -> None:
        to.add(ErrorAlias(name=f"{self.name}_grad_input", e=e, e_x=error_for(to, self.of.x)))

    def lower(self, to: ProgramBuilder) -> None:
        to.alias(self.y, self.of.x)
