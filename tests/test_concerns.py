"""What a user should know although nothing failed: told with numbers; silence where all is well."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from command_line import Cli, save
from mcugrad import concerns
from mcugrad.encoding import encode_labels
from mcugrad.errors import DataError, McugradWarning
from mcugrad.graph import ActivationScale
from mcugrad.measure import cost
from mcugrad.measure.memory import Memory
from mcugrad.passes.quantize import affine
from mcugrad.training.losses import LabelKind, Loss
from networks import Conv, Dense, corners, model, write_onnx

Array = np.ndarray
UNIT, SIGNED = affine("x", 0.0, 1.0), affine("x", -3.0, 3.0)
RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (32, 8, 8, 1)).astype(np.float32)
WORDS = RANDOM.integers(-32768, 32768, (32, 40)).astype(np.float32)

# samples, the input's scale, what is said of them
CANNOT_BE: dict[str, tuple[Array, ActivationScale, str]] = {
    "bytes": (
        BYTES,
        UNIT,
        r"of 2048 values of x \(9\d.\d%\) are outside of 0 to 1, .* from 0 to 255 .*; try x / 255",
    ),
    "16-bit integers": (WORDS, affine("x", -1.0, 1.0), r"outside of -0.99.* try x / 32768"),
    "another unit": (BYTES / 100, UNIT, "are they scaled as the calibration samples were"),
    "one sample": (BYTES[:1], UNIT, r"of 64 values of x .* try x / 255"),
    "below": (-BYTES / 255, UNIT, "are outside of 0 to 1"),
    "divided twice": (
        WORDS / 32768 / 32768,
        affine("x", -1.0, 1.0),
        r"1 of the 256 steps .* divided by too much",
    ),
    "silence": (np.zeros((32, 9), np.float32), SIGNED, "from 0 to 0, 1 of the 256 steps"),
}
CAN_BE: dict[str, tuple[Array, ActivationScale]] = {
    "calibrated": (BYTES / 255, UNIT),
    "one that is dark": (BYTES[:1] * 0, UNIT),
    "a few outliers": (np.where(RANDOM.random((50, 100)) < 0.005, 9, 0.5) * RANDOM.random((50, 100)), UNIT),
    "a bit brighter": (BYTES / 255 * 1.005, UNIT),
    "normal": (RANDOM.normal(size=(100, 50)).astype(np.float32), SIGNED),
    "rather silent": (RANDOM.normal(size=(100, 50)).astype(np.float32) / 30, SIGNED),
}


@pytest.mark.parametrize("case", CANNOT_BE)
def test_samples_that_cannot_be_in_the_networks_unit(case: str) -> None:
    x, quant, message = CANNOT_BE[case]
    (said,) = concerns.of_samples(x, quant, "x")
    with pytest.warns(McugradWarning, match=message):
        concerns.warn([said])


@pytest.mark.parametrize("case", CAN_BE)
def test_samples_that_may_well_be(case: str) -> None:
    x, quant = CAN_BE[case]
    assert concerns.of_samples(x.astype(np.float32), quant, "x") == []


def test_the_share_is_counted() -> None:
    x = np.zeros((10, 100), np.float32)
    x.flat[:10] = 2
    x.flat[10:20] = 1.001  # less than half a step beyond
    x.flat[20:30] = -1
    (said,) = concerns.of_samples(x, UNIT, "held-out x")
    assert said.startswith("20 of 1000 values of held-out x (2.0%) are outside of 0 to 1, ")
    x.flat[:11] = 0
    assert concerns.of_samples(x, UNIT, "x") != [], "ten are one in a hundred"
    x.flat[20] = 0
    assert concerns.of_samples(x, UNIT, "x") == []


# classes to train with, outputs, held-out classes, what is said
CLASSES: dict[str, tuple[list[int], int, list[int] | None, str]] = {
    "all there": ([0, 1, 2] * 9, 3, [2, 1, 0], ""),
    "held out, never trained": (
        [0, 1] * 9,
        3,
        [0, 2, 2],
        "2 of 3 held-out samples are of classes without .* in y: 2;",
    ),
    "held out is a part": ([0, 1, 2], 3, [0], ""),
    "one class": ([1] * 20, 2, None, "1 of 2 classes have no sample in y: 0;"),
    "a hundred": (
        [7] * 400,
        100,
        None,
        "99 of 100 classes have no sample in y: 0, 1, 2, 3, 4, 5 and 93 more",
    ),
    "too few to say": ([0] * 11, 3, None, ""),
    "one sample": ([0], 10, None, ""),
}


@pytest.mark.parametrize("case", CLASSES)
def test_classes_without_samples(case: str) -> None:
    trained, outputs, held_out, message = CLASSES[case]
    said = concerns.of_classes(
        np.asarray(trained), outputs, None if held_out is None else np.asarray(held_out)
    )
    assert len(said) == bool(message)
    for text in said:
        with pytest.warns(McugradWarning, match=message):
            concerns.warn([text])


LOSSES = {
    "class per pixel": ((16, 16, 1), (16, 16, 4), "4 outputs at each of 16x16 places, .* 1,024 classes"),
    "class per moment": ((1, 50, 3), (1, 50, 2), "2 outputs at each of 1x50 places"),
    "autoencoder": ((64,), (64,), "as many outputs as inputs, 64, .* loss='mse'"),
    "autoencoder of images": ((16, 16, 3), (16, 16, 3), "as many outputs as inputs, 16x16x3"),
    "one output": ((8,), (1,), "one output, .*binary_cross_entropy"),
    "classes": ((16, 16, 1), (10,), ""),
    "classes as a map": ((16, 16, 1), (1, 1, 10), ""),
    "ten of ten": ((10,), (10,), ""),
}


@pytest.mark.parametrize("case", LOSSES)
def test_outputs_that_are_hardly_classes(case: str) -> None:
    given, outputs, message = LOSSES[case]
    said = concerns.of_loss(Loss(), given, outputs)
    assert len(said) == bool(message)
    for text in said:
        with pytest.warns(McugradWarning, match=message):
            concerns.warn([text])
    for name in ("binary_cross_entropy", "mse"):
        assert concerns.of_loss(Loss(name), given, outputs) == []


def test_a_network_of_pixels_is_warned_of_when_it_is_compiled() -> None:
    net = model((1, 8, 8), (Conv(4, act=""),))
    x = np.random.default_rng(0).normal(size=(8, 8, 8, 1)).astype(np.float32)
    with pytest.warns(McugradWarning, match="4 outputs at each of 6x6 places") as caught:
        mg.compile(net, calibration=x)
    assert [w.filename for w in caught] == [__file__], "in the name of who called"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mg.compile(net, calibration=x, train="none")
        mg.compile(net, calibration=x, loss="mse", typical_labels=x)


ONE_HOT = np.eye(3)[[0, 1, 2, 1]]
LABELS: dict[str, tuple[Any, str]] = {
    "one-hot": (ONE_HOT, "y.argmax(1), the class of each row"),
    "one-hot integers": (ONE_HOT.astype(int), "y.argmax(1), the class of each row"),
    "probabilities": (ONE_HOT * 0.8 + 0.1, "y.argmax(1), the class of each row"),
    "several labels": (
        np.ones((4, 3), int),
        "y.argmax(1), the class of each row;  loss='binary_cross_entropy', where",
    ),
    "a column": (np.zeros((4, 1), int), "y.reshape(-1), shape (4,)"),
    "floats": (np.asarray([0.0, 1, 2, 1]), "y.astype(int)"),
    "fractions": (np.asarray([0.5, 1, 2, 1]), "class indices;  loss='mse' for values"),
    "NaN": (
        np.asarray([1, np.nan, 2, 1]),
        "leave out samples without a label, such as sample 1, then y.astype(int)",
    ),
    "names": (["a", "b", "c", "b"], "names, y = np.unique(y, return_inverse=True)"),
    "objects": (np.asarray(["a", "b", "c", "b"], object), "names, y = np.unique(y, return_inverse=True)"),
    "from one": ([1, 2, 3, 2], "0 to 2;  y - 1, if labels begin at 1"),
    "too many": ([0, 2, 3, 2], "0 to 2"),
    "negative": ([-1, 0, 1, 2], "0 to 2"),
    "per pixel": (
        np.zeros((4, 5, 5), int),
        "one class for each sample, shape (4,); loss='binary_cross_entropy'",
    ),
    "another number": ([0, 1], "shape (4,)"),
    "none": ([], "shape (4,)"),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_that_are_none_and_what_to_write(case: str) -> None:
    y, hint = LABELS[case]
    with pytest.raises(DataError) as caught:
        encode_labels(LabelKind.CLASS, y, samples=4, outputs=3, quant=None)
    assert caught.value.hint.startswith(hint)
    expression = hint.split(";")[-1].split(",")[0].strip()
    if expression.startswith("y") or "unique" in hint:  # it does what it says
        array = np.asarray(y)
        names = {"y": array, "np": np}
        better = np.unique(array, return_inverse=True)[1] if "unique" in hint else eval(expression, names)
        found, doubts = encode_labels(LabelKind.CLASS, better, samples=4, outputs=3, quant=None)
        assert found.shape == (4,)
        assert not doubts


def test_values_that_are_none_name_their_sample() -> None:
    y = np.asarray([[1.0, 2.0], [3.0, np.nan], [np.inf, np.nan]])
    for kind in (LabelKind.VALUES, LabelKind.BITS):
        with pytest.raises(
            DataError, match="y holds 3 values that are NaN or infinite, the first in sample 1"
        ):
            encode_labels(kind, y, samples=3, outputs=2, quant=None)
    with pytest.raises(DataError, match="y of dtype complex128 is not numbers"):
        encode_labels(LabelKind.BITS, y + 1j, samples=3, outputs=2, quant=None)


# --- where they are told ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made() -> mg.Trainer:
    x, _ = corners(64)
    return mg.compile(model((1, 12, 12), (Conv(4, stride=(2, 2)), Dense(4))), calibration=x, rate=0.01)


CALLS: dict[str, Callable[[mg.Trainer, Array, Array, Array], object]] = {
    "fit": lambda t, x, y, bad: t.fit(bad, y),
    "validation": lambda t, x, y, bad: t.fit(x, y, validation=(bad, y)),
    "guard": lambda t, x, y, bad: t.fit(x, y, guard=(bad, y)),
    "evaluate": lambda t, x, y, bad: t.evaluate(bad, y),
    "predict": lambda t, x, y, bad: t.predict(bad[:1]),
}


@pytest.mark.parametrize("call", CALLS)
def test_bytes_are_warned_of_wherever_samples_come_in(made: mg.Trainer, call: str) -> None:
    x, y = corners(24)
    made.fit(x, y)
    with pytest.warns(McugradWarning, match="are outside of 0 to 1.*: 0 to 1, |are outside of") as caught:
        CALLS[call](made, x, y, 255 * x)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert call not in ("validation", "guard") or f"{call} x" in str(caught[0].message)


def test_a_loop_of_predictions_is_warned_of_once(made: mg.Trainer) -> None:
    x, y = corners(24)
    made.fit(x, y)
    with pytest.warns(McugradWarning) as caught:
        _ = [made.predict(255 * x[i : i + 1]) for i in range(5)]
    assert len(caught) == 1


def test_replayed_classes_are_trained(made: mg.Trainer) -> None:
    x, y = corners(64)
    few = y < 2
    with pytest.warns(McugradWarning, match="2 of 4 classes have no sample in y: 2, 3"):
        made.fit(x[few], y[few])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.fit(x[few], y[few], replay=mg.Replay(8, source=(x, y)))


def test_warnings_can_stop_a_program(made: mg.Trainer) -> None:
    x, y = corners(24)
    before = made.state
    with warnings.catch_warnings():
        warnings.simplefilter("error", mg.McugradWarning)
        with pytest.raises(mg.McugradWarning):
            made.fit(255 * x, y)
    assert all(np.array_equal(before[name], value) for name, value in made.state.items()), (
        "nothing was trained"
    )


@pytest.mark.parametrize("verb", ["compile", "train", "run", "report"])
def test_every_verb_notes_what_is_odd(
    cli: Cli, tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "memory", lambda *_: Memory((), (), (), ()))  # of which nothing is said here
    words = np.random.default_rng(0).integers(-999, 999, (40, 8, 8)).astype(np.int16)
    data = save(tmp_path / "words.npz", words, np.arange(40) % 10)
    small = {
        "compile": ["--no-measure"],
        "run": ["--on", "reference", "--steps", "2"],
        "report": ["--steps", "2"],
    }
    write_onnx(tmp_path / "net.onnx", (1, 8, 8), (Dense(10),))
    options = [verb, "net.onnx", "--data", data, *small.get(verb, [])]
    if verb in ("train", "report"):
        options += ["--epochs", "1", "--rate", "0.01"]
    result = cli(*options)
    assert result.code == 0, result.err
    assert (
        result.out.count("note  samples are 16-bit integers and divided by 32768, so that they go from -0.03")
        == 1
    )
    assert cli(*options, "--json").facts["training_notes"][0].startswith("samples are 16-bit integers")
    if verb == "train":
        assert "16-bit" not in cli(*options, "--scale", "32768").out


def test_notes_stand_before_the_error_that_they_may_explain(cli: Cli, tmp_path: Path) -> None:
    x = np.full((20, 8, 8), 7, np.int16)
    result = cli("train", "digits_cnn", "--data", save(tmp_path / "x.npz", x, np.arange(20) % 10))
    assert result.code == 2
    assert result.out.startswith("note  samples are 16-bit integers")
    assert "constant" in result.err


def test_held_out_samples_in_another_unit_are_noted_before_training(cli: Cli, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((40, 8, 8)).astype(np.float32)
    y = np.arange(40) % 10
    data = save(tmp_path / "x.npz", x, y, x_test=255 * x[:20], y_test=y[:20])
    result = cli("train", "digits_cnn", "--data", data, "--train", "last:1", "--epochs", "1")
    assert result.code == 0
    lines = result.out.splitlines()
    (note,) = (
        i for i, line in enumerate(lines) if line.startswith("note  ") and "are outside of 0 to" in line
    )
    (epoch,) = (i for i, line in enumerate(lines) if line.startswith("epoch"))
    assert note < epoch
