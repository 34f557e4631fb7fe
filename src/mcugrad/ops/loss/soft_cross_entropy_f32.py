"""Soft cross-entropy in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32, exp2, log
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.computation_f32 import lower_mask
from mcugrad.ops.loss.loss import LossComputation
from mcugrad.ops.loss.soft_cross_entropy import SoftCrossEntropy, arguments
from mcugrad.ops.loss.temperature import TEMPERATURE, THIRD, THIRD_LOG2_E, added, shares_of
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class SoftCrossEntropyF32(LossComputation):
    """Loss and output error from float32 logits."""

    of: SoftCrossEntropy

    def lower(self, to: ProgramBuilder) -> None:
        to.call(SOFT_CROSS_ENTROPY_F32, **arguments(self.of, to))
        lower_mask(to, self.of.logits, self.of.e)


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


def soften_f32(classes: int, logits: NDArray[Any], soft: NDArray[Any]) -> None:
    """soft = 255 exp((z - largest z) / 3)."""
    z = logits[:classes]
    with np.errstate(all="ignore"):
        soft[:classes] = shares_of((z - highest(z)) * THIRD_LOG2_E)


SOFT_CROSS_ENTROPY_F32 = Kernel("mcg_soft_cross_entropy_f32", soft_cross_entropy_f32)
SOFTEN_F32 = Kernel("mcg_soften_f32", soften_f32)
