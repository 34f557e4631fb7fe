"""Arguments for the kernels of scales and ranges that follow the data."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from kernels.draws import (
    CHANNELS,
    Arguments,
    Draw,
    error_numbers,
    error_ranges,
    floats,
    one,
    rngs,
    some_int32,
    two,
)
from mcugrad.abi.records import SCALE
from mcugrad.ops.core.gradients_s8 import LEAST_REACH


@st.composite
def prepare_error(draw: Draw) -> Arguments:
    channels, rng = draw(CHANNELS), rngs(draw)
    return {
        "channels": channels,
        "range": floats(draw, rng, 1),
        "c": error_numbers(draw, rng),
        "w_scale": floats(draw, rng, channels),
        "scale": np.zeros(channels, SCALE),
    }


PEAKS = st.one_of(
    st.sampled_from([0, 1, 31, 32, 126, 127, 128, 255, 256, 2**24 + 1, 2**30 - 1]), st.integers(0, 2**30)
)


@st.composite
def track_error(draw: Draw) -> Arguments:
    rng = rngs(draw)
    return {
        "least": draw(st.sampled_from([0, LEAST_REACH])),
        "peak": np.asarray([draw(PEAKS)], np.int32),
        "c": error_numbers(draw, rng),
        "range": error_ranges(draw, rng),
        "c_x": two(rng),
        "saturated": one(np.int32, rng),
    }


@st.composite
def track_scale(draw: Draw) -> Arguments:
    rng = rngs(draw)
    return {
        "levels": draw(st.sampled_from([127, 255, 1])),
        "peak": np.asarray([draw(PEAKS)], np.int32),
        "scale": floats(draw, rng, 1),
        "saturated": one(np.int32, rng),
    }


@st.composite
def prepare_clip(draw: Draw) -> Arguments:
    rng = rngs(draw)
    bounds = st.sampled_from([(-3e38, 3e38), (0.0, 6.0), (-1.0, 1.0), (0.0, 3e38), (-0.3, 1e-5)])
    return {
        "bounds": np.asarray(draw(bounds), np.float32),
        "scale": floats(draw, rng, 1),
        "clip": some_int32(rng, 2),
    }


@st.composite
def next_step(draw: Draw) -> Arguments:
    return {"step": np.asarray([draw(st.sampled_from([0, 1, 2**31, 2**32 - 1]))], np.uint32)}


@st.composite
def track_scale_steps(draw: Draw) -> Arguments:
    rng = rngs(draw)
    share = st.sampled_from([0.0, 0.4, 0.5, 0.5004, 0.5006, 0.999, 1.0, 1.001, 3.0])
    fill = floats(draw, rng, 1) if draw(st.booleans()) else np.asarray([draw(share)], np.float32)
    return {
        "levels": draw(st.sampled_from([127, 255, 1])),
        "peak": np.asarray([draw(PEAKS)], np.int32),
        "fill": fill,
        "scale": floats(draw, rng, 1),
        "saturated": one(np.int32, rng),
    }


CASES: dict[str, st.SearchStrategy[Arguments]] = {
    f"mcg_{case.__name__}": case()
    for case in (
        prepare_error,
        track_error,
        track_scale,
        prepare_clip,
        next_step,
        track_scale_steps,
    )
}
"""Strategy of the arguments of every kernel here, by its C name."""
