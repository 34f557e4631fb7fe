"""Learning-rate schedules: the rate of every training step, on the device and here, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.constants import constant
from mcugrad.abi.records import SCHEDULE
from mcugrad.errors import UsageError
from mcugrad.given import is_number, is_whole, shown

F32 = np.float32
Kind = Literal["constant", "cosine", "linear", "steps"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NUMBERS = {kind: constant(f"MCG_SCHEDULE_{kind.upper()}") for kind in KINDS}
"""Values of `mcg_schedule_kind_t`."""
LARGEST_RATE = 3e38
COSINE, LINEAR, STEPS = (NUMBERS[kind] for kind in KINDS[1:])


@dataclass(frozen=True)
class Schedule:
    """How a learning rate runs.

    Attributes:
        kind: `constant`; `cosine` and `linear`, from the rate to its last value; or `steps`, a decay by `factor` after
            every `every` steps.
        warmup: steps over which the rate rises from 0 in a straight line.
        last: what remains at the end of `cosine` and `linear`, and at least of `steps`, as a share of the rate.
        every: steps between two decays; `steps`.
        factor: of a decay, above 0, at most 1; `steps`.
    """

    kind: Kind = "constant"
    warmup: int = 0
    last: float = 0.0
    every: int = 0
    factor: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str):
            raise UsageError(
                f"a schedule is a name or a Schedule, not {type(self.kind).__name__}",
                where="schedule",
                hint=f"one of {', '.join(KINDS)}, or mg.Schedule('cosine', warmup=100)",
            )
        if self.kind not in KINDS:
            raise UsageError(
                f"unknown schedule {self.kind!r}",
                where="schedule",
                hint=f"{', '.join(KINDS)}, or a function from progress in [0, 1) to a factor",
            )
        if not (is_whole(self.warmup) and 0 <= self.warmup < 2**32):
            raise UsageError(
                f"warmup={self.warmup!r} is no number of steps", where="schedule", hint="0 for none"
            )
        if not (is_number(self.last) and 0 <= self.last <= 1):
            raise UsageError(f"last={shown(self.last)} is not in [0, 1]", where="schedule", hint="0.01")
        whole, share = is_whole(self.every), is_number(self.factor)
        if self.kind == "steps" and not (
            whole and share and 1 <= self.every < 2**32 and 0 < self.factor <= 1
        ):
            raise UsageError(
                f"decay by {shown(self.factor)} every {self.every!r} steps is no decay",
                where="schedule",
                hint="every=1000, factor=0.5",
            )

    def record(self, rate: float, steps: int, start: int = 0) -> NDArray[Any]:
        """What the device is given: one `mcg_schedule_t`.

        Args:
            rate: learning rate after the warm-up.
            steps: training steps that the schedule spans.
            start: step counter at which it begins.

        Raises:
            UsageError: the rate is negative or not finite, or the warm-up leaves no step.
        """
        if not (is_number(rate) and np.isfinite(rate) and 0 <= rate <= LARGEST_RATE):
            raise UsageError(
                f"a learning rate of {shown(rate)} is not usable",
                where="rate",
                hint="a finite number above 0, such as 0.01",
            )
        if self.kind in ("cosine", "linear") and steps <= self.warmup:
            raise UsageError(
                f"a warm-up of {self.warmup} steps leaves none of {steps} for the {self.kind}",
                where="schedule",
                hint="a shorter warm-up or more steps",
            )
        result = np.zeros(1, SCHEDULE)
        result["kind"], result["start"] = NUMBERS[self.kind], start
        result["warmup"], result["steps"], result["every"] = self.warmup, steps, max(self.every, 1)
        result["rate"], result["last"], result["factor"] = rate, F32(rate * self.last), self.factor
        return result


def shortened(schedule: Schedule, share: float, warmup: int) -> Schedule:
    """The same over a share of the steps, with a warm-up of so many of them at most."""
    return replace(
        schedule,
        warmup=min(int(schedule.warmup * share), warmup),
        every=max(int(schedule.every * share), min(schedule.every, 1)),
    )


def named(schedule: Kind | Schedule) -> Schedule:
    """A schedule by its name. Raises UsageError for an unknown one."""
    return schedule if isinstance(schedule, Schedule) else Schedule(schedule)


def half_cosine(t: NDArray[np.float32]) -> NDArray[np.float32]:
    """(1 + cos(pi t)) / 2 in float32 for t in [0, 1], as the device computes it."""
    late = t > F32(0.5)
    z = np.where(late, F32(1) - t, t) * F32(1.5707964)
    q = z * z
    series = np.full_like(q, 0.0000027557319)
    for term in (-0.00019841270, 0.0083333338, -0.16666667, 1.0):
        series = F32(term) + q * series
    square = (z * series) * (z * series)
    return np.where(late, square, F32(1) - square).astype(F32)


def power(base: Any, exponent: NDArray[np.uint32]) -> NDArray[np.float32]:
    """base^exponent in float32 by squaring, as the device computes it."""
    result, left = np.ones(exponent.shape, F32), exponent.astype(np.uint64)
    factor = F32(base)
    with np.errstate(under="ignore"):
        while left.any():
            result = np.where(left & np.uint64(1), result * factor, result).astype(F32)
            factor = F32(factor * factor)
            left >>= np.uint64(1)
    return result


def rates_of(schedule: Any, steps: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Learning rates by the step counter: what `mcg_begin_step` computes.

    Args:
        schedule: one record of `SCHEDULE`.
        steps: step counters.
    """
    kind, warmup = int(schedule["kind"]), int(schedule["warmup"])
    rate, last = F32(schedule["rate"]), F32(schedule["last"])
    done = (steps.astype(np.int64) - int(schedule["start"])) & 0xFFFFFFFF
    after = np.maximum(done - warmup, 0)
    if kind in (COSINE, LINEAR):
        length = int(schedule["steps"]) - warmup
        t = np.where(after < length, after.astype(F32) / F32(length), F32(1)).astype(F32)
        share = F32(1) - t if kind == LINEAR else half_cosine(t)
        result = last + F32(rate - last) * share
    elif kind == STEPS:
        result = rate * power(F32(schedule["factor"]), (after // int(schedule["every"])).astype(np.uint32))
        result = np.where(result > last, result, last)
    else:
        result = np.full(done.shape, rate)
    if warmup:
        rising = rate * (np.minimum(done + 1, warmup).astype(F32) / F32(warmup))
        result = np.where(done < warmup, rising, result)
    return result.astype(F32)


def rate_ahead(schedule: NDArray[Any], step: NDArray[np.uint32]) -> float:
    """Learning rate of the next training step of a model: of one record of `SCHEDULE` and its step counter."""
    return float(rates_of(schedule.reshape(-1)[0], step.reshape(-1)[:1])[0])


def has_ended(ahead: float, rate: float) -> bool:
    """Whether a schedule from this rate has come to where nothing is learned any more."""
    return ahead < rate / 1000


def _factor(schedule: Callable[[float], float], progress: float) -> float:
    """What a function says, which has to be a number."""
    found = schedule(progress)
    if not is_number(found):
        raise UsageError(
            f"the schedule gives {found!r} at a progress of {progress:g}, which is no number",
            where="schedule",
            hint="a function from progress, 0 to 1, to a factor: lambda t: 1 - t",
        )
    return float(found)


def rates(
    rate: float, schedule: Kind | Schedule | Callable[[float], float], steps: int
) -> NDArray[np.float32]:
    """Learning rates of `steps` training steps.

    Args:
        rate: at the beginning, or after the warm-up; finite and not negative.
        schedule: a name, a Schedule, or a function from progress in [0, 1) to a factor.
        steps: number of training steps.

    Raises:
        UsageError: the rate is negative or not finite, or the schedule is unknown or gives such rates.
    """
    if not callable(schedule):
        return rates_of(named(schedule).record(rate, steps)[0], np.arange(steps, dtype=np.uint32))
    factor = np.asarray([_factor(schedule, float(t)) for t in np.arange(steps) / max(steps, 1)], np.float64)
    with np.errstate(over="ignore"):
        result = (rate * factor).astype(F32)
    Schedule().record(rate, steps)
    wrong = np.flatnonzero(~(np.isfinite(result) & (result >= 0)))
    if wrong.size:
        raise UsageError(
            f"the schedule gives a learning rate of {result[wrong[0]]:g} in step {int(wrong[0])} of {steps}",
            where="schedule",
            hint="factors that are finite and not negative",
        )
    return result


def rate_given(rate: Any) -> float | None:
    """A learning rate that somebody chose; None for `auto` or none. Raises UsageError for what is none of these."""
    if rate is None or (isinstance(rate, str) and rate == "auto"):
        return None
    Schedule().record(rate, 1)
    return float(rate)
