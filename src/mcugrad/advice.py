"""Advice: another learning rate to try, none that a search has tried already."""

from __future__ import annotations

from collections.abc import Collection
from math import floor, isfinite, log10, sqrt

FACTOR = 3.0
"""Between a rate and the next that is worth a try, as in a search."""
LARGE, SMALL = 1e5, 0.01
"""Times the outputs before training from which on labels, or up to which all of them, are of another size."""


def lower(rate: float, tried: Collection[float] = (), times: float = FACTOR) -> str:
    """A rate so many times lower, or one below all that were tried."""
    if _is_tried(rate / times, tried):
        return f"a rate of {min(tried) / FACTOR:.2g}, below all that were tried"
    return f"a rate of {rate / times:.2g}"


def higher(rate: float, tried: Collection[float] = ()) -> str:
    """The next higher rate; nothing where it was tried."""
    return "" if _is_tried(FACTOR * rate, tried) else f"a rate of {FACTOR * rate:.2g}"


def rescaled(labels: float, outputs: float) -> str:
    """How labels and outputs of another size become about as large; nothing where they are.

    Args:
        labels: the largest magnitude of them.
        outputs: likewise of what the network says before training.
    """
    if labels == 0 or not isfinite(outputs):  # there are none, or the network itself is broken
        return ""
    ratio = labels / (outputs or 1.0)
    if SMALL < ratio < LARGE:
        return ""
    if SMALL <= labels <= 1 / SMALL:
        return f"weights of the last layer {_power(ratio)}"
    return as_one(labels)


def as_one(labels: float) -> str:
    """How labels with this largest magnitude become numbers of about 1."""
    return f"labels {_power(1 / labels)}"


def told(tried: Collection[float]) -> str:
    """Which rates were tried; nothing where none was."""
    return f"rates from {min(tried):.2g} to {max(tried):.2g} were tried" if tried else ""


def _power(factor: float) -> str:
    power = floor(log10(factor) + 0.5)
    return f"{'multiplied' if power > 0 else 'divided'} by {10.0 ** abs(power):.0e}"


def _is_tried(rate: float, tried: Collection[float]) -> bool:
    """Whether a search tried a rate nearer to this than its neighbours are."""
    return any(each / sqrt(FACTOR) < rate < each * sqrt(FACTOR) for each in tried)
