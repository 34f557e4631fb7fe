"""`--loss` on the command line: networks that say values, or several labels at once, through every verb."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import mcugrad as mg
from command_line import Cli, save
from mcugrad.measure import cost
from mcugrad.measure.memory import Memory
from networks import Dense, write_onnx
from thoroughness import turns

SAMPLES, HELD_OUT = 300, 60
RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(-1, 1, (SAMPLES + HELD_OUT, 6)).astype(np.float32)
VALUES = (X @ RANDOM.normal(size=(6, 3))).astype(np.float32)
BITS = (VALUES > 0).astype(np.int64)
CLASSES = VALUES.argmax(axis=1)


@pytest.fixture
def task(tmp_path: Path) -> dict[str, str]:
    """Networks of one and of three outputs, and data sets for them, by name."""
    for name, outputs in (("one", 1), ("three", 3)):
        write_onnx(tmp_path / f"{name}.onnx", (6,), (Dense(8, "relu"), Dense(outputs)))
    labels = {
        "value": VALUES[:, 0],
        "values": VALUES,
        "integers": np.round(VALUES * 5).astype(np.int16),
        "bit": BITS[:, 0],
        "bits": BITS,
        "classes": CLASSES,
    }
    return {name: data(tmp_path / f"{name}.npz", y) for name, y in labels.items()}


def data(path: Path, y: np.ndarray) -> str:
    return save(path, X[:SAMPLES], y[:SAMPLES], x_test=X[SAMPLES:], y_test=y[SAMPLES:])


@pytest.fixture
def steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bytes of the firmware are, which no loss changes, is left out of what is measured."""
    monkeypatch.setattr(cost, "memory", lambda *_: Memory((), (), (), ()))


# --- train ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "case"),
    turns(("mse", "mae", "huber"), (("one", "value"), ("three", "values"), ("three", "integers"))),
)
def test_values_are_learned(cli: Cli, task: dict[str, str], loss: str, case: tuple[str, str]) -> None:
    net, y = case
    call = ("train", f"{net}.onnx", "--data", task[y], "--loss", loss, "--epochs", "4", "--rate", "0.02")
    facts = cli(*call, "--json").facts
    assert facts["loss"] == loss
    before, after = (facts[f"held_out_mean_squared_error{when}"] for when in ("_before", ""))
    assert after < 0.5 * before
    for epoch in facts["epochs"]:
        assert set(epoch) == {
            "epoch",
            "steps",
            "loss",
            "guard",
            "notes",
            "update_rate",
            "taken",
            "held_out_mean_squared_error",
        }
    assert facts["epochs"][-1]["held_out_mean_squared_error"] == after
    assert not [key for key in facts if "accuracy" in key]
    assert facts["training_notes"] == []


def test_values_are_the_same_as_from_python(cli: Cli, task: dict[str, str], tmp_path: Path) -> None:
    facts = cli("train", "three.onnx", "--data", task["values"], "--loss", "mse", "--json").facts
    trainer = mg.compile(
        mg.load(tmp_path / "three.onnx"),
        calibration=X[np.linspace(0, SAMPLES - 1, 256).round().astype(int)],
        loss="mse",
        typical_labels=VALUES[:SAMPLES],
    )
    held_out = X[SAMPLES:], VALUES[SAMPLES:]
    assert facts["held_out_mean_squared_error_before"] == trainer.evaluate(*held_out)
    trainer.fit(X[:SAMPLES], VALUES[:SAMPLES], epochs=5, schedule="cosine")
    assert facts["held_out_mean_squared_error"] == trainer.evaluate(*held_out)


