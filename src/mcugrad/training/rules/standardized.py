"""standardized: the published method (Deutel et al., On-Device Training of Fully Quantized Networks, 2024).

Minibatches are gathered in a plane; then each row's gradient is standardized by its running mean and deviation,
and the tensor is quantized anew to the range it has then: docs/arithmetic.md, "Updates".
"""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.training.rules.rule import Rule


@dataclass(frozen=True)
class Standardized(Rule):
    """int8 weights with one scale and one zero point per tensor; they change once per batch, all together."""

    @property
    def bounds(self) -> tuple[int, int]:
        """All codes: with a zero point -128 is as good as any other."""
        return -128, 127


STANDARDIZED = Standardized(
    "standardized",
    0,
    "8-bit weights, gradients standardized per row, an affine range per tensor: the published method",
)
