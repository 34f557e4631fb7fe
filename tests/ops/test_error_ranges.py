"""Ranges of errors: docs/arithmetic.md, "Errors". They follow at once and do not compound, however deep a network."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import mcugrad as mg
from mcugrad import arithmetic as ar
from mcugrad.abi.records import SCALE
from mcugrad.arithmetic import F32
from mcugrad.ops.core.gradients_s8 import LEAST_REACH, PREPARE_ERROR_SUM, SCALE_UNIT
from mcugrad.ops.tracking.ranges_s8 import EMPTY_ERROR, PREPARE_ERROR, TRACK_ERROR
from mcugrad.run.reference import ReferenceRunner
from mcugrad.zoo import nets
from thoroughness import LONG

NAN = float("nan")


def f32(*values: float) -> NDArray[np.float32]:
    return np.asarray(values, F32)


def track(
    peak: int, range_: float, unit: float = 0.5, fill: float = 1.0, least: int = 0
) -> tuple[float, float, float, int]:
    """Range for the next step, unit and fill of the error, and how often it saturated, or was empty."""
    span, c_x, saturated = f32(range_), f32(9, 9), np.zeros(1, np.int32)
    TRACK_ERROR.reference(least, np.asarray([peak], np.int32), f32(unit, fill), span, c_x, saturated)
    return float(span[0]), float(c_x[0]), float(c_x[1]), int(saturated[0])


# -- one range -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peak", "after", "saturated"),
    [
        (0, 0.5, EMPTY_ERROR),
        (1, 0.5, 0),
        (31, 0.5, 0),
        (32, 1 - 2**-7, 0),
        (126, 1 - 2**-7, 0),
        (127, 1.0, 0),
        (128, 128 / 127, 1),
        (254, 2.0, 1),
        (1 << 29, (1 << 29) / 127, 1),
    ],
)
def test_a_range_follows_its_peak(peak: int, after: float, saturated: int) -> None:
    span, unit, fill, count = track(peak, 1.0)
    assert span == F32(after)
    assert unit == F32(0.5) / F32(127), "the unit of this step's error is of this step's range"
    assert fill == F32(min(peak, 127)) / F32(127)
    assert count == saturated


@pytest.mark.parametrize("peak", [0, 5, 40, 127, 500])
@pytest.mark.parametrize("fill", [0.0, NAN, -1.0])
def test_no_error_says_nothing_about_a_range(peak: int, fill: float) -> None:
    span, unit, _, saturated = track(peak, 3.0, unit=0.5, fill=fill)
    assert (span, saturated) == (3.0, 0 if peak else EMPTY_ERROR), "an error that is all 0 is counted as one"
    assert unit == F32(0.5) * F32(3) / F32(127), "never NaN"


def test_a_range_halves_down_to_2_to_the_minus_20() -> None:
    span = 2.0**-19
    for expected in (2.0**-20, 2.0**-20, 2.0**-20):
        span = track(0, span)[0]
        assert span == expected
    above = float(np.nextafter(F32(2.0**-20), F32(1)))
    assert track(0, above)[0] == above / 2
    assert track(200, 2.0**-20)[0] > 2.0**-20, "and grows again at once"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from([0.0, 1 / 127, 0.5, 1.0])), max_size=200))
def test_a_range_stays_a_positive_number(course: list[tuple[int, float]]) -> None:
    span = 1.0
    for peak, fill in course:
        before = span
        span, unit, filled, _ = track(peak, span, fill=fill)
        assert 2.0**-21 < span < 2.0**300
        assert 0 < unit < 2.0**300
        assert 0 <= filled <= 1
        assert span >= before / 2
        span = min(span, 2.0**20)


def test_a_range_is_relative_to_what_the_error_above_holds() -> None:
    """Half as full an error above: twice the factor, half the unit, so that as many steps are in use."""
    one, half = np.zeros(2, SCALE), np.zeros(2, SCALE)
    PREPARE_ERROR.reference(2, f32(3), f32(0.1, 1), f32(0.01, 0.02), one)
    PREPARE_ERROR.reference(2, f32(3), f32(0.1, 0.5), f32(0.01, 0.02), half)
    acc = np.asarray([[4000, -7000]])
    assert np.array_equal(ar.rescale(acc, half), ar.rescale(2 * acc, one))
    assert track(100, 3.0, fill=0.5)[1] == track(100, 3.0, fill=1.0)[1] / 2
    nothing = np.zeros(2, SCALE)
    PREPARE_ERROR.reference(2, f32(3), f32(0.1, 0), f32(0.01, 0.02), nothing)
    assert np.array_equal(nothing, one)


def test_a_factor_changes_the_unit_alone() -> None:
    unit = f32(9, 9)
    SCALE_UNIT.reference(f32(0.5, 0.25), f32(3), unit)
    assert unit.tolist() == [1.5, 0.25]


# -- sums ------------------------------------------------------------------------------------------------------


def sum_of(a: tuple[float, float], b: tuple[float, float], span: float) -> tuple[list[int], list[float]]:
    factor, unit = np.asarray([7, 7], np.int32), f32(9, 9)
    PREPARE_ERROR_SUM.reference(f32(*a), f32(*b), f32(span), factor, unit)
    return factor.tolist(), unit.tolist()


def test_factors_of_a_sum() -> None:
    assert sum_of((1, 1), (0.5, 1), 127) == ([65536, 32768], [1, 1])
    # The larger error fills half of its range: so does the sum's range.
    assert sum_of((1, 0.5), (0.5, 1), 127) == ([131072, 65536], [1, 0.5])
    # The larger unit need not have the larger error.
    assert sum_of((1, 0.25), (0.5, 1), 127) == ([131072, 65536], [1, 0.5])


def test_a_sum_of_one_error_and_none_is_that_error() -> None:
    """Whatever the unit of the one that is 0."""
    for nothing in ((1e-20, 0.0), (1.0, 0.0), (1e20, 0.0), (NAN, 0.0)):
        (ours, theirs), unit = sum_of((1, 1), nothing, 127)
        assert (ours, theirs, unit) == (65536, 0, [1, 1])
        (theirs, ours), unit = sum_of(nothing, (1, 1), 127)
        assert (ours, theirs, unit) == (65536, 0, [1, 1])


@pytest.mark.parametrize("a", [(1.0, 0.0), (0.0, 1.0), (NAN, 1.0), (float("inf"), 1.0), (1e-45, 1 / 127)])
def test_a_sum_of_nothing(a: tuple[float, float]) -> None:
    factor, unit = sum_of(a, (0.0, 0.0), 127)
    assert (factor, unit) == ([0, 0], [0, 0])
    assert track(0, 5.0, *unit, least=LEAST_REACH) == (5.0, 0.0, 0.0, EMPTY_ERROR), "and its range stays"


def test_factors_of_a_sum_stay_in_their_format() -> None:
    (a, b), unit = sum_of((1, 1 / 127), (1, 1 / 127), 0.5)
    assert a == b == round(127 / 2 * 65536)
    # The unit is of the same 2, and the range itself is as it was.
    assert track(127, 0.5, *unit, least=LEAST_REACH)[:2] == (0.5, float(F32(2) / F32(127)))


# -- networks --------------------------------------------------------------------------------------------------


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> Any:
    """benchmarks/depth_errors.py."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("depth_errors")