def test_a_line_per_epoch_says_mean_squared_error(cli: Cli, task: dict[str, str]) -> None:
    options = (
        "--loss",
        "mse",
        "--rate",
        "0.02",
        "--epochs",
        "2",
        "--old",
        task["values"],
        "--replay",
        "8",
        "--augment",
        "noise=0.1",
    )
    result = cli("train", "three.onnx", "--data", task["values"], *options)
    assert result.code == 0
    line = r"^epoch ./2   loss [\d.e-]+   held-out mean squared error +[\d.e-]+$"
    assert len(re.findall(line, result.out, re.M)) == 2
    for when in ("before", "      "):
        pattern = rf"^{when} +[\d.e-]+ mean squared error on 60 held-out"
        assert re.search(pattern, result.out, re.M)
    assert re.search(r"^after +[\d.e-]+ mean squared error on 60 held-out old samples$", result.out, re.M)
    assert re.search(r", 3 values from -[\d.]+ to [\d.]+$", result.out, re.M)
    assert "%" not in result.out
    assert "while training" not in result.out
    facts = cli("train", "three.onnx", "--data", task["values"], *options, "--json").facts
    assert [epoch["steps"] for epoch in facts["epochs"]] == [2 * SAMPLES, 4 * SAMPLES]
    assert facts["old_held_out_mean_squared_error"] < facts["old_held_out_mean_squared_error_before"]


@pytest.mark.parametrize(("net", "y", "outputs"), [("one", "bit", 1), ("three", "bits", 3)])
def test_labels_are_learned(cli: Cli, task: dict[str, str], net: str, y: str, outputs: int) -> None:
    call = ("train", f"{net}.onnx", "--data", task[y], "--loss", "binary_cross_entropy", "--rate", "0.1")
    facts = cli(*call, "--json").facts
    assert facts["held_out_accuracy"] > max(0.9, facts["held_out_accuracy_before"])
    assert all(epoch["accuracy"] is None for epoch in facts["epochs"])
    result = cli(*call)
    assert re.search(rf"^before +[\d.]+% of {60 * outputs} held-out labels right$", result.out, re.M)
    assert len(re.findall(r"^epoch ./5   loss [\d.]+   held out +[\d.]+%$", result.out, re.M)) == 5


def test_without_held_out_samples(cli: Cli, task: dict[str, str], tmp_path: Path) -> None:
    alone = save(tmp_path / "alone.npz", X, VALUES)
    call = ("train", "three.onnx", "--data", alone, "--loss", "mse", "--rate", "0.02", "--epochs", "1")
    assert cli(*call, "--json").facts["held_out_mean_squared_error"] is None
    assert re.search(r"^epoch 1/1   loss [\d.]+$", cli(*call).out, re.M)


def test_a_learned_state_is_saved_and_resumed(cli: Cli, task: dict[str, str]) -> None:
    call = ("train", "one.onnx", "--data", task["value"], "--loss", "mse", "--rate", "0.02", "--json")
    first = cli(*call, "--save", "learned.npz").facts
    second = cli(*call, "--resume", "learned.npz").facts
    assert second["held_out_mean_squared_error_before"] == first["held_out_mean_squared_error"]


# --- the other verbs --------------------------------------------------------------------------------------------


@pytest.mark.mcu
@pytest.mark.parametrize(
    ("net", "y", "loss"), [("one", "value", "mse"), ("three", "bits", "binary_cross_entropy")]
)
def test_every_bit_is_the_same_on_the_device(
    cli: Cli, task: dict[str, str], net: str, y: str, loss: str
) -> None:
    steps = ("--steps", "16", "--on", "emulator,reference")
    call = ("run", f"{net}.onnx", "--data", task[y], "--loss", loss, *steps)
    if loss == "mse":
        result = cli(*call)
        assert result.code == 0
        assert re.search(r"^equal: emulator, reference and host twin agree in every bit:$", result.out, re.M)
    else:
        facts = cli(*call, "--json").facts
        assert (facts["equal"], facts["loss"]) == (True, loss)


def test_compile(cli: Cli, task: dict[str, str], tmp_path: Path) -> None:
    call = ("compile", "one.onnx", "--data", task["value"], "--loss", "huber", "--no-measure", "--json")
    assert cli(*call).facts["loss"] == "huber"
    assert "const int8_t label[ONE_OUTPUT_SIZE]" in (tmp_path / "firmware/one/one.h").read_text()
    assert (
        cli("compile", "digits_cnn", "--data", "digits", "--no-measure", "--json").facts["loss"]
        == "cross_entropy"
    )


