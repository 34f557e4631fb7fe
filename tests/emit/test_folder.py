"""Folders of generated files: what a user has changed is never lost, and a failed write leaves no trace."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from command_line import Cli
from mcugrad.emit import folder as folders
from mcugrad.emit.folder import RECORD, demand_unchanged, kept, write_folder
from mcugrad.errors import UsageError
from networks import Dense, write_onnx

OLD = {
    "n.c": "int old;\n",
    "n.h": "/* µ */\n",
    "main.c": "int main;\n",
    "examples/main.c": "x\n",
    "LICENSE": "free\n",
}
NEW = {name: text + "new\n" for name, text in OLD.items()}


def tree(folder: Path) -> dict[str, bytes]:
    """All that lies in a folder; the record and what is in folders included."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def texts(files: dict[str, str]) -> dict[str, bytes]:
    return {name: text.encode() for name, text in files.items()}


def test_writes_again_over_what_it_wrote(tmp_path: Path) -> None:
    for files in (OLD, NEW, NEW, OLD):
        assert write_folder(files, tmp_path / "a/b") == tmp_path / "a/b"
        found = tree(tmp_path / "a/b")
        record = found.pop(RECORD).decode()
        assert found == texts(files)
        assert [line.split("  ")[1] for line in record.splitlines()] == sorted(files)
    assert kept(tmp_path / "a/b") == ()


def test_the_record_is_what_sha256sum_reads(tmp_path: Path) -> None:
    write_folder(OLD, tmp_path)
    try:
        done = subprocess.run(
            ["sha256sum", "--check", RECORD], cwd=tmp_path, check=False, capture_output=True
        )
    except OSError:
        pytest.skip("there is no sha256sum")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["main.c", "examples/main.c", "LICENSE"])
@pytest.mark.parametrize("known", [True, False], ids=["changed", "never written here"])
def test_what_is_meant_to_be_edited_stays(
    tmp_path: Path, name: str, known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if known:
        write_folder(OLD, tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine\n")
    example = {"main.c": "main.example.c", "examples/main.c": "examples/main.example.c"}.get(
        name, "LICENSE.example"
    )
    for files in (NEW, NEW, OLD):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "mcugrad"):
            write_folder(files, tmp_path)
        found = tree(tmp_path)
        del found[RECORD]
        assert found == {**texts(files), name: b"mine\n", example: files[name].encode()}
        assert kept(tmp_path) == (name,)
        (said,) = (record.getMessage() for record in caplog.records)
        assert said.startswith(f"{tmp_path / name} was changed since it was written and stays as it is")
        assert said.endswith(str(tmp_path / example))

    (tmp_path / name).unlink()  # now it may be written again, and nobody needs the example
    write_folder(NEW, tmp_path)
    found = tree(tmp_path)
    del found[RECORD]
    assert found == texts(NEW)
    assert kept(tmp_path) == ()


@pytest.mark.parametrize("name", ["n.c", "n.h"])
@pytest.mark.parametrize("known", [True, False], ids=["changed", "never written here"])
def test_changed_code_is_refused(tmp_path: Path, name: str, known: bool) -> None:
    if known:
        write_folder(OLD, tmp_path)
    (tmp_path / name).write_text("mine\n")
    before = tree(tmp_path)
    for attempt in (lambda: write_folder(NEW, tmp_path), lambda: demand_unchanged(tmp_path, ["n.c", "n.h"])):
        with pytest.raises(UsageError, match=f"^{name} is not as mcugrad has written it; nothing") as caught:
            attempt()
        assert caught.value.where == str(tmp_path)
        assert tree(tmp_path) == before
    (tmp_path / name).unlink()
    demand_unchanged(tmp_path, ["n.c", "n.h"])
    write_folder(NEW, tmp_path)


def test_an_example_that_was_changed_is_refused(tmp_path: Path) -> None:
    write_folder(OLD, tmp_path)
    (tmp_path / "main.c").write_text("mine\n")
    write_folder(NEW, tmp_path)
    (tmp_path / "main.example.c").write_text("mine, too\n")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match=r"^main\.example\.c is not as"):
        write_folder(OLD, tmp_path)
    assert tree(tmp_path) == before


def test_code_that_would_not_fit_goes(tmp_path: Path) -> None:
    """As a self-test of the model before."""
    all_code = ["n.c", "n.h", "n_selftest.c", "other.c"]
    (tmp_path / "other.c").write_text("never written here\n")
    write_folder({**OLD, "n_selftest.c": "a test\n"}, tmp_path, code=all_code)
    write_folder(NEW, tmp_path, code=all_code)
    found = tree(tmp_path)
    assert b"n_selftest.c" not in found.pop(RECORD)
    assert found == {**texts(NEW), "other.c": b"never written here\n"}
    write_folder({**OLD, "n_selftest.c": "a test\n"}, tmp_path, code=all_code)
    (tmp_path / "n_selftest.c").write_text("mine\n")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match=r"^n_selftest\.c is not as mcugrad has written it"):
        write_folder(NEW, tmp_path, code=all_code)
    assert tree(tmp_path) == before


def test_turned_line_ends_are_no_change(tmp_path: Path) -> None:
    write_folder(OLD, tmp_path)
    for name in ("n.c", "main.c"):
        (tmp_path / name).write_bytes(OLD[name].replace("\n", "\r\n").encode())
    write_folder(NEW, tmp_path)
    assert kept(tmp_path) == ()


