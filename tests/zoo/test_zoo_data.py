"""Data sets: what is found where, and what is said when it is not or cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mcugrad.errors import DataError, UsageError
from mcugrad.zoo import data
from mcugrad.zoo.data import load
from thoroughness import LONG
from zoo_files import Save, packed, published_files

pytestmark = pytest.mark.usefixtures("isolated")
REAL_DATA = os.environ.get("MCUGRAD_DATA", "")


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


@pytest.mark.parametrize("name", ["mnist", *["fashion_mnist"] * LONG])
def test_the_real_thing_where_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCUGRAD_DATA", REAL_DATA)
    if not Path(REAL_DATA, f"{name}.npz").is_file():
        pytest.skip(f"MCUGRAD_DATA has no {name}.npz")
    real = load(name)
    assert repr(real) == f"<Dataset {name}: 60000 train, 10000 test, 28x28 uint8, 10 classes>"
    assert real.y_train.min() == 0
    assert real.y_train.max() == 9
