"""A model for the functions around one: what it computes is a few sums of bytes, here and in probe.c."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.draws import (
    COUNTERS,
    ZEROS,
    Arguments,
    Draw,
    Rng,
    floats,
    old_int8,
)
from mcugrad.abi.records import AUGMENT, ELEMENT_TYPES, SCHEDULE, WATCH
from mcugrad.ops.life.latents import Rest
from mcugrad.ops.life.model import ARG, NULL, OK, Memory, Model
from mcugrad.ops.life.replay_buffer import ReplayBuffer, replay_add, replay_init
from mcugrad.training.losses import LabelKind

FINGERPRINT, OTHER = 0x12345678, 0x12345679
INPUTS, WEIGHTS = 6, 8
PARAMS = 4
SCHEDULE_AT, WATCH_AT = PARAMS, PARAMS + SCHEDULE.itemsize
STEP_AT = WATCH_AT + WATCH.itemsize
SCALE_AT = STEP_AT + 4
WEIGHTS_AT = SCALE_AT + 4
OUTPUT = WEIGHTS_AT + WEIGHTS
SIZE = OUTPUT + 4 * WEIGHTS
"""Places and bytes as in probe.c; the logits take four bytes each where they are floats."""
SNAPSHOT = 8 + OUTPUT - PARAMS


def weights(m: Memory) -> NDArray[np.int64]:
    return m[WEIGHTS_AT:OUTPUT].astype(np.int64)


def forward_s8(m: Memory, x: NDArray[np.int8]) -> NDArray[Any]:
    """probe_forward_s8: bytes of x[0] * (i + 1) + x[5] + the weights."""
    sums = int(x[0]) * np.arange(1, WEIGHTS + 1) + int(x[5]) + weights(m)
    y = sums.astype(np.uint8).view(np.int8)
    m[OUTPUT : OUTPUT + WEIGHTS] = y.view(np.uint8)
    return y


def forward_f32(m: Memory, x: NDArray[np.int8]) -> NDArray[Any]:
    """probe_forward_f32: half of the bytes; the first is no number where x[0] is 127."""
    y = forward_s8(m, x).astype(np.float32) * np.float32(0.5)
    if x[0] == 127:
        y[0] = np.nan
    m[OUTPUT:SIZE] = y.view(np.uint8)
    return y


def train(m: Memory, x: NDArray[np.int8], label: NDArray[Any], step: Any) -> None:
    """probe_train: weights, means and counter change by the sample and the first byte of its label."""
    first = int(label.view(np.uint8)[0])
    m[WEIGHTS_AT:OUTPUT] = (weights(m) + x[np.arange(WEIGHTS) % INPUTS] + first).astype(np.uint8)
    for place in (WATCH_AT, STEP_AT):
        m[place : place + 4] = (m[place : place + 4].view("<u4") + np.uint32(1)).view(np.uint8)
    if step is not None:
        step[0] = float(weights(m)[0])


def train_soft(m: Memory, x: NDArray[np.int8], soft: NDArray[np.uint8], step: Any) -> None:
    """probe_train_soft: the same with three times the first share."""
    train(m, x, np.asarray([int(soft[0]) * 3 & 0xFF], np.uint8), step)


def augment(how: NDArray[Any], x: NDArray[np.int8], y: NDArray[np.int8] | None) -> int:
    """probe_augment: adds the count of samples; a negative gain cannot be."""
    if y is None:
        return NULL
    if how["gain"][0] < 0:
        return ARG
    y[:] = ((x.astype(np.int64) + int(how["count"][0])) & 0xFF).astype(np.uint8).view(np.int8)
    how["count"] += np.uint32(1)
    return OK


def reverse(m: Memory, x: NDArray[np.int8], latents: NDArray[np.int8]) -> None:
    """probe_reverse: as many latents as inputs, from the last to the first, and one more of each."""
    latents[:INPUTS] = (x[:INPUTS][::-1].astype(np.int64) + 1).astype(np.uint8).view(np.int8)


@st.composite
def models(draw: Draw, kind: LabelKind | None = None) -> Model:
    """Every kind of labels and logits, with a scale in the model or beside it."""
    real, learned = draw(st.booleans()), draw(st.booleans())
    zero = 0 if real else draw(st.sampled_from([-128, -3, 0, 100]))
    height, width, channels = draw(st.sampled_from([(1, 1, 6), (2, 3, 1), (3, 1, 2), (6, 1, 1)]))
    outputs = draw(st.integers(1, WEIGHTS))
    labelled = kind or draw(st.sampled_from(list(LabelKind)))
    classes = labelled is LabelKind.CLASS
    return Model(
        fingerprint=FINGERPRINT,
        input_size=INPUTS,
        input_h=height,
        input_w=width,
        input_c=channels,
        input_scale=draw(st.sampled_from([1.0, 0.01, 1e-30])),
        input_zero=draw(ZEROS),
        output_size=outputs,
        label_kind=labelled,
        label_scale=draw(st.sampled_from([1.0, 0.03125, 2.0**100])),
        label_zero=draw(st.sampled_from([-128, 0, 5])),
        output_zero=zero,
        output_real=real,
        output=OUTPUT,
        output_scale=None if real or learned else draw(st.sampled_from([0.5, 2.0**-20])),
        output_scale_place=SCALE_AT if learned and not real else 0,
        replay_classes=outputs if classes else 1,
        slot_words=1 - (-(INPUTS + outputs) // 4),
        params=PARAMS,
        params_size=OUTPUT - PARAMS,
        schedule=SCHEDULE_AT,
        watch=WATCH_AT,
        step=STEP_AT,
        forward=forward_f32 if real else forward_s8,
        train=train,
        train_soft=train_soft if classes and draw(st.booleans()) else None,
        augment=augment if draw(st.booleans()) else None,
    )


@st.composite
def rests(draw: Draw) -> Rest:
    """What follows frozen layers: every kind of model that has samples of as many bytes."""
    return Rest(replace(draw(models()), augment=None), reverse)


def memory(draw: Draw, rng: Rng) -> NDArray[np.uint8]:
    """A model's bytes: initialised, or not."""
    m = rng.integers(0, 256, SIZE).astype(np.uint8)
    m[:4] = owner(draw)
    m[SCALE_AT : SCALE_AT + 4] = floats(draw, rng, 1).view(np.uint8)
    return m


