"""Binary cross-entropy: several labels at once, each present or not."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.ops.loss.loss import LossNode


@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropy(LossNode):
    """Mean over outputs of -t ln p - (1 - t) ln(1 - p), p = sigmoid of the logit, t the label's bit."""
