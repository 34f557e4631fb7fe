"""Learning-rate schedules: one float32 rate per training step, computed on the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import UsageError

Schedule = Literal["constant", "cosine"]


def rates(rate: float, schedule: Schedule | Callable[[float], float], steps: int) -> NDArray[np.float32]:
    """Learning rates of `steps` training steps.

    Args:
        rate: at the beginning, finite and not negative.
        schedule: `constant`, `cosine` (down to 0: rate (1 + cos(pi t)) / 2 at progress t), or a function from
            progress in [0, 1) to a factor.
        steps: number of training steps.

    Raises:
        UsageError: the rate is negative or not finite, or the schedule is unknown or gives such rates.
    """
    progress = np.arange(steps) / max(steps, 1)
    if callable(schedule):
        factor = np.asarray([schedule(float(t)) for t in progress], np.float64)
    elif schedule == "constant":
        factor = np.ones(steps)
    elif schedule == "cosine":
        factor = (1 + np.cos(np.pi * progress)) / 2
    else:
        raise UsageError(
            f"unknown schedule {schedule!r}", where="schedule", hint="constant, cosine, or a function"
        )
    result = (rate * factor).astype(np.float32)
    if not np.isfinite(rate) or rate < 0 or not np.isfinite(result).all() or (result < 0).any():
        raise UsageError(
            f"a learning rate of {rate:g} is not usable",
            where="rate",
            hint="a finite number above 0, such as 0.01",
        )
    return result
