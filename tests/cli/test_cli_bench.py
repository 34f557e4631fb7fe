"""`mcugrad bench`: what it says, answers in JSON, and refuses."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import mcugrad as mg
from command_line import SMALL_BOARD, Cli, images, save
from mcugrad import targets, toolchain
from mcugrad.commands.inputs import made_up
from mcugrad.emulator import binding, qemu
from mcugrad.errors import ToolError
from mcugrad.measure import layers
from mcugrad.measure.memory import Memory
from mcugrad.toolchain import compilers
from networks import Dense, write_onnx
from thoroughness import LONG

BENCH = ("bench", "digits_cnn", "--samples", "1")
SMALL = ("bench", "small.onnx", "--samples", "1")
"""A network that takes a third of the time to compile."""


@pytest.fixture
def small(tmp_path: Path) -> str:
    """Writes it; `x.npz` has samples that it takes."""
    write_onnx(tmp_path / "small.onnx", (12,), (Dense(8, "relu"), Dense(3)))
    return save(tmp_path / "x.npz", np.random.default_rng(0).random((9, 12), np.float32), np.arange(9) % 3)


@pytest.fixture
def layers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bytes are is left out, for which firmware is linked twice more: two tests and tests/measure look at it."""
    monkeypatch.setattr(layers, "EmulatedDevice", lambda *_: SimpleNamespace(device=None))
    monkeypatch.setattr(layers, "memory", lambda *_: Memory((), (), (), ()))


@pytest.mark.mcu
def test_bench_needs_no_data(cli: Cli) -> None:
    result = cli(*BENCH, "--target", "nrf52840")
    assert result.code == 0, result.err
    assert "data  made up: 32 samples of noise" in result.out
    for text in (
        r"^prediction on Nordic nRF52840: [\d,]+ instructions, [\d,]+ cycles ± 10 %, [\d.]+ ms, [\d.]+ µJ \(",
        r"^training step on Nordic nRF52840: [\d,]+ instructions",
        r"^  layer  pass +MACs  instructions  per MAC  x least  cycles ± 10 % +µJ +share$",
        r"^  conv2  error +18,432 +[\d,]+ +[\d.]+ +[\d.]+ +[\d,]+ +[\d.]+ +[\d.]+ %$",
        r"^  all    forward  25,408 +[\d,]+ +[\d.]+ +[\d,]+ +[\d.]+ +[\d.]+ %$",
        r"^ +rest +[\d,]+ +[\d,]+ +[\d.]+ +[\d.]+ %$",
        r"^RAM on Nordic nRF52840$",
        r"^  weights that train +3,592  counted$",
        r"^    residual bits +[\d,]+  counted$",
        r"^  flash, all that is linked +[\d,]+  sum of",
        r"^largest in flash on Nordic nRF52840$",
        r"^instructions: counted call by call under emulation, zig .*, -O3, mean of 1$",
        r"^cycles: estimated, zero wait states; Arm DDI0439",
        r"^energy: estimated, these cycles x 155 pJ$",
        r"^x least: times 0.69 per int8 MAC",
    ):
        assert re.search(text, result.out, re.MULTILINE), text


@pytest.mark.mcu
@pytest.mark.usefixtures("small", "layers_alone")
def test_bench_says_what_a_step_on_latents_takes(cli: Cli) -> None:
    latents = (*SMALL, "--train", "last:1", "--replay-of", "latents")
    result = cli(*latents)
    assert result.code == 0, result.err
    assert re.search(r"^training step on a stored sample: [\d,]+ instructions, ", result.out, re.MULTILINE)
    assert "from its latents, 8 bytes where an input has 12" in result.out
    facts = cli(*latents, "--json").facts
    step, stored = facts["training_step"], facts["stored_step"]
    frozen = [each for each in step["layers"] if each["layer"] == "fc1"]
    skipped = sum(each["instructions"] for each in frozen)
    assert step["instructions"] - stored["instructions"] == pytest.approx(skipped)
    assert facts["stored_sample_bytes"] == 8