@pytest.mark.mcu
@pytest.mark.usefixtures("steps_alone")
def test_report_of_values(cli: Cli, task: dict[str, str], tmp_path: Path) -> None:
    options = ("--loss", "mse", "--epochs", "3", "--steps", "4", "--rate", "0.02")
    result = cli("report", "one.onnx", "--data", task["value"], *options)
    said = re.search(
        r"^mean squared error on held-out samples: (\S+) before, (\S+) after 3 epochs$", result.out, re.M
    )
    assert said is not None
    facts = json.loads((tmp_path / "report/report.json").read_text(encoding="utf-8"))
    first, *_, last = facts["curve"]
    assert set(first) == {"step", "loss", "training_mean_squared_error", "held_out_mean_squared_error"}
    assert first["held_out_mean_squared_error"] == pytest.approx(float(said[1]), rel=1e-3)
    assert last["held_out_mean_squared_error"] == pytest.approx(float(said[2]), rel=1e-3)
    assert all(point["training_mean_squared_error"] > 0 for point in facts["curve"])
    assert (facts["outputs"], "classes" in facts) == (1, False)
    assert facts["cost"]["step"]
    assert facts["choices"][0]["ram_bytes"] == facts["ram_bytes"]
    assert facts["choices"][0]["constants_bytes"] == facts["constants_bytes"]
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert f"mean squared error {said[1]} before, {said[2]} after." in page
    assert "6 → 1 value," in page
    chart = page[page.index("<svg") : page.index("</svg>")]
    assert "Mean squared error, the lower the better</text>" in chart
    assert "%" not in chart
    assert "y: one value per output" in page
    assert "one_train_step(&amp;model, x, label, &amp;step);" in page
    for wrong in ("accuracy", "of them right", "class,", "one logit", "None"):
        assert wrong not in page.partition("</style>")[2]


@pytest.mark.mcu
@pytest.mark.usefixtures("steps_alone")
def test_report_of_labels(cli: Cli, task: dict[str, str], tmp_path: Path) -> None:
    options = ("--loss", "binary_cross_entropy", "--epochs", "2", "--steps", "4", "--rate", "0.1")
    result = cli("report", "three.onnx", "--data", task["bits"], *options)
    assert re.search(r"^held-out labels right: [\d.]+% before, [\d.]+% after 2 epochs$", result.out, re.M)
    assert re.search(r"^equal: emulator and host twin agree", result.out, re.M)
    facts = json.loads((tmp_path / "report/report.json").read_text(encoding="utf-8"))
    assert all(0 <= point["training"] <= 1 and 0 <= point["held_out"] <= 1 for point in facts["curve"])
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert "% of their labels right before, " in page.replace("\N{NO-BREAK SPACE}", " ").replace(" %", "%")
    assert "6 → 3 labels," in page
    assert "y: one logit per label" in page


# --- what does not go together ----------------------------------------------------------------------------------

WRONG: dict[str, tuple[str, str, tuple[str, ...], str, str]] = {
    "no such loss": (
        "three",
        "values",
        ("--loss", "l2"),
        "unknown loss 'l2'",
        "one of cross_entropy, binary_",
    ),
    "values for classes": (
        "three",
        "values",
        (),
        "the data cannot be used: y_train (300, 3) float32 holds values, but the loss is cross_entropy",
        "--loss mse",
    ),
    "labels for classes": (
        "three",
        "bits",
        (),
        "the data cannot be used: y_train (300, 3) int64 holds labels of 0 and 1, but the loss is cross_entropy",
        "--loss binary_cross_entropy",
    ),
    "classes for labels": (
        "three",
        "classes",
        ("--loss", "binary_cross_entropy"),
        "the data cannot be used: y_train (300,) int64 holds a class for each sample, but the loss is binary_cross",
        "--loss cross_entropy",
    ),
    "values for labels": (
        "three",
        "values",
        ("--loss", "binary_cross_entropy"),
        "the data cannot be used: y_train (300, 3) float32 holds values, but the loss is binary_cross_entropy",
        "--loss mse",
    ),
    "classes for values": (
        "three",
        "classes",
        ("--loss", "mse"),
        "y_train has 1 value for each sample, three has 3 outputs",
        "y_train of shape (300, 3);  --loss cross_entropy, if these are classes",
    ),
    "too many values": (
        "one",
        "values",
        ("--loss", "mae"),
        "y_train has 3 values for each sample, one has 1 output",
        "y_train of shape (300, 1)",
    ),
    "too few labels": (
        "three",
        "bit",
        ("--loss", "binary_cross_entropy"),
        "y_train has 1 label for each sample, three has 3 outputs",
        "y_train of shape (300, 3)",
    ),
}


