"""What moves values in float32: other shapes of the same bytes."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.graph.gradient import GradientBuilder
from mcugrad.ops.errors import ErrorAlias
from mcugrad.ops.flatten import Flatten
from mcugrad.ops.float_operator import FloatOperator, error_for
from mcugrad.ops.reshape import Reshape
from mcugrad.program.lowering import Lowering


@dataclass(frozen=True, kw_only=True)
class FloatReshape(FloatOperator):
    """The same bytes under another shape."""

    of: Flatten | Reshape

    passes_scale = True

    def gradient(self, to: GradientBuilder, e: str) -> None:
        to.add(ErrorAlias(name=f"{self.name}_grad_input", e=e, e_x=error_for(to, self.of.x)))

    def lower(self, to: Lowering) -> None:
        to.alias(self.y, self.of.x)
