"""Partial updates of float32 layers: what is chosen, and that sampling is without bias."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcugrad as mg
from mcugrad.ops.selection.select import SELECT_SAMPLED, SELECT_TOPK
from mcugrad.ops.selection.select_f32 import (
    SELECT_COPY_F32,
    SELECT_PARTS_F32,
    SELECT_SUMS_F32,
)
from thoroughness import LONG

mcu = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the emulator is not installed")

Array = np.ndarray


def f32(*values: float) -> Array:
    return np.asarray(values, np.float32)


def u32(value: int) -> Array:
    return np.asarray([value], np.uint32)


# -- which ---------------------------------------------------------------------------------------------------------

REALS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e-30, 1e38, -3e38]), st.floats(-10, 10, width=32)
)
ANY = st.one_of(REALS, st.sampled_from([np.inf, -np.inf, np.nan]))


@st.composite
def errors(draw: Any, values: st.SearchStrategy[float] = REALS) -> Array:
    """(pixels, channels) errors."""
    pixels, channels = draw(st.integers(1, 4)), draw(st.integers(1, 24))
    flat = draw(st.lists(values, min_size=pixels * channels, max_size=pixels * channels))
    return f32(*flat).reshape(pixels, channels)


def sums_of(e: Array) -> Array:
    sums = np.zeros(e.shape[1], np.int32)
    SELECT_SUMS_F32.reference(*e.shape, e.reshape(-1), sums)
    return sums


def parts_of(e: Array) -> Array:
    parts = np.zeros(e.shape[1], np.int32)
    SELECT_PARTS_F32.reference(e.shape[1], sums_of(e), parts)
    return parts


def topk(e: Array, share: float) -> list[int]:
    active = np.zeros(1 + e.shape[1], np.uint16)
    SELECT_TOPK.reference(e.shape[1], f32(share, share), f32(0), sums_of(e), active)
    return active[1 : 1 + int(active[0])].tolist()


def draw_channels(e: Array, share: float, step: int) -> tuple[list[int], Array, Array]:
    """Channels of one draw, their odds, and the errors that are kept."""
    pixels, channels = e.shape
    active, odds = np.zeros(1 + channels, np.uint16), np.zeros(channels, np.int32)
    SELECT_SAMPLED.reference(
        channels, f32(share, share), f32(0), u32(1), u32(step), 3, parts_of(e), active, odds
    )
    count = int(active[0])
    kept = np.zeros(pixels * count, np.float32)
    SELECT_COPY_F32.reference(pixels, channels, e.reshape(-1), active, odds, kept)
    return active[1 : 1 + count].tolist(), odds[:count], kept.reshape(pixels, count)


@given(errors(), st.sampled_from([1e-6, 0.1, 0.3, 0.5, 0.9, 1.0]))
def test_topk_is_the_definition(e: Array, share: float) -> None:
    """The k largest sums of |e|, added pixel by pixel in float32; of equal ones the first; 0 never."""
    total = np.zeros(e.shape[1], np.float32)
    with np.errstate(over="ignore"):
        for row in e:
            total += np.abs(row)
    k = max(int(np.float32(share) * np.float32(len(total))), 1)
    order = sorted(range(len(total)), key=lambda o: (-total[o], o))[:k]
    assert topk(e, share) == sorted(o for o in order if total[o] > 0)


def test_topk_of_few() -> None:
    assert topk(f32(3, -9, 1, 7).reshape(1, 4), 0.5) == [1, 3]
    assert topk(f32(5, -5, 9, 5, 5).reshape(1, 5), 0.6) == [0, 1, 2], "of equal ones the first"
    assert topk(f32(0, -0.0, 1e-45, 0).reshape(1, 4), 0.75) == [2], "channels without an error never"
    assert topk(f32(0.1).reshape(1, 1), 0.01) == [0]
    assert topk(f32(1, np.inf, 2, np.nan).reshape(1, 4), 0.5) == [1, 3], "NaN counts as infinite"


@given(errors(ANY), st.sampled_from([1e-6, 0.1, 0.5, 1.0]), st.integers(0, 9))
def test_whatever_the_errors_lists_are_lists(e: Array, share: float, step: int) -> None:
    """Ascending channels that have an error, no more than there is room for; the odds are such."""
    has_error = np.isnan(e).any(axis=0) | (e != 0).any(axis=0)
    chosen, odds, kept = draw_channels(e, share, step)
    for found, policy in ((topk(e, share), "topk"), (chosen, "sampled")):
        assert found == sorted(set(found))
        assert has_error[found].all()
        assert len(found) <= mg.Sparse(share, policy=policy).most(e.shape[1])  # type: ignore[arg-type]
    assert ((odds >= 1) & (odds <= 65536)).all()
    assert kept.shape == (len(e), len(chosen))
    if share == 1:
        assert chosen == topk(e, share) == np.flatnonzero(has_error).tolist()
        np.testing.assert_array_equal(kept, e[:, chosen])


@given(errors())
def test_parts_follow_the_sums(e: Array) -> None:
    sums = np.abs(e.astype(np.float64)).sum(axis=0)
    parts = parts_of(e).astype(np.int64)
    assert ((parts > 0) == (sums > 0)).all()
    assert parts.sum() < 2**30
    if 0 < sums.sum() < 3e38:
        assert np.abs(parts - sums / sums.sum() * 2**29).max() <= 2 + 2**29 * 1e-5


def test_infinite_sums_share_everything() -> None:
    assert parts_of(f32(1, np.inf, 0, np.nan).reshape(1, 4)).tolist() == [1, 2**28, 0, 2**28]
    assert parts_of(f32(3e38, 3e38).reshape(1, 2)).tolist() == [2**28, 2**28]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.5] if LONG else [0.01, 0.5])
def test_sampling_is_without_bias(share: float) -> None:
    """The mean of all draws is the error, within five standard errors of the mean, for every element."""
    rng = np.random.default_rng(5)
    e = (rng.normal(0, 1, (6, 12)) * (rng.random((6, 12)) < 0.6) * np.geomspace(0.05, 1, 12)).astype(
        np.float32
    )
    values, counts = np.zeros((2000 if LONG else 700, 6, 12)), []
    for step in range(len(values)):
        chosen, odds, kept = draw_channels(e, share, step)
        values[step][:, chosen] = kept
        counts.append(len(chosen))
        np.testing.assert_array_equal(kept, e[:, chosen] * (f32(65536) / odds.astype(np.float32)))
    spread = values.std(axis=0) / np.sqrt(len(values))
    assert (np.abs(values.mean(axis=0) - e) <= 5 * spread + 2e-4 * np.abs(e)).all()
    k = max(share * 12, 1)
    assert set(counts) <= {int(k), int(k) + 1, int(k) - (k == int(k))}
    assert np.mean(counts) == pytest.approx(k, abs=0.03)


@given(errors(st.floats(0.015625, 10, width=32)), st.integers(0, 99))
def test_a_very_small_share_keeps_one_channel(e: Array, step: int) -> None:
    assert len(topk(e, 1e-6)) == 1
    assert topk(e, 1e-6) == [int(np.argmax(sums_of(e)))]
    assert len(draw_channels(e, 1e-6, step)[0]) in (0, 1, 2)
    if e.shape[1] == 1:
        chosen, _, kept = draw_channels(e, 1e-6, step)
        assert chosen == [0]
        np.testing.assert_array_equal(kept, e)
