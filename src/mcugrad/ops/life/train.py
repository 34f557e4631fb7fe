"""Train: a prediction, a step by a label, towards a distribution, and one with stored samples between the new ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.records import WATCH
from mcugrad.ops.life.model import ARG, LABEL, NULL, OK, STATE, Memory, Model
from mcugrad.ops.life.replay_buffer import ReplayBuffer, replay_add, replay_draw
from mcugrad.program import Kernel
from mcugrad.training.losses import LabelKind


def predict(model: Model, m: Memory | None, x: NDArray[np.int8] | None, y: NDArray[Any] | None) -> int:
    """Logits of a sample."""
    if m is None or x is None or y is None:
        return NULL
    if not model.owns(m):
        return STATE
    y[: model.output_size] = model.forward(m, x)[: model.output_size]
    return OK


def train_step(
    model: Model, m: Memory | None, x: NDArray[np.int8] | None, label: NDArray[Any] | None, step: Any
) -> int:
    """One step by a label."""
    if m is None or x is None or label is None:
        return NULL
    if not model.owns(m):
        return STATE
    if not model.accepts(label):
        return LABEL
    model.train(m, x, label, step)
    return OK


def train_soft(
    model: Model, m: Memory | None, x: NDArray[np.int8] | None, soft: NDArray[np.uint8] | None, step: Any
) -> int:
    """One step towards a distribution."""
    if m is None or x is None or soft is None:
        return NULL
    if not model.owns(m):
        return STATE
    if not soft[: model.output_size].any():
        return ARG
    assert model.train_soft is not None
    model.train_soft(m, x, soft, step)
    return OK


def replay_status(
    model: Model,
    m: Memory | None,
    replay: ReplayBuffer | None,
    x: NDArray[np.int8] | None,
    label: NDArray[Any] | None,
) -> int:
    """Whether a step with a replay buffer can be taken: all is there and the model's, the label one of its."""
    if m is None or replay is None or x is None or label is None:
        return NULL
    if not (model.owns(m) and model.owns(replay)):
        return STATE
    if not model.accepts(label):
        return LABEL
    return OK


def train_replay(
    model: Model,
    m: Memory | None,
    replay: ReplayBuffer | None,
    x: NDArray[np.int8] | None,
    label: NDArray[Any] | None,
    step: Any,
) -> int:
    """One step by a label; one on a stored sample when it is its turn; then the new one is offered."""
    status = replay_status(model, m, replay, x, label)
    if status != OK:
        return status
    assert m is not None
    assert replay is not None
    assert x is not None
    assert label is not None
    fresh = x
    if replay.augment is not None:
        status = ARG if model.augment is None else model.augment(replay.augment, x, replay.scratch)
        if status != OK:
            return status
        assert replay.scratch is not None
        fresh = replay.scratch
    model.train(m, fresh, label, step)
    replay.header["fresh"] = (replay.number("fresh") + 1) & 0xFFFFFFFF
    every = replay.number("every")
    if every and replay.number("fresh") % every == 0:
        _train_stored(model, m, replay)
    if replay.number("collect"):
        replay_add(model, replay, x, label)
    return OK


def _train_stored(model: Model, m: Memory, replay: ReplayBuffer) -> None:
    """A step on a stored sample, if there is one. Running means are about the world as it is, so they stay."""
    place = np.zeros(1, np.uint32)
    if replay_draw(model, replay, place) != OK:
        return
    going_on = slice(model.watch, model.watch + WATCH.itemsize)
    watch = m[going_on].copy()
    x, behind = replay.parts(model, int(place[0]))
    is_class = model.label_kind is LabelKind.CLASS
    if model.train_soft is not None and behind.any():
        model.train_soft(m, x, behind, None)  # what was said is about the sample as it came
    else:
        if replay.augment is not None:
            assert model.augment is not None
            assert replay.scratch is not None
            model.augment(replay.augment, x, replay.scratch)
            x = replay.scratch
        model.train(m, x, replay.slot(model, int(place[0]))[:1] if is_class else behind, None)
    m[going_on] = watch


PREDICT_KERNEL = Kernel("mcg_predict", predict)
STEP_KERNEL = Kernel("mcg_train_step", train_step)
SOFT_KERNEL = Kernel("mcg_train_soft", train_soft)
REPLAY_KERNEL = Kernel("mcg_train_replay", train_replay)
