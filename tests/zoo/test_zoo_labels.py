"""Data sets whose samples are labelled with values or several labels at once."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from mcugrad.errors import DataError, UsageError
from mcugrad.training.losses import LabelKind
from mcugrad.zoo.data import load
from zoo_files import Save

pytestmark = pytest.mark.usefixtures("isolated")


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
def test_labels_that_cannot_be_used(save: Save, loss: str, changes: dict[str, Any], message: str) -> None:
    path = save(x_test=None, y_test=None, **changes)
    with pytest.raises(DataError, match=re.escape(message)) as error:
        load(path, loss=loss)
    assert error.value.where == str(path)
    assert "y_train and y_test as (n, outputs)" in error.value.hint


def test_both_parts_have_the_same_labels(save: Save) -> None:
    with pytest.raises(
        DataError, match=r"y_train \(6, 3\) and y_test \(3,\) differ in the values of a sample"
    ):
        load(save(y_train=BITS), loss="mse")


def test_unknown_loss(save: Save) -> None:
    with pytest.raises(UsageError, match="unknown loss 'hinge'"):
        load(save(), loss="hinge")
