"""A model for the functions around one: what it computes is a few sums of bytes, here and in probe.c."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.draws import Arguments, Draw, Rng, floats, int8, rngs
from mcugrad.abi.records import ELEMENT_TYPES, GUARD, SCHEDULE, WATCH
from mcugrad.ops.life.model import Memory, Model
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


@st.composite
def models(draw: Draw, kind: LabelKind | None = None) -> Model:
    """Every kind of labels and logits, with a scale in the model or beside it."""
    real, learned = draw(st.booleans()), draw(st.booleans())
    zero = 0 if real else draw(st.sampled_from([-128, -3, 0, 100]))
    return Model(
        fingerprint=FINGERPRINT,
        input_size=INPUTS,
        output_size=draw(st.integers(1, WEIGHTS)),
        label_kind=kind or draw(st.sampled_from(list(LabelKind))),
        label_scale=draw(st.sampled_from([1.0, 0.03125, 2.0**100])),
        label_zero=draw(st.sampled_from([-128, 0, 5])),
        output_zero=zero,
        output_real=real,
        output=OUTPUT,
        output_scale=None if real or learned else draw(st.sampled_from([0.5, 2.0**-20])),
        output_scale_place=SCALE_AT if learned and not real else 0,
        params=PARAMS,
        params_size=OUTPUT - PARAMS,
        schedule=SCHEDULE_AT,
        watch=WATCH_AT,
        step=STEP_AT,
        forward=forward_f32 if real else forward_s8,
    )


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
def snapshot(draw: Draw) -> Arguments:
    rng = rngs(draw)
    given = {"model": draw(models()), "m": memory(draw, rng), "snapshot": snapshots(draw, rng)}
    return lost(draw, given, "m", "snapshot")


@st.composite
def guard_error(draw: Draw) -> Arguments:
    rng, model = rngs(draw), draw(models())
    return {
        "model": model,
        "m": memory(draw, rng),
        "x": int8(draw, rng, INPUTS, -128),
        "label": labels(draw, rng, model, 1),
        "error": np.zeros(1, np.float32),
    }


@st.composite
def guard(draw: Draw) -> Arguments:
    rng, model, samples = rngs(draw), draw(models()), draw(st.integers(0, 5))
    given = {
        "model": model,
        "m": memory(draw, rng),
        "snapshot": snapshots(draw, rng),
        "x": int8(draw, rng, max(samples, 1) * INPUTS, -128),
        "labels": labels(draw, rng, model, max(samples, 1)),
        "samples": samples,
        "margin": draw(st.sampled_from([0.0, 0.25, 1.0, 3e38, -0.1, float("nan"), float("inf")])),
        "result": np.zeros(1, GUARD),
    }
    return lost(draw, given, "m", "snapshot", "x", "labels", "result")


CASES: dict[str, st.SearchStrategy[Arguments]] = {
    "mcg_snapshot": snapshot(),
    "mcg_rollback": snapshot(),
    "mcg_guard_error": guard_error(),
    "mcg_guard": guard(),
}
