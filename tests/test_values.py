"""Values of a size that the device or the network is not made for: told by their size, not as a matter of the rate."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from command_line import Cli, save
from mcugrad import concerns
from mcugrad.advice import rescaled
from mcugrad.errors import DataError, McugradWarning, UsageError
from networks import Dense, model, write_onnx

LAYERS = (Dense(16, "relu"), Dense(2))


def values(size: float) -> tuple[np.ndarray, np.ndarray]:
    """Samples, and a line through them that reaches from -size to size."""
    random = np.random.default_rng(3)
    x = random.normal(size=(400, 6)).astype(np.float32)
    return x, ((x @ random.normal(size=(6, 2))) / 4).clip(-1, 1) * size


def trainer(y: np.ndarray, **options: Any) -> mg.Trainer:
    return mg.compile(
        model((6,), LAYERS), calibration=values(1)[0], **{"loss": "mse", "typical_labels": y, **options}
    )


@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_values_that_are_too_large_or_too_small_for_the_device(loss: Any, precision: Any) -> None:
    for size, message, hint in (
        (
            1e20 if loss == "mse" else 3e38,
            f"the loss {loss} of an error as large, .* beyond float32",
            "divided by",
        ),
        (1e-35, "a 255th of that is too small a step for the device", "labels multiplied by 1e+35"),
    ):
        with pytest.raises(
            DataError, match=rf"labels go from -{size:.3g} to {size:.3g}: {message}".replace("+", r"\+")
        ) as error:
            trainer(values(size)[1], loss=loss, precision=precision)
        assert hint in error.value.hint
    trainer(np.zeros((9, 2)), loss=loss)


def test_values_of_another_size_are_named_before_training() -> None:
    x, y = values(1e6)
    with pytest.warns(
        McugradWarning,
        match=r"^labels go up to 9.96e\+05 in magnitude, outputs .*; try labels divided by 1e\+06$",
    ):
        trainer(y).fit(x, y, rate=1e-6)
    x, y = values(1e4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", McugradWarning)
        trainer(y).fit(x, y, epochs=4)


def test_where_training_diverges_by_their_size_the_rate_is_not_blamed() -> None:
    x, y = values(1e10)
    made = trainer(y, precision="float32")
    before = made.state
    with pytest.warns(McugradWarning), pytest.raises(UsageError) as error:
        made.fit(x, y)
    assert error.value.what.startswith("training diverged at every rate tried, from 0.24 down to ")
    assert error.value.hint == "labels divided by 1e+10"
    with (
        pytest.warns(McugradWarning),
        pytest.raises(UsageError, match="training diverged in epoch 1") as error,
    ):
        made.fit(x, y, rate=0.01)
    assert error.value.hint == "labels divided by 1e+10"
    assert all(value.tobytes() == before[name].tobytes() for name, value in made.state.items())


def test_outputs_of_another_size_are_named_likewise() -> None:
    large = model((6,), LAYERS, bias=1e12)
    x, y = values(1)
    made = mg.compile(large, calibration=x, loss="mse", typical_labels=y, precision="float32")
    with (
        pytest.warns(McugradWarning, match="outputs of the network to .*e.11"),
        pytest.raises(UsageError) as error,
    ):
        made.fit(x, y)
    assert error.value.hint.startswith("weights of the last layer divided by 1e+1")
    made = mg.compile(model((6,), LAYERS, bias=1e30), calibration=x, precision="float32")
    with pytest.raises(UsageError, match="diverged at every rate") as error:
        made.fit(x, np.arange(400) % 2)
    assert error.value.hint.startswith("smaller weights, or normalization: outputs go up to ")


SIZES = [
    (1.0, 1.0, ""),
    (9e4, 1.0, ""),
    (0.011, 1.0, ""),
    (0.0, 1.0, ""),
    (0.0, 0.0, ""),
    (5.0, 0.0, ""),
    (0.0, np.nan, ""),
    (1.0, np.nan, ""),
    (1.0, np.inf, ""),
    (3e5, 1.0, "labels divided by 1e+05"),
    (2e20, 0.0, "labels divided by 1e+20"),
    (1e-3, 1.0, "labels multiplied by 1e+03"),
    (2.0, 300.0, "weights of the last layer divided by 1e+02"),
    (2.0, 1e-6, "weights of the last layer multiplied by 1e+06"),
]


@pytest.mark.parametrize(("labels", "outputs", "remedy"), SIZES)
def test_remedies(labels: float, outputs: float, remedy: str) -> None:
    assert rescaled(labels, outputs) == remedy
    said = concerns.of_values(labels, outputs)
    assert [text.endswith(f"try {remedy}") for text in said] == [True] * bool(remedy)


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_values_beyond_the_range_of_the_typical_ones_are_told_in_numbers(precision: Any) -> None:
    """Labels are codes in float32, too: what lies beyond is learned as the nearer end."""
    x, y = values(1)
    made = trainer(y, precision=precision)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.labels(y, len(y))
    far = y.copy()
    far[:3, 0] = 5, -7, 3
    text = r"^3 of 800 values of y \(0\.4%\) are outside of -0\S+ to \S+, .*; they go from -7 to 5 and count as the "
    with pytest.warns(McugradWarning, match=text):
        made.fit(x, far, rate=0.001)
    for option, what in (({"validation": (x, far)}, "validation y"), ({"guard": (x, far)}, "guard y")):
        with pytest.warns(McugradWarning, match=f"3 of 800 values of {what} "):
            made.fit(x, y, rate=0.001, **option)  # type: ignore[arg-type]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        made.evaluate(x, far)
        made.evaluate(x, far)
    assert sum("values of y " in str(each.message) for each in seen) == 1
    assert (made.labels(far, len(far))[:3, 0] == [127, -128, 127]).all()


def test_the_command_line_names_the_size(cli: Cli, tmp_path: Path) -> None:
    net = write_onnx(tmp_path / "net.onnx", (6,), LAYERS)
    for size, said, hint in (
        (1e20, "beyond float32", "labels divided by 1e+20"),
        (1e10, "training diverged at every rate tried", "labels divided by 1e+10"),
    ):
        data = save(tmp_path / "data.npz", *values(size))
        result = cli("train", str(net), "--data", data, "--loss", "mse", "--precision", "float32")
        assert result.code == 2
        assert said in result.err
        assert hint in result.err
