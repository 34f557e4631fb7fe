"""Advice: another learning rate to try, none that a search has tried already."""

from __future__ import annotations

from collections.abc import Collection
from math import sqrt

FACTOR = 3.0
"""Between a rate and the next that is worth a try, as in a search."""


def lower(rate: float, tried: Collection[float] = (), times: float = FACTOR) -> str:
    """A rate so many times lower, or one below all that were tried."""
    if _is_tried(rate / times, tried):
        return f"a rate of {min(tried) / FACTOR:.2g}, below all that were tried"
    return f"a rate of {rate / times:.2g}"


def higher(rate: float, tried: Collection[float] = ()) -> str:
    """The next higher rate; nothing where it was tried."""
    return "" if _is_tried(FACTOR * rate, tried) else f"a rate of {FACTOR * rate:.2g}"


def told(tried: Collection[float]) -> str:
    """Which rates were tried; nothing where none was."""
    return f"rates from {min(tried):.2g} to {max(tried):.2g} were tried" if tried else ""


def _is_tried(rate: float, tried: Collection[float]) -> bool:
    """Whether a search tried a rate nearer to this than its neighbours are."""
    return any(each / sqrt(FACTOR) < rate < each * sqrt(FACTOR) for each in tried)
