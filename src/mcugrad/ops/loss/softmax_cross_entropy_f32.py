"""Softmax cross-entropy in float32. Errors are derivatives of the loss, in real units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32, exp2, log
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.computation_f32 import lower_mask
from mcugrad.ops.loss.loss import LossComputation
from mcugrad.ops.loss.softmax_cross_entropy import SoftmaxCrossEntropy
from mcugrad.program import Kernel

LOG2_E = F32(1.4426950)


@dataclass(frozen=True, kw_only=True)
class SoftmaxCrossEntropyF32(LossComputation):
    """Loss of a sample and the error of the logits."""

    of: SoftmaxCrossEntropy

    def lower(self, to: ProgramBuilder) -> None:
        classes = to.graph[self.of.y].size
        loss = to.temporary("loss", "float", (1,), "cross-entropy of the sample, nats")
        smoothing = np.asarray([self.of.smoothing], np.float32)
        to.call(
            SOFTMAX_CROSS_ENTROPY_F32,
            note=f"softmax cross-entropy  {classes} classes",
            classes=classes,
            logits=to.data(self.of.y),
            label=to.label(),
            smoothing=to.constant("smoothing", "float", smoothing, "label smoothing"),
            e=to.data(self.of.e),
            loss=loss,
            confidence=to.temporary("confidence", "float", (1,), "probability of the predicted class"),
        )
        if self.of.class_weights:
            weights = np.asarray(self.of.class_weights, np.float32)
            to.call(
                WEIGH_LOSS_F32,
                note="weight of the class",
                classes=classes,
                label=to.label(),
                weight=to.constant("class_weight", "float", weights, "of the loss, per class"),
                e=to.data(self.of.e),
                loss=loss,
            )
        lower_mask(to, self.of.y, self.of.e)


def softmax_cross_entropy_f32(
    classes: int,
    logits: NDArray[Any],
    label: int,
    smoothing: NDArray[Any],
    e: NDArray[Any],
    loss: NDArray[Any],
    confidence: NDArray[Any],
) -> None:
    """e = softmax - (1 - smoothing) onehot - smoothing / classes."""
    z = logits[:classes]
    with np.errstate(all="ignore"):
        top = z[0]
        for value in z:
            top = value if value > top else top
        raw = exp2((z - top) * LOG2_E)
        total, distance = F32(0), F32(0)
        for value, part in zip(z, raw, strict=True):
            total, distance = total + part, distance + (top - value)
        share = smoothing[0] / F32(classes)
        rest = F32(1) - smoothing[0]
        error = raw / total
        error[label] -= rest
        e[:classes] = error - share
        loss[0] = log(total) + ((top - z[label]) * rest + distance * share)
        confidence[0] = F32(1) / total


def weigh_loss_f32(
    classes: int, label: int, weight: NDArray[Any], e: NDArray[Any], loss: NDArray[Any]
) -> None:
    """Multiply the loss of a sample, and its errors, by the weight of its class."""
    with np.errstate(all="ignore"):
        e[:classes] *= weight[label]
        loss[0] *= weight[label]


SOFTMAX_CROSS_ENTROPY_F32 = Kernel("mcg_softmax_cross_entropy_f32", softmax_cross_entropy_f32)
WEIGH_LOSS_F32 = Kernel("mcg_weigh_loss_f32", weigh_loss_f32)
