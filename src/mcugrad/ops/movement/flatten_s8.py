"""Flatten in int8: the same bytes as a vector."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.computation_s8 import ComputationS8
from mcugrad.ops.core.gradients import ErrorAlias
from mcugrad.ops.movement.flatten import Flatten


@dataclass(frozen=True, kw_only=True)
class FlattenS8(ComputationS8):
    """The same bytes under another shape."""

    of: Flatten

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = to.error_of(self.of.x, like=e)
        if error is not None:
            to.add(ErrorAlias(name=f"{self.name}_grad_input", e=e, e_x=error))

    def lower(self, to: ProgramBuilder) -> None:
        to.alias(self.y, self.of.x)