def owner(draw: Draw) -> NDArray[np.uint8]:
    """The first word: mostly of the model."""
    word = draw(st.sampled_from([FINGERPRINT, FINGERPRINT, FINGERPRINT, OTHER, 0]))
    return np.asarray([word], "<u4").view(np.uint8)


def snapshots(draw: Draw, rng: Rng) -> NDArray[np.uint8]:
    """What may be one: of this model, of another, none yet."""
    kept = rng.integers(0, 256, SNAPSHOT).astype(np.uint8)
    kept[:4] = owner(draw)
    kept[4:8] = np.asarray([draw(st.sampled_from([0.0, 0.25, 0.5, 1.0, 1e4, 3e38]))], "<f4").view(np.uint8)
    return kept


def labels(draw: Draw, rng: Rng, model: Model, samples: int) -> NDArray[Any]:
    """Of so many samples, some of which may be of no class."""
    kind = model.label_kind
    if kind is LabelKind.CLASS:
        return rng.integers(0, model.output_size + draw(st.sampled_from([0, 0, 0, 1])), samples).astype(
            np.uint32
        )
    size = samples * model.output_size
    low, high = (0, 2) if kind is LabelKind.BITS else (-128, 128)
    return rng.integers(low, high, size).astype(ELEMENT_TYPES[kind.value])


def lost(draw: Draw, arguments: Arguments, *names: str) -> Arguments:
    """The same arguments; now and then one of these is a null pointer."""
    name = draw(st.sampled_from(["", "", "", *names]))
    return {key: None if key == name else value for key, value in arguments.items()}


@st.composite
def buffers(draw: Draw, rng: Rng, model: Model) -> ReplayBuffer:
    """One that some samples were offered to, a few of them remembered; of this model, or of another."""
    replay = ReplayBuffer.of(WEIGHTS)
    words = draw(st.integers(1, 6)) * model.slot_words
    memory = rng.integers(0, 2**32, words).astype(np.uint32)
    assert replay_init(model, replay, memory, words, draw(COUNTERS)) == 0
    for _ in range(draw(st.integers(0, 12))):
        x = rng.integers(-128, 128, INPUTS).astype(np.int8)
        label = rng.integers(
            0, model.output_size if model.label_kind is LabelKind.CLASS else 2, model.label_size
        )
        assert replay_add(model, replay, x, label.astype(ELEMENT_TYPES[model.label_kind.value])) == 0
    if model.label_kind is LabelKind.CLASS:
        for place in range(replay.number("count")):
            replay.parts(model, place)[1][:] = rng.integers(0, 256, model.output_size) * draw(
                st.integers(0, 1)
            )
    header = replay.header
    header["ready"] = owner(draw).view("<u4")[0]
    header["every"], header["collect"] = draw(st.integers(0, 3)), draw(st.integers(0, 1))
    for name in ("fresh", "drawn"):
        header[name] = draw(COUNTERS)
    if draw(st.booleans()):
        replay.augment = changes(draw, model)
        replay.scratch = draw(st.sampled_from([None, old_int8(rng, INPUTS), old_int8(rng, INPUTS)]))
    return replay


def changes(draw: Draw, model: Model) -> NDArray[Any]:
    """How a sample changes: by what can be, at its ends, and once in a while beyond them."""
    how = np.zeros(1, AUGMENT)
    most = {
        "shift_h": model.input_h - 1,
        "shift_w": model.input_w - 1,
        "gain": 65536,
        "offset": 65280,
        "noise": 65280,
    }
    for name, highest in most.items():
        how[name] = draw(st.sampled_from([0, 0, highest // 3, highest, highest]))
    wrong = draw(st.sampled_from([None, None, None, None, *most]))
    if wrong:
        how[wrong] = draw(st.sampled_from([-1, most[wrong] + 1, 2**31 - 1, -(2**31)]))
    how["seed"], how["count"] = draw(COUNTERS), draw(COUNTERS)
    return how
