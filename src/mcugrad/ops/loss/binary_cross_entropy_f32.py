"""Binary cross-entropy in float32. Errors are derivatives of the loss, in real units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32, exp2, log
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.computation_f32 import lower_mask
from mcugrad.ops.loss.binary_cross_entropy import BinaryCrossEntropy
from mcugrad.ops.loss.loss import LossComputation
from mcugrad.program import Kernel

LOG2_E = F32(1.4426950)


@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropyF32(LossComputation):
    """Loss and error of the logits."""

    of: BinaryCrossEntropy

    def lower(self, to: ProgramBuilder) -> None:
        outputs = to.graph[self.of.y].size
        to.call(
            BINARY_CROSS_ENTROPY_F32,
            note=f"binary cross-entropy  {outputs} labels",
            outputs=outputs,
            logits=to.data(self.of.y),
            label=to.label_array("uint8_t", outputs),
            e=to.data(self.of.e),
            loss=to.temporary("loss", "float", (1,), "mean binary cross-entropy, nats"),
        )
        lower_mask(to, self.of.y, self.of.e)


def binary_cross_entropy_f32(
    outputs: int, logits: NDArray[Any], label: NDArray[Any], e: NDArray[Any], loss: NDArray[Any]
) -> None:
    """e = (sigmoid(z) - t) / outputs; loss = mean of ln(1 + exp(-|z|)) + max(z, 0) - z t."""
    total = F32(0)
    with np.errstate(all="ignore"):
        share = F32(1) / F32(outputs)
        for i in range(outputs):
            z = logits[i]
            size = -z if z < 0 else z
            small = exp2(np.asarray([-size * LOG2_E], F32))[0]
            p = (small if z < 0 else F32(1)) / (F32(1) + small)
            hit = bool(label[i])
            total = total + log(F32(1) + small) + ((F32(0) if hit else z) if z > 0 else F32(0))
            if hit and z < 0:
                total = total - z
            e[i] = (p - (F32(1) if hit else F32(0))) * share
        loss[0] = total * share


BINARY_CROSS_ENTROPY_F32 = Kernel("mcg_binary_cross_entropy_f32", binary_cross_entropy_f32)
