"""Softmax cross-entropy: one class is right."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.ops.loss.loss import LossNode


@dataclass(frozen=True, kw_only=True)
class SoftmaxCrossEntropy(LossNode):
    """Minus the logarithm of the share that the outputs, logits, give to the class of the sample.

    Attributes:
        smoothing: share of the label spread evenly over all classes.
        class_weights: factor on the loss by the sample's class; empty for 1.
    """

    smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()
