"""Binary cross-entropy: several labels at once, each present or not, from int8 logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32, exp2, log
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import BackwardNode, Graph
from mcugrad.ops.loss.output_error import write_output_error
from mcugrad.ops.tracking.ranges import clip_of
from mcugrad.program import Kernel, segment


@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropy(BackwardNode):
    """Mean over outputs of -t ln p - (1 - t) ln(1 - p), p = sigmoid of the logit, t the label's bit."""

    logits: str
    e: str

    INPUTS = ("logits",)
    OUTPUTS = ("e",)

    def macs(self, graph: Graph) -> int:
        return graph[self.logits].size

    def lower(self, to: ProgramBuilder) -> None:
        to.enter(segment.LOSS)
        outputs = to.graph[self.logits].size
        to.call(
            BINARY_CROSS_ENTROPY_S8,
            note=f"binary cross-entropy  {outputs} labels",
            outputs=outputs,
            channels=to.error_channels(self.e),
            zero=to.zero(self.logits),
            logits=to.data(self.logits),
            scale=to.scale(self.logits),
            target=to.target("uint8_t", outputs),
            w_scale=to.error_scale(self.e),
            clip=clip_of(to, self.logits),
            e=to.data(self.e),
            c=to.error_unit(self.e),
            loss=to.temporary("loss", "float", (1,), "mean binary cross-entropy, nats"),
            error=to.temporary("error", "float", (outputs,), "errors, real units"),
        )


def binary_cross_entropy_s8(
    outputs: int,
    channels: int,
    zero: int,
    logits: NDArray[Any],
    scale: NDArray[Any],
    target: NDArray[Any],
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
            hit = bool(target[i])
            total = total + log(F32(1) + small) + ((F32(0) if hit else z) if z > 0 else F32(0))
            if hit and z < 0:
                total = total - z
            error[i] = (p - (F32(1) if hit else F32(0))) * share
        loss[0] = total * share
    write_output_error(error[:outputs], logits, zero, clip, w_scale, channels, e, c)


BINARY_CROSS_ENTROPY_S8 = Kernel("mcg_binary_cross_entropy_s8", binary_cross_entropy_s8)