@pytest.mark.parametrize(("case", "verb"), turns(WRONG, ("compile", "train", "run", "report")))
def test_wrong_use(cli: Cli, task: dict[str, str], case: str, verb: str) -> None:
    """All verbs read data in one place."""
    net, y, options, message, hint = WRONG[case]
    call = (verb, f"{net}.onnx", "--data", task[y], *options)
    result = cli(*call)
    assert result.code == 2
    assert result.err.startswith(f"error: {message}")
    assert f"  try    {hint}" in result.err
    assert result.out == ""
    machine = cli(*call, "--json")
    assert machine.code == machine.facts["exit_code"] == 2


def test_old_data_are_of_the_same_kind(cli: Cli, task: dict[str, str]) -> None:
    call = ("train", "three.onnx", "--data", task["values"], "--loss", "mse", "--old")
    result = cli(*call, task["classes"])
    assert result.code == 2
    assert "error: y_train has 1 value for each sample, three has 3 outputs\n  where  --old" in result.err


def test_values_cannot_be_remembered(cli: Cli, task: dict[str, str]) -> None:
    options = ("--loss", "mse", "--old", task["values"], "--replay", "8", "--remember")
    result = cli("train", "three.onnx", "--data", task["values"], *options)
    assert result.code == 2
    assert "error: the loss mse has no classes that a replay buffer could remember" in result.err


# --- what a user should know ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("steps_alone")
def test_held_out_values_beyond_the_training_part_are_told(
    cli: Cli, task: dict[str, str], tmp_path: Path
) -> None:
    y = VALUES[:, 0].clip(-1, 1)
    y[SAMPLES : SAMPLES + 4] = 100
    far = data(tmp_path / "far.npz", y)
    options = ("--data", far, "--loss", "mse", "--epochs", "1", "--rate", "0.01")
    call = ("train", "one.onnx", *options, "--old", far)
    result = cli(*call)
    for part in ("validation", "held-out old"):
        assert re.search(
            rf"^note  4 of 60 values of {part} y \(6.7%\) are outside of -\S+ to \S+, ", result.out, re.M
        )
    assert len(cli(*call, "--json").facts["training_notes"]) == 2
    page = ("report", "one.onnx", *options, "--json")
    notes = [note for note in cli(*page).facts["training_notes"] if "values of" in note]
    assert [note.partition(" y ")[0] for note in notes] == ["4 of 60 values of validation"]


@pytest.mark.parametrize(
    ("y", "loss", "rate"),
    [("values", "mse", "100"), ("classes", "cross_entropy", "100"), ("bits", "binary_cross_entropy", "1000")],
)
def test_a_loss_that_has_exploded_is_told(
    cli: Cli, task: dict[str, str], y: str, loss: str, rate: str
) -> None:
    call = ("train", "three.onnx", "--data", task[y], "--loss", loss, "--rate", rate, "--epochs", "2")
    result = cli(*call)
    assert result.code == 0
    (note,) = re.findall(r"^note  (.*)$", result.out, re.M)
    assert re.match(
        r"the loss of the last 200 steps, \S+, is (above|not below) \S+, that of the same answer to every sample",
        note,
    )
    usual = r"a rate of 0\.01, which is usual \(without a rate one is looked for\)"
    assert re.search(rf"training (ran away|collapsed); try {usual}, or batch 8", note)
    assert cli(*call, "--json").facts["training_notes"] == [note]
    calm = cli(*call[:-4], "--rate", "0.01", "--epochs", "2")
    assert "ran away" not in calm.out
    assert "collapsed" not in calm.out


@pytest.mark.parametrize(("y", "loss"), [("values", "mse"), ("classes", "cross_entropy")])
def test_divergence_is_an_error(cli: Cli, task: dict[str, str], tmp_path: Path, y: str, loss: str) -> None:
    options = ("--loss", loss, "--rate", "1e30", "--precision", "float32", "--save", "learned.npz")
    result = cli("train", "three.onnx", "--data", task[y], *options)
    assert result.code == 2
    assert re.search(r"^error: training diverged in epoch 1: .* no longer finite$", result.err, re.M)
    assert not (tmp_path / "learned.npz").exists()
