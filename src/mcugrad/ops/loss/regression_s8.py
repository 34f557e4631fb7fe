"""Regression losses in int8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.loss.loss import LossComputation
from mcugrad.ops.loss.output_error_s8 import write_output_error
from mcugrad.ops.loss.regression import RegressionLoss
from mcugrad.ops.tracking.ranges_s8 import clip_of
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class RegressionLossS8(LossComputation):
    """Loss and output error from int8 outputs."""

    of: RegressionLoss

    def lower(self, to: ProgramBuilder) -> None:
        outputs = to.graph[self.of.y].size
        to.call(
            REGRESSION_LOSS_S8,
            note=f"{self.of.words}  {outputs} outputs",
            outputs=outputs,
            channels=to.error_channels(self.of.e),
            y_zero=to.zero(self.of.y),
            label_zero=self.of.label_zero,
            y=to.data(self.of.y),
            y_scale=to.scale(self.of.y),
            label=to.label_array("int8_t", outputs),
            label_scale=self._constant(to, "label_scale", self.of.label_scale, "real units per step"),
            linear=self._constant(
                to, "loss_linear", min(self.of.linear, 3e38), "where the loss turns linear"
            ),
            w_scale=to.error_scale(self.of.e),
            clip=clip_of(to, self.of.y),
            e=to.data(self.of.e),
            c=to.error_unit(self.of.e),
            loss=to.temporary("loss", "float", (1,), f"{self.of.words} of the sample"),
            error=to.temporary("error", "float", (outputs,), "errors, real units"),
        )

    def _constant(self, to: ProgramBuilder, name: str, value: float, note: str) -> str:
        return to.constant(name, "float", np.asarray([value], np.float32), note)


def regression_loss_s8(
    outputs: int,
    channels: int,
    y_zero: int,
    label_zero: int,
    y: NDArray[Any],
    y_scale: NDArray[Any],
    label: NDArray[Any],
    label_scale: NDArray[Any],
    linear: NDArray[Any],
    w_scale: NDArray[Any],
    clip: NDArray[Any],
    e: NDArray[Any],
    c: NDArray[Any],
    loss: NDArray[Any],
    error: NDArray[Any],
) -> None:
    """Loss d^2 for huge `linear`, |d| for 0, else Huber: d^2 / 2 up to `linear`, then linear (|d| - linear / 2).

    error = derivative / outputs.
    """
    total = F32(0)
    bound = F32(linear[0])
    squared, absolute = bound >= F32(1e38), bound <= 0
    with np.errstate(all="ignore"):
        share = F32(1) / F32(outputs)
        for i in range(outputs):
            real = F32(int(y[i]) - y_zero) * y_scale[0]
            d = real - F32(int(label[i]) - label_zero) * label_scale[0]
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
            error[i] = slope * share
        loss[0] = total * share
    write_output_error(error[:outputs], y, y_zero, clip, w_scale, channels, e, c)


REGRESSION_LOSS_S8 = Kernel("mcg_regression_loss_s8", regression_loss_s8)
