"""Rate: what is said to a model that learns, and what its predictions say; the functions of a model for both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.records import SCHEDULE
from mcugrad.arithmetic import F32
from mcugrad.ops.life.check import is_rate, is_schedule
from mcugrad.ops.life.life import watch_confidence_f32, watch_confidence_s8
from mcugrad.ops.life.model import ARG, NULL, OK, RATE, STATE, Memory, Model
from mcugrad.program import Kernel


def set_rate(model: Model, m: Memory | None, rate: float) -> int:
    """The rate stays the same from now on."""
    if m is None:
        return NULL
    if not model.owns(m):
        return STATE
    if not is_rate(F32(rate)):
        return RATE
    place = _schedule(model)
    now = m[place].copy().view(SCHEDULE)
    now["kind"], now["warmup"], now["rate"] = 0, 0, rate
    m[place] = now.view(np.uint8)
    return OK


def set_schedule(model: Model, m: Memory | None, schedule: NDArray[Any] | None) -> int:
    """The rate runs by a schedule that starts now."""
    if m is None or schedule is None:
        return NULL
    if not model.owns(m):
        return STATE
    if not is_rate(schedule["rate"][0]):
        return RATE
    if not is_schedule(schedule):
        return ARG
    now = schedule.copy()
    now["start"] = m[model.step : model.step + 4].view("<u4")
    m[_schedule(model)] = now.view(np.uint8)
    return OK


def watch(model: Model, m: Memory | None, y: NDArray[Any] | None, drift: NDArray[Any] | None) -> int:
    """Confidence and drift of one more prediction."""
    if m is None or y is None or drift is None:
        return NULL
    if not model.owns(m):
        return STATE
    if model.output_real:
        watch_confidence_f32(model.output_size, y, drift)
    else:
        watch_confidence_s8(model.output_size, y, np.asarray([model.scale(m)]), drift)
    return OK


def _schedule(model: Model) -> slice:
    return slice(model.schedule, model.schedule + SCHEDULE.itemsize)


RATE_KERNEL = Kernel("mcg_set_rate", set_rate)
SCHEDULE_KERNEL = Kernel("mcg_set_schedule", set_schedule)
WATCH_KERNEL = Kernel("mcg_watch", watch)
