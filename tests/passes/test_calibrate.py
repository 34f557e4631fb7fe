"""Calibrating: which range an activation gets, against brute force, and in which cases all values count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcugrad.errors import UsageError
from mcugrad.graph import Graph
from mcugrad.importers.onnx import load_onnx
from mcugrad.passes.calibrate import BATCH, Calibration, Values, activation_ranges, best_range, run_float
from mcugrad.passes.fold import fold
from onnx_nets import Net

Array = np.ndarray[Any, np.dtype[np.float32]]


def samples(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def network() -> Graph:
    net = Net("batch", 1, 6, 6).conv(1, 3).op("Relu").op("MaxPool", kernel_shape=[2, 2]).op("Flatten")
    return fold(load_onnx(net.fc(27, 5).op("Clip", np.float32(-1), np.float32(1)).fc(5, 4).bytes()))


def ends(values: Values) -> tuple[float, float]:
    found = values.range()
    return found.low, found.high


NAMES = ("input", "conv1_y", "fc1_y", "fc2_y")


def squared_error(values: Array, low: float, high: float) -> float:
    """Of rounding to 256 codes over a range, zero exact, and clipping."""
    step = (high - low) / 255
    inside = (values > low) & (values < high) & (values != 0)
    return float(
        ((values - np.clip(values, low, high)).astype(np.float64) ** 2).sum() + inside.sum() * step**2 / 12
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["normal", "relu", "heavy", "negative"]), st.floats(-20, 20))
def test_mse_finds_the_least_squared_error(seed: int, kind: str, exponent: float) -> None:
    random = np.random.default_rng(seed)
    x = random.standard_t(3, 2000) if kind == "heavy" else random.normal(size=2000)
    x = {"relu": np.maximum(x, 0), "negative": -np.abs(x)}.get(kind, x)
    x = (x * 2.0**exponent).astype(np.float32)
    values = Values(Calibration("mse"))
    for part in np.array_split(x, 7):
        values.add(part)
    low, high = ends(values)
    assert min(x.min(), 0) <= low <= 0 <= high <= max(x.max(), 0)
    tries = [
        squared_error(x, min(x.min(), 0) * a, max(x.max(), 0) * b)
        for a in 0.97 ** np.arange(0, 100, 5)
        for b in 0.97 ** np.arange(0, 100, 5)
    ]
    assert squared_error(x, low, high) <= min(tries) * 1.01


def test_rounding_error_is_really_less() -> None:
    """Not only by the formula: quantized over both ranges and compared."""
    x = samples(100_000)

    def error(low: float, high: float) -> float:
        step = (high - low) / 255
        return float(((np.round(np.clip(x, low, high) / step) * step - x) ** 2).mean())

    values = Values(Calibration("mse"))
    values.add(x)
    assert error(*ends(values)) < 0.9 * error(float(x.min()), float(x.max()))


def test_an_outlier_is_clipped() -> None:
    x = samples(1_000_000)
    x[5] = 20
    values = Values(Calibration("mse"))
    values.add(x)
    low, high = ends(values)
    assert -5 < low < -3
    assert 3 < high < 8


def test_few_values_keep_their_ends() -> None:
    """Where clipping one of them costs more than all rounding."""
    values = Values(Calibration("mse"))
    values.add(np.float32([-1, 0.25, 3]))
    assert ends(values) == (-1, 3)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_order_of_batches_does_not_matter(order: tuple[int, ...]) -> None:
    parts = [samples(500, seed=i) * 8**i for i in range(3)]
    expected, values = Values(Calibration("mse")), Values(Calibration("mse"))
    for i in range(3):
        expected.add(parts[i])
        values.add(parts[order[i]])
    assert values.range() == expected.range()


@pytest.mark.parametrize("value", [0.0, 1e-42, -1e-42, 1e-30, 1e38])
def test_ends_of_the_number_range(value: float) -> None:
    values = Values(Calibration("mse"))
    values.add(np.float32([0, value]))
    low, high = ends(values)
    assert low == min(np.float32(value), 0)
    assert high == max(np.float32(value), 0)


def test_zeros_are_exact_and_do_not_count() -> None:
    """However many values a ReLU has cut off, the others get the same range."""
    x = np.maximum(samples(5000), 0)
    few, many = Values(Calibration("mse")), Values(Calibration("mse"))
    few.add(x)
    many.add(np.concatenate([x, np.zeros(100_000, np.float32)]))
    assert few.range() == many.range()


def test_one_sided_counts() -> None:
    centres = np.asarray([1.0, 2.0, 100.0])
    assert best_range(centres, np.asarray([10, 10, 1]), 0.0, 100.0) == (0.0, 100.0)
    low, high = best_range(centres, np.asarray([10**7, 10**7, 1]), 0.0, 100.0)
    assert low == 0.0
    assert 2.0 < high < 20.0
    low, high = best_range(-centres[::-1], np.asarray([1, 10**7, 10**7]), -100.0, 0.0)
    assert high == 0.0
    assert -20.0 < low < -2.0


def test_minmax_takes_all_batches_in() -> None:
    graph = network()
    x = samples(2 * BATCH + 1, 6, 6, 1)
    x[-1] *= 10
    ranges = activation_ranges(graph, x, Calibration("minmax"), NAMES)
    assert tuple(ranges) == NAMES
    for name in NAMES:
        values = run_float(graph, x)[name]
        found = ranges[name]
        assert found.whole == (found.low, found.high)
        np.testing.assert_allclose(found.whole, (values.min(), values.max()), rtol=1e-5, atol=1e-6)


def test_input_and_output_keep_all_values() -> None:
    net = Net("batch", 1, 12, 12).conv(1, 4).op("Relu").op("Flatten").fc(400, 20)
    graph, x = fold(load_onnx(net.bytes())), samples(300, 12, 12, 1)
    names = ("input", "conv1_y", "fc1_y")
    expected = activation_ranges(graph, x, Calibration("minmax"), names)
    ranges = activation_ranges(graph, x, Calibration(), names)
    assert ranges["input"] == expected["input"]
    assert ranges["fc1_y"] == expected["fc1_y"]
    assert ranges["conv1_y"].high < 0.95 * expected["conv1_y"].high
    assert ranges["conv1_y"].whole == expected["conv1_y"].whole


def test_percentiles_clip_outliers() -> None:
    x = samples(BATCH, 6, 6, 1)
    x[0, 0, 0] = 1000
    wide = activation_ranges(network(), x, Calibration("minmax"), NAMES)
    narrow = activation_ranges(network(), x, Calibration("percentile", 99.0), NAMES)
    assert narrow["input"].high < wide["input"].high / 50
    assert activation_ranges(network(), x, Calibration("percentile", 100), NAMES) == wide


@pytest.mark.parametrize("percentile", [50, 0, -1, 100.1, float("nan")])
def test_percentiles_out_of_range(percentile: float) -> None:
    with pytest.raises(UsageError, match=r"is not in \(50, 100\]"):
        Calibration("percentile", percentile)


def test_unknown_method() -> None:
    with pytest.raises(UsageError, match="unknown calibration method 'entropy'") as caught:
        Calibration("entropy")  # type: ignore[arg-type]
    assert caught.value.hint == "mse, minmax or percentile"
