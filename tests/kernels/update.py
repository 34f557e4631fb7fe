"""Arguments for the kernels that change weights and biases: docs/arithmetic.md, "Updates"."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from hypothesis import strategies as st

from kernels.draws import (
    CHANNELS,
    ZEROS,
    Arguments,
    Draw,
    Rng,
    actives,
    biases,
    error_numbers,
    floats,
    int8,
    odds,
    one,
    planes,
    rngs,
    updates,
)
from kernels.real import Plan, by_channel, nothing, real_cases
from mcugrad.abi.records import SCALE
from mcugrad.training.rules import IN_PLACE, PLANES


@st.composite
def prepare_update(draw: Draw) -> Arguments:
    channels, rng = draw(CHANNELS), rngs(draw)
    active, count = actives(draw, rng, channels)
    return {
        "channels": channels,
        "active": active,
        "odds": odds(draw, rng, count) if draw(st.booleans()) else None,
        "rate": floats(draw, rng, 1),
        "c": error_numbers(draw, rng),
        "x_scale": floats(draw, rng, 1),
        "w_scale": floats(draw, rng, channels),
        "to_scale": floats(draw, rng, channels),
        "factor": np.zeros(channels, SCALE),
    }


@st.composite
def bias_update(draw: Draw) -> Arguments:
    pixels, channels, rng = draw(st.integers(1, 40)), draw(CHANNELS), rngs(draw)
    active, count = actives(draw, rng, channels)
    return {
        "pixels": pixels,
        "channels": channels,
        "e": int8(draw, rng, pixels * count),
        "active": active,
        "odds": odds(draw, rng, count) if draw(st.booleans()) else None,
        "rate": floats(draw, rng, 1),
        "c": error_numbers(draw, rng),
        "w_scale": floats(draw, rng, channels),
        "bias": rng.normal(0, 1, channels).astype(np.float32),
    }


def bias_update_extremes() -> Iterator[Arguments]:
    """Sums that no half of a word holds, of channels that are no multiple of 4, or of some of them."""
    rng = np.random.default_rng(0)
    for pixels, channels, error, listed in product(
        (1, 255, 256, 600), (1, 4, 7, 9, 16, 37, 70), (127, -127), (0, 3, 6, 18)
    ):
        active = np.zeros(channels + 1, np.uint16)
        count = min(listed, channels) if listed else channels
        active[: count + 1] = [count, *sorted(rng.choice(channels, count, replace=False))]
        yield {
            "pixels": pixels,
            "channels": channels,
            "e": np.where(rng.random(pixels * count) < 0.95, error, -error).astype(np.int8),
            "active": active if listed else None,
            "odds": rng.integers(1, 65537, count).astype(np.int32) if listed == 6 else None,
            "rate": np.asarray([0.01], np.float32),
            "c": np.asarray([0.3], np.float32),
            "w_scale": rng.uniform(0.1, 1, channels).astype(np.float32),
            "bias": rng.normal(0, 1, channels).astype(np.float32),
        }


ROWS = st.sampled_from([1, 2, 3, 17, 33])
BATCH = st.sampled_from([1, 1, 2, 3, 8, 65535])
COUNTERS = st.one_of(st.sampled_from([0, 1, 15, 127, 2**32 - 1]), st.integers(0, 2**32 - 1))


def batches(draw: Draw) -> tuple[int, np.ndarray]:
    """A batch, and a step at which it is mostly full, now and then the 16th."""
    batch = draw(BATCH)
    kind = draw(st.sampled_from(["full", "full", "sixteenth", "any"]))
    if kind == "any":
        return batch, np.asarray([draw(COUNTERS)], np.uint32)
    times = 16 if kind == "sixteenth" else draw(st.integers(1, 9))
    return batch, np.asarray([batch * times - 1], np.uint32)


def changes(draw: Draw, rng: Rng, out: int, count: int) -> Arguments:
    """A plane of changes: as weights are, at times with little of its range in use, or nothing kept at all."""
    plane = PLANES[draw(st.sampled_from([8, 16]))]
    change, residual = planes(draw, rng, plane, out, count)
    use = draw(st.sampled_from([1, 1, 8, 0]))
    if use != 1:
        master = plane.split(change, residual, out, count) - plane.half
        master = master // use if use else np.zeros_like(master)
        plane.join(master + plane.half, change, residual)
    scale = floats(draw, rng, out)
    return {"change": change, "change_residual": residual, "change_scale": scale}


@st.composite
def mean_rate(draw: Draw) -> Arguments:
    rng = rngs(draw)
    return {"rate": floats(draw, rng, 1), "batch": draw(BATCH), "mean": one(np.float32, rng)}


@st.composite
def apply_update(draw: Draw) -> Arguments:
    out, count, rng = draw(ROWS), draw(CHANNELS), rngs(draw)
    batch, step = batches(draw)
    clipped = draw(st.booleans())
    return {
        **updates(draw, rng, out, count),
        **changes(draw, rng, out, count),
        "out": out,
        "count": count,
        "batch": batch,
        "momentum": draw(st.sampled_from([0, 1, 58982, 65535, 65536])),
        "clip": floats(draw, rng, 1) if clipped else None,
        "rate": floats(draw, rng, 1),
        "step": step,
        "kept": floats(draw, rng, out) if clipped else None,
    }


@st.composite
def apply_bias(draw: Draw) -> Arguments:
    channels, rng = draw(CHANNELS), rngs(draw)
    batch, step = batches(draw)
    return {
        "channels": channels,
        "batch": batch,
        "momentum": draw(st.sampled_from([0, 1, 58982, 65536])),
        "step": step,
        "kept": floats(draw, rng, channels) if draw(st.booleans()) else None,
        "change": biases(draw, rng, channels).astype(np.float32),
        "bias": floats(draw, rng, channels),
    }


@st.composite
def decay_weights(draw: Draw) -> Arguments:
    out, count, rng = draw(ROWS), draw(CHANNELS), rngs(draw)
    arguments = {
        **updates(draw, rng, out, count),
        "out": out,
        "count": count,
        "active": actives(draw, rng, out)[0],
        "decay": floats(draw, rng, 1),
        "rate": floats(draw, rng, 1),
    }
    del arguments["w_scale"]
    return arguments


@st.composite
def apply_standardized(draw: Draw) -> Arguments:
    out, count, rng = draw(ROWS), draw(CHANNELS), rngs(draw)
    batch, step = batches(draw)
    return {
        "out": out,
        "count": count,
        "batch": batch,
        "rate": floats(draw, rng, 1),
        "step": step,
        "w": rng.integers(-128, 128, out * count).astype(np.int8),
        "w_scale": np.full(out, floats(draw, rng, 1)[0], np.float32),
        "w_zero": np.asarray([draw(ZEROS)], np.int32),
        **changes(draw, rng, out, count),
        "mean": floats(draw, rng, out) * rng.choice([-1, 1], out).astype(np.float32),
        "deviation": floats(draw, rng, out),
    }


def listed(draw: Draw, rng: Rng, out: int) -> np.ndarray:
    """Channels that train: some, one, all but one, all."""
    active = actives(draw, rng, out)[0]
    return np.concatenate([[out], np.arange(out)]).astype(np.uint16) if active is None else active


@st.composite
def gather_rows_s8(draw: Draw) -> Arguments:
    rows, count, rng = draw(ROWS), draw(CHANNELS), rngs(draw)
    active = listed(draw, rng, rows)
    rule = draw(st.sampled_from(list(IN_PLACE.values())))
    trained, trained_residual = planes(draw, rng, rule, max(int(active[0]), 1), count)
    frozen, frozen_residual = planes(draw, rng, rule, max(rows - int(active[0]), 1), count)
    w, residual = planes(draw, rng, rule, rows, count)
    return {
        "rows": rows,
        "count": count,
        "residual_count": rule.residual_row(count),
        "active": active,
        "frozen": frozen,
        "frozen_residual": frozen_residual,
        "trained": trained,
        "trained_residual": trained_residual,
        "w": w,
        "residual": residual,
    }


@st.composite
def scatter_rows_s8(draw: Draw) -> Arguments:
    given = draw(gather_rows_s8())
    return {name: given[name] for name in given if name not in ("rows", "frozen", "frozen_residual")}


CASES: dict[str, st.SearchStrategy[Arguments]] = {
    f"mcg_{case.__name__}": case()
    for case in (
        prepare_update,
        bias_update,
        mean_rate,
        apply_update,
        apply_bias,
        decay_weights,
        apply_standardized,
        gather_rows_s8,
        scatter_rows_s8,
    )
}
"""Strategy of the arguments of every kernel here, by its C name."""
EXTREMES = {"mcg_bias_update": bias_update_extremes}
"""Arguments at which bodies of a kernel could differ, by its C name: of kernels with several bodies."""
PLAN: Plan = {
    "bias_update": (by_channel, "bias_update"),
    "gather_rows": (nothing, "gather_rows_s8"),
    "scatter_rows": (nothing, "scatter_rows_s8"),
}
CASES |= real_cases(PLAN, CASES)
