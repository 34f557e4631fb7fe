"""Losses: what a training step makes smaller, and what it needs to know about a sample."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import UsageError
from mcugrad.given import is_number, shown


class LabelKind(Enum):
    """What a sample is labelled with, as the device takes it."""

    CLASS = "uint32_t"
    """Index of the one class that it is."""
    BITS = "uint8_t"
    """One value per output: 1 where the label applies, else 0."""
    VALUES = "int8_t"
    """One quantized value per output."""


@dataclass(frozen=True)
class Loss:
    """A loss and its options.

    Attributes:
        name: `cross_entropy`, `binary_cross_entropy`, `mse`, `mae` or `huber`.
        label_smoothing: share of the label spread evenly over all classes, in [0, 1); cross_entropy.
        class_weights: factor on the loss of a sample, by its class; cross_entropy. Empty for 1.
        delta: where `huber` turns from square to linear, real units.
    """

    name: str = "cross_entropy"
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()
    delta: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in LABEL_KINDS:
            raise UsageError(
                f"unknown loss {self.name!r}", where="loss", hint=f"one of {', '.join(LABEL_KINDS)}"
            )
        if not (is_number(self.label_smoothing) and 0 <= self.label_smoothing < 1):
            raise UsageError(
                f"label smoothing of {shown(self.label_smoothing)} is not in [0, 1)", where="loss", hint="0.1"
            )
        if self.name != "cross_entropy" and (self.label_smoothing or self.class_weights):
            raise UsageError(
                f"label smoothing and class weights do not apply to {self.name}",
                where="loss",
                hint="cross_entropy",
            )
        if not (is_number(self.delta) and np.isfinite(self.delta) and self.delta > 0):
            raise UsageError(f"delta of {shown(self.delta)} is not above 0", where="loss", hint="1.0")
        strange = [weight for weight in self.class_weights if not is_number(weight)]
        if strange:
            raise UsageError(
                f"a class weight of {strange[0]!r} is no number", where="loss", hint="numbers from 0 on"
            )
        weights = np.asarray(self.class_weights, np.float64)
        if not np.isfinite(weights).all() or (weights < 0).any():
            raise UsageError(
                "a class weight is negative or not finite", where="loss", hint="numbers from 0 on"
            )

    @property
    def label_kind(self) -> LabelKind:
        """What a sample is labelled with."""
        return LABEL_KINDS[self.name]

    @property
    def text(self) -> str:
        """The loss and those of its options that count: `cross_entropy, label smoothing 0.1`."""
        parts = [self.name]
        if self.label_smoothing:
            parts.append(f"label smoothing {self.label_smoothing:g}")
        if self.class_weights:
            parts.append(f"class weights {', '.join(f'{float(w):g}' for w in self.class_weights)}")
        if self.name == "huber" and self.delta != 1:
            parts.append(f"delta {self.delta:g}")
        return ", ".join(parts)


LABEL_KINDS: dict[str, LabelKind] = {
    "cross_entropy": LabelKind.CLASS,
    "binary_cross_entropy": LabelKind.BITS,
    "mse": LabelKind.VALUES,
    "mae": LabelKind.VALUES,
    "huber": LabelKind.VALUES,
}


def loss_of_one_answer(loss: Loss, y: NDArray[Any], outputs: int | None = None) -> float:
    """Mean loss of the best answer that is the same for every sample: what a network has that tells nothing apart.

    Args:
        loss: what is asked for; label smoothing and class weights count.
        y: classes (n,), labels that apply (n, outputs) of 0 and 1, or values (n, outputs).
        outputs: number of classes, for label smoothing.

    Returns:
        Nats, or the loss in real units; for `huber` at most a little more than the best.
    """
    if loss.label_kind is LabelKind.CLASS:
        classes = max(outputs or 0, int(y.max()) + 1)
        shares = np.bincount(y.astype(np.int64), minlength=classes) / len(y)
        if loss.class_weights:
            shares = shares * np.resize(np.asarray(loss.class_weights), classes)
        spread = loss.label_smoothing
        shares = (1 - spread) * shares + spread * shares.sum() / classes
        shares = shares[shares > 0]
        return float(-(shares * np.log(shares / shares.sum())).sum())
    rows = y.astype(np.float64)
    if loss.label_kind is LabelKind.BITS:
        shares = np.stack([rows.mean(axis=0), 1 - rows.mean(axis=0)])
        return float(-(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=0).mean())
    return float(_distance(loss, rows - _one_answer(loss, rows)).mean())


def losses_of_one_answer(
    loss: Loss, y: NDArray[Any], some: NDArray[Any], outputs: int
) -> NDArray[np.float64]:
    """What the best answer that is the same for every sample costs each of some samples, (m,).

    Args:
        loss: what is asked for.
        y: of all samples, as `loss_of_one_answer` takes them, which is the mean of what they cost.
        some: likewise of some. A class of which there is none in `y` costs 0.
        outputs: number of classes.
    """
    if loss.label_kind is LabelKind.CLASS:
        return _costs_of_classes(loss, y, outputs)[some.astype(np.int64)]
    rows = some.astype(np.float64).reshape(len(some), -1)
    all_rows = y.astype(np.float64).reshape(len(y), -1)
    if loss.label_kind is LabelKind.BITS:
        share = all_rows.mean(axis=0)
        nats = -np.log(np.maximum(np.where(rows != 0, share, 1 - share), 1e-300))
    else:
        nats = _distance(loss, rows - _one_answer(loss, all_rows))
    costs: NDArray[np.float64] = nats.mean(axis=1)
    return costs


def _one_answer(loss: Loss, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean or the median of values, whichever costs less."""
    answers = (rows.mean(axis=0), np.median(rows, axis=0))
    best: NDArray[np.float64] = min(answers, key=lambda answer: float(_distance(loss, rows - answer).mean()))
    return best


def _costs_of_classes(loss: Loss, y: NDArray[Any], outputs: int) -> NDArray[np.float64]:
    """What the best answer costs a sample of each class, (classes,), in nats."""
    shares = np.bincount(y.astype(np.int64), minlength=outputs) / len(y)
    weights = np.resize(np.asarray(loss.class_weights or (1.0,)), len(shares))
    spread = loss.label_smoothing
    odds = (1 - spread) * shares * weights + spread * (shares * weights).sum() / len(shares)
    total = odds.sum()
    nats = np.zeros(len(shares))
    nats[odds > 0] = -np.log(odds[odds > 0] / total)
    costs: NDArray[np.float64] = weights * ((1 - spread) * nats + spread * nats.mean())
    return costs


def loss_of_balance(loss: Loss, outputs: int) -> float:
    """The same where each class, or each label, is as frequent as not; 0 for values, of which that says nothing."""
    if loss.label_kind is LabelKind.VALUES:
        return 0.0
    if loss.label_kind is LabelKind.BITS:
        return loss_of_one_answer(loss, np.asarray([[0], [1]]))
    return loss_of_one_answer(loss, np.arange(outputs), outputs)


def _distance(loss: Loss, d: NDArray[np.float64]) -> NDArray[np.float64]:
    """Loss of each difference between an output and its label."""
    size = np.abs(d)
    if loss.name == "mse":
        return size**2
    if loss.name == "mae":
        return size
    return np.where(size <= loss.delta, size**2 / 2, loss.delta * (size - loss.delta / 2))
