"""Arguments for the kernels of a model's life: schedules, running means, drift, replay, checks, augmentation."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from kernels.draws import (
    COUNTERS,
    ODD_FLOATS,
    ZEROS,
    Arguments,
    Draw,
    floats,
    int8,
    means,
    old_int8,
    one,
    rngs,
    schedules,
)
from kernels.real import Plan, nothing, real_cases
from mcugrad.abi.records import AUGMENT, DRIFT, SCHEDULE, WATCH

LOSSES = st.sampled_from([0.0, 1e-30, 0.1, 2.3, 40.0, 9e37, 1e38, 2e38, 3e38, float("inf"), float("nan")])


@st.composite
def begin_step(draw: Draw) -> Arguments:
    rng, kind = rngs(draw), draw(st.integers(0, 3))
    schedule = np.zeros(1, SCHEDULE)
    warmup = draw(st.one_of(st.just(0), st.integers(0, 30), st.integers(0, 2**32 - 2)))
    schedule["kind"], schedule["start"], schedule["warmup"] = kind, draw(COUNTERS), warmup
    schedule["steps"] = draw(
        st.integers(warmup + 1, min(warmup + 60, 2**32 - 1))
        if warmup % 2
        else st.integers(warmup + 1, 2**32 - 1)
    )
    schedule["every"] = draw(st.sampled_from([1, 2, 7, 1000, 2**32 - 1]))
    rates = st.sampled_from([0.0, 1e-40, 1e-6, 0.01, 0.3, 3e38])
    schedule["rate"], schedule["last"] = draw(rates), draw(rates)
    schedule["factor"] = draw(st.sampled_from([1e-30, 0.1, 0.5, 0.999, 1.0]))
    step = (int(schedule["start"][0]) + draw(COUNTERS)) & 0xFFFFFFFF
    return {
        "schedule": schedule,
        "step": np.asarray([step], np.uint32),
        "rate": one(np.float32, rng),
        "saturated": one(np.int32, rng),
    }


@st.composite
def argmax_s8(draw: Draw) -> Arguments:
    rng, count = rngs(draw), draw(st.integers(1, 40))
    return {"count": count, "x": int8(draw, rng, count, -128), "index": one(np.uint32, rng)}


@st.composite
def watch_class(draw: Draw) -> Arguments:
    rng = rngs(draw)
    return {
        "label": draw(st.integers(0, 2)),
        "predicted": np.asarray([draw(st.integers(0, 2))], np.uint32),
        "loss": np.asarray([draw(LOSSES)], np.float32),
        "watch": means(draw, rng, WATCH),
    }


@st.composite
def watch_loss(draw: Draw) -> Arguments:
    return {"loss": np.asarray([draw(LOSSES)], np.float32), "watch": means(draw, rngs(draw), WATCH)}


@st.composite
def watch_confidence_s8(draw: Draw) -> Arguments:
    rng, classes = rngs(draw), draw(st.integers(1, 20))
    return {
        "classes": classes,
        "logits": int8(draw, rng, classes, -128),
        "scale": floats(draw, rng, 1),
        "drift": means(draw, rng, DRIFT),
    }


@st.composite
def replay_slot(draw: Draw) -> Arguments:
    """A reservoir on its way: filling, just full, or long full, with classes that were full before."""
    rng = rngs(draw)
    capacity, classes, stride = draw(st.integers(1, 20)), draw(st.integers(1, 6)), draw(st.integers(1, 4))
    count = draw(st.sampled_from([0, capacity // 2, capacity, capacity]))
    memory = rng.integers(0, 2**32, (capacity, stride), np.uint32)
    memory[:count, 0] = rng.integers(0, draw(st.integers(1, classes)), count)
    held = np.bincount(memory[:count, 0], minlength=classes).astype(np.uint32)
    seen = held + rng.integers(0, draw(st.sampled_from([1, 3, 1000])), classes, np.uint32)
    seen[rng.random(classes) < 0.1] = 2**32 - 1
    return {
        "capacity": capacity,
        "classes": classes,
        "stride": stride,
        "label": draw(st.integers(0, classes - 1)),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "memory": memory.reshape(-1),
        "count": np.asarray([count], np.uint32),
        "added": np.asarray([draw(COUNTERS)], np.uint32),
        "seen": seen,
        "held": held,
        "full": rng.integers(0, 2, classes).astype(np.uint8)
        if count == capacity
        else np.zeros(classes, np.uint8),
        "slot": one(np.int32, rng),
    }


@st.composite
def augment_s8(draw: Draw) -> Arguments:
    """Nothing, something, and the most of each change; the map may be a single row, column or pixel."""
    rng = rngs(draw)
    height, width, channels = (draw(st.integers(1, most)) for most in (9, 9, 5))
    how = np.zeros(1, AUGMENT)
    how["shift_h"], how["shift_w"] = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    how["gain"] = draw(st.sampled_from([0, 1, 6554, 65535, 65536]))
    for name in ("offset", "noise"):
        how[name] = draw(st.sampled_from([0, 0, 1, 100, 3000, 65279, 65280]))
    how["seed"], how["count"] = draw(COUNTERS), draw(COUNTERS)
    return {
        "height": height,
        "width": width,
        "channels": channels,
        "zero": draw(ZEROS),
        "how": how,
        "number": draw(COUNTERS),
        "x": int8(draw, rng, height * width * channels, -128),
        "y": old_int8(rng, height * width * channels),
    }


@st.composite
def check_f32(draw: Draw) -> Arguments:
    """Numbers in their range, some of which are replaced by others, the range's ends included."""
    rng, count = rngs(draw), draw(st.integers(1, 20))
    least, most = draw(
        st.sampled_from([(-(2.0**30), 2.0**30), (2.0**-120, 2.0**30), (0.0, 1.0), (0.0, 3e38)])
    )
    x = rng.uniform(0.1, 0.9, count).astype(np.float32)
    for _ in range(draw(st.integers(0, 3))):
        x[rng.integers(count)] = draw(st.sampled_from((*ODD_FLOATS, least, most)))
    return {
        "count": count,
        "least": float(np.float32(least)),
        "most": float(np.float32(most)),
        "x": x,
        "wrong": one(np.uint32, rng),
    }


