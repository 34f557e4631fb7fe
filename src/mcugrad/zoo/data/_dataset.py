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
from mcugrad.files import shown
from mcugrad.training.losses import LabelKind, Loss
from mcugrad.zoo.data._labels import HINTS, NOUNS, as_labels, label_problems, loss_hint, other_kind

PARTS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples and what they are labelled with, as stored by whoever collected them.

    Attributes:
        name: the name or the file's stem.
        x_train: samples, shape (n, ...) with at least one axis after the first: images are (n, h, w) or
            (n, h, w, c), recordings (n, time) or (n, time, channel). uint8, int16 or float; always finite.
        y_train: classes, int64, shape (n,), in [0, num_classes); by the loss also labels that apply, uint8 of 0
            and 1, or finite values, float32, both (n, outputs).
        x_test: held-out samples; same dtype and sample shape; zero of them if the source has none.
        y_test: what these are labelled with.
        class_names: one name per label; none for values.
        extras: whatever else an `.npz` file holds, for example the subject or the machine of each sample.
        label_kind: what y holds.
    """

    name: str
    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]
    class_names: tuple[str, ...]
    extras: Mapping[str, NDArray[Any]] = field(default_factory=lambda: MappingProxyType({}))
    label_kind: LabelKind = LabelKind.CLASS

    @property
    def num_classes(self) -> int:
        """Number of classes, or of labels; 0 for values."""
        return len(self.class_names)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.x_train.shape[1:])

    def __repr__(self) -> str:
        shape = "x".join(str(n) for n in self.sample_shape)
        if self.label_kind is LabelKind.CLASS:
            outputs = f"{self.num_classes} classes"
        else:
            outputs = f"{self.y_train.shape[1]} {NOUNS[self.label_kind]}"
        return (
            f"<Dataset {self.name}: {len(self.x_train)} train, {len(self.x_test)} test, "
            f"{shape} {self.x_train.dtype}, {outputs}>"
        )


def checked(
    name: str,
    path: Path,
    parts: dict[str, NDArray[Any]],
    class_names: tuple[str, ...],
    loss: Loss,
    extras: Mapping[str, NDArray[Any]] | None = None,
) -> Dataset:
    """Builds the data set, or says everything that is wrong with it at once. A test set may be left out.

    Args:
        name: of the data set.
        path: where it came from.
        parts: arrays by their names, `PARTS`.
        class_names: one per label; none if they are not known.
        loss: what y has to hold labels for.
        extras: other arrays that came with it.

    Raises:
        DataError: the arrays are no data set, or y does not go with the loss.
    """
    problems: list[str] = []
    given = ("train", "test") if "x_test" in parts else ("train",)
    for key in ("x", "y"):
        parts.setdefault(f"{key}_test", np.atleast_1d(parts[f"{key}_train"])[:0])
    for part in given:
        problems += _sample_problems(f"x_{part}", parts[f"x_{part}"])
        problems += label_problems(f"y_{part}", parts[f"y_{part}"], loss, len(class_names))
        x, y = parts[f"x_{part}"], parts[f"y_{part}"]
        if x.ndim and y.ndim and len(x) != len(y):
            problems.append(
                f"x_{part} {x.shape} has {len(x)} samples but y_{part} {y.shape} has {len(y)} {NOUNS[loss.label_kind]}"
            )
    x_train, x_test = parts["x_train"], parts["x_test"]
    if x_train.ndim and len(x_train) == 0:
        problems.append(f"x_train {x_train.shape} is empty")
    if x_train.shape[1:] != x_test.shape[1:]:
        problems.append(f"x_train {x_train.shape} and x_test {x_test.shape} differ in the shape of a sample")
    if x_train.dtype != x_test.dtype:
        problems.append(f"x_train is {x_train.dtype} but x_test is {x_test.dtype}")
    shapes = [parts[key].shape[1:] for key in ("y_train", "y_test")]
    if loss.label_kind is not LabelKind.CLASS and len(given) == 2 and len({s or (1,) for s in shapes}) == 2:
        problems.append(
            f"y_train {parts['y_train'].shape} and y_test {parts['y_test'].shape} differ in the "
            f"{NOUNS[loss.label_kind]} of a sample"
        )
    if problems:
        other = next((o for part in given if (o := other_kind(parts[f"y_{part}"], loss))), None)
        raise DataError(
            f"the data cannot be used: {problems[0]}" + "".join(f"; {problem}" for problem in problems[1:]),
            where=shown(path),
            hint=f"x_train and x_test as (n, ...) of one type, {HINTS[loss.label_kind]}"
            if other is None
            else loss_hint(other),
        )
    y_train, y_test = (as_labels(parts[key], loss.label_kind) for key in ("y_train", "y_test"))
    if loss.label_kind is LabelKind.VALUES:
        class_names = ()
    elif not class_names and loss.label_kind is LabelKind.BITS:
        class_names = tuple(map(str, range(y_train.shape[1])))
    elif not class_names:
        class_names = tuple(map(str, range(int(max(y_train.max(), y_test.max(initial=0))) + 1)))
    return Dataset(
        name,
        x_train,
        y_train,
        x_test,
        y_test,
        class_names,
        extras=MappingProxyType(extras if extras is not None else {}),
        label_kind=loss.label_kind,
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
