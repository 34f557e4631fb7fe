"""Soft cross-entropy in int8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32, exp2, log
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.loss.loss import LossComputation
from mcugrad.ops.loss.output_error_s8 import write_output_error
from mcugrad.ops.loss.soft_cross_entropy import SoftCrossEntropy, arguments
from mcugrad.ops.loss.temperature import LOG2_E, TEMPERATURE, THIRD, added, shares_of
from mcugrad.ops.tracking.ranges_s8 import clip_of
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class SoftCrossEntropyS8(LossComputation):
    """Loss and output error from int8 logits."""

    of: SoftCrossEntropy

    def lower(self, to: ProgramBuilder) -> None:
        logits, e = self.of.logits, self.of.e
        shared = arguments(self.of, to)
        to.call(
            SOFT_CROSS_ENTROPY_S8,
            **shared,
            channels=to.error_channels(e),
            zero=to.zero(logits),
            scale=to.scale(logits),
            w_scale=to.error_scale(e),
            clip=clip_of(to, logits),
            c=to.error_unit(e),
            probability=to.temporary(
                "probability", "float", (shared["classes"],), "probabilities, then errors"
            ),
        )


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


def soften_s8(classes: int, logits: NDArray[Any], scale: NDArray[Any], soft: NDArray[Any]) -> None:
    """soft = 255 exp((z - largest z) / 3)."""
    q = logits[:classes].astype(np.int64)
    with np.errstate(all="ignore"):
        unit = F32(F32(scale[0] * THIRD) * LOG2_E)
        soft[:classes] = shares_of((q - q.max()).astype(F32) * unit)


SOFT_CROSS_ENTROPY_S8 = Kernel("mcg_soft_cross_entropy_s8", soft_cross_entropy_s8)
SOFTEN_S8 = Kernel("mcg_soften_s8", soften_s8)