@st.composite
def check_s8(draw: Draw) -> Arguments:
    rng, count = rngs(draw), draw(st.integers(1, 20))
    return {
        "count": count,
        "least": draw(st.sampled_from([-128, -127])),
        "x": int8(draw, rng, count, -128),
        "wrong": one(np.uint32, rng),
    }


@st.composite
def check_s32(draw: Draw) -> Arguments:
    rng, count = rngs(draw), draw(st.integers(1, 5))
    x = rng.choice(np.array([-(2**31), -129, -128, 0, 127, 128, 2**31 - 1], np.int32), count)
    return {"count": count, "least": -128, "most": 127, "x": x, "wrong": one(np.uint32, rng)}


@st.composite
def check_schedule(draw: Draw) -> Arguments:
    return {"schedule": draw(schedules()), "wrong": one(np.uint32, rngs(draw))}


@st.composite
def check_watch(draw: Draw) -> Arguments:
    """A state on its way, one field of which may be another."""
    rng = rngs(draw)
    watch = means(draw, rng, WATCH)
    for name in ("accuracy", "drift_mean"):
        watch[name] = rng.random()
    field = draw(st.sampled_from(["none", *(WATCH.names or ())]))
    if field == "seen":
        watch["seen"] = draw(st.sampled_from([1024, 1025, 2**32 - 1]))
    elif field != "none":
        watch[field] = draw(st.sampled_from([*ODD_FLOATS, 1e38, 1.1e38, 20.0, 20.1]))
    return {"watch": watch, "wrong": one(np.uint32, rng)}


@st.composite
def noise_s8(draw: Draw) -> Arguments:
    count, counter = draw(st.integers(1, 70)), draw(COUNTERS)
    return {"count": count, "counter": counter, "x": old_int8(rngs(draw), count)}


@st.composite
def crc32(draw: Draw) -> Arguments:
    rng, count = rngs(draw), draw(st.integers(1, 70))
    data = rng.integers(0, 256, count).astype(np.uint8)
    return {"count": count, "data": data, "crc": np.asarray([draw(COUNTERS)], np.uint32)}


CASES: dict[str, st.SearchStrategy[Arguments]] = {
    f"mcg_{case.__name__}": case()
    for case in (
        begin_step,
        argmax_s8,
        watch_class,
        watch_loss,
        watch_confidence_s8,
        replay_slot,
        augment_s8,
        check_f32,
        check_s8,
        check_s32,
        check_schedule,
        check_watch,
        noise_s8,
        crc32,
    )
}
"""Strategy of the arguments of every kernel here, by its C name."""
PLAN: Plan = {
    "argmax": (nothing, "argmax_s8"),
    "watch_confidence": (nothing, "watch_confidence_s8"),
}
CASES |= real_cases(PLAN, CASES)
