"""Every message of the command line that a user can meet: wrong use, unusable data, what does not fit."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from command_line import COMPILE, SMALL_BOARD, TRAIN, Cli, images, labels, save
from mcugrad import verification


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


@pytest.mark.parametrize("option", ["--data", "--old"])
def test_the_option_whose_data_do_not_fit_is_named(cli: Cli, tmp_path: Path, option: str) -> None:
    good = save(tmp_path / "good.npz", images(), labels())
    for name, x, y in (("shape", np.zeros((20, 9, 9)), labels()), ("labels", images(), np.arange(20))):
        given = {"--data": good, "--old": good} | {option: save(tmp_path / f"{name}.npz", x, y)}
        result = cli("train", "digits_cnn", *(word for pair in given.items() for word in pair))
        assert result.code == 2
        assert f"where  {option}" in result.err


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
        "error: --train last:9: N must be from 1 to 4",
        "layers are conv1, conv2",
    ),
    ((*COMPILE, "--train", "head"), "error: --train head names nothing", "all, last:N, bias, none, or names"),
    (
        (*COMPILE, "--rule", "sr9"),
        "error: unknown update rule 'sr9'",
        "one of sr8, sr10, sr12, sr16, qas, ",
    ),
    ((*COMPILE, "--precision", "half"), "error: unknown precision 'half'", "one of int8, mixed, float32"),
    ((*COMPILE, "--rule", "sr8", "--rule", "sr12"), "error: --rule is given twice for the layers", "fc2=sr8"),
    ((*COMPILE, "--rule", "fc7=sr8"), "error: --rule names no layer of this model: 'fc7'", "conv1, conv2"),
    ((*COMPILE, "--momentum", "1"), "error: momentum of 1 is not in [0, 1)", "try    0.9"),
    (
        (*COMPILE, "--clip", "0.1"),
        "error: clipping needs the change of a whole row",
        "--momentum 0.9 or --batch 8",
    ),
    ((*COMPILE, "--velocity-bits", "8"), "error: there are no velocities to keep in 8 bits", "--batch 8"),
    ((*COMPILE, "--rate", "-1"), "error: a learning rate of -1 is not usable", "where  --rate"),
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
    assert re.match(
        r"  most   stack and caller 4,096 B; residual planes [\d,]+ B, fc1_w_residual 2,048 B", lines[2]
    )
    way = re.match(r"  try    --train (\S+)(?: with --rule (\S+))?", lines[3])
    assert way is not None
    again = [*COMPILE, "--target", "small.toml", "--train", way[1], *(("--rule", way[2]) if way[2] else ())]
    assert cli(*again).code == 0
    facts = cli(*COMPILE, "--target", "small.toml", "--json").facts
    assert facts["kind"] == "FitError"
    assert facts["largest"][0] == {"what": "stack and caller", "bytes": 4096, "most": "", "most_bytes": 0}
    assert len(facts["largest"]) == 3


def test_the_refusal_in_the_documentation_is_what_is_said(cli: Cli) -> None:
    text = (Path(__file__).parents[2] / "docs/training.md").read_text(encoding="utf-8")
    said = re.search(r"^\$ mcugrad (.*)\n((?:.+\n)+)```$", text, re.MULTILINE)
    assert said is not None
    result = cli(*said[1].split())
    assert result.code == 1
    assert result.err == said[2]


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


@pytest.mark.parametrize("content", [b"hello", b""])
def test_state_file_that_is_none(cli: Cli, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.npz").write_bytes(content)
    result = cli(*TRAIN, "--resume", "state.npz")
    assert result.code == 2
    assert "the file cannot be read as .npz: it is no zip archive" in result.err


def test_state_of_another_model(cli: Cli, tmp_path: Path) -> None:
    train = (
        "train",
        "digits_cnn",
        "--data",
        save(tmp_path / "few.npz", images(), labels()),
        "--rate",
        "0.01",
    )
    assert cli(*train, "--epochs", "1", "--save", "s.npz").code == 0
    result = cli(*train, "--epochs", "1", "--resume", "s.npz", "--rule", "sr8")
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
