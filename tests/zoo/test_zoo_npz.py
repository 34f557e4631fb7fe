"""Data sets from .npz files: arrays of any shape, photographs, and all that cannot be used."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcugrad.errors import DataError
from mcugrad.zoo.data import Dataset, load
from zoo_files import Save

pytestmark = pytest.mark.usefixtures("isolated")


@pytest.mark.parametrize("shape", [(8,), (16, 3), (8, 8), (8, 8, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_npz_of_any_shape(save: Save, shape: tuple[int, ...], dtype: type) -> None:
    x = np.ones((6, *shape), dtype)
    got = load(save(x_train=x, x_test=x[:3]))
    assert got.name == "set"
    assert got.sample_shape == shape
    assert got.x_train.dtype == got.x_test.dtype == dtype
    assert got.y_train.dtype == got.y_test.dtype == np.int64
    assert got.num_classes == 3


def test_npz_by_string_and_by_path(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save()
    monkeypatch.chdir(path.parent)
    for source in (path, str(path), Path("set.npz"), "set.npz", "./set.npz"):
        assert isinstance(load(source), Dataset)


def test_npz_without_a_test_set(save: Save) -> None:
    got = load(save(x_test=None, y_test=None))
    assert got.x_test.shape == (0, 4, 4)
    assert got.y_test.shape == (0,)
    assert got.num_classes == 3


def test_npz_column_of_labels_names_and_extras(save: Save) -> None:
    path = save(
        y_train=np.array([[0], [1], [2], [0], [1], [2]]),
        class_names=np.array(["a", "b", "c", "d"]),
        device_train=np.arange(6),
        rate_hz=np.int32(50),
    )
    got = load(path)
    assert got.y_train.tolist() == [0, 1, 2, 0, 1, 2]
    assert got.class_names == ("a", "b", "c", "d")
    assert set(got.extras) == {"device_train", "rate_hz"}
    assert int(got.extras["rate_hz"]) == 50


def photographs(*sizes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """JPEG files one after the other, and where each begins; the pixels of file i are all 40 i."""
    image = pytest.importorskip("PIL.Image", reason="Pillow decodes JPEG files and is not installed")
    files = []
    for i, (height, width) in enumerate(sizes):
        out = io.BytesIO()
        image.fromarray(np.full((height, width, 3), 40 * i, np.uint8)).save(out, "JPEG", quality=95)
        files.append(out.getvalue())
    return np.frombuffer(b"".join(files), np.uint8), np.cumsum([0, *map(len, files)])


def test_npz_with_photographs(save: Save) -> None:
    jpeg, off = photographs(*[(8, 12)] * 6)
    got = load(save(x_train=None, jpeg_train=jpeg, off_train=off, x_test=None, y_test=None))
    assert got.x_train.shape == (6, 8, 12, 3)
    assert np.abs(got.x_train.mean((1, 2, 3)) - 40 * np.arange(6)).max() < 2
    assert not got.extras


@pytest.mark.parametrize(
    ("sizes", "change", "message"),
    [
        (
            [(8, 8)] * 6,
            lambda jpeg, off: (jpeg, off[:-1]),
            r"off_train \(6,\) int64 does not divide the \d+ bytes",
        ),
        ([(8, 8)] * 6, lambda jpeg, off: (np.zeros_like(jpeg), off), "file 0 of jpeg_train is no JPEG"),
        ([(8, 8), (8, 9)] * 3, lambda jpeg, off: (jpeg, off), "differ in size: 8x8, 8x9"),
        ([(8, 8)] * 5, lambda jpeg, off: (jpeg, off), r"has 5 samples but y_train \(6,\) has 6"),
    ],
)
def test_photographs_that_cannot_be_used(
    save: Save, sizes: list[tuple[int, int]], change: Callable[..., Any], message: str
) -> None:
    jpeg, off = change(*photographs(*sizes))
    with pytest.raises(DataError, match=message):
        load(save(x_train=None, jpeg_train=jpeg, off_train=off, x_test=None, y_test=None))


def test_photographs_without_pillow(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match="Pillow decodes; it is not installed") as error:
        load(save(x_train=None, jpeg_train=np.zeros(9, np.uint8), off_train=np.arange(7)))
    assert "pip install pillow" in error.value.hint


X, Y = np.zeros((6, 4, 4), np.uint8), np.zeros(6, np.uint8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": None}, r"missing: x_train; the file holds y_train \(6,\), x_test \(3, 4, 4\)"),
        ({"x_train": None, "y_train": None}, "missing: x_train, y_train"),
        ({"x_test": None}, "missing: x_test"),
        ({"y_test": None}, "missing: y_test"),
        ({"y_train": Y[:5]}, r"x_train \(6, 4, 4\) has 6 samples but y_train \(5,\) has 5 labels"),
        ({"y_test": Y}, r"x_test \(3, 4, 4\) has 3 samples but y_test \(6,\) has 6 labels"),
        ({"x_train": X[:0], "y_train": Y[:0]}, r"x_train \(0, 4, 4\) is empty"),
        ({"x_train": np.zeros((6, 0, 4), np.uint8)}, r"x_train \(6, 0, 4\) is not \(n, \.\.\.\)"),
        ({"x_train": np.zeros(6, np.uint8)}, r"x_train \(6,\) is not \(n, \.\.\.\)"),
        ({"x_train": np.uint8(1)}, r"x_train \(\) is not \(n, \.\.\.\)"),
        ({"x_test": np.zeros((3, 5, 4), np.uint8)}, "differ in the shape of a sample"),
        ({"x_test": np.zeros((3, 4, 4), np.float32)}, "x_train is uint8 but x_test is float32"),
        ({"x_train": np.full((6, 4, 4), "a")}, "samples are integers or floats"),
        ({"x_train": X.astype(complex)}, "x_train .* is complex128; samples are integers or floats"),
        ({"x_train": X.astype(bool)}, "x_train .* is bool"),
        ({"y_train": Y.astype(float)}, r"y_train \(6,\) is float64; labels are integers"),
        ({"y_train": np.eye(6, dtype=int)}, r"y_train \(6, 6\) is not \(n,\) labels; y_train.argmax"),
        ({"y_train": np.int64(1)}, r"y_train \(\) is not \(n,\) labels"),
        ({"y_train": np.array([0, 1, -1, 0, 0, 0])}, "the label -1; labels start at 0"),
        ({"y_train": np.full(6, 1 << 40)}, "the label 1099511627776; labels end at 65535"),
        ({"class_names": np.array(["a", "b"])}, "the label 2, but there are 2 class names"),
    ],
)
def test_npz_that_cannot_be_used(save: Save, changes: dict[str, Any], message: str) -> None:
    path = save(**changes)
    with pytest.raises(DataError, match=message) as error:
        load(path)
    assert error.value.where == str(path)


def test_npz_with_several_faults_names_them_all(save: Save) -> None:
    bad = np.zeros((6, 4, 4), np.float32)
    bad[[2, 5], 1, 1] = np.nan, np.inf
    with pytest.raises(DataError) as error:
        load(save(x_train=bad, y_train=Y[:5], y_test=np.array([0, 1, -2])))
    for fault in ("NaN or infinity in 2 of 6 samples, first in sample 2", "5 labels", "label -2", "float32"):
        assert fault in error.value.what


def test_a_test_set_that_is_not_there_has_no_faults(save: Save) -> None:
    with pytest.raises(DataError) as error:
        load(save(x_train=X.astype(bool), y_train=Y.astype(float), x_test=None, y_test=None))
    assert "x_train (6, 4, 4) is bool" in error.value.what
    assert "y_train (6,) is float64" in error.value.what
    assert "test" not in error.value.what
    with pytest.raises(DataError, match=r"x_train \(\) is not \(n"):
        load(save(x_train=np.uint8(1), x_test=None, y_test=None))


def test_a_file_of_another_kind_is_no_unknown_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("array.npy", X)
    with pytest.raises(DataError, match="one array, not an"):
        load("array.npy")


def test_nobody_is_told_to_unpickle(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match=r"cannot be read as \.npz: it is no zip archive") as error:
        load(tmp_path / "text.npz")
    assert "pickle" not in str(error.value)


def test_npz_that_is_none(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", X)
    np.savez(tmp_path / "pickled.npz", x_train=np.array([{}, None], dtype=object), y_train=Y)
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "empty.npz").write_bytes(b"")
    np.savez(tmp_path / "cut.npz", x_train=X, y_train=Y)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:300])
    np.savez(tmp_path / "flipped.npz", x_train=X, y_train=Y)
    content = bytearray((tmp_path / "flipped.npz").read_bytes())
    content[200] ^= 0xFF
    (tmp_path / "flipped.npz").write_bytes(content)
    (tmp_path / "folder.npz").mkdir()
    for name, message in {
        "array.npy": "one array, not an .npz archive",
        "pickled.npz": "cannot be read as .npz: x_train: it holds Python objects",
        "text.npz": "cannot be read as .npz",
        "empty.npz": "cannot be read as .npz",
        "cut.npz": "cannot be read as .npz",
        "flipped.npz": "cannot be read as .npz",
        "folder.npz": "a folder, not an .npz file",
        "absent.npz": "there is no such file",
    }.items():
        with pytest.raises(DataError, match=re.escape(message)) as error:
            load(tmp_path / name)
        assert error.value.where == str(tmp_path / name)
        assert error.value.hint
