"""Reshape in int8: the same bytes. Where channels are counted differently, errors change their scale."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.computation_s8 import ComputationS8
from mcugrad.ops.core.gradients import ErrorAlias
from mcugrad.ops.core.gradients_s8 import ErrorRescaleS8
from mcugrad.ops.movement.reshape import Reshape


@dataclass(frozen=True, kw_only=True)
class ReshapeS8(ComputationS8):
    """Another shape of as many elements. Where channels are counted differently, errors change their scale."""

    of: Reshape

    def gradient(self, to: GradientBuilder, e: str) -> None:
        carrier = to.carrier(self.of.x)
        if carrier is None:
            return
        name = f"{self.name}_grad_input"
        if to.carried_by(e) == carrier:
            error = to.error_of(self.of.x, like=e)
            assert error is not None
            to.add(ErrorAlias(name=name, e=e, e_x=error))
        else:
            error = to.error_of(self.of.x)
            assert error is not None
            to.add(ErrorRescaleS8(name=name, e=e, x=self.of.x, e_x=error, sign=1))

    def lower(self, to: ProgramBuilder) -> None:
        to.alias(self.y, self.of.x)
