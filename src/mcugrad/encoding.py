"""Samples and labels between real units and what the device takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import concerns
from mcugrad.arithmetic import exp2
from mcugrad.errors import DataError
from mcugrad.given import demand_finite
from mcugrad.graph import ActivationScale, Graph
from mcugrad.numerics import log
from mcugrad.passes.quantize import check_samples
from mcugrad.training.losses import LabelKind


def quantize_values(real: NDArray[np.float32], quant: ActivationScale) -> NDArray[np.int8]:
    """int8 nearest to real values, half up, saturated; the C function `<name>_quantize` gives the same."""
    with np.errstate(over="ignore"):  # what overflows is clipped
        steps = real / np.float32(quant.scale)
    steps = np.floor(np.clip(steps, -1024, 1024) + np.float32(0.5)) + quant.zero
    result: NDArray[np.int8] = np.clip(steps, -128, 127).astype(np.int8)
    return result


def encode_samples(graph: Graph, x: NDArray[Any], what: str) -> tuple[NDArray[np.int8], list[str]]:
    """Samples (n, input size) of a quantized graph, and what their user should know about them.

    Raises:
        DataError: wrong shape, empty, or not finite.
    """
    real = check_samples(graph, x, what)
    quant = graph[graph.input].quant
    assert isinstance(quant, ActivationScale)
    return quantize_values(real, quant).reshape(len(real), -1), concerns.of_samples(real, quant, what)


def encode_labels(
    kind: LabelKind,
    y: Sequence[Any] | NDArray[Any],
    *,
    samples: int,
    outputs: int,
    quant: ActivationScale | None,
    what: str = "y",
) -> tuple[NDArray[Any], list[str]]:
    """Labels of samples as the device takes them, and what their user should know about them.

    Args:
        kind: what the loss takes.
        y: classes (n,), labels that apply (n, outputs) of 0 and 1, or real values (n, ...) of that many outputs.
        samples: n.
        outputs: number of outputs.
        quant: quantization of real values.
        what: what to call `y` in messages.

    Returns:
        (n,) uint32, (n, outputs) uint8, or (n, outputs) int8.

    Raises:
        DataError: shape, type or values do not fit.
    """
    array = np.asarray(y)
    if kind is LabelKind.CLASS:
        return _classes(array, samples, outputs, what), []
    if array.shape[:1] != (samples,) or array.size != samples * outputs:
        raise DataError(
            f"{what} has shape {array.shape} for {samples} samples of {outputs} outputs",
            where=what,
            hint=f"shape ({samples}, {outputs})",
        )
    if array.dtype.kind not in "iubf":
        raise DataError(
            f"{what} of dtype {array.dtype} is not numbers", where=what, hint="integers or floats"
        )
    demand_finite(array, what)
    flat = array.reshape(samples, outputs)
    if kind is LabelKind.VALUES:
        assert quant is not None
        return quantize_values(flat.astype(np.float32), quant), concerns.of_labels(flat, quant, what)
    wrong = np.flatnonzero((flat != 0) & (flat != 1))
    if wrong.size:
        raise DataError(
            f"{wrong.size} of {flat.size} labels are neither 0 nor 1, the first is {flat.flat[wrong[0]]:g}",
            where=what,
            hint="1 where a label applies, else 0",
        )
    return flat.astype(np.uint8), []


def score(kind: LabelKind, outputs: NDArray[Any], labels: NDArray[Any], real: NDArray[np.float32]) -> float:
    """How good outputs are.

    Args:
        kind: what the loss takes.
        outputs: as the device gives them, (n, outputs).
        labels: as `encode_labels` gives them; for values in real units.
        real: outputs in real units.

    Returns:
        Share of samples whose class is right; share of labels that are right; or mean squared error.
    """
    if kind is LabelKind.CLASS:
        return float((outputs.argmax(axis=1) == labels).mean())
    if kind is LabelKind.BITS:
        return float(((real > 0) == (labels != 0)).mean())
    return float(np.square(real.astype(np.float64) - labels).mean())


def score_of_guess(kind: LabelKind, labels: NDArray[Any]) -> float:
    """The same of the best answer that is the same for every sample; labels as `score` takes them."""
    if kind is LabelKind.CLASS:
        return float(np.bincount(labels.astype(np.int64)).max() / len(labels))
    if kind is LabelKind.BITS:
        shares = (labels != 0).mean(axis=0)
        return float(np.maximum(shares, 1 - shares).mean())
    return float(np.var(labels.astype(np.float64), axis=0).mean())


def loss_of(
    kind: LabelKind,
    outputs: NDArray[Any],
    labels: NDArray[Any],
    real: NDArray[np.float32],
    unit: np.float32 | None,
) -> float:
    """Mean loss of samples, plain: nats for classes and labels, without weights and smoothing; else squared error.

    Args:
        kind: what a sample is labelled with.
        outputs: as the device gives them, (n, outputs).
        labels: classes (n,), bits (n, outputs), or values in real units (n, outputs).
        real: outputs in real units.
        unit: real units per step of int8 outputs; None for floats.
    """
    if kind is LabelKind.VALUES:
        return score(kind, outputs, labels, real)
    if kind is LabelKind.CLASS:
        likely = softmax(outputs, unit)[np.arange(len(outputs)), labels.astype(np.int64)]
    else:
        likely = sigmoid(np.where(labels != 0, real, -real).astype(np.float32))
    return float(-log(np.maximum(likely.astype(np.float64), 1e-30)).mean())


def softmax(logits: NDArray[Any], unit: np.float32 | None) -> NDArray[np.float32]:
    """Probabilities of classes, (n, classes), in float32 of a defined order: that of the device's confidence.

    Args:
        logits: as the device gives them, (n, classes).
        unit: real units per step of int8 logits; None for float logits.
    """
    whole = logits if unit is None else logits.astype(np.int64)
    with np.errstate(all="ignore"):  # logits may be as large as floats are
        below = (whole - whole.max(axis=1, keepdims=True)).astype(np.float32)
        terms = exp2(below * np.float32(np.float32(1 if unit is None else unit) * np.float32(1.4426950)))
        result: NDArray[np.float32] = (terms / np.add.accumulate(terms, axis=1)[:, -1:]).astype(np.float32)
    return result


def sigmoid(real: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of labels from outputs in real units, likewise."""
    with np.errstate(all="ignore"):
        small = exp2(np.abs(real) * np.float32(-1.4426950))
    one = np.float32(1)
    result: NDArray[np.float32] = (np.where(real < 0, small, one) / (one + small)).astype(np.float32)
    return result


