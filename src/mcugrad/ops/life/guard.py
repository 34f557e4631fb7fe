"""Guard: the state to come back to, and when."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.records import SCHEDULE, WATCH
from mcugrad.arithmetic import F32
from mcugrad.ops.life.life import argmax_f32, argmax_s8
from mcugrad.ops.life.model import ARG, LABEL, NULL, OK, STATE, Memory, Model
from mcugrad.program import Kernel
from mcugrad.training.losses import LabelKind

BEST, WITHIN, RESTORED = 1, 2, 3
"""Values of `mcg_guard_outcome_t`."""
WORST = F32(3e38)
"""An error that is not known, or no number."""
ERROR, PARAMS = 4, 8
"""Places in a snapshot, behind the word that says of which model it is."""


def keep(model: Model, m: Memory | None, snapshot: Memory | None) -> int:
    """The learned state is kept; its error is not known."""
    if m is None or snapshot is None:
        return NULL
    if not model.owns(m):
        return STATE
    snapshot[PARAMS : PARAMS + model.params_size] = m[model.params : model.params + model.params_size]
    snapshot[ERROR : ERROR + 4] = _bytes(WORST)
    snapshot[0:4] = _bytes(np.uint32(model.fingerprint))
    return OK


def rollback(model: Model, m: Memory | None, snapshot: Memory | None) -> int:
    """The learned state is as it was kept, but for schedule, running means and step counter."""
    if m is None or snapshot is None:
        return NULL
    if not (model.owns(m) and model.owns(snapshot)):
        return STATE
    going_on = [
        slice(place, place + size)
        for place, size in (
            (model.schedule, SCHEDULE.itemsize),
            (model.watch, WATCH.itemsize),
            (model.step, 4),
        )
    ]
    now = [m[place].copy() for place in going_on]
    m[model.params : model.params + model.params_size] = snapshot[PARAMS : PARAMS + model.params_size]
    for place, content in zip(going_on, now, strict=True):
        m[place] = content
    return OK


def guard_error(model: Model, m: Any, x: NDArray[np.int8], label: NDArray[Any], error: NDArray[Any]) -> None:
    """1 for each class or bit that is wrong; squares of differences between values, one after the other."""
    y = model.forward(m, x)[: model.output_size]
    wanted = model.labels(label, 1)[0]
    if model.label_kind is LabelKind.CLASS:
        index = np.zeros(1, np.uint32)
        (argmax_f32 if model.output_real else argmax_s8)(len(y), y, index)
        error[0] = index[0] != wanted[0]
    elif model.label_kind is LabelKind.BITS:
        error[0] = ((y > model.output_zero) != (wanted != 0)).sum()
    else:
        error[0] = _value_errors(model, m, y, wanted)


def _value_errors(model: Model, m: Memory, y: NDArray[Any], wanted: NDArray[Any]) -> np.float32:
    total = F32(0)
    with np.errstate(all="ignore"):
        steps = y if model.output_real else (y.astype(np.int32) - model.output_zero).astype(F32)
        real = steps if model.output_real else steps * model.scale(m)
        for d in real - (wanted.astype(np.int32) - model.label_zero).astype(F32) * F32(model.label_scale):
            total = F32(total + d * d)
    return total


def guard(
    model: Model,
    m: Memory | None,
    snapshot: Memory | None,
    x: NDArray[np.int8] | None,
    labels: NDArray[Any] | None,
    samples: int,
    margin: float,
    result: NDArray[Any] | None,
) -> int:
    """Test; keep the state if it is the best so far, come back to the best if worse by more than the margin."""
    if m is None or snapshot is None or x is None or labels is None:
        return NULL
    if not model.owns(m):
        return STATE
    if samples == 0 or not 0 <= F32(margin) <= WORST:
        return ARG
    wanted = model.labels(labels, samples)
    if not all(map(model.accepts, wanted)):
        return LABEL
    error, best = (
        _mean_error(model, m, x.reshape(samples, -1), wanted),
        snapshot[ERROR : ERROR + 4].view("<f4")[0],
    )
    outcome = WITHIN
    if not model.owns(snapshot) or error <= best:
        keep(model, m, snapshot)
        snapshot[ERROR : ERROR + 4] = _bytes(error)
        best, outcome = error, BEST
    elif error > F32(best + F32(margin)):
        rollback(model, m, snapshot)
        outcome = RESTORED
    if result is not None:
        result["outcome"], result["error"], result["best"] = outcome, error, best
    return OK


def _mean_error(model: Model, m: Memory, x: NDArray[np.int8], wanted: NDArray[Any]) -> np.float32:
    """Over samples and outputs; what is no number is worse than any."""
    total, error = F32(0), np.zeros(1, F32)
    with np.errstate(all="ignore"):
        for sample, label in zip(x, wanted, strict=True):
            guard_error(model, m, sample, label, error)
            total = F32(total + error[0])
        mean = F32(total / F32(F32(len(x)) * F32(model.label_size)))
    return mean if mean <= WORST else WORST


def _bytes(value: Any) -> NDArray[np.uint8]:
    return np.asarray([value]).view(np.uint8)


SNAPSHOT_KERNEL = Kernel("mcg_snapshot", keep)
ROLLBACK_KERNEL = Kernel("mcg_rollback", rollback)
ERROR_KERNEL = Kernel("mcg_guard_error", guard_error)
GUARD_KERNEL = Kernel("mcg_guard", guard)
