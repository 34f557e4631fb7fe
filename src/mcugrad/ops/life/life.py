"""A model's life: learning rate by schedule at the beginning of a step, and how training is going."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.constants import constant, number
from mcugrad.arithmetic import F32, exp2
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Precision
from mcugrad.program import Kernel, segment
from mcugrad.training.losses import LabelKind
from mcugrad.training.schedules import rates_of

WATCH_HORIZON = constant("MCG_WATCH_HORIZON")
DRIFT_HORIZON = constant("MCG_DRIFT_HORIZON")
DRIFT_LEAST = constant("MCG_DRIFT_LEAST")
ERROR_SLACK, DOUBT_SLACK = F32(number("MCG_ERROR_SLACK")), F32(number("MCG_DOUBT_SLACK"))
DRIFT_LIMIT = F32(number("MCG_DRIFT_LIMIT"))
STALLED, EXCEEDED, EMPTY = (constant(f"MCG_TROUBLE_{what}") for what in ("STALLED", "EXCEEDED", "EMPTY"))
"""Values of `mcg_trouble_t`."""
LARGEST_LOSS = F32(1e38)


@dataclass(frozen=True, kw_only=True)
class BeginStep(BackwardNode):
    """Set the learning rate of the step; no tensor has saturated yet."""

    INPUTS = ()
    OUTPUTS = ()
    CHANGES_STATE = True

    def lower(self, to: ProgramBuilder) -> None:
        to.enter(segment.BEGIN)
        to.call(
            BEGIN_STEP,
            note="learning rate",
            schedule=to.schedule(),
            step=to.step(),
            rate=to.rate(),
            saturated=to.saturated(),
        )


@dataclass(frozen=True, kw_only=True)
class Watch(BackwardNode):
    """Let running loss, accuracy and drift follow.

    Attributes:
        logits: the outputs.
        precision: what they are.
        label_kind: what a sample is labelled with: accuracy is known for classes only.
    """

    logits: str
    precision: Precision
    label_kind: LabelKind

    INPUTS = ("logits",)
    OUTPUTS = ()
    CHANGES_STATE = True

    def lower(self, to: ProgramBuilder) -> None:
        to.enter(segment.LOSS)
        loss = to.temporary("loss", "float", (1,), "of the sample")
        if self.label_kind is not LabelKind.CLASS:
            to.call(WATCH_LOSS, note="running loss", loss=loss, watch=to.watch())
            return
        predicted = lower_prediction(to, self.logits, self.precision)
        to.call(
            WATCH_CLASS,
            note="running loss and accuracy",
            label=to.label(),
            predicted=predicted,
            loss=loss,
            watch=to.watch(),
        )


def lower_prediction(to: ProgramBuilder, logits: str, precision: Precision) -> str:
    """Add the call that finds the class with the largest output; name of its buffer."""
    predicted = to.temporary("predicted", "uint32_t", (1,), "class predicted before the step")
    count, x = to.graph[logits].size, to.data(logits)
    to.call(ARGMAX[precision], note="prediction", count=count, x=x, index=predicted)
    return predicted


def begin_step(
    schedule: NDArray[Any], step: NDArray[Any], rate: NDArray[Any], saturated: NDArray[Any]
) -> None:
    """rate by the schedule, see `training/schedules.py`; saturated = 0."""
    rate[0] = rates_of(schedule[0], step[:1])[0]
    saturated[0] = 0


def trouble(watch: Any, loss: Any, blind: float, saturation: Any, empty: Any) -> np.uint32:
    """What looks wrong with a training: what `mcg_trouble` sums up."""
    known = F32(blind)
    stalled = known > 0 and int(watch["seen"]) >= WATCH_HORIZON and watch["loss"] >= F32(F32(0.9) * known)
    found = (
        STALLED * bool(stalled)
        + EXCEEDED * bool(saturation >= F32(0.25))
        + EMPTY * bool(empty > 0 and loss > 0)
    )
    return np.uint32(found)


def argmax_s8(count: int, x: NDArray[Any], index: NDArray[Any]) -> None:
    """Index of the first largest value."""
    index[0] = x[:count].argmax()


def argmax_f32(count: int, x: NDArray[Any], index: NDArray[Any]) -> None:
    """Index of the first largest value; NaN is never larger."""
    best = 0
    for i in range(1, count):
        best = i if x[i] > x[best] else best
    index[0] = best


def running(mean: Any, value: Any, seen: int, horizon: int) -> np.float32:
    """A running mean of `seen` values, this one included, over at most `horizon`."""
    return F32(F32(mean) + F32(F32(value) - F32(mean)) / F32(min(seen, horizon)))


def drifted(seen: int, value: Any, slack: np.float32, mean: Any, total: Any) -> tuple[np.float32, np.float32]:
    """Mean and sum of the Page-Hinkley test after one more value, the `seen`th."""
    mean = running(mean, value, seen, DRIFT_HORIZON)
    if seen > DRIFT_LEAST:
        following = F32(F32(total) + F32(F32(F32(value) - mean) - slack))
        total = min(max(following, F32(0)), F32(2) * DRIFT_LIMIT)
    return mean, F32(total)


def watch_class(label: int, predicted: NDArray[Any], loss: NDArray[Any], watch: NDArray[Any]) -> None:
    """seen, running loss and accuracy, drift of the share of wrong predictions."""
    now = watch[0]
    wrong = F32(predicted[0] != label)
    now["seen"] = seen = min(int(now["seen"]) + 1, DRIFT_HORIZON)
    if abs(loss[0]) <= LARGEST_LOSS:
        now["loss"] = running(now["loss"], loss[0], seen, WATCH_HORIZON)
    now["accuracy"] = running(now["accuracy"], F32(1) - wrong, seen, WATCH_HORIZON)
    now["drift_mean"], now["drift_sum"] = drifted(
        seen, wrong, ERROR_SLACK, now["drift_mean"], now["drift_sum"]
    )


def watch_loss(loss: NDArray[Any], watch: NDArray[Any]) -> None:
    """seen, running loss, drift of loss / (loss + running loss)."""
    now = watch[0]
    if not 0 <= loss[0] <= LARGEST_LOSS:
        return
    now["seen"] = seen = min(int(now["seen"]) + 1, DRIFT_HORIZON)
    now["loss"] = running(now["loss"], loss[0], seen, WATCH_HORIZON)
    with np.errstate(over="ignore"):
        share = F32(loss[0] / F32(loss[0] + now["loss"])) if loss[0] > 0 else F32(0)
    now["drift_mean"], now["drift_sum"] = drifted(
        seen, share, ERROR_SLACK, now["drift_mean"], now["drift_sum"]
    )


def follow_confidence(terms: NDArray[Any], drift: NDArray[Any]) -> None:
    """confidence = 1 / sum of softmax's terms, the largest of which is 1; drift of 1 - confidence."""
    now, total = drift[0], F32(0)
    for value in terms:
        total = F32(total + value)
    if total >= 1:
        now["confidence"] = F32(1) / total
        now["seen"] = seen = min(int(now["seen"]) + 1, DRIFT_HORIZON)
        now["mean"], now["sum"] = drifted(
            seen, F32(1) - now["confidence"], DOUBT_SLACK, now["mean"], now["sum"]
        )
        now["drift"] = now["sum"] / DRIFT_LIMIT


