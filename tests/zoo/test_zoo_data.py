"""Data sets: what is found where, and what is said when it is not or cannot be used."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import logging
import os
import re
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mcugrad import progress
from mcugrad.errors import DataError, UsageError
from mcugrad.training.losses import LabelKind
from mcugrad.zoo import data, model_names, model_path, worlds
from mcugrad.zoo.data import Dataset, load
from mcugrad.zoo.data import _builtin as builtin

REAL_DATA = os.environ.get("MCUGRAD_DATA", "")

Save = Callable[..., Path]


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data of this machine and no network: every place is an empty folder."""
    monkeypatch.delenv("MCUGRAD_DATA", raising=False)
    monkeypatch.setenv("MCUGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(builtin, "DEBIAN", tmp_path / "debian")
    for name, published in list(builtin.PUBLISHED.items()):
        monkeypatch.setitem(builtin.PUBLISHED, name, replace(published, address="http://127.0.0.1:9/"))


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes an .npz; keywords replace the arrays of a good one, None leaves one out."""

    def write(name: str = "set.npz", **changes: Any) -> Path:
        rng = np.random.default_rng(0)
        arrays: dict[str, Any] = {
            "x_train": rng.integers(0, 256, (6, 4, 4), dtype=np.uint8),
            "y_train": np.array([0, 1, 2, 0, 1, 2], np.uint8),
            "x_test": rng.integers(0, 256, (3, 4, 4), dtype=np.uint8),
            "y_test": np.array([0, 1, 2], np.uint8),
        }
        arrays |= changes
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
        return path

    return write


def packed(content: bytes) -> bytes:
    """Compressed, without the time: it ends up in the names of tests, which must be equal in every process."""
    return gzip.compress(content, mtime=0)


def idx(values: np.ndarray) -> bytes:
    """A gzipped IDX file of bytes; gzip's time stamp is zero, so equal values give equal files."""
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    return packed(header + values.astype(np.uint8).tobytes())


def published_files(seed: int = 0) -> dict[str, bytes]:
    rng = np.random.default_rng(seed)
    arrays = (
        rng.integers(0, 256, (20, 28, 28)),
        np.arange(20) % 10,
        rng.integers(0, 256, (10, 28, 28)),
        np.arange(10),
    )
    return {name: idx(array) for name, array in zip(builtin.IDX_FILES, arrays, strict=True)}


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A local server that plays the publisher of fashion_mnist; gives the folder it serves."""
    folder = tmp_path / "published"
    folder.mkdir()
    for name, content in published_files().items():
        (folder / name).write_bytes(content)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    ) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        md5 = tuple(hashlib.md5(content).hexdigest() for content in published_files().values())
        address = f"http://127.0.0.1:{server.server_port}/"
        fake = replace(builtin.PUBLISHED["fashion_mnist"], address=address, md5=md5)
        monkeypatch.setitem(builtin.PUBLISHED, "fashion_mnist", fake)
        yield folder
        server.shutdown()
        thread.join()


# --- digits -------------------------------------------------------------------------------------------------


def test_digits_are_scikit_learns_with_a_fixed_split() -> None:
    digits = load("digits")
    assert repr(digits) == "<Dataset digits: 1347 train, 450 test, 8x8 uint8, 10 classes>"
    assert digits.x_train.shape == (1347, 8, 8)
    assert digits.x_test.shape == (450, 8, 8)
    assert (digits.x_train.min(), digits.x_train.max()) == (0, 16)
    assert digits.y_train.dtype == digits.y_test.dtype == np.int64
    assert np.bincount(digits.y_train).min() > 120
    assert np.bincount(digits.y_test).min() > 35

    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    images, labels = sklearn_datasets.load_digits(return_X_y=True)
    held_out = np.arange(1797) % 4 == 0
    np.testing.assert_array_equal(digits.x_test.reshape(450, 64), images[held_out])
    np.testing.assert_array_equal(digits.y_test, labels[held_out])
    np.testing.assert_array_equal(digits.x_train.reshape(1347, 64), images[~held_out])
    np.testing.assert_array_equal(digits.y_train, labels[~held_out])


def test_digits_do_not_import_scikit_learn_and_the_package_is_light() -> None:
    code = (
        "import sys, mcugrad.zoo.data as data\n"
        "heavy = {'rich', 'sklearn', 'scipy', 'onnx', 'torch'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "data.load('digits')\n"
        "assert not {'sklearn', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_digits_without_scikit_learn_name_three_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="scikit-learn, which is not installed") as error:
        load("digits")
    for way in ("mcugrad[demo]", "pip install scikit-learn", "MCUGRAD_DATA"):
        assert way in error.value.hint


@pytest.mark.parametrize("content", [b"", b"not gzip", packed(b"1,2,x"), packed(b"1,2\n3,4\n"), packed(b"")])
def test_damaged_digits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sklearn/datasets/data/digits.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)

    class Spec:
        submodule_search_locations = (str(tmp_path / "sklearn"),)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: Spec)
    with pytest.raises(DataError, match="the digits") as error:
        load("digits")
    assert error.value.where == str(path)


# --- names and where they are looked for --------------------------------------------------------------------


def test_names(monkeypatch: pytest.MonkeyPatch, save: Save) -> None:
    assert data.names() == ("digits", "fashion_mnist", "mnist")
    monkeypatch.setenv("MCUGRAD_DATA", str(save("bearings.npz").parent))
    assert data.names() == ("bearings", "digits", "fashion_mnist", "mnist")


@pytest.mark.parametrize(
    ("name", "hint"), [("digts", "'digits'"), ("zzz", "digits, fashion_mnist, mnist, or")]
)
def test_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"no data set named '{name}'") as error:
        load(name)
    assert error.value.hint.startswith(hint)


def test_data_folder_comes_first(monkeypatch: pytest.MonkeyPatch, save: Save) -> None:
    for name in ("digits", "mnist", "bearings"):
        monkeypatch.setenv("MCUGRAD_DATA", str(save(f"{name}.npz").parent))
        assert load(name).x_train.shape == (6, 4, 4)
    assert load("mnist").num_classes == 10  # the published names, not only the labels that occur
    assert load("bearings").class_names == ("0", "1", "2")


def test_data_folder_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MCUGRAD_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="MCUGRAD_DATA does not name a folder") as error:
        load("digits")
    assert error.value.where.endswith("nowhere")


def test_debian_package(tmp_path: Path) -> None:
    folder = tmp_path / "debian/fashion-mnist"
    folder.mkdir(parents=True)
    for name, content in published_files().items():
        (folder / name).write_bytes(content)
    fashion = load("fashion_mnist", download=False)
    assert repr(fashion) == "<Dataset fashion_mnist: 20 train, 10 test, 28x28 uint8, 10 classes>"
    assert fashion.class_names[9] == "Ankle boot"
    assert fashion.x_train.flags.writeable


@pytest.mark.parametrize("name", ["fashion_mnist", "mnist"])
def test_the_real_thing_where_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCUGRAD_DATA", REAL_DATA)
    if not Path(REAL_DATA, f"{name}.npz").is_file():
        pytest.skip(f"MCUGRAD_DATA has no {name}.npz")
    real = load(name)
    assert repr(real) == f"<Dataset {name}: 60000 train, 10000 test, 28x28 uint8, 10 classes>"
    assert real.y_train.min() == 0
    assert real.y_train.max() == 9


# --- download -----------------------------------------------------------------------------------------------


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


# --- IDX files ----------------------------------------------------------------------------------------------

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


# --- .npz files ---------------------------------------------------------------------------------------------


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


# --- targets that are no classes ----------------------------------------------------------------------------

VALUES = np.linspace(-1.5, 2, 9).astype(np.float32)
BITS = np.array([[0, 1, 1], [1, 1, 0], [0, 0, 0]] * 2)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_values(save: Save, loss: str, dtype: type) -> None:
    y = np.arange(-9, 9).reshape(6, 3).astype(dtype)
    got = load(save(y_train=y, y_test=y[:3], class_names=np.array(["a"])), loss=loss)
    assert got.y_train.dtype == got.y_test.dtype == np.float32
    np.testing.assert_array_equal(got.y_train, y)
    np.testing.assert_array_equal(got.y_test, y[:3])
    assert (got.label_kind, got.num_classes) == (LabelKind.VALUES, 0)
    assert repr(got) == "<Dataset set: 6 train, 3 test, 4x4 uint8, 3 values>"


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy"])
def test_one_output(save: Save, shape: tuple[int, ...], loss: str) -> None:
    y = (np.arange(6) % 2).reshape(shape)
    got = load(save(y_train=y, y_test=y[:3, 0] if y.ndim == 2 else y[:3, None]), loss=loss)
    assert (got.y_train.shape, got.y_test.shape) == ((6, 1), (3, 1))
    alone = load(save(y_train=y, x_test=None, y_test=None), loss=loss)
    assert (alone.y_train.shape, alone.y_test.shape) == ((6, 1), (0, 1))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_several_labels_at_once(save: Save, dtype: type) -> None:
    path = save(y_train=BITS.astype(dtype), y_test=BITS[:3].astype(dtype))
    got = load(path, loss="binary_cross_entropy")
    assert got.y_train.dtype == np.uint8
    np.testing.assert_array_equal(got.y_train, BITS)
    assert (got.label_kind, got.class_names) == (LabelKind.BITS, ("0", "1", "2"))
    assert repr(got) == "<Dataset set: 6 train, 3 test, 4x4 uint8, 3 labels>"
    one_hot = load(save(y_train=np.eye(6), y_test=np.eye(6)[:3]), loss="binary_cross_entropy")
    np.testing.assert_array_equal(one_hot.y_train, np.eye(6))


@pytest.mark.parametrize(
    ("loss", "y", "message", "hint"),
    [
        ("cross_entropy", VALUES[:6], "y_train (6,) float32 holds values", "--loss mse"),
        (
            "cross_entropy",
            VALUES.reshape(3, 3)[[0, 1, 2] * 2],
            "y_train (6, 3) float32 holds val",
            "--loss mse",
        ),
        (
            "cross_entropy",
            BITS,
            "y_train (6, 3) int64 holds labels of 0 and 1",
            "--loss binary_cross_entropy",
        ),
        ("cross_entropy", BITS * 3, "y_train (6, 3) int64 holds values", "--loss mse"),
        (
            "binary_cross_entropy",
            np.arange(6),
            "y_train (6,) int64 holds a class for each sample",
            "--loss cross_entropy",
        ),
        ("binary_cross_entropy", BITS / 2, "y_train (6, 3) float64 holds values", "--loss mse"),
        ("mae", BITS == 1, "y_train (6, 3) bool holds labels of 0 and 1", "--loss binary_cross_entropy"),
    ],
)
def test_y_that_goes_with_another_loss(save: Save, loss: str, y: np.ndarray, message: str, hint: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"{message}")) as error:
        load(save(y_train=y, x_test=None, y_test=None), loss=loss)
    assert error.value.what.endswith(f", but the loss is {loss}")
    assert error.value.hint.startswith(f"{hint};")


NAN = np.where(np.arange(18) == 4, np.nan, 1.0).reshape(6, 3)


@pytest.mark.parametrize(
    ("loss", "changes", "message"),
    [
        ("mse", {"y_train": NAN}, "y_train (6, 3) has NaN or infinity in 1 of 6 samples, first in sample 1"),
        ("mse", {"y_train": BITS * 1e300}, "has numbers beyond float32 in 4 of 6 samples, first in sample 0"),
        ("mse", {"y_train": BITS.astype(str)}, "y_train (6, 3) is <U21; values are integers or floats"),
        ("mse", {"y_train": np.zeros((6, 2, 2))}, "y_train (6, 2, 2) is not (n, outputs) values"),
        ("mse", {"y_train": np.zeros((6, 0))}, "y_train (6, 0) is not (n, outputs) values"),
        ("mse", {"y_train": np.float32(1)}, "y_train () is not (n, outputs) values"),
        ("mse", {"y_train": VALUES[:5]}, "x_train (6, 4, 4) has 6 samples but y_train (5,) has 5 values"),
        (
            "binary_cross_entropy",
            {"y_train": NAN},
            "has 1 of 18 labels that are neither 0 nor 1, the first is nan",
        ),
        (
            "binary_cross_entropy",
            {"y_train": BITS - 1},
            "has 10 of 18 labels that are neither 0 nor 1, the first",
        ),
        ("binary_cross_entropy", {"y_train": BITS.astype(str)}, "y_train (6, 3) is <U21; labels are 0 and 1"),
        (
            "binary_cross_entropy",
            {"y_train": BITS, "class_names": np.array(["a", "b"])},
            "y_train (6, 3) has 3 labels for each sample, but there are 2 class names",
        ),
    ],
)
def test_targets_that_cannot_be_used(save: Save, loss: str, changes: dict[str, Any], message: str) -> None:
    path = save(x_test=None, y_test=None, **changes)
    with pytest.raises(DataError, match=re.escape(message)) as error:
        load(path, loss=loss)
    assert error.value.where == str(path)
    assert "y_train and y_test as (n, outputs)" in error.value.hint


def test_both_parts_have_the_same_targets(save: Save) -> None:
    with pytest.raises(
        DataError, match=r"y_train \(6, 3\) and y_test \(3,\) differ in the values of a sample"
    ):
        load(save(y_train=BITS), loss="mse")


def test_unknown_loss(save: Save) -> None:
    with pytest.raises(UsageError, match="unknown loss 'hinge'"):
        load(save(), loss="hinge")


# --- worlds -------------------------------------------------------------------------------------------------

images = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=3, max_dims=4, max_side=5), elements=st.integers(0, 16)
)


@given(images)
def test_worlds_undo_themselves(x: np.ndarray) -> None:
    turned, inverted = worlds.upside_down(x), worlds.invert(x, top=16)
    assert turned.dtype == inverted.dtype == x.dtype
    assert turned[0, 0, 0].tolist() == x[0, -1, -1].tolist()
    assert (inverted.astype(int) + x == 16).all()
    np.testing.assert_array_equal(worlds.upside_down(turned), x)
    np.testing.assert_array_equal(worlds.invert(inverted, top=16), x)
    np.testing.assert_array_equal(worlds.upside_down(inverted), worlds.invert(turned, top=16))


def test_worlds_of_floats_and_of_nothing() -> None:
    x = np.array([[[0.0, 0.25]]], np.float32)
    assert worlds.invert(x, top=1).tolist() == [[[1.0, 0.75]]]
    assert worlds.invert(x[:0], top=1).shape == (0, 1, 2)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.full((1, 2, 2), 17, np.uint8), "values 17 to 17: the range is 0 to 16"),
        (np.full((1, 2, 2), -1.0), "values -1 to -1"),
        (np.full((1, 2, 2), np.nan), "values nan to nan"),
        (np.zeros((2, 2)), r"these have shape \(2, 2\)"),
    ],
)
def test_worlds_refuse(x: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        worlds.invert(x, top=16)


# --- the network that comes with the package ----------------------------------------------------------------


def test_model_path() -> None:
    assert model_names() == ("digits_cnn",)
    assert model_path("digits_cnn").stat().st_size < 100_000
    with pytest.raises(UsageError, match="no network named 'digits'") as error:
        model_path("digits")
    assert "digits_cnn" in error.value.hint


def test_digits_cnn_is_right_until_the_world_changes() -> None:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(model_path("digits_cnn").read_bytes())
    digits = load("digits")

    def accuracy(x: np.ndarray) -> float:
        (probabilities,) = session.run(None, {"image": (x[:, None] / 16).astype(np.float32)})
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        return float((probabilities.argmax(axis=1) == digits.y_test).mean())

    assert accuracy(digits.x_test) == pytest.approx(0.984, abs=0.001)
    assert accuracy(worlds.invert(worlds.upside_down(digits.x_test), top=16)) == pytest.approx(
        0.169, abs=0.001
    )


def test_digits_cnn_is_what_its_script_writes(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "examples/pretrain_digits.py"
    target = tmp_path / "digits_cnn.onnx"
    done = subprocess.run(
        [sys.executable, str(script), str(target)], check=True, timeout=300, capture_output=True, text=True
    )
    assert "98.4% of 450 held-out digits right as collected" in done.stdout
    assert target.read_bytes() == model_path("digits_cnn").read_bytes()
