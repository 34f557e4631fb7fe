"""Arguments for the kernels of partial updates."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from hypothesis import strategies as st

from kernels.draws import (
    CHANNELS,
    Arguments,
    Draw,
    Rng,
    actives,
    error_numbers,
    floats,
    int8,
    odds,
    old_int8,
    one,
    rngs,
    two,
)
from kernels.real import Plan, nothing, real_cases, reals
from mcugrad.abi.records import SCHEDULE, WATCH
from mcugrad.ops.selection.select import SELECT_CERTAIN


def copied(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """The odds of listed channels, or none."""
    return {"odds": odds(draw, rng, int(given["active"][0])) if draw(st.booleans()) else None}


def weighed_errors(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """The odds of listed channels."""
    return {"odds": odds(draw, rng, int(given["active"][0]))}


def parts(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """The bits of sums of magnitudes."""
    sums = np.abs(reals(draw, rng, given["channels"]))
    sums[np.isnan(sums)] = np.inf
    return {"sum": sums.view(np.int32), "part": given["sum"]}


SHARES = st.sampled_from([1e-6, 0.1, 0.25, 0.5, 0.999, 1.0])
RATIOS = st.sampled_from([0.0, 0.3, 1.0, 1.5, -1.0, float("inf"), float("nan")])
WORDS = st.one_of(st.sampled_from([0, 1, 2**32 - 1]), st.integers(0, 2**32 - 1))


def limits(draw: Draw) -> np.ndarray:
    """Smallest and largest share."""
    return np.sort(np.asarray([draw(SHARES), draw(SHARES)], np.float32))


def sums(draw: Draw, rng: Rng, channels: int) -> np.ndarray:
    """Importances: spread, equal, far apart, mostly or all zero, as large as they can be."""
    match draw(st.sampled_from(["spread", "equal", "far apart", "sparse", "zero", "large"])):
        case "spread":
            values = rng.integers(0, 1000, channels)
        case "equal":
            values = np.full(channels, rng.integers(1, 1000))
        case "far apart":
            values = np.exp(rng.uniform(0, np.log(2**28 / channels), channels)).astype(np.int64)
        case "sparse":
            values = rng.integers(0, 5, channels) * (rng.random(channels) < 0.3)
        case "zero":
            values = np.zeros(channels)
        case _:
            values = np.full(channels, (2**30 - 1) // channels)
    return values.astype(np.int32)


def words(draw: Draw) -> Arguments:
    """What random numbers are made from."""
    return {
        "seed": np.asarray([draw(WORDS)], np.uint32),
        "step": np.asarray([draw(WORDS)], np.uint32),
        "tensor": draw(st.integers(0, 300)),
    }


@st.composite
def select_ratio(draw: Draw) -> Arguments:
    rng = rngs(draw)
    return {"loss": floats(draw, rng, 1), "largest": floats(draw, rng, 1), "ratio": one(np.float32, rng)}


@st.composite
def select_sums_s8(draw: Draw) -> Arguments:
    pixels, channels, rng = draw(st.integers(1, 40)), draw(CHANNELS), rngs(draw)
    return {
        "pixels": pixels,
        "channels": channels,
        "e": int8(draw, rng, pixels * channels),
        "sum": rng.integers(0, 99, channels).astype(np.int32),
    }


def select_sums_s8_extremes() -> Iterator[Arguments]:
    """Sums that no half of a word holds, of channels that are no multiple of 4."""
    rng = np.random.default_rng(0)
    for pixels, channels, levels in product(
        (1, 511, 512, 1100), (1, 4, 7, 9), ((-127, 127), (-127,), (0, 1, -1))
    ):
        yield {
            "pixels": pixels,
            "channels": channels,
            "e": rng.choice(levels, pixels * channels).astype(np.int8),
            "sum": rng.integers(0, 99, channels).astype(np.int32),
        }


@st.composite
def select_roots_s32(draw: Draw) -> Arguments:
    channels, rng = draw(CHANNELS), rngs(draw)
    return {"channels": channels, "sum": sums(draw, rng, channels), "root": sums(draw, rng, channels)}


def choosing(draw: Draw, rng: Rng) -> Arguments:
    """What both ways to choose share."""
    channels = draw(CHANNELS)
    return {
        "channels": channels,
        "limits": limits(draw),
        "ratio": np.asarray([draw(RATIOS)], np.float32),
        "sum": sums(draw, rng, channels),
        "active": rng.integers(0, 2**16, 1 + channels).astype(np.uint16),
    }


@st.composite
def select_topk(draw: Draw) -> Arguments:
    return choosing(draw, rngs(draw))


@st.composite
def select_certain(draw: Draw) -> Arguments:
    rng = rngs(draw)
    shared = choosing(draw, rng)
    del shared["active"]
    return {**shared, "marked": sums(draw, rng, shared["channels"])}


@st.composite
def select_sampled(draw: Draw) -> Arguments:
    """Now and then some channels are certain: their sums are negative."""
    rng = rngs(draw)
    shared = choosing(draw, rng)
    if draw(st.booleans()):
        half = np.zeros_like(shared["sum"])
        SELECT_CERTAIN.reference(shared["channels"], shared["limits"], shared["ratio"], shared["sum"], half)
        shared["sum"] = half
    old = rng.integers(0, 99, shared["channels"]).astype(np.int32)
    return {**shared, **words(draw), "odds": old}


@st.composite
def select_samples(draw: Draw) -> Arguments:
    rng = rngs(draw)
    given = words(draw)
    watch = np.zeros(1, WATCH)
    watch["loss"] = floats(draw, rng, 1)
    schedule, rates = np.zeros(1, SCHEDULE), st.sampled_from([0.0, 1e-40, 0.01, 0.3, 3e38])
    schedule["kind"], schedule["start"] = draw(st.integers(0, 3)), (int(given["step"][0]) - 7) & 0xFFFFFFFF
    schedule["steps"], schedule["rate"], schedule["last"] = draw(st.integers(1, 14)), draw(rates), draw(rates)
    followed = {
        "loss": floats(draw, rng, 1),
        "watch": watch,
        "schedule": schedule,
        "rate": np.asarray([draw(rates)], np.float32),
        "gain": np.asarray([draw(st.sampled_from([2.0**-6, 0.7, 1.0, 2.0**6]))], np.float32),
    }
    return {
        "seed": given["seed"],
        "step": given["step"],
        "stream": given["tensor"],
        "share": draw(st.sampled_from([1, 16384, 65535, 65536])),
        "batch": draw(st.sampled_from([1, 2, 48, 2**31])),
        **(followed if draw(st.booleans()) else dict.fromkeys(followed)),
        "whole": floats(draw, rng, 1),
        "taken": one(np.int32, rng),
        "updated": one(np.float32, rng),
    }


@st.composite
def select_unit_s8(draw: Draw) -> Arguments:
    arguments = draw(select_copy_s8())
    rng, count, channels = rngs(draw), int(arguments["active"][0]), arguments["channels"]
    arguments["e"][:channels] = np.where(arguments["e"][:channels] == 0, 1, arguments["e"][:channels])
    del arguments["kept"]
    return {
        **arguments,
        "c": error_numbers(draw, rng),
        "factor": odds(draw, rng, count),
        "unit": two(rng),
    }


@st.composite
def select_share(draw: Draw) -> Arguments:
    rng = rngs(draw)
    return {
        "whole": draw(st.integers(0, 1000)),
        "structures": draw(st.integers(1, 2000)),
        "active": rng.integers(0, 2**16, 3).astype(np.uint16),
        "before": draw(st.sampled_from([None, np.asarray([77], np.int32)])),
        "count": one(np.int32, rng),
        "rate": one(np.float32, rng),
    }


@st.composite
def select_copy_s8(draw: Draw) -> Arguments:
    pixels, channels, rng = draw(st.integers(1, 40)), draw(CHANNELS), rngs(draw)
    active, count = actives(draw, rng, channels)
    if active is None:
        active = np.arange(-1, channels).astype(np.uint16)
        active[0] = channels
    return {
        "pixels": pixels,
        "channels": channels,
        "e": int8(draw, rng, pixels * channels),
        "active": active,
        "kept": old_int8(rng, pixels * count),
    }


@st.composite
def select_scale_s8(draw: Draw) -> Arguments:
    arguments = draw(select_copy_s8())
    rng, count = rngs(draw), int(arguments["active"][0])
    most = draw(st.sampled_from([1, 1000, 65536, 65537, 127 * 65536]))
    return {
        **arguments,
        **words(draw),
        "factor": np.where(rng.random(count) < 0.2, 65536, rng.integers(1, most + 1, count)).astype(np.int32),
    }


CASES: dict[str, st.SearchStrategy[Arguments]] = {
    f"mcg_{case.__name__}": case()
    for case in (
        select_ratio,
        select_sums_s8,
        select_roots_s32,
        select_topk,
        select_certain,
        select_sampled,
        select_samples,
        select_unit_s8,
        select_share,
        select_copy_s8,
        select_scale_s8,
    )
}
"""Strategy of the arguments of every kernel here, by its C name."""
EXTREMES = {"mcg_select_sums_s8": select_sums_s8_extremes}
"""Arguments at which bodies of a kernel could differ, by its C name: of kernels with several bodies."""
PLAN: Plan = {
    "select_copy": (copied, "select_copy_s8"),
    "select_parts": (parts, "select_sums_s8"),
    "select_weigh": (weighed_errors, "select_copy_s8"),
    "select_sums": (nothing, "select_sums_s8"),
}
CASES |= real_cases(PLAN, CASES)
