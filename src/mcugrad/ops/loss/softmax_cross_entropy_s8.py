"""Softmax cross-entropy in int8: loss and output error from int8 logits and the label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32, exp2, log
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.loss.loss import LossComputation
from mcugrad.ops.loss.softmax_cross_entropy import SoftmaxCrossEntropy
from mcugrad.ops.tracking.ranges_s8 import clip_of
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class SoftmaxCrossEntropyS8(LossComputation):
    """Output error of a sample, normalised exactly: its largest entry becomes 127."""

    of: SoftmaxCrossEntropy

    def lower(self, to: ProgramBuilder) -> None:
        classes = to.graph[self.of.y].size
        to.call(
            SOFTMAX_CROSS_ENTROPY_S8,
            note=f"softmax cross-entropy  {classes} classes",
            classes=classes,
            channels=to.error_channels(self.of.e),
            zero=to.zero(self.of.y),
            logits=to.data(self.of.y),
            scale=to.scale(self.of.y),
            label=to.label(),
            smoothing=to.constant(
                "smoothing", "float", np.asarray([self.of.smoothing], np.float32), "label smoothing"
            ),
            w_scale=to.error_scale(self.of.e),
            clip=clip_of(to, self.of.y),
            e=to.data(self.of.e),
            c=to.error_unit(self.of.e),
            loss=to.temporary("loss", "float", (1,), "cross-entropy of the sample, nats"),
            confidence=to.temporary("confidence", "float", (1,), "probability of the predicted class"),
            probability=to.temporary("probability", "float", (classes,), "probabilities, then errors"),
        )
        if self.of.class_weights:
            weights = np.asarray(self.of.class_weights, np.float32)
            to.call(
                WEIGH_LOSS,
                note="weight of the class",
                label=to.label(),
                weight=to.constant("class_weight", "float", weights, "of the loss, per class"),
                c=to.error_unit(self.of.e),
                loss=to.temporary("loss", "float", (1,), "cross-entropy of the sample, nats"),
            )


def softmax_cross_entropy_s8(
    classes: int,
    channels: int,
    zero: int,
    logits: NDArray[Any],
    scale: NDArray[Any],
    label: int,
    smoothing: NDArray[Any],
    w_scale: NDArray[Any],
    clip: NDArray[Any],
    e: NDArray[Any],
    c: NDArray[Any],
    loss: NDArray[Any],
    confidence: NDArray[Any],
    probability: NDArray[Any],
) -> None:
    """e = softmax - (1 - smoothing) onehot - smoothing / classes, in steps of c / w_scale; the largest is 127."""
    q = logits[:classes].astype(np.int64)
    top = int(q.max())
    with np.errstate(all="ignore"):
        raw = exp2((q - top).astype(F32) * F32(scale[0] * F32(1.4426950)))
        total = F32(0)
        for value in raw:
            total = F32(total + value)
        share = smoothing[0] / F32(classes)
        rest = F32(1) - smoothing[0]
        error = raw / total
        error[label] = error[label] - rest
        error = error - share
        is_open = (q - zero > clip[0]) & (q - zero < clip[1])
        error = np.where(is_open, error * w_scale[np.arange(classes) % channels], F32(0)).astype(F32)
        highest = np.fmax.reduce(np.abs(error), initial=F32(0))
        distance = F32(int((top - q).sum())) * share
        loss[0] = log(total) + (F32(top - q[label]) * rest + distance) * scale[0]
        confidence[0] = F32(1) / total
        probability[:classes] = error
        c[:2] = highest / F32(127), F32(1 if highest > 0 else 0)
        if highest > 0:
            e[:classes] = np.clip(ar.round_half_up(error / highest * F32(127), 128), -127, 127)
        else:
            e[:classes] = 0


def weigh_loss(label: int, weight: NDArray[Any], c: NDArray[Any], loss: NDArray[Any]) -> None:
    """Multiply the loss of a sample, and the unit of its error, by the weight of its class."""
    with np.errstate(all="ignore"):
        c[0] = c[0] * weight[label]
        loss[0] = loss[0] * weight[label]


WEIGH_LOSS = Kernel("mcg_weigh_loss", weigh_loss)
SOFTMAX_CROSS_ENTROPY_S8 = Kernel("mcg_softmax_cross_entropy_s8", softmax_cross_entropy_s8)
