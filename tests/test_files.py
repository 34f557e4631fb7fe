"""Reading and writing what users name: nothing hangs, nothing is half done."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from mcugrad import files
from mcugrad.errors import ModelError
from mcugrad.files import read_file, shown, write_file


def read(path: Path, limit: int = 100) -> bytes:
    return read_file(path, limit, what="the model file", error=ModelError)


def test_reads_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)
    assert read(tmp_path / "a") == b"x" * 100
    (tmp_path / "a").write_bytes(b"x" * 101)
    with pytest.raises(ModelError, match="the model file has 101 bytes; at most 100 are read"):
        read(tmp_path / "a")


def test_a_sparse_giant_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match="has 1099511627776 bytes"):
        read(tmp_path / "a", 1 << 31)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders")
def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path, kind in (("pipe", "a pipe"), ("socket", "a socket"), ("/dev/zero", "a device")):
            with pytest.raises(ModelError, match=f"the model file is {kind}, not an ordinary file"):
                read(tmp_path / path)
    for path, reason in (
        (".", "Is a directory"),
        ("\0", "embedded null"),
        ("x" * 9999, "File name too long"),
    ):
        with pytest.raises(ModelError, match=f"the model file cannot be read: {reason}"):
            read(tmp_path / path)
    with pytest.raises(ModelError, match="the model file does not exist"):
        read(tmp_path / "none")


def test_a_file_that_says_it_is_empty_is_read_to_the_limit(tmp_path: Path) -> None:
    path = Path("/proc/kallsyms")
    if not path.exists() or path.stat().st_size:
        pytest.skip("there is no such file")
    with pytest.raises(ModelError, match="at most 10 are read"):
        read(path, 10)


def test_names_are_the_same_text_everywhere() -> None:
    assert shown("größe.onnx") == "größe.onnx"
    assert shown(os.fsdecode("größe".encode())) == "größe"
    assert shown(os.fsdecode(b"a\xff")) == "a\N{REPLACEMENT CHARACTER}"
    assert shown("a\ud800") == "a?"


def test_writes_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new/file"
    assert write_file(path, "µ").read_bytes() == "µ".encode()
    path.chmod(0o640)
    write_file(path, b"2")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"2", 0o640)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_file(path, b"3")
    assert path.read_bytes() == b"2"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no such device")
def test_devices_are_written_as_they_are(tmp_path: Path) -> None:
    write_file(Path("/dev/null"), b"x")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(OSError, match="No space left"):
        write_file(Path("/dev/full"), b"x")


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="there are no symbolic links")
@pytest.mark.parametrize("content", [b"mine", None], ids=["to a file", "to nothing"])
def test_links_are_not_followed(tmp_path: Path, content: bytes | None) -> None:
    real = tmp_path / "real"
    if content is not None:
        real.write_bytes(content)
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(OSError, match=r"symbolic link to .*real, which is not followed"):
        write_file(tmp_path / "link", b"x")
    assert (real.read_bytes() if real.exists() else None) == content


def test_a_file_in_a_closed_folder_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def closed(**_: object) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files.tempfile, "mkdtemp", closed)
    assert write_file(tmp_path / "file", b"new").read_bytes() == b"new"
    with pytest.raises(PermissionError):
        write_file(tmp_path / "other", b"new")