def _classes(array: NDArray[Any], samples: int, classes: int, what: str) -> NDArray[np.uint32]:
    if array.shape != (samples,):
        raise DataError(
            f"{what} has shape {array.shape} for {samples} samples",
            where=what,
            hint=_shape_hint(array, samples, classes, what),
        )
    if array.dtype.kind not in "iub":
        raise DataError(
            f"{what} has dtype {array.dtype}, not integers", where=what, hint=_dtype_hint(array, what)
        )
    wrong = np.flatnonzero((array < 0) | (array >= classes))
    if wrong.size:
        from_one = f";  {what} - 1, if labels begin at 1" if begins_at_one(array, classes) else ""
        raise DataError(
            f"{wrong.size} of {samples} labels are outside the {classes} classes, "
            f"the first is {int(array[wrong[0]])} of sample {int(wrong[0])}",
            where=what,
            hint=f"0 to {classes - 1}{from_one}",
        )
    return array.astype(np.uint32)


def begins_at_one(labels: NDArray[Any], classes: int) -> bool:
    """Whether labels seem to be 1 to `classes`, not 0 to `classes` - 1."""
    return bool(labels.min() >= 1 and labels.max() == classes)


def _shape_hint(array: NDArray[Any], samples: int, classes: int, what: str) -> str:
    if array.shape == (samples, 1):
        return f"{what}.reshape(-1), shape ({samples},)"
    if array.shape == (samples, classes) and array.dtype.kind in "iubf":
        several = bool(((array != 0).sum(axis=1) > 1).any()) and bool(np.isin(array, (0, 1)).all())
        bits = ";  loss='binary_cross_entropy', where several labels apply at once" if several else ""
        return f"{what}.argmax(1), the class of each row{bits}"
    if array.ndim > 1 and array.shape[0] == samples:
        return (
            f"one class for each sample, shape ({samples},); "
            f"loss='binary_cross_entropy' takes 0 or 1 for each of the {classes} outputs, loss='mse' values"
        )
    return f"shape ({samples},)"


def _dtype_hint(array: NDArray[Any], what: str) -> str:
    if array.dtype.kind in "USO":
        return f"names, {what} = np.unique({what}, return_inverse=True) numbers names in alphabetical order"
    if array.dtype.kind == "f" and bool((array == np.rint(array)).all()):
        return f"{what}.astype(int)"
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        first = int(np.flatnonzero(~np.isfinite(array))[0])
        return f"leave out samples without a label, such as sample {first}, then {what}.astype(int)"
    return "class indices;  loss='mse' for values" if array.dtype.kind == "f" else "class indices"
