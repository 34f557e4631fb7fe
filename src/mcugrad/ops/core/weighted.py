"""Layers with weights."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.graph import Operator
from mcugrad.ops.core.activated import Activated


@dataclass(frozen=True, kw_only=True)
class Weighted(Activated, Operator):
    """A layer y = clip(w x + b, low, high).

    Attributes:
        w: weights, output channel first.
        b: bias, one per output channel.
    """

    x: str
    w: str
    b: str

    INPUTS = ("x", "w", "b")

    @property
    def error_carrier(self) -> str | None:
        return self.w
