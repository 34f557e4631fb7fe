"""Soft cross-entropy: loss and output error towards a distribution, such as what a network said before.

Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015: both distributions at a temperature above
1, at which unlikely classes count, and the loss times its square, so that errors stay as large as those of labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32, exp2, log
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import BackwardNode, Float32
from mcugrad.ops.core.computation_f32 import lower_mask
from mcugrad.ops.life.life import ARGMAX_F32, ARGMAX_S8
from mcugrad.ops.loss.output_error import write_output_error
from mcugrad.ops.selection.select_nodes import loss_ratio
from mcugrad.ops.tracking.ranges import clip_of
from mcugrad.program import Kernel, segment

TEMPERATURE = F32(3)
LOG2_E = F32(1.4426950)
THIRD = F32(1) / TEMPERATURE
THIRD_LOG2_E = LOG2_E / TEMPERATURE


@dataclass(frozen=True, kw_only=True)
class SoftCrossEntropy(BackwardNode):
    """What takes the place of the loss, and of all that looks at the label, in a step towards a distribution.

    Running means and drift, which are about labels, stay as they are; so does the largest loss that partial updates
    compare with, for this one is on another scale. Their share follows how far both distributions are apart.

    Attributes:
        has_ratio: whether partial updates follow the loss.
    """

    logits: str
    e: str
    has_ratio: bool

    INPUTS = ("logits", "e")
    OUTPUTS = ()
    CHANGES_STATE = True

    def lower(self, to: ProgramBuilder) -> None:
        to.enter(segment.SOFT_LOSS)
        classes = to.graph[self.logits].size
        shared = {
            "classes": classes,
            "logits": to.data(self.logits),
            "soft": to.soft_target(classes),
            "e": to.data(self.e),
            "loss": to.temporary("loss", "float", (1,), "cross-entropy of the sample, nats"),
            "confidence": to.temporary("confidence", "float", (1,), "probability of the predicted class"),
        }
        note = f"soft cross-entropy  {classes} classes"
        ratio = loss_ratio(to) if self.has_ratio else None
        is_float = isinstance(to.graph[self.logits].quant, Float32)
        if is_float:
            to.call(SOFT_CROSS_ENTROPY_F32, note=note, **shared, ratio=ratio)
            lower_mask(to, self.logits, self.e)
        else:
            to.call(
                SOFT_CROSS_ENTROPY_S8,
                note=note,
                **shared,
                channels=to.error_channels(self.e),
                zero=to.zero(self.logits),
                scale=to.scale(self.logits),
                w_scale=to.error_scale(self.e),
                clip=clip_of(to, self.logits),
                c=to.error_unit(self.e),
                ratio=ratio,
                probability=to.temporary("probability", "float", (classes,), "probabilities, then errors"),
            )
        to.call(
            ARGMAX_F32 if is_float else ARGMAX_S8,
            note="prediction",
            count=classes,
            x=to.data(self.logits),
            index=to.temporary("predicted", "uint32_t", (1,), "class predicted before the step"),
        )


def added(terms: NDArray[Any]) -> np.float32:
    """Sum of float32 terms, first to last."""
    total = F32(0)
    for term in terms:
        total = F32(total + term)
    return total


def soft_cross_entropy_s8(
    classes: int,
    channels: int,
    zero: int,
    logits: NDArray[Any],
    scale: NDArray[Any],
    soft: NDArray[Any],
    w_scale: NDArray[Any],
    clip: NDArray[Any],
    e: NDArray[Any],
    c: NDArray[Any],
    loss: NDArray[Any],
    confidence: NDArray[Any],
    ratio: NDArray[Any] | None,
    probability: NDArray[Any],
) -> None:
    """e = 3 (softmax(z / 3) - soft / sum of soft), in steps of c / w_scale; the largest is 127."""
    q, wanted = logits[:classes].astype(np.int64), soft[:classes].astype(np.int64)
    below = q.max() - q
    with np.errstate(all="ignore"):
        step = F32(scale[0] * THIRD)
        raw = exp2((-below).astype(F32) * F32(step * LOG2_E))
        total, shares = added(raw), F32(wanted.sum())
        distance = F32((wanted * below).sum()) / shares
        loss[0] = F32(log(total) + F32(distance * step)) * F32(TEMPERATURE * TEMPERATURE)
        confidence[0] = F32(1) / added(raw * raw * raw)
        error = raw / total - wanted.astype(F32) / shares
        if ratio is not None and ratio.size:
            ratio[0] = added(np.abs(error)) * F32(0.5)
        error = error * TEMPERATURE
    write_output_error(error, logits, zero, clip, w_scale, channels, e, c)
    probability[:classes] = error


def soft_cross_entropy_f32(
    classes: int,
    logits: NDArray[Any],
    soft: NDArray[Any],
    e: NDArray[Any],
    loss: NDArray[Any],
    confidence: NDArray[Any],
    ratio: NDArray[Any] | None,
) -> None:
    """e = 3 (softmax(z / 3) - soft / sum of soft)."""
    z, wanted = logits[:classes], soft[:classes].astype(F32)
    with np.errstate(all="ignore"):
        below = highest(z) - z
        raw = exp2(-below * THIRD_LOG2_E)
        total, shares = added(raw), F32(soft[:classes].sum(dtype=np.int64))
        distance = added(wanted * below) / shares
        loss[0] = F32(log(total) + F32(distance * THIRD)) * F32(TEMPERATURE * TEMPERATURE)
        confidence[0] = F32(1) / added(raw * raw * raw)
        error = raw / total - wanted / shares
        if ratio is not None and ratio.size:
            ratio[0] = added(np.abs(error)) * F32(0.5)
        e[:classes] = error * TEMPERATURE


def highest(z: NDArray[Any]) -> np.float32:
    """The first largest value; NaN is never larger."""
    top = F32(z[0])
    for value in z:
        top = value if value > top else top
    return top


def shares_of(t: NDArray[Any]) -> NDArray[np.uint8]:
    """2^t in 1/255 for t <= 0; 0 for NaN."""
    result: NDArray[np.uint8] = ar.round_half_up(exp2(t) * F32(255), 256).astype(np.uint8)
    return result


def soften_s8(classes: int, logits: NDArray[Any], scale: NDArray[Any], soft: NDArray[Any]) -> None:
    """soft = 255 exp((z - largest z) / 3)."""
    q = logits[:classes].astype(np.int64)
    with np.errstate(all="ignore"):
        unit = F32(F32(scale[0] * THIRD) * LOG2_E)
        soft[:classes] = shares_of((q - q.max()).astype(F32) * unit)


def soften_f32(classes: int, logits: NDArray[Any], soft: NDArray[Any]) -> None:
    """soft = 255 exp((z - largest z) / 3)."""
    z = logits[:classes]
    with np.errstate(all="ignore"):
        soft[:classes] = shares_of((z - highest(z)) * THIRD_LOG2_E)


SOFT_CROSS_ENTROPY_S8 = Kernel("mcg_soft_cross_entropy_s8", soft_cross_entropy_s8)
SOFT_CROSS_ENTROPY_F32 = Kernel("mcg_soft_cross_entropy_f32", soft_cross_entropy_f32)
SOFTEN_S8 = Kernel("mcg_soften_s8", soften_s8)
SOFTEN_F32 = Kernel("mcg_soften_f32", soften_f32)
