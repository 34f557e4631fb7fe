"""What the y of a data set is, by the loss that its samples are to be trained with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.training.losses import LABEL_KINDS, LabelKind, Loss

_LABEL_MAX = 65535
_HOLDS = {
    LabelKind.CLASS: "a class for each sample",
    LabelKind.BITS: "labels of 0 and 1",
    LabelKind.VALUES: "values",
}
NOUNS = {LabelKind.CLASS: "labels", LabelKind.BITS: "labels", LabelKind.VALUES: "values"}
"""What to call what y holds."""
HINTS = {
    LabelKind.CLASS: "y_train and y_test with a class for each sample",
    LabelKind.BITS: "y_train and y_test as (n, outputs), 1 where a label applies, else 0",
    LabelKind.VALUES: "y_train and y_test as (n, outputs), finite numbers",
}
"""What to try where y is none of this."""


def other_kind(y: NDArray[Any], loss: Loss) -> LabelKind | None:
    """What kind of labels y obviously holds, where they are none for this loss; None where it may be one."""
    if y.ndim not in (1, 2) or y.dtype.kind not in "uifb" or y.size == 0:
        return None
    rows = y.reshape(len(y), -1)
    whole = y.dtype.kind != "f" or bool((np.isfinite(y) & (y == np.trunc(y))).all())
    bits = bool(((y == 0) | (y == 1)).all())
    if loss.label_kind is LabelKind.CLASS:
        if rows.shape[1] > 1:
            one_hot = bits and bool((rows.sum(axis=1) == 1).all())
            return None if one_hot else LabelKind.BITS if bits else LabelKind.VALUES
        return None if whole else LabelKind.VALUES
    if loss.label_kind is LabelKind.BITS:
        if not whole and np.isfinite(y).all():
            return LabelKind.VALUES
        return LabelKind.CLASS if whole and not bits and rows.shape[1] == 1 and y.min() >= 0 else None
    return LabelKind.BITS if y.dtype.kind == "b" else None


def label_problems(key: str, y: NDArray[Any], loss: Loss, names: int) -> list[str]:
    """What keeps an array from being what a loss takes.

    Args:
        key: what it is called.
        y: classes (n,) or (n, 1), or labels or values (n, outputs); (n,) for one output.
        loss: what samples are to be trained with.
        names: number of class names; 0 if unknown.
    """
    other = other_kind(y, loss)
    if other is not None:
        return [f"{key} {y.shape} {y.dtype} holds {_HOLDS[other]}, but the loss is {loss.name}"]
    if loss.label_kind is LabelKind.CLASS:
        return _class_problems(key, y, names)
    if y.ndim not in (1, 2) or 0 in y.shape[1:]:
        return [f"{key} {y.shape} is not (n, outputs) {NOUNS[loss.label_kind]}"]
    if loss.label_kind is LabelKind.BITS:
        return _bit_problems(key, y, names)
    return _value_problems(key, y)


def as_labels(y: NDArray[Any], kind: LabelKind) -> NDArray[Any]:
    """What has no problems as a loss takes it: int64 (n,), uint8 (n, outputs) or float32 (n, outputs)."""
    if kind is LabelKind.CLASS:
        return y.reshape(-1).astype(np.int64)
    rows = y.reshape(len(y), *y.shape[1:] or (1,))
    return rows.astype(np.uint8 if kind is LabelKind.BITS else np.float32)


def loss_hint(kind: LabelKind) -> str:
    """How to say that y holds labels of another kind."""
    name = next(name for name, takes in LABEL_KINDS.items() if takes is kind)
    return f'--loss {name};  in Python loss="{name}"'


def _class_problems(key: str, y: NDArray[Any], num_classes: int) -> list[str]:
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[1] != 1):
        return [f"{key} {y.shape} is not (n,) labels; {key}.argmax(1) turns one-hot rows into labels"]
    if y.dtype.kind not in "ui":
        how = ""
        if y.dtype.kind in "USO":
            how = f"; numpy.unique({key}, return_inverse=True)[1] numbers names in alphabetical order"
        elif y.dtype.kind == "f":
            how = f"; {key}.astype(int) makes them"
        return [f"{key} {y.shape} is {y.dtype}; labels are integers{how}"]
    if y.size and y.min() < 0:
        return [f"{key} {y.shape} has the label {y.min()}; labels start at 0"]
    if y.size and y.max() > _LABEL_MAX:
        return [f"{key} {y.shape} has the label {y.max()}; labels end at {_LABEL_MAX}"]
    if y.size and num_classes and y.max() >= num_classes:
        return [f"{key} {y.shape} has the label {y.max()}, but there are {num_classes} class names"]
    return []


def _bit_problems(key: str, y: NDArray[Any], names: int) -> list[str]:
    if y.dtype.kind not in "uifb":
        return [f"{key} {y.shape} is {y.dtype}; labels are 0 and 1"]
    wrong = np.flatnonzero((y != 0) & (y != 1))
    if wrong.size:
        sample = wrong[0] * len(y) // y.size
        return [
            f"{key} {y.shape} has {wrong.size} of {y.size} labels that are neither 0 nor 1, "
            f"the first is {y.flat[wrong[0]]:g} of sample {sample}"
        ]
    outputs = 1 if y.ndim == 1 else y.shape[1]
    if names and names != outputs:
        return [f"{key} {y.shape} has {outputs} labels for each sample, but there are {names} class names"]
    return []


def _value_problems(key: str, y: NDArray[Any]) -> list[str]:
    if y.dtype.kind not in "uif":
        return [f"{key} {y.shape} is {y.dtype}; values are integers or floats"]
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(y.astype(np.float32)).reshape(len(y), -1).all(axis=1)
    if not bad.any():
        return []
    what = "numbers beyond float32" if np.isfinite(y).all() else "NaN or infinity"
    return [f"{key} {y.shape} has {what} in {bad.sum()} of {len(y)} samples, first in sample {bad.argmax()}"]
