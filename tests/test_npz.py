"""Archives of arrays: what a header claims is checked before anything is unpacked, and damage is said."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcugrad import npz
from mcugrad.errors import DataError
from mcugrad.zoo.data import load

X = np.arange(96, dtype=np.uint8).reshape(6, 4, 4)
Y = np.array([0, 1, 2, 0, 1, 2], np.uint8)
Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a data set; keywords replace its arrays."""

    def write(**changes: Any) -> Path:
        np.savez(tmp_path / "set.npz", **({"x_train": X, "y_train": Y} | changes))
        return tmp_path / "set.npz"

    return write


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def claimed(descr: str, shape: object, content: bytes = b"") -> bytes:
    """An .npy file whose header says what one likes."""
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def zipped(path: Path, *members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in members:
                archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (claimed("|u1", (6, 4, 4), b"x" * 95), r"x_train: \(6, 4, 4\) uint8 takes 96 bytes, there are 95"),
        (claimed("|u1", (6, 4, 4), b"x" * 97), "takes 96 bytes, there are 97"),
        (claimed("|u1", (6, -4, -4), b"x" * 96), r"x_train: the shape is \(6, -4, -4\)"),
        (claimed("|u1", (1 << 62, 1 << 62)), "takes 21267647932558653966460912964485513216 bytes"),
        (claimed("|u1", (6, "4")), "x_train: "),
        (claimed("|V0", (1 << 50,)), "its arrays take 6 bytes unpacked, most of it"),
        (claimed("nonsense", (6,)), "x_train: "),
        (b"\x93NUMPY\x03\x00" + b"\0" * 99, r"x_train: format 3\.0 is not known"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "x_train: "),
        (b"\x93NUMPY\x01\x00\x02\x00((", "x_train: "),
        (b"(" * 5000, "x_train: the magic string is not correct"),
        (b"", "x_train: EOF"),
    ],
)
def test_headers_that_cannot_be_true(tmp_path: Path, x: bytes, message: str) -> None:
    path = zipped(tmp_path / "odd.npz", ("x_train.npy", x), ("y_train.npy", npy(Y)))
    with pytest.raises(DataError, match=rf"cannot be read as \.npz: .*{message}"):
        load(path)


def patched(path: Path, old: bytes, new: bytes) -> None:
    """Other bytes in a zip file's directory and before each member."""
    parts = path.read_bytes()
    assert old in parts
    path.write_bytes(parts.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"\0\0\0\0\0\0\x21\0", b"\x01\0\0\0\0\0\x21\0", "it is encrypted"),
        (b"\0\0\0\0\0\0\x21\0", b"\0\0\x63\0\0\0\x21\0", "compression method"),
        (b"\0\0\0\0\0\0\x21\0", b"\0\0\x0e\0\0\0\x21\0", "x_train: "),
    ],
)
def test_members_that_cannot_be_unpacked(
    tmp_path: Path, save: Save, old: bytes, new: bytes, message: str
) -> None:
    patched(path := save(), old, new)
    with pytest.raises(DataError, match=rf"cannot be read as \.npz: .*{message}"):
        load(path)


def test_a_name_that_is_there_twice(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.npz", *[("x_train.npy", npy(X))] * 2, ("y_train.npy", npy(Y)))
    with pytest.raises(DataError, match="it holds x_train twice"):
        load(path)


def test_order_and_endianness_do_not_matter(save: Save) -> None:
    x = np.arange(96, dtype=">f4").reshape(6, 4, 4)
    got = load(save(x_train=np.asfortranarray(x)))
    assert got.x_train.tolist() == x.tolist()
    assert got.x_train.flags.c_contiguous


def bomb(path: Path, name: str, shape: tuple[int, ...]) -> Path:
    """Arrays of zeros, packed as tightly as it gets."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("y_train.npy", npy(Y))
        if name != "x_train":
            archive.writestr("x_train.npy", npy(X))
        with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
            file.write(claimed("|u1", shape))
            zeros = bytes(1 << 24)
            for _ in range(np.prod(shape) >> 24):
                file.write(zeros)
    return path


def test_only_what_is_used_is_unpacked_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "LIMIT", 1 << 23)
    shape = (4, 1 << 22)
    unpacked: list[str] = []
    real = npz.Archive._array
    monkeypatch.setattr(npz.Archive, "_array", lambda self, name: unpacked.append(name) or real(self, name))
    with pytest.raises(
        DataError, match=r"16777222 bytes unpacked, most of it x_train \(4, 4194304\) uint8; at"
    ):
        load(bomb(tmp_path / "a.npz", "x_train", shape))
    assert unpacked == []
    got = load(bomb(tmp_path / "b.npz", "else", shape))
    assert unpacked == ["x_train", "y_train"]
    assert list(got.extras) == ["else"]
    with pytest.raises(DataError, match="16777216 bytes unpacked"):
        got.extras["else"]
    assert "other" not in got.extras


@pytest.mark.parametrize("seed", range(3))
def test_damage_anywhere_is_said(tmp_path: Path, seed: int) -> None:
    """Whatever is flipped or cut off, it is a data set or a DataError."""
    np.savez_compressed(tmp_path / "good.npz", x_train=X, y_train=Y, class_names=["a", "b"])
    good = (tmp_path / "good.npz").read_bytes()
    rng = np.random.default_rng(seed)
    outcomes = set()
    for _ in range(200):
        content = bytearray(good)
        for place in rng.integers(0, len(good), rng.integers(1, 4)):
            content[place] ^= 1 << rng.integers(8)
        (tmp_path / "bad.npz").write_bytes(content[: rng.integers(1, 2 * len(good))])
        try:
            load(tmp_path / "bad.npz")
            outcomes.add("fine")
        except DataError:
            outcomes.add("said")
    assert "said" in outcomes


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders")
def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    for path, kind in ((tmp_path / "pipe.npz", "pipe"), ("/dev/zero", "device")):
        with pytest.raises(DataError, match=f"this is a {kind}, not an"):
            load(path)
    with pytest.raises(DataError, match="there is no such file"):
        load("x" * 9999 + ".npz")
