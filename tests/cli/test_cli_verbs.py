"""The verbs: what each says, writes and answers in JSON where all is well."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from command_line import SMALL_BOARD, Cli, images, labels, save
from mcugrad.training.rules.family import FAMILY
from mcugrad.zoo import data as zoo_data
from networks import Conv, Dense, write_onnx
from thoroughness import LONG


def test_inspect(cli: Cli) -> None:
    result = cli("inspect", "digits_cnn", "--target", "nrf52840")
    assert result.code == 0
    assert "digits_cnn: 8x8x1 -> 10 classes, 3,658 parameters, 25,408 multiply-accumulates" in result.out
    assert re.search(r"^  conv2 +conv 3x3/2 relu  8x8x8 -> 4x4x16 +1,168 +18,432$", result.out, re.MULTILINE)
    assert re.search(r"^  last:2 +sr8 +[\d.]+ KiB +[\d.]+ KiB +yes +64 B +[\d,]+$", result.out, re.MULTILINE)
    assert re.search(r"^  all +sr8 +[\d.]+ KiB +[\d.]+ KiB +yes$", result.out, re.MULTILINE)
    assert "a sample in a replay buffer takes 64 B; with --replay-of latents" in result.out
    assert "Softmax at the end left out" in result.out


def test_inspect_json(cli: Cli) -> None:
    facts = cli("inspect", "digits_cnn", "--json").facts
    assert (facts["parameters"], facts["macs"], facts["classes"]) == (3658, 25408, 10)
    assert [layer["name"] for layer in facts["layers"]] == [
        "conv1",
        "conv2",
        "pool1",
        "flatten1",
        "fc1",
        "fc2",
    ]
    assert facts["layers"][1]["output_shape"] == [4, 4, 16]
    assert sum(layer["parameters"] for layer in facts["layers"]) == 3658
    ways = [(choice["train"], choice["rule"]) for choice in facts["choices"]]
    assert len(ways) == len(FAMILY) * 4 + 2
    assert ways[0] == ("all", "sr16")
    assert ways[-2:] == [("bias", None), ("none", None)]
    assert all(choice["fits"] is None for choice in facts["choices"])
    latents = {choice["train"]: choice["latents_bytes"] for choice in facts["choices"]}
    assert latents == {"all": None, "last:3": 512, "last:2": 64, "last:1": 32, "bias": None, "none": None}
    assert facts["input_bytes"] == 64
    assert facts["picture"] is None
    assert (
        0
        < facts["choices"][1]["latents_skip_instructions"]
        < facts["choices"][3]["latents_skip_instructions"]
    )


def test_inspect_draws_the_working_memory(cli: Cli, tmp_path: Path) -> None:
    result = cli("inspect", "digits_cnn", "--picture", "memory.svg")
    assert "memory.svg: working memory over time, --train all --rule sr8" in result.out
    text = (tmp_path / "memory.svg").read_text(encoding="utf-8")
    assert text.startswith("<svg ")
    assert "a training step" in text
    facts = cli("inspect", "digits_cnn", "--picture", "memory.svg", "--json").facts
    assert facts["picture"] == {"path": "memory.svg", "train": "all", "rule": "sr8"}
    assert cli("inspect", "digits_cnn", "--picture", "memory.svg/other.svg").code == 2


def test_inspect_says_the_sizes_that_compile_says(cli: Cli) -> None:
    choices = cli("inspect", "digits_cnn", "--json").facts["choices"]
    for choice in (choices[0], choices[3], choices[5], choices[-1]):
        options = ["--train", choice["train"], "--rule", choice["rule"] or "sr16", "--no-measure", "--json"]
        facts = cli("compile", "digits_cnn", "--data", "digits", *options).facts
        assert facts["ram_bytes"] == choice["ram_bytes"]
        assert facts["constants_bytes"] == choice["constants_bytes"]


def test_inspect_tells_what_running_again_takes(cli: Cli, tmp_path: Path) -> None:
    """Where it takes less, and as compile says it."""
    write_onnx(tmp_path / "deep.onnx", (4, 12, 12), (*[Conv(8, (1, 1), act="HardSwish")] * 4, Dense(3)))
    x = np.random.default_rng(0).random((8, 12, 12, 4), np.float32)
    np.savez(tmp_path / "few.npz", x_train=x, y_train=np.arange(8) % 3)
    (tmp_path / "small.toml").write_text(SMALL_BOARD.format(ram=20480))
    result = cli("inspect", "deep.onnx")
    assert re.search(r"^  all +sr8 +[\d.]+ KiB +[\d,]+ +[\d.]+ %$", result.out, re.MULTILINE)
    for target in ((), ("--target", "small.toml")) if LONG else (("--target", "small.toml"),):
        choices = cli("inspect", "deep.onnx", *target, "--json").facts["choices"]
        found = {choice["train"]: choice for choice in choices if choice["rule"] == "sr8"}
        less = found["all"]["recompute"]
        assert less["ram_bytes"] < found["all"]["ram_bytes"]
        assert less["fits"] == (True if target else None)
        options = ("--rule", "sr8", "--no-measure", "--recompute", *target)
        facts = cli("compile", "deep.onnx", "--data", "few.npz", *options, "--json").facts
        assert facts["ram_bytes"] == less["ram_bytes"]
        again = facts["runs_again"]
        assert [again["calls"], round(again["more"]), again["part"]] == [
            less[key] for key in ("calls", "more_instructions", "more_part")
        ]
    assert found["last:1"]["recompute"] is None


def test_inspect_tells_what_does_not_fit(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL_BOARD.format(ram=8192))
    facts = cli("inspect", "digits_cnn", "--target", "small.toml", "--json").facts
    fits = {(choice["train"], choice["rule"]): choice["fits"] for choice in facts["choices"]}
    assert fits["all", "sr16"] is False
    assert fits["last:1", "sr8"] is True


def test_inspect_shows_few_ways_of_a_deep_network(cli: Cli, tmp_path: Path) -> None:
    layers = (*[Conv(4, pads=(1, 1, 1, 1))] * 8, Dense(3))
    write_onnx(tmp_path / "deep.onnx", (4, 6, 6), layers)
    (tmp_path / "small.toml").write_text(SMALL_BOARD.format(ram=8192))
    x = np.random.default_rng(0).random((8, 6, 6, 4), np.float32)
    np.savez(tmp_path / "few.npz", x_train=x, y_train=np.arange(8) % 3)
    result = cli("inspect", "deep.onnx", "--target", "small.toml")
    assert max(map(len, result.out.splitlines())) <= 80
    choices = cli("inspect", "deep.onnx", "--target", "small.toml", "--json").facts["choices"]
    most = {}
    for rule in ("sr16", "sr12", "sr10", "sr8"):
        ways = [c for c in choices if c["rule"] == rule]
        assert len(ways) < 8
        assert ways[0]["train"] == "all"
        assert [c["fits"] for c in ways] == sorted(c["fits"] for c in ways)
        most[rule] = next(int(c["train"].removeprefix("last:")) for c in ways if c["fits"])
    assert most["sr16"] < most["sr8"]
    for rule in ("sr16", "sr8") if LONG else ("sr16",):
        options = ("--data", "few.npz", "--rule", rule, "--no-measure", "--target", "small.toml")
        assert cli("compile", "deep.onnx", *options, "--train", f"last:{most[rule]}").code == 0
        assert cli("compile", "deep.onnx", *options, "--train", f"last:{most[rule] + 1}").code == 1


@pytest.mark.mcu
def test_compile(cli: Cli, tmp_path: Path) -> None:
    result = cli("compile", "digits_cnn", "--data", "digits", "--target", "nrf52840", "--train", "last:2")
    assert result.code == 0
    assert "2 of 4 layers train by sr16" in result.out
    assert "digits: 1347 samples to train, 450 held out, 8x8 uint8 divided by 16" in result.out
    for how in (
        "counted: sizeof(digits_cnn_t)",
        "emulated: the deepest of 8 predictions and 8 training steps",
    ):
        assert how in result.out
    for how in ("linked: zig", "emulated: counted one by one", "estimated: these cycles at 64 MHz"):
        assert how in result.out
    written = {path.name for path in (tmp_path / "firmware/digits_cnn").iterdir()}
    assert written == {"LICENSE", "README.md", "digits_cnn.c", "digits_cnn.h", "examples", "mcugrad.sha256"}


def test_rules_and_their_options(cli: Cli) -> None:
    options = (
        "--rule",
        "sr12",
        "--rule",
        "fc2=sr8",
        "--batch",
        "4",
        "--momentum",
        "0.9",
        "--velocity-bits",
        "8",
    )
    facts = cli("compile", "digits_cnn", "--data", "digits", *options, "--no-measure", "--json").facts
    rest = "batch 4, momentum 0.9, int8 plane"
    assert facts["rule"] == f"fc2: sr8, {rest}; others: sr12, {rest}"
    options = ("--rule", "fc2=standardized", "--velocity-bits", "8")
    facts = cli("compile", "digits_cnn", "--data", "digits", *options, "--no-measure", "--json").facts
    assert facts["rule"] == "fc2: standardized, int8 plane; others: sr16"


@pytest.mark.mcu
def test_compile_json(cli: Cli, tmp_path: Path) -> None:
    options = ("--target", "nrf52840", "--name", "reader", "--rule", "sr8", "--rate", "0.02", "--seed", "7")
    classes = ("--class-names", "zero,1,2,3,4,5,6,7,8,nine")
    facts = cli(
        "compile", "digits_cnn", "--data", "digits", *options, "--out", "fw", "--selftest", *classes, "--json"
    ).facts
    assert (facts["model"], facts["rule"], facts["rate"], facts["seed"]) == ("reader", "sr8", 0.02, 7)
    both = [f"reader{part}.{kind}" for part in ("", "_selftest") for kind in ("c", "h")]
    assert facts["files"] == ["LICENSE", "README.md", "examples/main.c", *both]
    assert all((tmp_path / "fw" / file).is_file() for file in facts["files"])
    assert '"nine"' in (tmp_path / "fw/reader.c").read_text()
    memory = {q["key"]: q for q in facts["cost"]["memory"]}
    assert memory["ram"]["value"] == sum(memory[k]["value"] for k in ("ram_model", "ram_sample", "ram_stack"))
    assert memory["ram_model"]["value"] + memory["ram_sample"]["value"] == facts["ram_bytes"]
    parts = {part["key"]: part["bytes"] for part in facts["memory"]["ram"]}
    assert sum(parts[key] for key in ("weights", "learned", "state", "arena", "sample")) == facts["ram_bytes"]
    flash = sum(
        part["bytes"] for part in facts["memory"]["flash"] if part["key"] != "flash_gaps" and not part["of"]
    )
    assert flash == sum(symbol["bytes"] for symbol in facts["memory"]["symbols"])
    assert {depth["function"] for depth in facts["memory"]["stack"]} >= {
        "reader_predict",
        "reader_train_step",
    }
    step = {q["key"]: q for q in facts["cost"]["step"]}
    assert step["cycles"]["low"] < step["cycles"]["value"] < step["cycles"]["high"]
    assert step["time"]["value"] == pytest.approx(step["cycles"]["value"] / 64e3)
    assert step["energy"]["source"].startswith("Nordic")
    assert all(q["how"] for kind in facts["cost"].values() for q in kind)


@pytest.mark.mcu
def test_compile_mixed(cli: Cli) -> None:
    options = ("--precision", "mixed", "--train", "last:1", "--no-measure", "--json")
    facts = cli("compile", "digits_cnn", "--data", "digits", *options).facts
    assert (facts["precision"], facts["rule"], facts["sparse"]) == ("mixed", "float32 SGD", None)
    options = ("--precision", "mixed", "--train", "last:2", "--sparse", "0.1:1", "--no-measure", "--json")
    facts = cli("compile", "digits_cnn", "--data", "digits", *options).facts
    assert (facts["precision"], facts["sparse"]) == ("mixed", "split 10 to 100 %")


def test_compile_for_inference_on_a_core_without_a_clock(cli: Cli) -> None:
    result = cli("compile", "digits_cnn", "--data", "digits", "--train", "none", "--target", "cortex-m3")
    assert result.code == 0
    assert "training step" not in result.out
    assert re.search(r"time +not known +cortex-m3 is a core without a clock: name a board", result.out)
    assert re.search(r"energy +not known +no public figure", result.out)


def test_compile_writes_the_same_bytes_twice(cli: Cli, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        cli("compile", "digits_cnn", "--data", "digits", "--no-measure", "--out", folder)
    for path in (path for path in (tmp_path / "a").rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def some(folder: Path) -> str:
    """200 of the digits."""
    found = zoo_data.load("digits")
    train, test = (found.x_train[:200], found.y_train[:200]), (found.x_test[:200], found.y_test[:200])
    return save(folder / "some.npz", *train, x_test=test[0], y_test=test[1])


def test_train_learns_saves_and_resumes(cli: Cli, tmp_path: Path) -> None:
    data = (
        "train",
        "digits_cnn",
        "--data",
        some(tmp_path),
        "--scale",
        "16",
        "--epochs",
        "2",
        "--rate",
        "0.005",
    )
    first = cli(*data, "--save", "learned.mcgstate", "--out", "fw", "--json").facts
    assert first["held_out_accuracy_before"] > 0.95
    assert [epoch["steps"] for epoch in first["epochs"]] == [200, 400]
    assert first["held_out_accuracy"] == first["epochs"][-1]["validation_accuracy"] > 0.95
    assert (tmp_path / "fw/digits_cnn.c").is_file()
    second = cli(
        *data[:-4], "--epochs", "1", "--rate", "0.005", "--resume", "learned.mcgstate", "--json"
    ).facts
    assert second["held_out_accuracy_before"] == first["held_out_accuracy"]
    again = cli(*data, "--json").facts
    assert again["epochs"] == first["epochs"]


def test_train_says_a_line_per_epoch(cli: Cli, tmp_path: Path) -> None:
    data = ("--data", some(tmp_path), "--scale", "16", "--rate", "0.005")
    result = cli("train", "digits_cnn", *data, "--epochs", "2", "--save", "learned.npz")
    lines = re.findall(
        r"^epoch ./2   loss [\d.]+   while training +[\d.]+%   held out +[\d.]+%$", result.out, re.M
    )
    assert len(lines) == 2
    assert "before" in result.out
    assert "wrote learned.npz" in result.out
    assert result.err == ""


def test_train_in_a_new_world_and_keep_the_old_one(cli: Cli, tmp_path: Path) -> None:
    """Digits upside down, light on dark: what is forgotten of those that the network came with."""
    found = zoo_data.load("digits")
    x, x_test = 16 - found.x_train[:128, ::-1], 16 - found.x_test[:, ::-1]
    held_out = {"x_test": x_test[:100], "y_test": found.y_test[:100]}
    turned = save(tmp_path / "turned.npz", x, found.y_train[:128], **held_out)
    options = ("--scale", "16", "--rate", "0.01", "--old", some(tmp_path), "--epochs")
    new_world = ("train", "digits_cnn", "--data", turned, *options)
    alone = cli(*new_world, "5", "--json").facts
    kept = cli(*new_world, "5", "--replay", "64", "--remember", "--augment", "noise=0.05", "--json").facts
    assert alone["old_held_out_accuracy_before"] == kept["old_held_out_accuracy_before"] > 0.95
    assert alone["held_out_accuracy"] > alone["held_out_accuracy_before"] + 0.3
    assert kept["old_held_out_accuracy"] > alone["old_held_out_accuracy"] + 0.1
    assert [epoch["steps"] for epoch in kept["epochs"]] == [256 * (i + 1) for i in range(5)]
    text = cli(*new_world, "1", "--replay", "64", "--remember").out
    assert re.search(
        r"^before +[\d.]+% of 100 held-out samples right\n +[\d.]+% of 200 held-out old samples", text, re.M
    )
    assert re.search(r"^after +[\d.]+% of 200 held-out old samples right$", text, re.M)


def test_train_with_latents_learns_what_it_learns_with_inputs(cli: Cli, tmp_path: Path) -> None:
    found = zoo_data.load("digits")
    turned = save(tmp_path / "turned.npz", 16 - found.x_train[:128, ::-1], found.y_train[:128])
    options = ("--scale", "16", "--epochs", "1", "--rate", "0.01", "--train", "last:2", "--replay", "16")
    verb = ("train", "digits_cnn", "--data", turned, "--old", "digits", *options)
    facts = [cli(*verb, "--replay-of", of, "--json").facts for of in ("inputs", "latents")]
    assert facts[0]["stored_sample_bytes"] == 64
    assert facts[1]["replay_of"] == "latents"
    assert facts[0]["epochs"] == facts[1]["epochs"]
    refused = cli(*verb, "--replay-of", "latents", "--augment", "noise=0.02")
    assert refused.code == 2
    assert "augmentation changes inputs" in refused.err
    assert "--replay-of inputs when it is compiled" in refused.err


def test_latents_are_asked_for_where_samples_are_stored(cli: Cli, tmp_path: Path) -> None:
    """By this training, by the firmware, or by whoever goes on from what was saved; else the option does nothing."""
    data = save(tmp_path / "mine.npz", images(), labels())
    verb = ("train", "digits_cnn", "--data", data, "--epochs", "1", "--train", "last:2", "--rate", "0.01")
    latents, firmware = ("--replay-of", "latents"), ("--out", str(tmp_path / "firmware"))
    for options in ((), (*firmware, "--inference"), (*firmware, "--features", "none")):
        refused = cli(*verb, *latents, *options)
        assert refused.code == 2, options
        assert "no samples are stored, so that --replay-of latents has no effect" in refused.err
        assert "--replay 64 --old DATA" in refused.err
    assert not (tmp_path / "firmware").exists()
    for options in (firmware, ("--save", str(tmp_path / "net.mcgstate"))):
        assert cli(*verb, *latents, *options, "--json").facts["replay_of"] == "latents"


def test_train_without_held_out_samples(cli: Cli, tmp_path: Path) -> None:
    data = save(tmp_path / "mine.npz", images(), labels())
    facts = cli("train", "digits_cnn", "--data", data, "--epochs", "1", "--json").facts
    assert facts["held_out_accuracy"] is None
    assert facts["held_out_accuracy_before"] is None
    assert "0 held out" in facts["data"]


@pytest.mark.mcu
def test_run(cli: Cli) -> None:
    on = ("--on", "emulator,cortex-m0plus", "--on", "reference", "--steps", "6")
    result = cli("run", "digits_cnn", "--data", "digits", *on)
    assert result.code == 0
    assert (
        "\nequal: emulator, cortex-m0plus, reference and host twin agree in every bit:\n  60 outputs"
        in result.out
    )
    assert re.search(r"^  cortex-m0plus +[\d,]+$", result.out, re.MULTILINE)


@pytest.mark.mcu
def test_run_json(cli: Cli) -> None:
    facts = cli("run", "digits_cnn", "--data", "digits", "--steps", "4", "--train", "last:1", "--json").facts
    assert facts["equal"] is True
    assert facts["steps"] == 4
    assert facts["on"] == ["emulator"]
    assert facts["outputs"] == 40
    assert facts["reported"][:3] == ["loss", "rate", "update_rate"]
    assert facts["instructions_per_step"]["emulator"] > 100_000


@pytest.mark.mcu
def test_report(cli: Cli, tmp_path: Path) -> None:
    options = ("--train", "last:1", "--epochs", "1", "--steps", "4", "--out", "mine")
    facts = cli("report", "digits_cnn", "--data", "digits", *options, "--json").facts
    assert facts == json.loads((tmp_path / "mine/report.json").read_text(encoding="utf-8"))
    assert facts["device"]["target"] == "nrf52840"
    assert [point["step"] for point in facts["curve"]] == [0, 1347]
    assert facts["compared"]["steps"] == 4
    assert sum(function["share"] for function in facts["functions"]) == pytest.approx(1)
    instructions = sum(function["instructions"] for function in facts["functions"])
    assert facts["cost"]["step"][0]["value"] == pytest.approx(instructions)
    page = (tmp_path / "mine/report.html").read_text(encoding="utf-8")
    assert "<code>digits_cnn</code> on Nordic nRF52840" in page
    assert page.count("<h3>Memory to the byte</h3>") == 1
    cells = unescape(page).replace(">  ", ">")
    for part in (*facts["memory"]["ram"], *facts["memory"]["flash"]):
        row = f'>{part["label"]}</th><td class="n">{part["bytes"]:,}</td>'
        assert (row in cells) == (part["bytes"] > 0), part
    assert (tmp_path / "mine/firmware/digits_cnn.c").is_file()