@pytest.mark.mcu
def test_bench_json_says_what_the_tables_say(cli: Cli, small: str) -> None:
    options = ("--data", small, "--target", "stm32u585", "--rule", "sr8", "--json")
    facts = cli(*SMALL, *options).facts
    assert (facts["target"], facts["core"], facts["samples"]) == ("stm32u585", "cortex-m33", 1)
    assert facts["least_instructions_per_mac"] == targets.load("cortex-m33").core.least_instructions
    assert facts["data"].startswith("x: 9 samples to train")
    assert facts["energy_source"] is None
    assert facts["stored_step"] is None
    for part in ("prediction", "training_step"):
        found = facts[part]
        assert found["microjoules"] is None
        assert found["milliseconds"] > 0
        layers = found["layers"]
        assert sum(layer["share"] for layer in layers) == pytest.approx(1)
        assert sum(layer["instructions"] for layer in layers) == pytest.approx(found["instructions"])
        assert found["cycles_low"] < found["cycles"] < found["cycles_high"]
    layer = facts["training_step"]["layers"][0]
    assert (layer["layer"], layer["pass"], layer["macs"], layer["precision"]) == (
        "fc1",
        "forward",
        96,
        "int8",
    )
    assert layer["instructions_per_mac"] == layer["instructions"] / 96
    compiled = cli("compile", "small.onnx", *options).facts["cost"]
    whole = {q["key"]: q["value"] for q in compiled["predict"]}
    assert facts["prediction"]["instructions"] == pytest.approx(whole["instructions"], rel=0.01)


@pytest.mark.mcu
@pytest.mark.usefixtures("small", "layers_alone")
def test_what_does_not_train_is_counted_as_it_is(cli: Cli) -> None:
    result = cli(*SMALL, "--train", "none")
    assert result.code == 0, result.err
    assert "note  nothing trains: there is a prediction, but no training step" in result.out
    assert "training step on" not in result.out
    assert cli(*SMALL, "--train", "none", "--json").facts["training_step"] is None


@pytest.mark.mcu
@pytest.mark.usefixtures("small", "layers_alone")
def test_every_kind_of_training(cli: Cli) -> None:
    sparse = ("--sparse", "0.25", "--sparse-policy", "split", "--sparse-samples", "0.25")
    part = cli(*SMALL, *sparse, "--target", "cortex-m3").out
    assert "note  a part of the channels or samples is updated: MACs are those of all" in part
    assert re.search(r"^training step that is taken, as 0.25 of all are, on ", part, re.MULTILINE)
    assert "x least:" not in part
    assert "energy: no public figure of energy per cycle for cortex-m3" in part
    floats = cli(*SMALL, "--precision", "float32", "--json").facts
    layers = floats["training_step"]["layers"]
    assert {layer["times_least"] for layer in layers} == {None}
    assert {layer["precision"] for layer in layers} == {"float32", None}
    mixed = cli(*SMALL, "--precision", "mixed", "--train", "last:1", "--json").facts
    assert {layer["precision"] for layer in mixed["training_step"]["layers"]} == {"int8", "float32", None}


@pytest.mark.mcu
@pytest.mark.parametrize("loss", ["mse", *(["binary_cross_entropy"] if LONG else [])])
@pytest.mark.usefixtures("small", "layers_alone")
def test_noise_for_every_loss(cli: Cli, loss: str) -> None:
    facts = cli("bench", "small.onnx", "--loss", loss, "--samples", "2", "--json").facts
    assert facts["loss"] == loss
    assert facts["training_step"]["instructions"] > facts["prediction"]["instructions"]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "binary_cross_entropy"])
def test_noise_is_labelled_as_a_loss_takes_it(tmp_path: Path, loss: str) -> None:
    net = mg.load(tmp_path / "small.onnx")
    given = made_up(net, loss)
    made = mg.compile(net, calibration=given.x, loss=loss, typical_labels=given.y if loss == "mse" else None)
    assert len(made.labels(given.y, len(given.x))) == len(given.x)


