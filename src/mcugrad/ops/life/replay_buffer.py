"""Replay buffer: the functions of a model on `mcg_replay_t`, around the reservoir of replay.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.records import replay_record
from mcugrad.ops.life.model import ARG, EMPTY, LABEL, NULL, OK, STATE, Memory, Model
from mcugrad.ops.life.replay import drawn, replay_slot
from mcugrad.ops.loss.soft_cross_entropy_f32 import soften_f32
from mcugrad.ops.loss.soft_cross_entropy_s8 import soften_s8
from mcugrad.program import Kernel
from mcugrad.training.losses import LabelKind


@dataclass(eq=False)
class ReplayBuffer:
    """`mcg_replay_t`, and what it points to.

    Attributes:
        header: one record of `replay_record`.
        memory: words of the samples; None before it is placed.
        augment: one `mcg_augment_t`, how samples change; None for not at all.
        scratch: room for a changed sample.
    """

    header: NDArray[Any]
    memory: NDArray[np.uint32] | None = None
    augment: NDArray[Any] | None = None
    scratch: NDArray[np.int8] | None = None

    @classmethod
    def of(cls, classes: int) -> ReplayBuffer:
        """One that holds nothing yet, for so many classes."""
        return cls(np.zeros(1, replay_record(classes)))

    def __getitem__(self, place: slice) -> NDArray[np.uint8]:
        return self.header.view(np.uint8)[place]

    def number(self, name: str) -> int:
        """A member."""
        return int(self.header[name][0])

    def slot(self, model: Model, place: int) -> NDArray[np.uint32]:
        """Words of a stored sample."""
        assert self.memory is not None
        return self.memory[place * model.slot_words : (place + 1) * model.slot_words]

    def parts(self, model: Model, place: int) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
        """Input of a stored sample, and what lies behind: its label, or what is remembered. Both may be written."""
        content = self.slot(model, place)[1:].view(np.int8)
        after = content[model.input_size : model.input_size + model.output_size]
        return content[: model.input_size], after.view(np.uint8)


def replay_init(
    model: Model, replay: ReplayBuffer | None, memory: NDArray[np.uint32] | None, words: int, seed: int
) -> int:
    """An empty buffer in so many words, for the whole samples that fit."""
    if replay is None or memory is None:
        return NULL
    capacity = words // model.slot_words
    if not 0 < capacity <= 0x7FFFFFFF // model.slot_words:
        return ARG
    header = replay.header
    for name in ("count", "fresh", "added", "drawn"):
        header[name] = 0
    for name in ("seen", "held", "full"):
        header[name][0, : model.replay_classes] = 0
    header["every"], header["collect"], header["capacity"], header["seed"] = 1, 1, capacity, seed
    header["ready"] = model.fingerprint
    replay.memory, replay.augment, replay.scratch = memory, None, None
    return OK


def replay_add(
    model: Model, replay: ReplayBuffer | None, x: NDArray[np.int8] | None, label: NDArray[Any] | None
) -> int:
    """A sample is offered: stored with its label, or with a soft one of zeros, if there is a place for it."""
    if replay is None or x is None or label is None:
        return NULL
    if not model.owns(replay):
        return STATE
    if not model.accepts(label):
        return LABEL
    header, slot = replay.header, np.zeros(1, np.int32)
    assert replay.memory is not None
    is_class = model.label_kind is LabelKind.CLASS
    group = int(label[0]) if is_class else 0
    replay_slot(
        replay.number("capacity"),
        model.replay_classes,
        model.slot_words,
        group,
        replay.number("seed"),
        replay.memory,
        header["count"],
        header["added"],
        header["seen"][0],
        header["held"][0],
        header["full"][0],
        slot,
    )
    if slot[0] >= 0:
        replay.slot(model, slot[0])[0] = group
        inside, behind = replay.parts(model, slot[0])
        inside[:] = x
        behind[:] = 0 if is_class else label.view(np.uint8)
    return OK


def replay_draw(model: Model, replay: ReplayBuffer | None, place: NDArray[Any] | None) -> int:
    """The place of a stored sample."""
    if replay is None or place is None:
        return NULL
    if not model.owns(replay):
        return STATE
    if not replay.number("count"):
        return EMPTY
    place[0] = drawn(replay.number("seed"), replay.number("drawn"), replay.number("count"))
    replay.header["drawn"] = (replay.number("drawn") + 1) & 0xFFFFFFFF
    return OK


def replay_remember(model: Model, m: Memory | None, replay: ReplayBuffer | None) -> int:
    """What the model says of every stored sample is kept in its place."""
    if m is None or replay is None:
        return NULL
    if not (model.owns(m) and model.owns(replay)):
        return STATE
    for place in range(replay.number("count")):
        x, soft = replay.parts(model, place)
        logits = model.forward(m, x)[: model.output_size]
        if model.output_real:
            soften_f32(model.output_size, logits, soft)
        else:
            soften_s8(model.output_size, logits, np.asarray([model.scale(m)]), soft)
    return OK


INIT_KERNEL = Kernel("mcg_replay_init", replay_init)
ADD_KERNEL = Kernel("mcg_replay_add", replay_add)
DRAW_KERNEL = Kernel("mcg_replay_draw", replay_draw)
REMEMBER_KERNEL = Kernel("mcg_replay_remember", replay_remember)
