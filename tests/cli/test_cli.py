"""The command line: what every verb says, its JSON, its exit codes, and every message a user can meet."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from command_line import Cli, Result, save
from mcugrad import __version__, toolchain, verification
from mcugrad.commands.inputs import default_scale, network, prepared, samples
from mcugrad.emulator import binding
from mcugrad.errors import DataError, ToolError
from mcugrad.toolchain import compilers
from mcugrad.training.rules.family import FAMILY
from mcugrad.zoo import data as zoo_data
from networks import Conv, Dense, write_onnx

VERBS = ("demo", "inspect", "compile", "train", "run", "report", "doctor")

SMALL_BOARD = """core = "cortex-m4f"
[flash]
address = 0
bytes = 65536
[ram]
address = 0x20000000
bytes = {ram}
"""


def images(count: int = 20) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8)).astype(np.uint8)


def labels(count: int = 20) -> np.ndarray:
    return np.arange(count) % 10


# --- what is fine -------------------------------------------------------------------------------------------


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'onnx', 'onnxscript', 'unicorn', 'jinja2'}"
    code = f"import sys, mcugrad.cli; print(sorted({heavy} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_python_m() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mcugrad", "inspect", "nope"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: there is neither a file nor a network named 'nope'\n")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
def test_a_reader_who_has_seen_enough_is_no_answer() -> None:
    """As in `mcugrad inspect digits_cnn | head -1`: what a shell says of a broken pipe, not 1."""
    command = [sys.executable, "-u", "-m", "mcugrad", "inspect", "digits_cnn"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


@pytest.mark.skipif(sys.platform == "win32", reason="no POSIX shell there")
@pytest.mark.parametrize("arguments", ["inspect digits_cnn", "inspect nope"])
@pytest.mark.parametrize("streams", [">&-", ">&- 2>&-", ">/dev/full", "2>/dev/full"])
def test_streams_that_take_nothing(arguments: str, streams: str) -> None:
    """Closed, as a service may have them, or on a full disk: the exit code holds, and there is no traceback."""
    if "/dev/full" in streams and not Path("/dev/full").exists():
        return
    command = f'"{sys.executable}" -m mcugrad {arguments} {streams}'
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    unsaid = streams.startswith(">/dev/full")
    assert done.returncode == (2 if "nope" in arguments or unsaid else 0)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if streams == ">/dev/full" and "nope" not in arguments:
        assert done.stderr.startswith(
            "error: what there is to say cannot be written: No space left on device\n"
        )
    elif streams in (">&-", ">/dev/full"):
        assert done.stderr.startswith("error: ") is ("nope" in arguments)


@pytest.mark.parametrize("epochs", [10**9, 10**20])
def test_more_steps_than_the_device_can_count(cli: Cli, tmp_path: Path, epochs: int) -> None:
    data = save(tmp_path / "d.npz", images(), labels())
    result = cli("train", "digits_cnn", "--data", data, "--epochs", str(epochs))
    assert result.code == 2
    assert (
        f"error: {epochs} epochs of 20 samples take {20 * epochs} training steps; the device counts to "
        in result.err
    )
    assert result.err.endswith(f"  try    at most {(2**32 - 1) // 20}\n")


def test_version(cli: Cli) -> None:
    assert cli("--version") == Result(0, f"mcugrad {__version__}\n", "")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_lists_the_verbs(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli(*arguments)
    assert result.code == 0
    for verb in VERBS:
        assert re.search(rf"^ +{verb} ", result.out, re.MULTILINE)
    assert "..." not in result.out.partition("Commands:")[2], "a sentence is cut off"
    assert max(map(len, result.out.splitlines())) <= 80


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_json(cli: Cli, verb: str) -> None:
    result = cli(verb, "--help")
    assert result.code == 0
    assert "--json" in result.out


def test_inspect(cli: Cli) -> None:
    result = cli("inspect", "digits_cnn", "--target", "nrf52840")
    assert result.code == 0
    assert "digits_cnn: 8x8x1 -> 10 classes, 3,658 parameters, 25,408 multiply-accumulates" in result.out
    assert re.search(r"^  conv2 +conv 3x3/2 relu  8x8x8 -> 4x4x16 +1,168 +18,432$", result.out, re.MULTILINE)
    assert re.search(r"^  last:2 +sr8 +[\d.]+ KiB +[\d.]+ KiB +yes$", result.out, re.MULTILINE)
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


def test_inspect_says_the_sizes_that_compile_says(cli: Cli) -> None:
    choices = cli("inspect", "digits_cnn", "--json").facts["choices"]
    for choice in (choices[0], choices[3], choices[5], choices[-1]):
        options = ["--train", choice["train"], "--rule", choice["rule"] or "sr16", "--no-measure", "--json"]
        facts = cli("compile", "digits_cnn", "--data", "digits", *options).facts
        assert facts["ram_bytes"] == choice["ram_bytes"]
        assert facts["constants_bytes"] == choice["constants_bytes"]


def test_inspect_tells_what_does_not_fit(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL_BOARD.format(ram=8192))
    facts = cli("inspect", "digits_cnn", "--target", "small.toml", "--json").facts
    fits = {(choice["train"], choice["rule"]): choice["fits"] for choice in facts["choices"]}
    assert fits["all", "sr16"] is False
    assert fits["last:1", "sr8"] is True


def test_inspect_shows_few_ways_of_a_deep_network(cli: Cli, tmp_path: Path) -> None:
    layers = (*[Conv(4, pads=(1, 1, 1, 1))] * 22, Dense(3))
    write_onnx(tmp_path / "deep.onnx", (4, 6, 6), layers)
    (tmp_path / "small.toml").write_text(SMALL_BOARD.format(ram=12288))
    x = np.random.default_rng(0).random((8, 6, 6, 4), np.float32)
    np.savez(tmp_path / "few.npz", x_train=x, y_train=np.arange(8) % 3)
    result = cli("inspect", "deep.onnx", "--target", "small.toml")
    assert max(map(len, result.out.splitlines())) <= 80
    choices = cli("inspect", "deep.onnx", "--target", "small.toml", "--json").facts["choices"]
    assert len(choices) < 22
    for rule in ("sr16", "sr12", "sr10", "sr8"):
        ways = [c for c in choices if c["rule"] == rule]
        assert ways[0]["train"] == "all"
        assert [c["fits"] for c in ways] == sorted(c["fits"] for c in ways)
        most = next(int(c["train"].removeprefix("last:")) for c in ways if c["fits"])
        options = ("--data", "few.npz", "--rule", rule, "--no-measure", "--target", "small.toml")
        assert cli("compile", "deep.onnx", *options, "--train", f"last:{most}").code == 0
        assert cli("compile", "deep.onnx", *options, "--train", f"last:{most + 1}").code == 1


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


def test_train_learns_saves_and_resumes(cli: Cli, tmp_path: Path) -> None:
    data = ("train", "digits_cnn", "--data", "digits", "--epochs", "2", "--rate", "0.005")
    first = cli(*data, "--save", "learned.mcgstate", "--out", "fw", "--json").facts
    assert first["held_out_accuracy_before"] > 0.95
    assert [epoch["steps"] for epoch in first["epochs"]] == [1347, 2694]
    assert first["held_out_accuracy"] == first["epochs"][-1]["validation_accuracy"] > 0.95
    assert (tmp_path / "fw/digits_cnn.c").is_file()
    second = cli(*data, "--resume", "learned.mcgstate", "--json").facts
    assert second["held_out_accuracy_before"] == first["held_out_accuracy"]
    again = cli(*data, "--json").facts
    assert again["epochs"] == first["epochs"]


def test_train_says_a_line_per_epoch(cli: Cli) -> None:
    result = cli("train", "digits_cnn", "--data", "digits", "--epochs", "2", "--save", "learned.npz")
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
    turned = save(tmp_path / "turned.npz", x, found.y_train[:128], x_test=x_test, y_test=found.y_test)
    new_world = ("train", "digits_cnn", "--data", turned, "--scale", "16", "--epochs", "5", "--old", "digits")
    alone = cli(*new_world, "--json").facts
    kept = cli(*new_world, "--replay", "64", "--remember", "--augment", "noise=0.05", "--json").facts
    assert alone["old_held_out_accuracy_before"] == kept["old_held_out_accuracy_before"] > 0.95
    assert alone["held_out_accuracy"] > alone["held_out_accuracy_before"] + 0.3
    assert kept["old_held_out_accuracy"] > alone["old_held_out_accuracy"] + 0.1
    assert [epoch["steps"] for epoch in kept["epochs"]] == [256 * (i + 1) for i in range(5)]
    text = cli(*new_world, "--replay", "64", "--remember").out
    assert re.search(
        r"^before +[\d.]+% of 450 held-out samples right\n +[\d.]+% of 450 held-out old samples", text, re.M
    )
    assert re.search(r"^after +[\d.]+% of 450 held-out old samples right$", text, re.M)


@pytest.mark.parametrize("option", ["--data", "--old"])
def test_the_option_whose_data_do_not_fit_is_named(cli: Cli, tmp_path: Path, option: str) -> None:
    good = save(tmp_path / "good.npz", images(), labels())
    for name, x, y in (("shape", np.zeros((20, 9, 9)), labels()), ("labels", images(), np.arange(20))):
        given = {"--data": good, "--old": good} | {option: save(tmp_path / f"{name}.npz", x, y)}
        result = cli("train", "digits_cnn", *(word for pair in given.items() for word in pair))
        assert result.code == 2
        assert f"where  {option}" in result.err


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
    assert (tmp_path / "mine/firmware/digits_cnn.c").is_file()
    assert re.search(
        r"^equal: emulator and host twin agree",
        cli("report", "digits_cnn", "--data", "digits", *options).out,
        re.M,
    )


def test_doctor(cli: Cli) -> None:
    result = cli("doctor")
    assert result.code == 0
    assert re.search(r"^  found +zig ", result.out, re.MULTILINE)
    assert result.out.endswith("mcugrad demo can run\n")
    facts = cli("doctor", "--json").facts
    assert facts["demo"] is True
    assert {"zig", "unicorn", "digits"} <= {tool["name"] for tool in facts["tools"] if tool["found"]}


# --- what is not --------------------------------------------------------------------------------------------

COMPILE = ("compile", "digits_cnn", "--data", "digits", "--no-measure")
TRAIN = ("train", "digits_cnn", "--data", "digits")

WRONG_USE = [
    (("nonsense",), "error: no such command 'nonsense'", "try    mcugrad --help"),
    (("--jsn",), "error: no such option: --jsn", "try    mcugrad --help"),
    (("inspect",), "error: missing argument 'MODEL'", "try    mcugrad inspect --help"),
    (("compile", "digits_cnn"), "error: missing option '--data'", "try    mcugrad compile --help"),
    ((*COMPILE, "--rate", "fast"), "error: 'fast' is no learning rate", "a number such as 0.01, or auto"),
    ((*COMPILE, "--calibration", "0"), "error: invalid value for '--calibration'", "compile --help"),
    ((*TRAIN, "--epochs", "0"), "error: invalid value for '--epochs'", "try    mcugrad train --help"),
    (("inspect", "nope"), "error: there is neither a file nor a network named 'nope'", "or digits_cnn"),
    (("inspect", "nope.onnx"), "error: the model file does not exist", "where  nope.onnx"),
    (("inspect", "folder/nope"), "error: the model file does not exist", "where  folder/nope"),
    (
        ("inspect", "digits_cnn", "--target", "mars"),
        "error: unknown target 'mars'",
        "one of imxrt1062, nrf52840",
    ),
    (
        ("inspect", "digits_cnn", "--target", "b.toml"),
        "error: the board file does not exist",
        "where  b.toml",
    ),
    (("compile", "digits_cnn", "--data", "digit"), "error: there is no data set named 'digit'", "'digits'"),
    (("compile", "digits_cnn", "--data", "x/y.npz"), "error: there is no such file", "where  x/y.npz"),
    (
        (*COMPILE, "--train", "last:9"),
        "error: train='last:9': N must be from 1 to 4",
        "layers are conv1, conv2",
    ),
    ((*COMPILE, "--train", "head"), "error: train='head' names nothing", "all, last:N, bias, none, or names"),
    (
        (*COMPILE, "--rule", "sr9"),
        "error: unknown update rule 'sr9'",
        "one of sr8, sr10, sr12, sr16, qas, ",
    ),
    ((*COMPILE, "--precision", "half"), "error: unknown precision 'half'", "one of int8, mixed, float32"),
    ((*COMPILE, "--rule", "sr8", "--rule", "sr12"), "error: --rule is given twice for the layers", "fc2=sr8"),
    ((*COMPILE, "--rule", "fc7=sr8"), "error: rule= names no layer of this model: 'fc7'", "conv1, conv2"),
    ((*COMPILE, "--momentum", "1"), "error: momentum of 1 is not in [0, 1)", "try    0.9"),
    (
        (*COMPILE, "--clip", "0.1"),
        "error: clipping needs the change of a whole row",
        "momentum=0.9 or batch=8",
    ),
    ((*COMPILE, "--velocity-bits", "8"), "error: there are no velocities to keep in 8 bits", "batch=8"),
    ((*COMPILE, "--rate", "-1"), "error: a learning rate of -1 is not usable", "where  rate"),
    ((*COMPILE, "--seed", "-1"), "error: seed -1 does not fit into 32 bits", "0 to 4294967295"),
    ((*COMPILE, "--scale", "0"), "error: samples cannot be divided by 0", "where  --scale"),
    ((*TRAIN, "--schedule", "steep"), "error: unknown schedule 'steep'", "try    cosine, linear or constant"),
    ((*TRAIN, "--schedule", "steps"), "error: unknown schedule 'steps'", "where  --schedule"),
    ((*TRAIN, "--train", "none"), "error: there is nothing to train", "--train last:1, or all"),
    ((*TRAIN, "--resume", "no.npz"), "error: the learned state does not exist", "where  no.npz"),
    ((*TRAIN, "--remember"), "error: there are no replayed samples to remember", "--replay 64 --old DATA"),
    ((*TRAIN, "--replay", "8"), "error: there are no old samples to replay", "--old with the data"),
    ((*TRAIN, "--old", "digit"), "error: there is no data set named 'digit'", "'digits'"),
    (
        (*TRAIN, "--old", "digits", "--replay", "0"),
        "error: a replay buffer cannot hold 0 samples",
        "such as 64",
    ),
    (
        (*COMPILE, "--sparse-policy", "topk"),
        "error: a policy chooses a share of the channels",
        "--sparse 0.1",
    ),
    (
        (*COMPILE, "--sparse-policy", "most"),
        "error: a policy chooses a share of the channels",
        "--sparse 0.1",
    ),
    ((*TRAIN, "--augment", "shear=2"), "error: 'shear=2' is no change of samples", "shift=2,gain=0.1"),
    ((*TRAIN, "--augment", "shift=1.5"), "error: 'shift=1.5' is no change of samples", "some of these"),
    ((*TRAIN, "--augment", "noise=1,noise=2"), "error: 'noise=2' is no change of samples", "--augment noise"),
    ((*TRAIN, "--augment", "noise=nan"), "error: noise=nan is not usable", "a finite number"),
    ((*TRAIN, "--augment", "shift=8"), "error: a shift of 8 rows", "at most 7 and 7"),
    (
        ("run", "digits_cnn", "--data", "digits", "--train", "none"),
        "error: there is nothing to train",
        "last:1",
    ),
    (
        ("report", "digits_cnn", "--data", "digits", "--train", "none"),
        "error: there is nothing to train",
        "last:1",
    ),
    (("run", "digits_cnn", "--data", "digits", "--on", "mars"), "error: unknown target 'mars'", "one of"),
]


@pytest.mark.parametrize(("arguments", "message", "help_"), WRONG_USE, ids=lambda a: str(a)[:50])
def test_wrong_use(cli: Cli, arguments: tuple[str, ...], message: str, help_: str) -> None:
    result = cli(*arguments)
    assert result.code == 2
    assert result.err.startswith(message)
    assert help_ in result.err
    machine = cli(*arguments, "--json")
    assert machine.code == machine.facts["exit_code"] == 2
    assert machine.err == ""
    assert f"error: {machine.facts['error']}".startswith(message)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", os.urandom(300)])
def test_not_onnx(cli: Cli, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    result = cli("inspect", "net.onnx")
    assert result.code == 2
    assert result.err.startswith("error: ")
    assert "where  net.onnx" in result.err


DATA = {
    "labels beyond the classes": (
        (images(), np.arange(20)),
        "10 of 20 labels are outside the 10 classes of digits_cnn; the highest is 19",
    ),
    "another shape": ((images()[:, :7], labels()), "the samples are 7x8, the network takes 8x8x1"),
    "constant": ((0 * images(), labels()), "calibration is constant: all 1280 values are 0"),
    "labels missing": (
        (images(), labels()[:-1]),
        "x_train (20, 8, 8) has 20 samples but y_train (19,) has 19 labels",
    ),
    "fractions": (
        (images(), labels() / 2),
        "y_train (20,) float64 holds values, but the loss is cross_entropy",
    ),
    "beyond float32": (
        (np.full((20, 8, 8), 1e300), labels()),
        "samples divided by 1 are beyond float32: 20 of 20, first sample 0",
    ),
    "NaN": ((np.full((20, 8, 8), np.nan), labels()), "has NaN or infinity in 20 of 20 samples"),
}


@pytest.mark.parametrize("case", DATA)
def test_data_that_cannot_be_used(cli: Cli, tmp_path: Path, case: str) -> None:
    (x, y), message = DATA[case]
    result = cli("compile", "digits_cnn", "--data", save(tmp_path / "mine.npz", x, y), "--no-measure")
    assert result.code == 2
    assert message in result.err.splitlines()[0]
    assert "Warning" not in result.err


def test_no_fit_is_a_no_with_a_way_out(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL_BOARD.format(ram=8192))
    result = cli(*COMPILE, "--target", "small.toml")
    assert result.code == 1
    lines = result.err.splitlines()
    assert re.fullmatch(
        r"error: training needs [\d.]+ KiB of RAM; small has 8.0 KiB \([\d.]+ KiB short\)", lines[0]
    )
    assert lines[1].startswith("  where  learned state ")
    way = re.match(r"  try    train=(\S+)(?: with rule=(\S+))?", lines[2])
    assert way is not None
    again = [*COMPILE, "--target", "small.toml", "--train", way[1], *(("--rule", way[2]) if way[2] else ())]
    assert cli(*again).code == 0
    assert cli(*COMPILE, "--target", "small.toml", "--json").facts["kind"] == "FitError"


def test_nothing_fits(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(SMALL_BOARD.format(ram=4096).replace("65536", "4096"))
    result = cli(*COMPILE, "--target", "tiny.toml")
    assert result.code == 1
    assert "not even inference fits" in result.err


def test_a_difference_is_a_no(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "differences", lambda a, b: ["conv1_w: 1 of 72 bytes differ"])
    run = ("run", "digits_cnn", "--data", "digits", "--on", "reference", "--steps", "1")
    result = cli(*run)
    assert result.code == 1
    assert re.match(r"error: reference and host twin differ .*\n  where  conv1_w: 1 of 72", result.err)
    assert cli(*run, "--json").facts["kind"] == "MismatchError"


def test_no_compiler(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilers, "_command", lambda name: None)
    result = cli(*TRAIN, "--epochs", "1")
    assert result.code == 2
    assert "error: the compiler zig is not installed\n  try    pip install ziglang" in result.err
    assert cli(*COMPILE).code == 0
    doctor = cli("doctor")
    assert doctor.code == 1
    assert "mcugrad demo cannot run without zig" in doctor.out
    assert cli("doctor", "--json").facts["demo"] is False


def test_no_emulator(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise ToolError("the emulator unicorn cannot be loaded", hint="pip install unicorn")

    monkeypatch.setattr(binding, "unicorn", absent)
    for verb in (("run", "digits_cnn", "--data", "digits"), ("demo", "--steps", "10")):
        result = cli(*verb)
        assert result.code == 2
        assert result.err == "error: the emulator unicorn cannot be loaded\n  try    pip install unicorn\n"


@pytest.mark.parametrize("content", [b"hello", b""])
def test_state_file_that_is_none(cli: Cli, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.npz").write_bytes(content)
    result = cli(*TRAIN, "--resume", "state.npz")
    assert result.code == 2
    assert "the file cannot be read as .npz: it is no zip archive" in result.err


def test_state_of_another_model(cli: Cli) -> None:
    assert cli(*TRAIN, "--epochs", "1", "--save", "s.npz").code == 0
    result = cli(*TRAIN, "--epochs", "1", "--resume", "s.npz", "--rule", "sr8")
    assert result.code == 2
    assert "error: the learned state is of another model: 4 of 27 arrays differ, first fc2_w_re" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        (*TRAIN, "--save", "file/below"),
        (*TRAIN, "--out", "file/below"),
        (*TRAIN, "--save", "folder"),
        (*TRAIN, "--out", "file"),
        ("demo", "--out", "file"),
        ("demo", "--picture", "folder"),
        ("report", "digits_cnn", "--data", "digits", "--out", "file"),
    ],
    ids=lambda a: " ".join(a[:1] + a[-2:]),
)
def test_places_that_cannot_be_written_are_refused_before_work_is_lost(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    result = cli(*arguments)
    assert result.code == 2
    assert re.search(
        r"^error: cannot write the (file|firmware): (Not|Is) a directory\n  where  f", result.err
    )
    assert result.out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_place_without_permission_is_refused(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: not Path(path).samefile(tmp_path))
    result = cli(*TRAIN, "--save", "new/state.npz")
    assert result.code == 2
    assert "error: cannot write the file: Permission denied\n  where  new/state.npz" in result.err
    assert list(tmp_path.iterdir()) == []


def test_interrupt_leaves_quietly(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> list[toolchain.Tool]:
        raise KeyboardInterrupt

    monkeypatch.setattr(toolchain, "doctor", interrupted)
    assert cli("doctor") == Result(130, "", "stopped\n")
    assert cli("doctor", "--json") == Result(130, "", "")


def test_too_little_memory(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted() -> list[toolchain.Tool]:
        raise MemoryError("Unable to allocate 24 GiB")

    monkeypatch.setattr(toolchain, "doctor", exhausted)
    result = cli("doctor")
    assert result.code == 2
    assert result.err.startswith("error: this computer has not enough memory: unable to allocate 24 GiB\n")
    assert cli("doctor", "--json").facts["kind"] == "ToolError"


# --- samples ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dtype", "divisor"),
    [
        ("digits", "uint8", 16),
        ("digits", "float32", 1),
        ("any", "uint8", 255),
        ("any", "int16", 32768),
        ("any", "float64", 1),
    ],
)
def test_what_samples_are_divided_by(name: str, dtype: str, divisor: float) -> None:
    assert default_scale(name, np.dtype(dtype)) == divisor


def test_samples_are_brought_into_the_networks_shape(tmp_path: Path) -> None:
    model = network("digits_cnn")
    x = images(4)
    for form in (x, x[..., None], x[:, None]):
        assert np.array_equal(prepared(form, model, 255), x[..., None].astype(np.float32) / np.float32(255))
    with pytest.raises(DataError):
        prepared(x.reshape(4, 64), model, 255)


def test_scale_can_be_said(tmp_path: Path) -> None:
    model = network("digits_cnn")
    path = save(tmp_path / "mine.npz", images(), labels(), x_test=images(4), y_test=labels(4))
    found = samples(path, model, 100)
    assert found.x.max() == pytest.approx(2.55)
    assert found.text == "mine: 20 samples to train, 4 held out, 8x8 uint8 divided by 100"
    assert list(found.spaced(3)) == [0, 10, 19]
    assert list(found.spaced(1000)) == list(range(20))
