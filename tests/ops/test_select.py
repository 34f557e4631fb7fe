"""Partial updates: how many channels and which the policies choose, without bias, and what is refused."""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcugrad as mg
from mcugrad.commands.inputs import sparse_choice
from mcugrad.commands.options import DEFAULT_POLICY as COMMAND_LINE
from mcugrad.ops.selection.select import (
    SELECT_RATIO,
    SELECT_ROOTS_S32,
    SELECT_SAMPLED,
    SELECT_TOPK,
    odds_of,
    wanted,
)
from mcugrad.ops.selection.select_s8 import SELECT_SCALE_S8, SELECT_SUMS_S8, SELECT_UNIT_S8
from mcugrad.training.sparse import DEFAULT_POLICY, Choice, policies
from networks import PARTIAL_NET as NET
from networks import Dense, model, samples
from thoroughness import LONG


def f32(*values: float) -> np.ndarray:
    return np.asarray(values, np.float32)


def u32(value: int) -> np.ndarray:
    return np.asarray([value], np.uint32)


# -- how many ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "low", "high", "ratio", "k"),
    [
        (10, 0.1, 0.1, 0.0, 1),
        (16, 0.1, 1.0, 0.0, 1.6),
        (16, 0.1, 1.0, 0.5, 8.8),
        (16, 0.1, 1.0, 1.0, 16),
        (16, 0.25, 0.5, 1.0, 8),
        (16, 0.25, 0.5, 9.0, 8),
        (16, 0.25, 0.5, np.inf, 8),
        (3, 0.1, 0.1, 0.0, 1),
        (16, 0.25, 0.5, np.nan, 4),
        (16, 0.25, 0.5, -1.0, 4),
        (16, 0.25, 0.25, np.inf, 4),
        (1, 0.5, 1.0, 0.3, 1),
    ],
)
def test_how_many(channels: int, low: float, high: float, ratio: float, k: float) -> None:
    assert wanted(channels, f32(low, high), f32(ratio)) == np.float32(k)


@pytest.mark.parametrize("ratio", [1.0, np.inf])
@pytest.mark.parametrize(
    ("low", "high"), [(0.09, 0.84), (0.11, 0.42), (0.22, 0.84), (0.33, 0.84), (0.1, 0.5)]
)
def test_no_loss_asks_for_more_channels_than_there_is_room_for(low: float, high: float, ratio: float) -> None:
    """low + 1 * (high - low) may be above high, in float32; a loss that is infinite is above the largest."""
    for channels in range(1, 400):
        room = mg.Sparse(low, high, "topk").most(channels)
        assert int(wanted(channels, f32(low, high), f32(ratio))) <= room, channels


def test_the_ratio_compares_with_the_largest_loss() -> None:
    largest, ratio = f32(0), f32(9)
    for loss, expected in ((0.0, 0.0), (2.0, 1.0), (1.0, 0.5), (4.0, 1.0), (1.0, 0.25), (np.nan, np.nan)):
        SELECT_RATIO.reference(f32(loss), largest, ratio)
        assert ratio[0] == expected or np.isnan(ratio[0]) == np.isnan(expected)
    assert largest[0] == 4


def test_an_infinite_loss_does_not_become_the_largest() -> None:
    """Else every share would be the smallest from then on; a float32 network gets over such a sample."""
    largest, ratio = f32(2), f32(9)
    SELECT_RATIO.reference(f32(np.inf), largest, ratio)
    assert largest[0] == 2
    assert ratio[0] == np.inf  # the largest share takes part
    SELECT_RATIO.reference(f32(1), largest, ratio)
    assert ratio[0] == 0.5


# -- which ---------------------------------------------------------------------------------------------------------


def topk(sums: list[int], share: float) -> list[int]:
    active = np.zeros(1 + len(sums), np.uint16)
    SELECT_TOPK.reference(len(sums), f32(share, share), f32(0), np.asarray(sums, np.int32), active)
    return active[1 : 1 + int(active[0])].tolist()


def test_topk_keeps_the_largest_sums() -> None:
    assert topk([3, 9, 1, 7], 0.5) == [1, 3]
    assert topk([5, 5, 9, 5, 5], 0.6) == [0, 1, 2], "of equal ones the first"
    assert topk([0, 0, 1, 0], 0.75) == [2], "channels without an error never"
    assert topk([0, 0], 1.0) == []
    assert topk([4, 0, 2], 1.0) == [0, 2]
    assert topk([7], 0.1) == [0]


