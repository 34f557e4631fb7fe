"""Regression losses: mean squared, mean absolute, Huber; labels are int8."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from mcugrad.ops.loss.loss import LossNode


@dataclass(frozen=True, kw_only=True)
class RegressionLoss(LossNode):
    """Mean over outputs of a function of d = output - label, real units.

    Attributes:
        linear: |d| from which on the loss is linear: infinite for mean squared, 0 for mean absolute, else Huber's
            delta.
        label_scale: real units per step of the int8 label.
        label_zero: its zero point.
    """

    linear: float
    label_scale: float
    label_zero: int

    @property
    def words(self) -> str:
        """Which one it is."""
        return {inf: "mean squared error", 0.0: "mean absolute error"}.get(self.linear, "Huber loss")
