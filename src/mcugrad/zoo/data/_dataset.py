"""What a data set is, and what keeps arrays from being one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import DataError

PARTS = ("x_train", "y_train", "x_test", "y_test")
_LABEL_MAX = 65535


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples and labels, as stored by whoever collected them.

    Attributes:
        name: the name or the file's stem.
        x_train: samples, shape (n, ...) with at least one axis after the first: images are (n, h, w) or
            (n, h, w, c), recordings (n, time) or (n, time, channel). uint8, int16 or float; always finite.
        y_train: labels, int64, shape (n,), in [0, num_classes).
        x_test: held-out samples; same dtype and sample shape; zero of them if the source has none.
        y_test: their labels.
        class_names: one name per label.
        extras: whatever else an `.npz` file holds, for example the subject or the machine of each sample.
    """

    name: str
    x_train: NDArray[Any]
    y_train: NDArray[np.int64]
    x_test: NDArray[Any]
    y_test: NDArray[np.int64]
    class_names: tuple[str, ...]
    extras: Mapping[str, NDArray[Any]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.x_train.shape[1:])

    def __repr__(self) -> str:
        shape = "x".join(str(n) for n in self.sample_shape)
        return (
            f"<Dataset {self.name}: {len(self.x_train)} train, {len(self.x_test)} test, "
            f"{shape} {self.x_train.dtype}, {self.num_classes} classes>"
        )


def checked(
    name: str,
    path: Path,
    parts: dict[str, NDArray[Any]],
    class_names: tuple[str, ...],
    extras: dict[str, NDArray[Any]] | None = None,
) -> Dataset:
    """Builds the data set, or says everything that is wrong with it at once. A test set may be left out."""
    problems: list[str] = []
    given = ("train", "test") if "x_test" in parts else ("train",)
    for key in ("x", "y"):
        parts.setdefault(f"{key}_test", np.atleast_1d(parts[f"{key}_train"])[:0])
    for part in given:
        problems += _sample_problems(f"x_{part}", parts[f"x_{part}"])
        problems += _label_problems(f"y_{part}", parts[f"y_{part}"], len(class_names))
        x, y = parts[f"x_{part}"], parts[f"y_{part}"]
        if x.ndim and y.ndim and len(x) != len(y):
            problems.append(
                f"x_{part} {x.shape} has {len(x)} samples but y_{part} {y.shape} has {len(y)} labels"
            )
    x_train, x_test = parts["x_train"], parts["x_test"]
    if x_train.ndim and len(x_train) == 0:
        problems.append(f"x_train {x_train.shape} is empty")
    if x_train.shape[1:] != x_test.shape[1:]:
        problems.append(f"x_train {x_train.shape} and x_test {x_test.shape} differ in the shape of a sample")
    if x_train.dtype != x_test.dtype:
        problems.append(f"x_train is {x_train.dtype} but x_test is {x_test.dtype}")
    if problems:
        raise DataError(
            f"the data cannot be used: {problems[0]}" + "".join(f"; {problem}" for problem in problems[1:]),
            where=str(path),
            hint="x_train and x_test as (n, ...) of one type, y_train and y_test with a class for each sample",
        )
    y_train, y_test = (parts[key].reshape(-1).astype(np.int64) for key in ("y_train", "y_test"))
    if not class_names:
        class_names = tuple(str(label) for label in range(int(max(y_train.max(), y_test.max(initial=0))) + 1))
    return Dataset(
        name, x_train, y_train, x_test, y_test, class_names, extras=MappingProxyType(dict(extras or {}))
    )


def _sample_problems(key: str, x: NDArray[Any]) -> list[str]:
    """What keeps an array from being samples, (n, ...) of finite numbers."""
    if x.ndim < 2 or 0 in x.shape[1:]:
        return [f"{key} {x.shape} is not (n, ...) with at least one value per sample"]
    if x.dtype.kind not in "uif":
        return [f"{key} {x.shape} is {x.dtype}; samples are integers or floats"]
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
        count = f"{bad.sum()} of {len(x)} samples, first in sample {bad.argmax()}"
        return [f"{key} {x.shape} has NaN or infinity in {count}"]
    return []


def _label_problems(key: str, y: NDArray[Any], num_classes: int) -> list[str]:
    """What keeps an array from being labels, (n,) or (n, 1) of class numbers; num_classes 0 if unknown."""
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[1] != 1):
        return [f"{key} {y.shape} is not (n,) labels; argmax(axis=1) turns one-hot rows into labels"]
    if y.dtype.kind not in "ui":
        return [f"{key} {y.shape} is {y.dtype}; labels are integers"]
    if y.size and y.min() < 0:
        return [f"{key} {y.shape} has the label {y.min()}; labels start at 0"]
    if y.size and y.max() > _LABEL_MAX:
        return [f"{key} {y.shape} has the label {y.max()}; labels end at {_LABEL_MAX}"]
    if y.size and num_classes and y.max() >= num_classes:
        return [f"{key} {y.shape} has the label {y.max()}, but there are {num_classes} class names"]
    return []
