"""Regression losses in float32. Errors are derivatives of the loss, in real units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.computation_f32 import lower_mask
from mcugrad.ops.loss.loss import LossComputation
from mcugrad.ops.loss.regression import RegressionLoss
from mcugrad.program import Kernel, Shared

LOG2_E = F32(1.4426950)


@dataclass(frozen=True, kw_only=True)
class RegressionLossF32(LossComputation):
    """Loss and error of the outputs."""

    of: RegressionLoss

    def lower(self, to: ProgramBuilder) -> None:
        outputs = to.graph[self.of.y].size
        scale, linear = (
            np.asarray([v], np.float32) for v in (self.of.label_scale, min(self.of.linear, 3e38))
        )
        to.call(
            REGRESSION_LOSS_F32,
            note=f"{self.of.words}  {outputs} outputs",
            outputs=outputs,
            label_zero=self.of.label_zero,
            y=to.data(self.of.y),
            label=to.label_array("int8_t", outputs),
            label_scale=to.constant("label_scale", "float", scale, "real units per step"),
            linear=to.constant("loss_linear", "float", linear, "where the loss turns linear"),
            e=to.data(self.of.e),
            loss=to.temporary("loss", "float", (1,), f"{self.of.words} of the sample"),
        )
        lower_mask(to, self.of.y, self.of.e)


def regression_loss_f32(
    outputs: int,
    label_zero: int,
    y: NDArray[Any],
    label: NDArray[Any],
    label_scale: NDArray[Any],
    linear: NDArray[Any],
    e: NDArray[Any],
    loss: NDArray[Any],
) -> None:
    """Loss d^2 for huge `linear`, |d| for 0, else Huber: d^2 / 2 up to `linear`, then linear (|d| - linear / 2).

    e = derivative / outputs.
    """
    total = F32(0)
    bound = F32(linear[0])
    squared, absolute = bound >= F32(1e38), bound <= 0
    with np.errstate(all="ignore"):
        share = F32(1) / F32(outputs)
        for i in range(outputs):
            d = y[i] - F32(int(label[i]) - label_zero) * label_scale[0]
            size = -d if d < 0 else d
            sign = F32(-1) if d < 0 else F32(1)
            if squared:
                total, slope = total + d * d, F32(2) * d
            elif absolute:
                total, slope = total + size, sign if size > 0 else F32(0)
            elif size <= bound:
                total, slope = total + F32(0.5) * d * d, d
            else:
                total, slope = total + bound * (size - F32(0.5) * bound), sign * bound
            e[i] = slope * share
        loss[0] = total * share


REGRESSION_LOSS_F32 = Kernel("mcg_regression_loss_f32", regression_loss_f32, may_share=(Shared("y", "e"),))