def watch_confidence_s8(classes: int, logits: NDArray[Any], scale: NDArray[Any], drift: NDArray[Any]) -> None:
    """Confidence and drift from int8 logits."""
    q = logits[:classes].astype(np.int64)
    with np.errstate(all="ignore"):
        follow_confidence(exp2((q - q.max()).astype(F32) * F32(scale[0] * F32(1.4426950))), drift)


def watch_confidence_f32(classes: int, logits: NDArray[Any], drift: NDArray[Any]) -> None:
    """Confidence and drift from float logits."""
    z = logits[:classes]
    top = z[0]
    with np.errstate(all="ignore"):
        for value in z:
            top = value if value > top else top
        follow_confidence(exp2((z - top) * F32(1.4426950)), drift)


BEGIN_STEP = Kernel("mcg_begin_step", begin_step)
ARGMAX_S8 = Kernel("mcg_argmax_s8", argmax_s8)
ARGMAX_F32 = Kernel("mcg_argmax_f32", argmax_f32)
ARGMAX = {Precision.INT8: ARGMAX_S8, Precision.FLOAT32: ARGMAX_F32}
WATCH_CLASS = Kernel("mcg_watch_class", watch_class)
WATCH_LOSS = Kernel("mcg_watch_loss", watch_loss)
WATCH_CONFIDENCE_S8 = Kernel("mcg_watch_confidence_s8", watch_confidence_s8)
WATCH_CONFIDENCE_F32 = Kernel("mcg_watch_confidence_f32", watch_confidence_f32)