def test_what_is_wrong_is_said_before_anything_is_built(cli: Cli, tmp_path: Path) -> None:
    unknown = cli(*BENCH, "--target", "cortex-m99")
    assert unknown.code == 2
    assert "error: unknown target 'cortex-m99'" in unknown.err
    assert "cortex-m4f" in unknown.err
    assert cli(*BENCH, "--samples", "0").code == 2
    assert cli("bench").err.startswith("error: missing argument 'MODEL'")
    none = cli("bench", "nothing.onnx")
    assert none.code == 2
    assert "nothing.onnx" in none.err
    for option in ("--save", "--resume", "--class-names", "--features"):
        refused = cli(*BENCH, option, "all")
        assert refused.code == 2
        assert "no such option" in refused.err.lower()
    data = save(tmp_path / "wide.npz", np.zeros((4, 9, 9), np.uint8), np.arange(4))
    assert "the network takes 8x8x1" in cli(*BENCH, "--data", data).err
    assert (
        cli(*BENCH, "--data", save(tmp_path / "few.npz", images(3), np.arange(3)), "--loss", "hinge").code
        == 2
    )


def test_what_does_not_fit_is_not_counted(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL_BOARD.format(ram=4096))
    result = cli(*BENCH, "--target", "small.toml")
    assert result.code == 1
    assert "of RAM; small has 4.0 KiB" in result.err


def test_a_core_that_unicorn_does_not_have(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It compiles; what would count says that it cannot, before firmware is built, and what can be had instead."""
    monkeypatch.setattr(qemu.shutil, "which", lambda _: None)
    monkeypatch.setattr(toolchain, "build_firmware", lambda *_, **__: pytest.fail("firmware is built"))
    what = (
        "error: unicorn has no Arm Cortex-M55: nothing of its firmware is counted here but whole steps, in QEMU\n"
        "  where  stm32n657\n"
        "  try    target cortex-m33, whose counts are without Helium;  or mcugrad run --on cortex-m55, "
    )
    data = ("digits_cnn", "--data", "digits")
    for words in (BENCH, ("compile", *data), ("run", *data)):
        refused = cli(*words, "--target", "stm32n657")
        assert refused.code == 2
        assert refused.err.startswith(what)
    assert "or --no-measure" in cli("compile", *data, "--target", "cortex-m55").err
    made = cli("compile", *data, "--target", "stm32n657", "--no-measure", "--prefer", "speed")
    assert made.code == 0, made.err
    assert "RAM" in made.out


def test_without_tools(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise ToolError("the emulator unicorn cannot be loaded", hint="pip install unicorn")

    with monkeypatch.context() as patch:
        patch.setattr(binding, "unicorn", absent)
        emulator = cli(*BENCH)
    assert emulator.code == 2
    assert emulator.err.startswith(
        "error: the emulator unicorn cannot be loaded\n  try    pip install unicorn"
    )
    assert "mcugrad doctor" in emulator.err
    monkeypatch.setattr(compilers, "_command", lambda name: None)
    compiler = cli(*BENCH)
    assert compiler.code == 2
    assert compiler.err.startswith("error: the compiler zig is not installed\n  try    pip install ziglang")
    assert "mcugrad doctor" in compiler.err


@pytest.mark.mcu
@pytest.mark.usefixtures("small", "layers_alone")
def test_bench_counts_whole_batches(cli: Cli) -> None:
    """Weights change where a batch ends: with fewer samples that work would be left out."""
    result = cli(*SMALL, "--target", "cortex-m4f", "--train", "last:1", "--batch", "3", "--json")
    assert result.code == 0, result.err
    assert result.facts["samples"] == 3
    assert "3 samples, not 1: a batch changes weights when it ends" in result.facts["training_notes"]
