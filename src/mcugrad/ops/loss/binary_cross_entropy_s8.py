"""Binary cross-entropy in int8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32, exp2, log
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.loss.binary_cross_entropy import BinaryCrossEntropy
from mcugrad.ops.loss.loss import LossComputation
from mcugrad.ops.loss.output_error_s8 import write_output_error
from mcugrad.ops.tracking.ranges_s8 import clip_of
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropyS8(LossComputation):
    """Loss and output error from int8 logits and the labels."""

    of: BinaryCrossEntropy

    def lower(self, to: ProgramBuilder) -> None:
        outputs = to.graph[self.of.y].size
        to.call(
            BINARY_CROSS_ENTROPY_S8,
            note=f"binary cross-entropy  {outputs} labels",
            outputs=outputs,
            channels=to.error_channels(self.of.e),
            zero=to.zero(self.of.y),
            logits=to.data(self.of.y),
            scale=to.scale(self.of.y),
            label=to.label_array("uint8_t", outputs),
            w_scale=to.error_scale(self.of.e),
            clip=clip_of(to, self.of.y),
            e=to.data(self.of.e),
            c=to.error_unit(self.of.e),
            loss=to.temporary("loss", "float", (1,), "mean binary cross-entropy, nats"),
            error=to.temporary("error", "float", (outputs,), "errors, real units"),
        )


def binary_cross_entropy_s8(
    outputs: int,
    channels: int,
    zero: int,
    logits: NDArray[Any],
    scale: NDArray[Any],
    label: NDArray[Any],
    w_scale: NDArray[Any],
    clip: NDArray[Any],
    e: NDArray[Any],
    c: NDArray[Any],
    loss: NDArray[Any],
    error: NDArray[Any],
) -> None:
    """error = (sigmoid(z) - t) / outputs; loss = mean of ln(1 + exp(-|z|)) + max(z, 0) - z t."""
    total = F32(0)
    with np.errstate(all="ignore"):
        share = F32(1) / F32(outputs)
        for i in range(outputs):
            z = F32(int(logits[i]) - zero) * scale[0]
            size = -z if z < 0 else z
            small = exp2(np.asarray([-size * F32(1.4426950)], F32))[0]
            p = (small if z < 0 else F32(1)) / (F32(1) + small)
            hit = bool(label[i])
            total = total + log(F32(1) + small) + ((F32(0) if hit else z) if z > 0 else F32(0))
            if hit and z < 0:
                total = total - z
            error[i] = (p - (F32(1) if hit else F32(0))) * share
        loss[0] = total * share
    write_output_error(error[:outputs], logits, zero, clip, w_scale, channels, e, c)


BINARY_CROSS_ENTROPY_S8 = Kernel("mcg_binary_cross_entropy_s8", binary_cross_entropy_s8)
