"""Places to write to: one that is full or cannot be written is refused before there is work to be lost."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from command_line import COMPILE, TRAIN, Cli, images, labels, save
from mcugrad.emit.folder import write_folder
from networks import Dense, write_onnx

FULL = "cannot write the file: No space left on device"


def leave_no_trace(cli: Cli, folder: Path, *arguments: str) -> str:
    """What is said of places that are refused, at once, and with nothing left behind."""
    before = sorted(folder.rglob("*"))
    result = cli(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert sorted(folder.rglob("*")) == before
    return result.err


class Limited:
    """A file on a disk with so many bytes left."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.asked: list[int] = []

    def __call__(self, *_: Any, **__: Any) -> Limited:
        return self

    def __enter__(self) -> Limited:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def flush(self) -> None:
        pass

    def write(self, content: bytes) -> None:
        self.asked.append(len(content))
        if len(content) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", Limited(4096))
    for options in (("--save", "state.mcgstate"), ("--save", "new/state.npz"), ("--out", "fw")):
        said = leave_no_trace(cli, tmp_path, *TRAIN, *options)
        assert said.startswith(
            f"error: {FULL.replace('file', 'firmware' if '--out' in options else 'file')}\n"
        )
        assert f"  where  {options[1]}\n  try    some space, or another place" in said


def brief(folder: Path) -> tuple[str, ...]:
    """A training of little time, but for the place of what it learns."""
    write_onnx(folder / "net.onnx", (1, 8, 8), (Dense(10),))
    data = save(folder / "few.npz", images(), labels())
    return "train", "net.onnx", "--data", data, "--epochs", "1", "--rate", "0.01", "--save"


def test_a_disk_that_has_too_little_room_for_this_state(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is looked for again when its size is known, and still before the training."""
    train = brief(tmp_path)
    assert cli(*train, "state.mcgstate").code == 0
    size = (tmp_path / "state.mcgstate").stat().st_size
    disk = Limited(1 << 20)
    monkeypatch.setattr(tempfile, "TemporaryFile", disk)
    result = cli(*train, "again.mcgstate")
    assert result.code == 0
    assert disk.asked[0] == disk.room
    assert size - 256 < disk.asked[1] <= size, "but for the hash of the data"
    disk.room = disk.asked[1] - 1
    monkeypatch.setattr("mcugrad.commands.output.ROOM", 1)
    monkeypatch.setitem(_demand_places().__kwdefaults__, "size", 1)
    result = cli(*train, "other.mcgstate")
    assert result.code == 2
    assert FULL in result.err
    assert "epoch" not in result.out


def _demand_places() -> Any:
    from mcugrad.commands.output import demand_places

    return demand_places


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_device_that_is_full(cli: Cli, tmp_path: Path) -> None:
    assert FULL in leave_no_trace(cli, tmp_path, *TRAIN, "--save", "/dev/full")
    (tmp_path / "link").symlink_to("/dev/full")
    assert FULL in leave_no_trace(cli, tmp_path, *TRAIN, "--save", "link")


def test_links_are_refused_before_work_is_lost(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "fw").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "state.npz").symlink_to("other.npz")
    (tmp_path / "linked").symlink_to("elsewhere")
    (tmp_path / "fw/examples").symlink_to("../elsewhere")
    for options in (("--save", "state.npz"), ("--out", "linked"), ("--out", "fw")):
        for verb in (TRAIN, COMPILE):
            said = leave_no_trace(cli, tmp_path, *verb, *options)
            assert "it is a symbolic link, which is not followed" in said


def test_a_folder_below_that_cannot_be_written(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "fw/examples").mkdir(parents=True)
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "examples" not in str(path) and real(path, mode))
    for verb in (TRAIN, COMPILE):
        said = leave_no_trace(cli, tmp_path, *verb, "--out", "fw")
        assert re.match(r"error: cannot write the firmware: Permission denied\n  where  fw.examples\n", said)


def test_code_that_somebody_has_changed_is_refused_before_it_is_measured(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "fw").mkdir()
    (tmp_path / "fw/digits_cnn.c").write_text("int mine;")
    for verb in (TRAIN, COMPILE):
        assert "digits_cnn.c is not as mcugrad has written it" in leave_no_trace(
            cli, tmp_path, *verb, "--out", "fw"
        )


def test_a_file_that_may_be_written_in_a_folder_that_may_not(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As one that is mounted into a container."""
    place, train = tmp_path / "state.npz", brief(tmp_path)
    place.write_bytes(b"")

    def denied(*_: Any, **__: Any) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "TemporaryFile", denied)
    assert cli(*train, "state.npz").code == 0
    assert place.stat().st_size > 1000
    assert "Permission denied" in cli(*TRAIN, "--save", "new.npz").err


def test_a_self_test_that_would_have_to_go_is_looked_at_before_training(cli: Cli, tmp_path: Path) -> None:
    """It is part of the firmware that is replaced, and somebody changed it."""
    write_folder({"digits_cnn_selftest.c": "as written\n"}, tmp_path / "fw")
    (tmp_path / "fw/digits_cnn_selftest.c").write_text("mine\n")
    for verb in (TRAIN, COMPILE):
        said = leave_no_trace(cli, tmp_path, *verb, "--out", "fw")
        assert "digits_cnn_selftest.c is not as mcugrad has written it" in said


@pytest.mark.parametrize(
    "options", [("--selftest",), ("--format", "arduino"), ("--inference",), ("--as-delivered",)]
)
def test_firmware_options_without_a_folder(cli: Cli, options: tuple[str, ...]) -> None:
    result = cli(*TRAIN, *options)
    assert result.code == 2
    assert result.err.splitlines()[0] == f"error: no firmware is written, so that {options[0]} has no effect"
    assert "--out" in result.err
