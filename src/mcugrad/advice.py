"""Advice: another learning rate to try, none that a search has tried already."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import floor, isfinite, log10, sqrt

FACTOR = 3.0
"""Between a rate and the next that is worth a try, as in a search."""
OFF = 100.0
"""Times a rate is off the usual one from which on that is advised, and no step towards it."""
LARGE, SMALL = 1e5, 0.01
"""Times the outputs before training from which on labels, or up to which all of them, are of another size."""


@dataclass(frozen=True)
class Rates:
    """The learning rate of a training, and what is known of others that one might advise.

    Attributes:
        rate: at the beginning.
        usual: the one where nobody chooses; 0 where it is not known.
        tried: those that a search has tried.
        safer: of these the next lower one that learned, too; 0 for none.
    """

    rate: float
    usual: float = 0.0
    tried: tuple[float, ...] = ()
    safer: float = 0.0

    def lower(self, times: float = FACTOR) -> str:
        """A rate so many times lower, or one that suits better, if any is known."""
        if self.usual and self.rate / times > OFF * self.usual:
            return self._usual
        if self.safer:
            return f"a rate of {self.safer:.2g}, with which the search did well, too"
        if _is_tried(self.rate / times, self.tried):
            return f"a rate of {min(self.tried) / FACTOR:.2g}, below all that were tried"
        return f"a rate of {self.rate / times:.2g}"

    def higher(self) -> str:
        """The next higher rate; nothing where it was tried."""
        if self.is_far_below:
            return self._usual
        return "" if _is_tried(FACTOR * self.rate, self.tried) else f"a rate of {FACTOR * self.rate:.2g}"

    @property
    def is_far_below(self) -> bool:
        """Whether the rate is so low that no small factor helps; what a search has found is not."""
        return not self.tried and 0 < FACTOR * OFF * self.rate < self.usual

    @property
    def told(self) -> str:
        """Which rates were tried; nothing where none was."""
        return f"rates from {min(self.tried):.2g} to {max(self.tried):.2g} were tried" if self.tried else ""

    @property
    def _usual(self) -> str:
        return f"a rate of {self.usual:.2g}, which is usual (without a rate one is looked for)"


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


def shrunk(outputs: float) -> str:
    """How outputs that are compared with no values become usable; nothing where they are."""
    if not outputs > LARGE:  # of a broken network it is NaN
        return ""
    return f"smaller weights, or normalization: outputs go up to {outputs:.3g} before training"


def as_one(labels: float) -> str:
    """How labels with this largest magnitude become numbers of about 1."""
    return f"labels {_power(1 / labels)}"


def _power(factor: float) -> str:
    power = floor(log10(factor) + 0.5)
    return f"{'multiplied' if power > 0 else 'divided'} by {10.0 ** abs(power):.0e}"


def _is_tried(rate: float, tried: Collection[float]) -> bool:
    """Whether a search tried a rate nearer to this than its neighbours are."""
    return any(each / sqrt(FACTOR) < rate < each * sqrt(FACTOR) for each in tried)
