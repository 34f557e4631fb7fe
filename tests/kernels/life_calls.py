"""Arguments for the functions around a model: what can be, at its ends, and what each of them refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from kernels.draws import (
    COUNTERS,
    Arguments,
    Draw,
    int8,
    means,
    old_int8,
    one,
    rngs,
    schedules,
)
from kernels.life_model import (
    INPUTS,
    WEIGHTS,
    buffers,
    changes,
    labels,
    lost,
    memory,
    models,
    rests,
    snapshots,
    train_soft,
)
from mcugrad.abi.records import ADC, DRIFT, GUARD
from mcugrad.ops.life.input import adc_init
from mcugrad.ops.life.replay_buffer import ReplayBuffer
from mcugrad.training.losses import LabelKind


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


@st.composite
def predict_case(draw: Draw) -> Arguments:
    rng, model = rngs(draw), draw(models())
    kind = np.float32 if model.output_real else np.int8
    given = {
        "model": model,
        "m": memory(draw, rng),
        "x": int8(draw, rng, INPUTS, -128),
        "y": rng.integers(0, 100, WEIGHTS).astype(kind),
    }
    return lost(draw, given, "m", "x", "y")


@st.composite
def train_step_case(draw: Draw) -> Arguments:
    rng, model = rngs(draw), draw(models())
    given = {
        "model": model,
        "m": memory(draw, rng),
        "x": int8(draw, rng, INPUTS, -128),
        "label": labels(draw, rng, model, 1),
        "step": np.zeros(1, np.float32),
    }
    return lost(draw, given, "m", "x", "label", "step")


@st.composite
def train_soft_case(draw: Draw) -> Arguments:
    rng, model = rngs(draw), replace(draw(models(LabelKind.CLASS)), train_soft=train_soft)
    given = {
        "model": model,
        "m": memory(draw, rng),
        "x": int8(draw, rng, INPUTS, -128),
        "soft": (rng.integers(0, 256, model.output_size) * draw(st.integers(0, 1))).astype(np.uint8),
        "step": np.zeros(1, np.float32),
    }
    return lost(draw, given, "m", "x", "soft", "step")


@st.composite
def train_replay_case(draw: Draw) -> Arguments:
    rng, model = rngs(draw), draw(models())
    given = {
        "model": model,
        "m": memory(draw, rng),
        "replay": draw(buffers(rng, model)),
        "x": int8(draw, rng, INPUTS, -128),
        "label": labels(draw, rng, model, 1),
        "step": np.zeros(1, np.float32),
    }
    return lost(draw, given, "m", "replay", "x", "label", "step")


@st.composite
def latents_case(draw: Draw) -> Arguments:
    rng = rngs(draw)
    given = {
        "rest": draw(rests()),
        "m": memory(draw, rng),
        "x": int8(draw, rng, INPUTS, -128),
        "latents": old_int8(rng, INPUTS),
    }
    return lost(draw, given, "m", "x", "latents")


@st.composite
def train_latents_case(draw: Draw) -> Arguments:
    rng, rest = rngs(draw), draw(rests())
    replay = draw(buffers(rng, rest.model))
    if draw(st.integers(0, 3)):  # mostly as it has to be
        replay.augment, replay.scratch = None, old_int8(rng, INPUTS)
    given = {
        "rest": rest,
        "m": memory(draw, rng),
        "replay": replay,
        "x": int8(draw, rng, INPUTS, -128),
        "label": labels(draw, rng, rest.model, 1),
        "step": np.zeros(1, np.float32),
    }
    return lost(draw, given, "m", "replay", "x", "label", "step")


@st.composite
def replay_init_case(draw: Draw) -> Arguments:
    rng, model = rngs(draw), draw(models())
    replay = ReplayBuffer.of(WEIGHTS)
    replay.header.view(np.uint8)[:] = rng.integers(0, 256, replay.header.nbytes)
    words = draw(st.integers(0, 3 * model.slot_words))
    given = {
        "model": model,
        "replay": replay,
        "memory": rng.integers(0, 2**32, max(words, 1)).astype(np.uint32),
        "words": words,
        "seed": draw(COUNTERS),
    }
    return lost(draw, given, "replay", "memory")


@st.composite
def replay_add_case(draw: Draw) -> Arguments:
    rng, model = rngs(draw), draw(models())
    given = {
        "model": model,
        "replay": draw(buffers(rng, model)),
        "x": int8(draw, rng, INPUTS, -128),
        "label": labels(draw, rng, model, 1),
    }
    return lost(draw, given, "replay", "x", "label")


@st.composite
def replay_draw_case(draw: Draw) -> Arguments:
    rng, model = rngs(draw), draw(models())
    given = {"model": model, "replay": draw(buffers(rng, model)), "place": one(np.uint32, rng)}
    return lost(draw, given, "replay", "place")


@st.composite
def replay_remember_case(draw: Draw) -> Arguments:
    rng, model = rngs(draw), draw(models(LabelKind.CLASS))
    given = {"model": model, "m": memory(draw, rng), "replay": draw(buffers(rng, model))}
    return lost(draw, given, "m", "replay")


@st.composite
def augment_init_case(draw: Draw) -> Arguments:
    """Numbers that can be, at the ends of what can be, and some that are none."""
    model = draw(models())
    share = st.sampled_from([0.0, 1e-45, 0.5, 1.0, -1e-45, -0.5, 1.1, 1e30, np.inf, -np.inf, np.nan])
    most = 255 * model.input_scale
    given = {
        "model": model,
        "how": changes(draw, model),
        "shift_h": draw(st.sampled_from([0, model.input_h - 1, model.input_h, -1])),
        "shift_w": draw(st.sampled_from([0, model.input_w - 1, model.input_w, -1])),
        "gain": float(np.float32(draw(share))),
        "offset": float(np.float32(draw(share) * most)),
        "noise": float(np.float32(draw(share) * most / 3**0.5)),
        "seed": draw(COUNTERS),
    }
    return lost(draw, given, "how")


@st.composite
def augment_case(draw: Draw) -> Arguments:
    rng, model = rngs(draw), draw(models())
    given = {
        "model": model,
        "how": changes(draw, model),
        "x": int8(draw, rng, INPUTS, -128),
        "y": old_int8(rng, INPUTS),
    }
    return lost(draw, given, "how", "x", "y")


@st.composite
def quantize_case(draw: Draw) -> Arguments:
    rng, model = rngs(draw), draw(models())
    real = (rng.normal(0, 50, INPUTS) * model.input_scale).astype(np.float32)
    ties = (rng.integers(-200, 200, INPUTS) + np.float32(0.5)) * np.float32(model.input_scale)
    odd = rng.choice(np.asarray([np.inf, -np.inf, np.nan, 3e38, -3e38], np.float32), INPUTS)
    given = {
        "model": model,
        "real": draw(st.sampled_from([real, ties.astype(np.float32), odd])),
        "x": old_int8(rng, INPUTS),
    }
    return lost(draw, given, "real", "x")


@st.composite
def adc_init_case(draw: Draw) -> Arguments:
    model = draw(models())
    share = st.sampled_from([1e-45, 1e-9, 0.3, 1.0, 77.7, 4096.0, 4096.5, 1e30, 0.0, -1.0, np.inf, np.nan])
    given = {
        "model": model,
        "how": np.zeros(1, ADC),
        "unit": float(np.float32(draw(share) * model.input_scale)),
        "middle": draw(st.sampled_from([0, 2048, 65536, -65536, 65537, -65537])),
    }
    return lost(draw, given, "how")


@st.composite
def adc_case(draw: Draw, kind: str) -> Arguments:
    """What adc_init makes, once in a while spoilt."""
    rng, model = rngs(draw), draw(models())
    how, limits = np.zeros(1, ADC), np.iinfo(kind)
    assert (
        adc_init(model, how, float(draw(st.sampled_from([1e-4, 0.3, 77.7, 4096.0])) * model.input_scale), 0)
        == 0
    )
    how["middle"] = draw(st.sampled_from([0, 2048, 65536, -65536, 65537, -65537]))
    wrong = draw(st.sampled_from([None, None, None, ("shift", 16), ("shift", 33), ("pre", 14)]))
    if wrong:
        how["scale"][wrong[0]] = wrong[1]
    raw = rng.integers(limits.min, limits.max + 1, INPUTS) // draw(st.sampled_from([1, 1, 300]))
    given = {"model": model, "how": how, "raw": raw.astype(kind), "x": old_int8(rng, INPUTS)}
    return lost(draw, given, "how", "raw", "x")


@st.composite
def watch_case(draw: Draw) -> Arguments:
    rng, model = rngs(draw), draw(models(LabelKind.CLASS))
    y = rng.normal(0, 3, WEIGHTS).astype(np.float32) if model.output_real else int8(draw, rng, WEIGHTS, -128)
    given = {"model": model, "m": memory(draw, rng), "y": y, "drift": means(draw, rng, DRIFT)}
    return lost(draw, given, "m", "y", "drift")


@st.composite
def set_rate_case(draw: Draw) -> Arguments:
    rate = draw(st.sampled_from([0.0, -0.0, 1e-45, 0.01, 3e38, -1e-45, 3.1e38, np.inf, -np.inf, np.nan]))
    given = {"model": draw(models()), "m": memory(draw, rngs(draw)), "rate": float(np.float32(rate))}
    return lost(draw, given, "m")


@st.composite
def set_schedule_case(draw: Draw) -> Arguments:
    given = {"model": draw(models()), "m": memory(draw, rngs(draw)), "schedule": draw(schedules())}
    return lost(draw, given, "m", "schedule")


CASES: dict[str, st.SearchStrategy[Arguments]] = {
    "mcg_snapshot": snapshot(),
    "mcg_rollback": snapshot(),
    "mcg_guard_error": guard_error(),
    "mcg_guard": guard(),
    "mcg_predict": predict_case(),
    "mcg_train_step": train_step_case(),
    "mcg_train_soft": train_soft_case(),
    "mcg_train_replay": train_replay_case(),
    "mcg_latents": latents_case(),
    "mcg_train_latents": train_latents_case(),
    "mcg_replay_init": replay_init_case(),
    "mcg_replay_add": replay_add_case(),
    "mcg_replay_draw": replay_draw_case(),
    "mcg_replay_remember": replay_remember_case(),
    "mcg_augment_init": augment_init_case(),
    "mcg_augment": augment_case(),
    "mcg_quantize": quantize_case(),
    "mcg_adc_init": adc_init_case(),
    "mcg_adc_s16": adc_case("int16"),
    "mcg_adc_u16": adc_case("uint16"),
    "mcg_watch": watch_case(),
    "mcg_set_rate": set_rate_case(),
    "mcg_set_schedule": set_schedule_case(),
}