def test_files_of_another_model_stay_known(tmp_path: Path) -> None:
    write_folder({"a.c": "a", "main.c": "1"}, tmp_path)
    write_folder({"b.c": "b", "main.c": "2"}, tmp_path)
    write_folder({"a.c": "a2", "main.c": "3"}, tmp_path)
    assert (tmp_path / "main.c").read_text() == "3"
    assert len((tmp_path / RECORD).read_text().splitlines()) == 3


@pytest.mark.parametrize("content", [b"", b"\xff\0garbage\n", b"0" * (2 << 20), b"\n" * 9])
def test_a_damaged_record_is_none(tmp_path: Path, content: bytes) -> None:
    write_folder(OLD, tmp_path)
    (tmp_path / RECORD).write_bytes(content)
    write_folder(OLD, tmp_path)  # the same again is no loss
    (tmp_path / RECORD).write_bytes(content)
    with pytest.raises(UsageError, match=r"^n\.c, n\.h are not as"):
        write_folder(NEW, tmp_path)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="there are no symbolic links")
@pytest.mark.parametrize("place", ["n.c", "examples", RECORD, "main.example.c"])
def test_links_are_not_followed(tmp_path: Path, place: str) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "firmware"
    outside.mkdir()
    (outside / "main.c").write_text(OLD["examples/main.c"])
    (outside / "file").write_text(OLD["n.c"])
    folder.mkdir()
    (folder / "main.c").write_text("mine\n")
    (folder / place).symlink_to(outside if place == "examples" else outside / "file")
    before = tree(outside)
    with pytest.raises(UsageError):
        write_folder(NEW, folder)
    assert tree(outside) == before
    assert sorted(p.name for p in folder.iterdir()) == sorted({"main.c", place})


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="there are no symbolic links")
def test_a_linked_main_and_a_linked_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/own.c").write_text(OLD["main.c"])
    (tmp_path / "real/main.c").symlink_to("own.c")
    write_folder(NEW, tmp_path / "real")
    assert (tmp_path / "real/own.c").read_text() == OLD["main.c"]
    assert kept(tmp_path / "real") == ("main.c",)
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(UsageError, match=r"link is a symbolic link") as caught:
        write_folder(NEW, tmp_path / "link")
    assert str(tmp_path / "real") in caught.value.hint


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("function", ["fsync", "rename"])
@pytest.mark.parametrize("call", [1, 4, 6])
def test_a_failed_write_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existing: bool, function: str, call: int
) -> None:
    folder = tmp_path / "deep/firmware"
    if existing:
        write_folder(OLD, folder)
    before = tree(tmp_path)
    calls = 0
    real = {"fsync": os.fsync, "rename": Path.rename}[function]

    def full(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)  # type: ignore[operator]

    monkeypatch.setattr(*((folders.os, "fsync") if function == "fsync" else (Path, "rename")), full)
    with pytest.raises(UsageError, match="cannot write the firmware: No space left on device"):
        write_folder(NEW, folder)
    assert calls == call
    assert tree(tmp_path) == before
    assert (tmp_path / "deep").exists() is existing
    assert not list(tmp_path.rglob(".new-*"))


def test_a_folder_where_a_file_belongs(tmp_path: Path) -> None:
    (tmp_path / "n.c").mkdir()
    with pytest.raises(UsageError, match=r"n\.c is not as mcugrad has written it"):
        write_folder(NEW, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write the firmware: (Not a directory|File exists)"):
        write_folder(NEW, tmp_path / "file")


def test_the_command_line_says_what_stays(cli: Cli, tmp_path: Path) -> None:
    arguments = ("compile", "digits_cnn", "--data", "digits", "--no-measure", "--out", "fw")
    assert cli(*arguments, "--json").facts["kept"] == []
    readme = tmp_path / "fw/README.md"
    readme.write_text("mine")
    result = cli(*arguments, "--train", "last:1")
    assert result.code == 0
    assert "note: fw/README.md was changed since it was written and stays as it is" in result.err
    assert readme.read_text() == "mine"
    assert cli(*arguments, "--json").facts["kept"] == ["README.md"]

    code = tmp_path / "fw/digits_cnn.c"
    code.write_text("mine")
    for verb in (arguments, ("train", "digits_cnn", "--data", "digits", "--out", "fw")):
        result = cli(*verb)
        assert result.code == 2
        assert result.out == ""
        assert result.err.startswith(
            "error: digits_cnn.c is not as mcugrad has written it; nothing is overwritten"
        )
    assert code.read_text() == "mine"


def test_a_report_that_was_changed_stays(cli: Cli, tmp_path: Path) -> None:
    write_onnx(tmp_path / "n.onnx", (9,), (Dense(4),))
    np.savez(tmp_path / "d.npz", x_train=np.arange(36).reshape(4, 9) % 17, y_train=np.arange(4))
    arguments = ("report", "n.onnx", "--data", "d.npz", "--scale", "16", "--epochs", "1", "--steps", "1")
    assert cli(*arguments).code == 0
    (tmp_path / "report/report.html").write_text("mine")
    result = cli(*arguments)
    assert result.code == 0
    assert "report/report.html was changed since it was written" in result.err
    assert (tmp_path / "report/report.html").read_text() == "mine"
    assert (tmp_path / "report/report.example.html").read_text().startswith("<!DOCTYPE html>")
