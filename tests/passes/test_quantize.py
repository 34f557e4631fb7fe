"""Quantizing: ranges, scales, zero points, and what calibration data is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcugrad.errors import DataError, ModelError
from mcugrad.graph import ActivationScale, Graph, WeightScale
from mcugrad.graph.spec import check
from mcugrad.importers.onnx import load_onnx
from mcugrad.ops.core.computation_s8 import channel_scales
from mcugrad.passes.calibrate import BATCH, Calibration, run_float
from mcugrad.passes.fold import fold
from mcugrad.passes.quantize import affine, check_samples, symmetric
from onnx_nets import Net
from quantizing import quantized


def samples(*shape: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def network() -> Graph:
    net = Net("batch", 1, 6, 6).conv(1, 3).op("Relu").op("MaxPool", kernel_shape=[2, 2]).op("Flatten")
    return fold(load_onnx(net.fc(27, 5).op("Clip", np.float32(-1), np.float32(1)).fc(5, 4).bytes()))


def quant_of(graph: Graph, tensor: str) -> ActivationScale:
    quant = graph[tensor].quant
    assert isinstance(quant, ActivationScale)
    return quant


def test_every_tensor_gets_the_scale_of_its_kind() -> None:
    graph = network()
    x = samples(BATCH + 3, 6, 6, 1)
    made = check(quantized(graph, x, Calibration("minmax")))
    values = run_float(graph, x)
    for name in ("input", "conv1_y", "fc1_y", "fc2_y"):
        quant = quant_of(made, name)
        step = (
            quant.scale * np.clip(np.round(values[name] / quant.scale) + quant.zero, -128, 127)
            - quant.scale * quant.zero
        )
        assert np.abs(step - values[name]).max() <= 1.01 * quant.scale, name
        assert quant.owner == name
    assert (quant_of(made, "conv1_y").low, quant_of(made, "conv1_y").high) == (0.0, None)
    assert (quant_of(made, "fc1_y").low, quant_of(made, "fc1_y").high) == (-1.0, 1.0)
    assert quant_of(made, "conv1_y").zero == -128
    for name in ("pool1_y", "flatten1_y"):
        assert made[name].quant is made["conv1_y"].quant
    weights = made["fc1_w"]
    assert isinstance(weights.quant, WeightScale)
    assert weights.value is not None
    levels = np.abs(weights.value / weights.quant.scales[:, None]).max(axis=1)
    np.testing.assert_allclose(levels, 127, rtol=1e-6)
    assert made["fc1_b"].quant is None
    assert graph["fc1_w"].quant is None


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_zero_is_represented_exactly(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    quant = affine("t", low, high)
    assert -128 <= quant.zero <= 127
    assert quant.scale > 0
    if quant.scale != 1.0:
        assert quant.scale * (-128 - quant.zero) <= min(low, 0) + quant.scale
        assert quant.scale * (127 - quant.zero) >= max(high, 0) - quant.scale


@given(st.floats(-1e6, 0), st.floats(0, 1e6), st.sampled_from([None, 0.0, -1.0]))
def test_tracked_scales_have_a_fixed_zero_point(low: float, high: float, bound: float | None) -> None:
    if bound == 0.0:
        low = 0.0
    before = ActivationScale(**{**vars(affine("t", low, high)), "low": bound})
    after = symmetric(before)
    assert after.zero == (-128 if bound == 0.0 else 0)
    assert after.scale > 0
    for end in (before.scale * (-128 - before.zero), before.scale * (127 - before.zero)):
        assert after.scale * (-128 - after.zero) <= end * (1 + 1e-6) or end > 0
        assert after.scale * (127 - after.zero) >= end * (1 - 1e-6)


def test_tracked_scales_begin_with_all_values() -> None:
    """However the others are calibrated: the tracked ones are those of `minmax`."""
    net = Net("batch", 1, 12, 12).conv(1, 4).op("Relu").op("Flatten").fc(400, 20).op("Relu").fc(20, 3)
    graph, x = fold(load_onnx(net.bytes())), samples(300, 12, 12, 1)
    narrow, wide = (quantized(graph, x, Calibration(method)) for method in ("mse", "minmax"))
    assert quant_of(narrow, "conv1_y").scale < 0.95 * quant_of(wide, "conv1_y").scale
    for y in ("conv1_y", "fc1_y", "fc2_y"):
        assert symmetric(quant_of(narrow, y)).scale == symmetric(quant_of(wide, y)).scale
        assert quant_of(wide, y).whole == quant_of(wide, y).span


def test_silent_tensors_get_a_scale() -> None:
    assert affine("t", 0.0, 0.0) == ActivationScale(scale=1.0, zero=-128, owner="t")
    assert affine("t", 0.0, 1e-40).scale == 1.0
    np.testing.assert_array_equal(channel_scales(np.zeros((3, 4), np.float32)), np.float32([1, 1, 1]) / 127)
    mixed = channel_scales(np.asarray([[0, 0], [1, -2], [0.5, 0]], np.float32))
    np.testing.assert_array_equal(mixed, np.float32([2, 2, 0.5]) / np.float32(127))
    tiny = channel_scales(np.full((2, 2), 1e-30, np.float32))
    assert (tiny == np.float32(1e-20)).all()


def test_samples_in_other_forms() -> None:
    graph = network()
    x = samples(5, 6, 6, 1)
    for form in (
        x[..., 0],
        x[:, None, :, :, 0],
        x.astype(np.float64),
        x.tolist(),
        [row[..., 0] for row in x],
    ):
        np.testing.assert_array_equal(check_samples(graph, form, "samples"), x)  # type: ignore[arg-type]
    whole = np.arange(36, dtype=np.uint8).reshape(1, 6, 6)
    assert check_samples(graph, whole, "samples").dtype == np.float32


NAN = np.full((2, 6, 6, 1), np.nan, np.float32)
BAD: dict[str, tuple[Any, str]] = {
    "empty": (np.zeros((0, 6, 6, 1)), "samples is empty"),
    "scalar": (np.float32(3), "samples is empty"),
    "text": (np.asarray(["a", "b"]), "samples has dtype <U1, not numbers"),
    "objects": (np.asarray([None, {}]), "samples has dtype object, not numbers"),
    "complex": (np.zeros((2, 6, 6, 1), np.complex64), "samples has dtype complex64, not numbers"),
    "one sample": (np.zeros((6, 6, 1)), "samples has shape (6, 6, 1); the model takes (n, 6, 6, 1)"),
    "channels first": (
        np.zeros((2, 2, 6, 6)),
        "samples has shape (2, 2, 6, 6); the model takes (n, 6, 6, 1)",
    ),
    "another size": (np.zeros((2, 6, 7, 1)), "samples has shape (2, 6, 7, 1)"),
    "same size, another shape": (np.zeros((2, 4, 9)), "samples has shape (2, 4, 9)"),
    "flat": (np.zeros((2, 36)), "samples has shape (2, 36)"),
    "ragged": ([[1.0], [1.0, 2.0]], "samples holds samples of different shapes"),
    "not a number": (NAN, "samples holds 72 values that are NaN or infinite"),
    "infinite": (
        np.where(np.arange(72).reshape(2, 6, 6, 1) == 5, np.inf, 0),
        "samples holds 1 value that is NaN or infinite, the first in sample 0",
    ),
    "beyond float32": (np.full((2, 6, 6, 1), 1e300), "samples holds 72 values that are NaN or infinite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_samples(case: str) -> None:
    x, what = BAD[case]
    with pytest.raises(DataError) as caught:
        check_samples(network(), x, "samples")
    assert caught.value.what.startswith(what)
    assert caught.value.where == "samples"
    assert caught.value.hint


def test_constant_calibration() -> None:
    with pytest.raises(DataError) as caught:
        quantized(network(), np.full((3, 6, 6, 1), 2.0))
    assert caught.value.what == "calibration is constant: all 108 values are 2"
    assert caught.value.where == "calibration"


def test_activations_beyond_float32() -> None:
    net = Net(1, 2).op("Gemm", np.full((2, 2), 1e30)).op("Gemm", np.full((2, 2), 1e30))
    graph = fold(load_onnx(net.bytes()))
    with pytest.raises(ModelError) as caught:
        quantized(graph, samples(4, 2))
    assert caught.value.what == "an activation is NaN or infinite on a calibration sample"
    assert caught.value.where == "gemm_1  Linear"
