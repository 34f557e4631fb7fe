"""Data sets from their publisher: fetched once, checked, kept, and refused where they are damaged."""

from __future__ import annotations

import gzip
import logging
import re
from pathlib import Path

import numpy as np
import pytest

from mcugrad import progress
from mcugrad.errors import DataError
from mcugrad.zoo.data import _builtin as builtin
from mcugrad.zoo.data import load
from zoo_files import idx, packed, published_files

pytestmark = pytest.mark.usefixtures("isolated")


def test_download_once_then_from_the_cache(
    publisher: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO, logger="mcugrad"):
        first = load("fashion_mnist")
    assert [record.getMessage().split()[0] for record in caplog.records] == ["downloading"] * 4
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in (tmp_path / "cache/fashion_mnist").iterdir()) == sorted(
        builtin.IDX_FILES
    )

    for path in publisher.iterdir():
        path.unlink()
    again = load("fashion_mnist")
    np.testing.assert_array_equal(again.x_train, first.x_train)
    np.testing.assert_array_equal(again.y_test, np.arange(10))


def test_progress_bar_on_a_terminal(
    publisher: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(progress, "_is_watched", lambda: True)
    load("fashion_mnist")
    out, err = capfd.readouterr()
    assert out == ""
    assert "downloading train-images-idx3-ubyte.gz" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", err)


def test_no_progress_bar_where_a_machine_reads(
    publisher: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not even on a terminal: --json turns all of them off."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "_is_watched", lambda: True)
    monkeypatch.setattr(progress, "_wanted", False)
    load("fashion_mnist")
    assert capfd.readouterr() == ("", "")


def test_damaged_cache_is_fetched_again(publisher: Path, tmp_path: Path) -> None:
    load("fashion_mnist")
    damaged = tmp_path / "cache/fashion_mnist" / builtin.IDX_FILES[1]
    damaged.write_bytes(damaged.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"1 of 4 files absent or incomplete"):
        load("fashion_mnist", download=False)
    np.testing.assert_array_equal(load("fashion_mnist").y_train, np.arange(20) % 10)


def test_wrong_checksum_leaves_nothing_behind(publisher: Path, tmp_path: Path) -> None:
    (publisher / builtin.IDX_FILES[0]).write_bytes(published_files(seed=1)[builtin.IDX_FILES[0]])
    with pytest.raises(
        DataError, match=r"the download has MD5 [0-9a-f]{32}; train-images.* has [0-9a-f]{32}"
    ):
        load("fashion_mnist")
    assert list((tmp_path / "cache/fashion_mnist").iterdir()) == []


@pytest.mark.parametrize("name", ["fashion_mnist", "mnist"])
def test_no_network_names_three_ways(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{name} is not on this machine") as error:
        load(name)
    assert "refused" in error.value.where
    ways = error.value.hint.split(";  or ")
    assert len(ways) == 3
    assert str(tmp_path / "cache" / name) in ways[0]
    assert "MCUGRAD_DATA" in ways[1]
    assert ("apt install dataset-fashion-mnist" if name == "fashion_mnist" else ".npz") in ways[2]


def test_file_gone_at_the_publisher(publisher: Path) -> None:
    (publisher / builtin.IDX_FILES[2]).unlink()
    with pytest.raises(DataError, match="not on this machine") as error:
        load("fashion_mnist")
    assert "t10k-images-idx3-ubyte.gz (HTTP Error 404" in error.value.where


def test_cache_that_cannot_be_written(
    publisher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MCUGRAD_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="not on this machine") as error:
        load("fashion_mnist")
    assert str(tmp_path / "file") in error.value.where


def test_no_download_when_told_so(publisher: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not on this machine"):
        load("fashion_mnist", download=False)
    assert not (tmp_path / "cache").exists()


IMAGES, LABELS = np.zeros((20, 28, 28)), np.zeros(20)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (0, b"", "starts with nothing"),
        (0, b"plain", "cannot be unpacked"),
        (0, idx(IMAGES)[:-20], "cannot be unpacked"),
        (0, idx(LABELS), "not an IDX file of bytes with 3 axes: it starts with 00 00 08 01"),
        (1, idx(IMAGES), "not an IDX file of bytes with 1 axes"),
        (0, packed(b"\0\0\x08\x03\0\0"), "not an IDX file"),
        (0, packed(gzip.decompress(idx(IMAGES))[:-1]), r"needs 15680 bytes; the file holds 15679"),
        (
            0,
            packed(b"\0\0\x08\x03" + b"\xff" * 12),
            r"needs 79228162458924105385300197375 bytes; the file holds 0",
        ),
        (1, idx(np.zeros(19)), r"x_train \(20, 28, 28\) has 20 samples but y_train \(19,\) has 19 labels"),
        (1, idx(np.full(20, 10)), "the label 10, but there are 10 class names"),
        (2, idx(np.zeros((10, 27, 28))), "differ in the shape of a sample"),
    ],
)
def test_damaged_idx(tmp_path: Path, file: int, content: bytes, message: str) -> None:
    folder = tmp_path / "debian/fashion-mnist"
    folder.mkdir(parents=True)
    for name, good in published_files().items():
        (folder / name).write_bytes(good)
    (folder / builtin.IDX_FILES[file]).write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        load("fashion_mnist")
    assert str(folder) in error.value.where