def deep(folder: Path, blocks: int) -> tuple[mg.Model, NDArray[np.float32], NDArray[np.int64]]:
    """An inverted residual after the other, with max pooling in the middle; samples and labels."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 8, 8, 2)).astype(np.float32)
    net = nets.Net("deep", np.moveaxis(x, -1, 1), 0).conv(4, 3).norm().relu6()
    for block in range(blocks):
        start = net.top
        net.conv(8, 1).norm().relu6().conv(8, 3, depthwise=True).norm().relu6().conv(4, 1).norm().plus(start)
        if block == blocks // 2:
            net.max_pool(2)
    path = folder / "deep.onnx"
    path.write_bytes(net.global_pool().flatten().fc(5).onnx())
    return mg.load(path), x, rng.integers(0, 5, len(x))


def test_every_layer_of_a_deep_network_learns_from_the_second_step_on(tmp_path: Path, errors: Any) -> None:
    model, x, y = deep(tmp_path, 16)
    trainer = mg.compile(model, calibration=x, train="all", rule="sr12", rate=0.05)
    assert len(errors.weights(trainer)) == 50
    assert errors.silent(trainer, ReferenceRunner(trainer.build.compiled), x, y, 2) == []


def test_errors_of_a_deep_network_point_where_exact_ones_do(tmp_path: Path, errors: Any) -> None:
    """In every quarter of its depth, as changes of weights by one sample tell."""
    model, x, y = deep(tmp_path, 16)
    options: dict[str, Any] = {"calibration": x, "train": "all", "rate": 0.05}
    trainer = mg.compile(model, rule="sr12", **options)
    exact = mg.compile(model, precision="float32", **options)
    names = errors.weights(trainer)
    pairs = list(errors.changes(trainer, exact, x[:3], y[:3], warm=4))
    single = [float(np.mean([errors.cosine(*pair[w]) for pair in pairs])) for w in names]
    assert min(errors.quarters(single)) > 0.95, errors.quarters(single)


@pytest.mark.parametrize(("rule", "rate"), [("sr8", 0.02), ("sr12", 0.00125)])
def test_luck_of_rounding_follows_from_what_was_wanted(
    tmp_path: Path, errors: Any, rule: str, rate: float
) -> None:
    """Watched steps are those that a runner takes; layers are silent as often as other random numbers have it."""
    model, x, y = deep(tmp_path, 1)
    options: dict[str, Any] = {"calibration": x, "train": "all", "rule": rule, "rate": rate}
    trainer = mg.compile(model, **options)
    watched, plain = (ReferenceRunner(trainer.build.compiled) for _ in range(2))
    found = errors.luck(trainer, watched, x, y, 1)
    assert list(found) == errors.weights(trainer)
    errors.silent(trainer, plain, x, y, 1)
    states = watched.state(), plain.state()
    assert all(value.tobytes() == states[1][name].tobytes() for name, value in states[0].items())

    trials, silent = 40 if LONG else 14, dict.fromkeys(found, 0)
    for seed in range(trials):
        drawn = mg.compile(model, seed=seed, **options)
        for w in errors.silent(drawn, ReferenceRunner(drawn.build.compiled), x, y, 1):
            silent[w] += 1
    odds = np.asarray([each for _, each in found.values()])
    assert ((odds > 0.05) & (odds < 0.95)).sum() >= 2, odds
    spread = trials * odds * (1 - odds)
    apart = np.asarray(list(silent.values())) - trials * odds
    assert (np.abs(apart) <= 4 * np.sqrt(spread) + 1e-9).all(), apart
    assert abs(apart.sum()) <= 4 * np.sqrt(spread.sum()), apart
    # Odds of many small chances: those of a Poisson distribution, or lower.
    changed = np.asarray([each for each, _ in found.values()])
    assert (odds <= np.exp(-changed) + 1e-9).all()
    assert (odds >= np.exp(-2 * changed)).any()