def test_roots() -> None:
    """64 times the root; all of them together stay in 32 bits however many channels share the largest total."""
    sums = np.asarray([0, 1, 2, 100, 2**30 - 1], np.int32)
    roots = np.zeros(5, np.int32)
    SELECT_ROOTS_S32.reference(5, sums, roots)
    assert roots.tolist() == [0, 64, 90, 640, 64 * 2**15]
    SELECT_ROOTS_S32.reference(1, np.asarray([2**30 // 65535], np.int32), roots)
    assert int(roots[0]) * 65535 < 2**30


@given(
    st.lists(st.one_of(st.integers(0, 20), st.integers(0, 2**20)), min_size=1, max_size=70),
    st.integers(1, 70),
)
def test_odds(sums: list[int], count: int) -> None:
    """In proportion to the sums, at most 1, and together as many as wanted where so many have an error."""
    count, a = min(count, len(sums)), np.asarray(sums)
    odds = odds_of(a, np.float32(count)) / 65536
    assert ((odds > 0) == (a > 0)).all()
    open_to = min(count, int((a > 0).sum()))
    assert odds.sum() == pytest.approx(open_to, abs=len(sums) / 65536 + 1e-3)
    drawn = a[(odds < 1) & (odds > 1e-3)]
    if len(drawn) > 1:
        ratios = drawn / odds[(odds < 1) & (odds > 1e-3)]
        assert ratios.max() <= ratios.min() * 1.04
        assert (a[odds == 1] >= drawn.max()).all()
    if count == len(sums):
        assert (odds[a > 0] == 1).all()


def sample(e: np.ndarray, share: float, step: int, rooted: bool = False) -> tuple[np.ndarray, int]:
    """What one draw makes of (pixels, channels) errors with unit 1, and how many channels it keeps."""
    pixels, channels = e.shape
    sums = np.zeros(channels, np.int32)
    SELECT_SUMS_S8.reference(pixels, channels, e.reshape(-1), sums)
    if rooted:
        SELECT_ROOTS_S32.reference(channels, sums.copy(), sums)
    active, factor, unit = np.zeros(1 + channels, np.uint16), np.zeros(channels, np.int32), f32(0, 0)
    SELECT_SAMPLED.reference(channels, f32(share, share), f32(0), u32(1), u32(step), 3, sums, active, factor)
    count = int(active[0])
    drawn = (factor[:count] < 65536).any()
    SELECT_UNIT_S8.reference(pixels, channels, e.reshape(-1), active, f32(1, 0.5), factor, unit)
    assert unit[1] == (1 if drawn else 0.5), "the largest of those that are drawn is 127"
    kept = np.zeros(pixels * count, np.int8)
    SELECT_SCALE_S8.reference(pixels, channels, e.reshape(-1), active, factor, u32(1), u32(step), 4, kept)
    whole = np.zeros(e.shape)
    whole[:, active[1 : 1 + count]] = kept.reshape(pixels, count) * float(unit[0])
    return whole, count


@pytest.mark.parametrize(
    ("share", "rooted"), [*product([0.1, 0.25, 0.5], [False, True])] if LONG else [(0.1, False), (0.5, True)]
)
def test_sampling_is_without_bias(share: float, rooted: bool) -> None:
    """The mean of all draws is the error, within five standard errors of the mean, for every element."""
    rng = np.random.default_rng(5)
    e = rng.integers(-127, 128, (6, 12)) * (rng.random((6, 12)) < 0.6) * np.geomspace(0.05, 1, 12)
    e = np.round(e).astype(np.int8)
    draws = [sample(e, share, step, rooted) for step in range(1500 if LONG else 500)]
    values = np.asarray([whole for whole, _ in draws])
    spread = values.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(values.mean(axis=0) - e) <= 5 * spread + 1e-9 + 2e-4 * np.abs(e)).all()
    k = share * 12
    assert {count for _, count in draws} <= {int(k), int(k) + 1}
    assert np.mean([count for _, count in draws]) == pytest.approx(k, abs=0.03)


def test_sampling_keeps_the_resolution() -> None:
    """The largest error kept is 127, whatever the odds."""
    e = np.random.default_rng(2).integers(-3, 4, (9, 16)).astype(np.int8)
    for step in range(50):
        whole, count = sample(e, 0.25, step)
        assert count == 4
        steps = np.abs(whole) / np.abs(whole).max() * 127
        assert np.allclose(steps, np.round(steps), atol=1e-3)


def test_no_error_keeps_nothing() -> None:
    whole, count = sample(np.zeros((4, 5), np.int8), 0.5, 0)
    assert count == 0
    assert not whole.any()


# -- what cannot be ------------------------------------------------------------------------------------------------

WEIGHTS = {"a": np.ones((4, 2)), "b": np.ones((3, 2)), "out": np.ones((2, 3))}


@pytest.mark.parametrize(
    ("sparse", "what"),
    [
        (lambda: mg.Sparse(0.0), "shares from 0.0 to 0.0 of the channels cannot be updated"),
        (lambda: mg.Sparse(0.5, 0.1), "shares from 0.5 to 0.1"),
        (lambda: mg.Sparse(0.5, 1.5), "shares from 0.5 to 1.5"),
        (lambda: mg.Sparse(float("nan")), "shares from nan to nan"),
        (
            lambda: mg.Sparse(1e-9),
            "a share of 1e-09 is half of the channels of 2e-09 of the samples, too few",
        ),
        (lambda: mg.Sparse(samples=0.0), "a share of 0.0 of the samples cannot be learned from"),
        (lambda: mg.Sparse(0.1, samples=1.5), "a share of 1.5 of the samples"),
        (lambda: mg.Sparse(0.1, samples=float("nan")), "a share of nan of the samples"),
        (lambda: mg.Sparse(0.1, samples="all"), "a share of 'all' of the samples"),  # type: ignore[arg-type]
        (lambda: mg.Sparse(0.5, policy="best"), "unknown policy 'best'"),  # type: ignore[arg-type]
        (lambda: mg.Static({}), "names no layer that can be updated in part: none at all"),
        (lambda: mg.Static({"out": 0.5}), "names no layer that can be updated in part: 'out'"),
        (lambda: {"c": mg.Sparse(0.5)}, "names no layer that can be updated in part: 'c'"),
        (lambda: mg.Static({"a": 1.5}), "a share of 1.5 of the channels of a cannot be updated"),
        (lambda: mg.Static({"a": (4,)}), "4 is no channel of a"),
        (lambda: mg.Static({"a": (float("nan"),)}), "nan is no channel of a"),
        (lambda: mg.Static({"a": "all"}), "'a' is no channel of a"),  # type: ignore[dict-item]
        (lambda: 0.1, "sparse=0.1 is neither a policy nor one by layer"),
        (lambda: mg.Static(["a"]), "Static(layers=['a']) is neither a policy"),  # type: ignore[arg-type]
        (lambda: mg.Static({"a": (1, 1)}), "no channel, or one twice, is named for a"),
        (lambda: mg.Static({"a": ()}), "no channel, or one twice, is named for a"),
        (lambda: mg.Static({"a": None}), "a share of None of the channels of a"),  # type: ignore[dict-item]
        (lambda: {"a": None, "*": 0.5}, "a share of None of the channels of a"),
        (lambda: mg.Static({"a": np.array(2)}), "a share of array(2) of the channels of a"),  # type: ignore[dict-item]
        (lambda: mg.Static({"a": iter((1, 2))}), "_iterator object at "),  # type: ignore[dict-item]
    ],
)
def test_what_cannot_be_is_refused(sparse: object, what: str) -> None:
    with pytest.raises(mg.UsageError, match=re.escape(what)):
        policies(sparse(), WEIGHTS, ["out"])  # type: ignore[operator]


def test_there_must_be_something_to_choose_from() -> None:
    net = model((2, 9, 13), NET)
    x, _ = samples(net, 8)
    with pytest.raises(mg.UsageError, match="besides the layer that makes the outputs no weights train"):
        mg.compile(net, calibration=x, train="last:1", sparse=mg.Sparse(0.5))


@pytest.mark.parametrize("sparse", [mg.Sparse(0.1), mg.Static({"fc1": (0, 65536)})])
def test_more_channels_than_a_list_can_name_are_refused(sparse: Choice) -> None:
    net = model((1,), (Dense(65537, "relu"), Dense(2)))
    with pytest.raises(
        mg.ModelError, match="65537 channels are too many to be updated in part; 65535 can be"
    ):
        mg.compile(net, calibration=samples(net, 8)[0], precision="float32", sparse=sparse)


@pytest.mark.parametrize(
    ("share", "samples", "expected"),
    [
        ("0.1", None, mg.Sparse(0.1)),
        ("0.1:1", None, mg.Sparse(0.1, 1.0)),
        ("0.1", 0.5, mg.Sparse(0.1, samples=0.5)),
        (None, 0.25, mg.Sparse(samples=0.25)),
        (None, None, None),
    ],
)
def test_a_share_on_the_command_line(
    share: str | None, samples: float | None, expected: mg.Sparse | None
) -> None:
    assert sparse_choice(share, DEFAULT_POLICY, samples) == expected


@pytest.mark.parametrize("share", ["a", "0.1:", "1:2:3", "", "0.1:0"])
def test_a_share_that_is_none(share: str) -> None:
    with pytest.raises(mg.UsageError, match="is no share of channels"):
        sparse_choice(share, "topk", None)


def test_shares_and_numbers_come_down_to_channels() -> None:
    weights = {"a": np.asarray([[1.0], [-9.0], [3.0], [3.0]]), "out": np.ones((2, 4))}
    assert policies(mg.Static({"a": 0.5}), weights, ["out"]) == {"a": (1, 2)}
    assert policies({"*": 0.01}, weights, ["out"]) == {"a": (1,)}
    assert policies(mg.Static({"a": (3, 0)}), weights, ["out"]) == {"a": (0, 3)}
    assert policies(mg.Static({"a": np.float32(0.5)}), weights, ["out"]) == {"a": (1, 2)}  # type: ignore[dict-item]
    assert policies(mg.Sparse(np.float32(0.5)), weights, ["out"]) == {"a": mg.Sparse(0.5, policy="split")}  # type: ignore[arg-type]
    assert policies(None, weights, ["out"]) == {}


def test_one_default() -> None:
    assert mg.Sparse(0.1).policy == DEFAULT_POLICY == COMMAND_LINE
