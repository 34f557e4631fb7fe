"""Losses on float32 outputs. Errors are derivatives of the loss, in real units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32, exp2, log
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import BackwardNode, Graph
from mcugrad.ops.core.computation_f32 import lower_mask
from mcugrad.program import Kernel, segment

LOG2_E = F32(1.4426950)


@dataclass(frozen=True, kw_only=True)
class SoftmaxCrossEntropyF32(BackwardNode):
    """Loss of a sample and the error of the logits.

    Attributes:
        smoothing: share of the target spread evenly over all classes.
        class_weights: factor on the loss by the sample's class; empty for 1.
    """

    logits: str
    e: str
    smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()

    INPUTS = ("logits",)
    OUTPUTS = ("e",)

    def macs(self, graph: Graph) -> int:
        return graph[self.logits].size

    def lower(self, to: ProgramBuilder) -> None:
        to.enter(segment.LOSS)
        classes = to.graph[self.logits].size
        loss = to.temporary("loss", "float", (1,), "cross-entropy of the sample, nats")
        smoothing = np.asarray([self.smoothing], np.float32)
        to.call(
            SOFTMAX_CROSS_ENTROPY_F32,
            note=f"softmax cross-entropy  {classes} classes",
            classes=classes,
            logits=to.data(self.logits),
            label=to.label(),
            smoothing=to.constant("smoothing", "float", smoothing, "label smoothing"),
            e=to.data(self.e),
            loss=loss,
            confidence=to.temporary("confidence", "float", (1,), "probability of the predicted class"),
        )
        if self.class_weights:
            weights = np.asarray(self.class_weights, np.float32)
            to.call(
                WEIGH_LOSS_F32,
                note="weight of the class",
                classes=classes,
                label=to.label(),
                weight=to.constant("class_weight", "float", weights, "of the loss, per class"),
                e=to.data(self.e),
                loss=loss,
            )
        lower_mask(to, self.logits, self.e)


@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropyF32(BackwardNode):
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
            BINARY_CROSS_ENTROPY_F32,
            note=f"binary cross-entropy  {outputs} labels",
            outputs=outputs,
            logits=to.data(self.logits),
            target=to.target("uint8_t", outputs),
            e=to.data(self.e),
            loss=to.temporary("loss", "float", (1,), "mean binary cross-entropy, nats"),
        )
        lower_mask(to, self.logits, self.e)


@dataclass(frozen=True, kw_only=True)
class RegressionLossF32(BackwardNode):
    """Mean over outputs of a function of d = output - target, real units.

    Attributes:
        linear: |d| from which on the loss is linear: infinite for mean squared, 0 for mean absolute, else Huber's
            delta.
        target_scale: real units per step of the int8 target.
        target_zero: its zero point.
    """

    y: str
    e: str
    linear: float
    target_scale: float
    target_zero: int

    INPUTS = ("y",)
    OUTPUTS = ("e",)

    def macs(self, graph: Graph) -> int:
        return graph[self.y].size

    def lower(self, to: ProgramBuilder) -> None:
        to.enter(segment.LOSS)
        outputs = to.graph[self.y].size
        name = {np.inf: "mean squared error", 0.0: "mean absolute error"}.get(self.linear, "Huber loss")
        scale, linear = (np.asarray([v], np.float32) for v in (self.target_scale, min(self.linear, 3e38)))
        to.call(
            REGRESSION_LOSS_F32,
            note=f"{name}  {outputs} outputs",
            outputs=outputs,
            target_zero=self.target_zero,
            y=to.data(self.y),
            target=to.target("int8_t", outputs),
            target_scale=to.constant("target_scale", "float", scale, "real units per step"),
            linear=to.constant("loss_linear", "float", linear, "where the loss turns linear"),
            e=to.data(self.e),
            loss=to.temporary("loss", "float", (1,), f"{name} of the sample"),
        )
        lower_mask(to, self.y, self.e)


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


def binary_cross_entropy_f32(
    outputs: int, logits: NDArray[Any], target: NDArray[Any], e: NDArray[Any], loss: NDArray[Any]
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
            hit = bool(target[i])
            total = total + log(F32(1) + small) + ((F32(0) if hit else z) if z > 0 else F32(0))
            if hit and z < 0:
                total = total - z
            e[i] = (p - (F32(1) if hit else F32(0))) * share
        loss[0] = total * share


def regression_loss_f32(
    outputs: int,
    target_zero: int,
    y: NDArray[Any],
    target: NDArray[Any],
    target_scale: NDArray[Any],
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
            d = y[i] - F32(int(target[i]) - target_zero) * target_scale[0]
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


BINARY_CROSS_ENTROPY_F32 = Kernel("mcg_binary_cross_entropy_f32", binary_cross_entropy_f32)
REGRESSION_LOSS_F32 = Kernel("mcg_regression_loss_f32", regression_loss_f32)
SOFTMAX_CROSS_ENTROPY_F32 = Kernel("mcg_softmax_cross_entropy_f32", softmax_cross_entropy_f32)
WEIGH_LOSS_F32 = Kernel("mcg_weigh_loss_f32", weigh_loss_f32)
