"""Worlds that change, and the network that comes with the package."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mcugrad.errors import DataError, UsageError
from mcugrad.zoo import model_names, model_path, worlds
from mcugrad.zoo.data import load

pytestmark = pytest.mark.usefixtures("isolated")


images = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=3, max_dims=4, max_side=5), elements=st.integers(0, 16)
)


@given(images)
def test_worlds_undo_themselves(x: np.ndarray) -> None:
    turned, inverted = worlds.upside_down(x), worlds.invert(x, top=16)
    assert turned.dtype == inverted.dtype == x.dtype
    assert turned[0, 0, 0].tolist() == x[0, -1, -1].tolist()
    assert (inverted.astype(int) + x == 16).all()
    np.testing.assert_array_equal(worlds.upside_down(turned), x)
    np.testing.assert_array_equal(worlds.invert(inverted, top=16), x)
    np.testing.assert_array_equal(worlds.upside_down(inverted), worlds.invert(turned, top=16))


def test_worlds_of_floats_and_of_nothing() -> None:
    x = np.array([[[0.0, 0.25]]], np.float32)
    assert worlds.invert(x, top=1).tolist() == [[[1.0, 0.75]]]
    assert worlds.invert(x[:0], top=1).shape == (0, 1, 2)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.full((1, 2, 2), 17, np.uint8), "values 17 to 17: the range is 0 to 16"),
        (np.full((1, 2, 2), -1.0), "values -1 to -1"),
        (np.full((1, 2, 2), np.nan), "values nan to nan"),
        (np.zeros((2, 2)), r"these have shape \(2, 2\)"),
    ],
)
def test_worlds_refuse(x: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        worlds.invert(x, top=16)


def test_model_path() -> None:
    assert model_names() == ("digits_cnn",)
    assert model_path("digits_cnn").stat().st_size < 100_000
    with pytest.raises(UsageError, match="no network named 'digits'") as error:
        model_path("digits")
    assert "digits_cnn" in error.value.hint


def test_digits_cnn_is_right_until_the_world_changes() -> None:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(model_path("digits_cnn").read_bytes())
    digits = load("digits")

    def accuracy(x: np.ndarray) -> float:
        (probabilities,) = session.run(None, {"image": (x[:, None] / 16).astype(np.float32)})
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        return float((probabilities.argmax(axis=1) == digits.y_test).mean())

    assert accuracy(digits.x_test) == pytest.approx(0.984, abs=0.001)
    assert accuracy(worlds.invert(worlds.upside_down(digits.x_test), top=16)) == pytest.approx(
        0.169, abs=0.001
    )


def test_digits_cnn_is_what_its_script_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Path(__file__).parents[2] / "examples/pretrain_digits.py"
    file = tmp_path / "digits_cnn.onnx"
    monkeypatch.setattr(sys, "argv", [str(script), str(file)])
    runpy.run_path(str(script), run_name="__main__")
    assert "98.4% of 450 held-out digits right as collected" in capsys.readouterr().out
    assert file.read_bytes() == model_path("digits_cnn").read_bytes()
