"""--save and --resume on every verb, and `mcugrad state`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mcugrad as mg
from command_line import Cli, save
from mcugrad.measure import cost
from mcugrad.measure.memory import Memory
from mcugrad.state.file import StateFile
from networks import PARTIAL_NET, Conv, Dense, Pool, corners, write_onnx
from partly import FIXED, network

NET = (Conv(6, stride=(2, 2), pads=(1, 1, 1, 1)), Pool(), Conv(9, (2, 2)), Dense(4))

EPOCH = ("--epochs", "1", "--rate", "0.01")


@pytest.fixture
def task(tmp_path: Path) -> tuple[str, ...]:
    """What every verb is told, beside its own options; the files lie in the current folder."""
    x, y = corners(120, 8)
    write_onnx(tmp_path / "edge.onnx", (1, 8, 8), NET)
    data = save(
        tmp_path / "mine.npz",
        x[:90].astype(np.float32),
        y[:90],
        x_test=x[90:].astype(np.float32),
        y_test=y[90:],
    )
    return "edge.onnx", "--data", data, "--rule", "sr8"


def text(folder: str, name: str = "edge.h") -> str:
    return Path(folder, name).read_text(encoding="utf-8")


@pytest.mark.mcu
def test_what_was_trained_goes_through_every_verb(
    cli: Cli, task: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        cost, "memory", lambda *_: Memory((), (), (), ())
    )  # of firmware, which is not said here
    first = cli("train", *task, "--epochs", "1", "--save", "a.mcgstate", "--out", "fw", "--json").facts
    said = f"as trained, 90 steps on data sha256 {StateFile.read('a.mcgstate').about.data[:16]}"  # type: ignore[union-attr]
    assert first["begins"] == said
    assert f"begins  {said}" in text("fw")
    assert "schedule has ended at a learning rate of 0" in text("fw", "README.md")
    # Firmware from a state, as from the training itself; what was delivered from neither.
    cli("compile", *task, "--no-measure", "--resume", "a.mcgstate", "--out", "fw2", "--save", "b.mcgstate")
    assert {text("fw", f"edge.{end}") == text("fw2", f"edge.{end}") for end in "ch"} == {True}
    assert Path("a.mcgstate").read_bytes() == Path("b.mcgstate").read_bytes()
    result = cli("train", *task, *EPOCH, "--as-delivered", "--out", "fw3")
    assert "the firmware begins as delivered" in result.out
    assert "begins  as delivered, nothing trained yet" in text("fw3")
    cli("compile", *task, *EPOCH[2:], "--no-measure", "--out", "fw4")
    assert text("fw3", "edge.c") == text("fw4", "edge.c")
    assert text("fw3", "edge.c") != text("fw", "edge.c")
    # Steps on an emulated core go on from it, and so does a report.
    ran = cli("run", *task, "--steps", "5", "--resume", "a.mcgstate", "--save", "c.mcgstate", "--json")
    assert ran.facts["equal"] is True
    assert StateFile.read("c.mcgstate").steps == 95
    cli(
        "report",
        *task,
        *EPOCH,
        "--steps",
        "2",
        "--resume",
        "c.mcgstate",
        "--save",
        "d.mcgstate",
        "--out",
        "r",
    )
    assert StateFile.read("d.mcgstate").steps == 185
    assert "begins  as trained, 185 steps" in text("r/firmware")


def test_trained_here_and_inferred_on_a_smaller_device(
    cli: Cli, task: tuple[str, ...], tmp_path: Path
) -> None:
    cli("train", *task, *EPOCH, "--save", "a.mcgstate", "--inference", "--out", "fw")
    cli("compile", *task, "--train", "none", "--resume", "a.mcgstate", "--no-measure", "--out", "fw2")
    assert text("fw", "edge.c") == text("fw2", "edge.c")
    assert "edge_train_step" not in text("fw")
    assert "begins  as trained, 90 steps" in text("fw")
    other = tmp_path / "other.onnx"
    write_onnx(other, (1, 8, 8), NET, seed=9)
    result = cli(
        "compile", "other.onnx", *task[1:], "--train", "none", "--resume", "a.mcgstate", "--no-measure"
    )
    assert result.code == 2
    assert "the state is of edge.onnx (sha256 " in result.err
    for options, told in (
        ((), ": --rule changes nothing"),
        (("--rate", "0.1", "--features", "none"), ": --rule, --rate, --features change nothing"),
        (("--rule", "sr16", "--sparse", "0.5"), ": --rule, --sparse change nothing"),
    ):
        result = cli("compile", *task, "--train", "none", "--resume", "a.mcgstate", "--no-measure", *options)
        assert result.code == 0
        assert (
            f"note  with --train none the model in a.mcgstate infers as it was compiled{told}" in result.out
        )
    plain = cli("compile", *task[:3], "--train", "none", "--resume", "a.mcgstate", "--no-measure")
    assert "changes nothing" not in plain.out
    mg.Trainer.load("a.mcgstate").save("small.mcgstate", program=False)
    result = cli("compile", *task, "--train", "none", "--resume", "small.mcgstate", "--no-measure")
    assert "the state file does not hold its model" in result.err
    cli("state", "convert", "a.mcgstate", "a.npz")
    result = cli("compile", *task, "--train", "none", "--resume", "a.npz", "--no-measure")
    assert result.code == 2
    assert "--train none needs a state file" in result.err
    assert "mcugrad state convert a.npz a.mcgstate --like" in result.err


def test_a_rate_that_has_ended_is_said_by_every_verb_that_writes_firmware(
    cli: Cli, task: tuple[str, ...]
) -> None:
    said = "its learning rate has ended at 0: edge_set_rate before it learns on"
    assert said in cli("train", *task, *EPOCH, "--save", "a.mcgstate", "--out", "fw").out
    assert said in cli("compile", *task, "--resume", "a.mcgstate", "--no-measure", "--out", "fw").out
    assert said not in cli("compile", *task, "--no-measure", "--out", "fw").out
    result = cli("train", *task, *EPOCH, "--save", "b.mcgstate", "--schedule", "constant", "--out", "fw")
    assert said not in result.out


@pytest.mark.parametrize("form", [".h", ".c", ".bin"])
def test_a_state_file_is_not_called_like_another_form(cli: Cli, task: tuple[str, ...], form: str) -> None:
    result = cli("train", *task, *EPOCH, "--save", f"a{form}")
    assert result.code == 2
    assert f"mcugrad state convert a.mcgstate a{form}" in result.err
    assert not Path(f"a{form}").exists()


def test_states_are_shown_and_converted(cli: Cli, task: tuple[str, ...]) -> None:
    cli("train", *task, *EPOCH, "--save", "a.mcgstate", "--out", "fw")
    shown = cli("state", "show", "a.mcgstate")
    assert "\n\n\n" not in shown.out
    for said in (
        "a.mcgstate: edge, 90 training steps",
        "conv1, conv2, fc1 (sr8, in place)",
        "holds its model  yes",
    ):
        assert said in shown.out
    facts = cli("state", "show", "a.mcgstate", "--json").facts
    assert f"#define EDGE_FINGERPRINT {facts['fingerprint']}U" in text("fw")
    assert facts["damages"] == []
    params = Path("a.bin")
    assert cli("state", "convert", "a.mcgstate", "a.bin").out.startswith("wrote a.bin: 90 training steps")
    assert params.stat().st_size == facts["params_bytes"]
    for form in ("b.h", "b.npz", "b.bin", "b.mcgstate"):
        assert cli("state", "convert", "a.bin", form, "--like", "a.mcgstate").code == 0
        assert cli("state", "convert", form, "c.bin", "--like", "a.mcgstate").code == 0
        assert Path("c.bin").read_bytes() == params.read_bytes()
    assert '#error "this state is of another model than edge.h"' in text(".", "b.h")
    assert cli("train", *task, *EPOCH, "--resume", "b.h", "--json").facts["model"] == "edge"
    for arguments, said in (
        (("a.bin", "x.mcgstate"), "does not say of which model it is"),
        (("a.mcgstate", "x.zip"), ".zip is no form of a state"),
        (("fw/edge.h", "x.bin", "--like", "a.mcgstate"), "no array of bytes"),
        (("no.bin", "x.bin", "--like", "a.mcgstate"), "does not exist"),
        (("a.bin", "x.bin", "--like", "mine.npz"), "does not begin with MCGSTATE"),
        (("a.mcgstate", "fw/edge.h"), "try    edge_state.h"),
        (("a.mcgstate", "fw/edge.c"), "must not be called like its files"),
    ):
        result = cli("state", "convert", *arguments)
        assert result.code == 2
        assert said in result.err
    damaged = bytearray(params.read_bytes())
    damaged[:4] = b"\xff\xff\xff\xff"
    params.write_bytes(damaged)
    assert (
        "the state is damaged: conv1_w_scale: 1 of 6 not in"
        in cli("state", "convert", "a.bin", "x.bin", "--like", "a.mcgstate").err
    )


def test_arrays_with_rows_that_stay_in_flash_are_converted_by_a_file_that_holds_its_model(
    cli: Cli, tmp_path: Path
) -> None:
    _, x, _ = network()
    net = mg.load(write_onnx(tmp_path / "part.onnx", (2, 9, 13), PARTIAL_NET))
    trainer = mg.compile(net, calibration=x, sparse=FIXED, rule="sr12")
    assert trainer.build.compiled.program.in_flash
    trainer.save("whole.mcgstate")
    trainer.save("alone.mcgstate", program=False)
    np.savez("state.npz", **trainer.state)  # type: ignore[arg-type]
    assert cli("state", "convert", "state.npz", "a.bin", "--like", "whole.mcgstate").code == 0
    assert Path("a.bin").read_bytes() == trainer.state_file().params
    refused = cli("state", "convert", "state.npz", "b.bin", "--like", "alone.mcgstate")
    assert refused.code == 2
    assert "arrays with all rows, a state file that holds its model" in refused.err
    moved = trainer.state
    moved["fc1_w"][1, 0] ^= 1
    np.savez("state.npz", **moved)  # type: ignore[arg-type]
    assert (
        "other rows that do not train"
        in cli("state", "convert", "state.npz", "b.bin", "--like", "whole.mcgstate").err
    )
