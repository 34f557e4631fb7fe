"""Check: whether a learned state can be one. What each buffer may hold is said where it is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.ops.life.life import DRIFT_HORIZON, DRIFT_LIMIT, LARGEST_LOSS
from mcugrad.program import Argument, Buffer, Call, Kernel
from mcugrad.training.schedules import COSINE, LARGEST_RATE, LINEAR, STEPS

WRONG = "wrong"
"""What a check counts in."""


def check_f32(count: int, least: float, most: float, x: NDArray[Any], wrong: NDArray[Any]) -> None:
    """wrong += the number of x outside [least, most], NaN included."""
    wrong[0] += np.count_nonzero(~((x[:count] >= F32(least)) & (x[:count] <= F32(most))))


def check_s8(count: int, least: int, x: NDArray[Any], wrong: NDArray[Any]) -> None:
    """wrong += the number of x below least."""
    wrong[0] += np.count_nonzero(x[:count] < least)


def check_s32(count: int, least: int, most: int, x: NDArray[Any], wrong: NDArray[Any]) -> None:
    """wrong += the number of x outside [least, most]."""
    wrong[0] += np.count_nonzero((x[:count] < least) | (x[:count] > most))


def check_schedule(schedule: NDArray[Any], wrong: NDArray[Any]) -> None:
    """wrong += 1 for a schedule that the device would refuse."""
    wrong[0] += not is_schedule(schedule)


def is_schedule(schedule: NDArray[Any]) -> bool:
    """Whether a schedule keeps to what its fields say."""
    s = schedule[0]
    kind = int(s["kind"])
    right = kind == 0 or is_rate(s["last"])
    if kind in (COSINE, LINEAR):
        right = right and bool(s["steps"] > s["warmup"])
    elif kind == STEPS:
        right = right and bool(s["every"] >= 1) and bool(0 < s["factor"] <= 1)
    else:
        right = kind == 0
    return right and is_rate(s["rate"])


def check_watch(watch: NDArray[Any], wrong: NDArray[Any]) -> None:
    """wrong += 1 for means and sums that training cannot leave."""
    w = watch[0]
    right = w["seen"] <= DRIFT_HORIZON and abs(w["loss"]) <= LARGEST_LOSS
    right = right and 0 <= w["accuracy"] <= 1 and 0 <= w["drift_mean"] <= 1
    wrong[0] += not (right and 0 <= w["drift_sum"] <= F32(2) * DRIFT_LIMIT)


def checks(state: Iterable[Buffer]) -> tuple[Call, ...]:
    """Calls that count what a learned state cannot be, one for each buffer that cannot hold just anything."""
    return tuple(call for buffer in state if (call := _check(buffer)) is not None)


def _check(buffer: Buffer) -> Call | None:
    named, wrong = Argument(buffer=buffer.name), Argument(buffer=WRONG)
    if buffer.ctype == "mcg_schedule_t":
        return Call(CHECK_SCHEDULE, (named, wrong), buffer.name)
    if buffer.ctype == "mcg_watch_t":
        return Call(CHECK_WATCH, (named, wrong), buffer.name)
    if buffer.within is None:
        return None
    kernel = _BY_TYPE[buffer.ctype]
    bounds = buffer.within[:1] if kernel is CHECK_S8 else buffer.within
    values = (Argument(value=v) for v in (buffer.count, *bounds))
    return Call(kernel, (*values, named, wrong), buffer.name)


def is_rate(value: Any) -> bool:
    """Whether a learning rate can be one."""
    return bool(0 <= value <= F32(LARGEST_RATE))


CHECK_F32 = Kernel("mcg_check_f32", check_f32)
CHECK_S8 = Kernel("mcg_check_s8", check_s8)
CHECK_S32 = Kernel("mcg_check_s32", check_s32)
CHECK_SCHEDULE = Kernel("mcg_check_schedule", check_schedule)
CHECK_WATCH = Kernel("mcg_check_watch", check_watch)
_BY_TYPE = {"float": CHECK_F32, "int8_t": CHECK_S8, "int32_t": CHECK_S32}
