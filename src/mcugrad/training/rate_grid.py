"""Which learning rate: the usual one of an update, the rates that a search tries, and in which order.

A search is told how good a rate is after some steps, and knows nothing of networks. Rates stand a factor of 3 apart.
Each of the grid takes a short training; where the best is the lowest or the highest of them, the grid goes on there.
The best two, and the next lower rate than the best, then train as long as the training that is wanted: what is best of
few steps is too large for many, seldom too small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mcugrad.training.rules.update import Update

USUAL = 0.01
"""Rate of one sample at a time without momentum, where nobody looks for a better one."""
USUAL_STANDARDIZED = 0.001
"""Likewise of `standardized`, whose gradients have size 1."""
GRID = (0.003, 0.009, 0.027, 0.081, 0.243)
"""Rates tried, of one sample at a time without momentum."""
GRID_STANDARDIZED = (0.0005, 0.0015, 0.0045, 0.0135, 0.04)
FACTOR = 3.0
"""Between neighbours, where the grid goes on beyond its ends."""
LOWER, HIGHER = 5, 2
"""Rates by which it may go on at either end."""
LINEAR_BATCH = 8
"""Batch up to which rates grow in proportion to it, beyond it with its root: fewer and fewer steps gain from more."""
SHORT = 8
"""Share of the steps that a short training takes: an eighth."""
LEAST = 400
"""Steps of a short training, unless the whole one has fewer."""

CHANCE = 0.5
"""Standard errors of a share within which the loss decides."""
NEAR = 0.05
"""Share of a loss within which it is taken for the same."""
NATS = 0.02
"""Likewise for the loss of a network that makes hardly a mistake."""


@dataclass(frozen=True)
class Trial:
    """What a rate gave on samples that were held out.

    Attributes:
        rate: learning rate at the beginning.
        steps: training steps, those of all parts of the samples that were held out one after the other.
        score: as `Trainer.evaluate` gives it, but errors count as negative: larger is better; -inf where training
            diverged.
        loss: mean loss of the held-out samples; inf likewise.
        of: held-out samples.
    """

    rate: float
    steps: int
    score: float
    loss: float
    of: int

    @property
    def diverged(self) -> bool:
        """Whether numbers were no longer finite."""
        return not np.isfinite(self.score)


def scale(updates: Iterable[Update]) -> float:
    """By how much rates are larger than those of one sample at a time without momentum; that of the liveliest layer.

    Momentum makes a change 1 / (1 - momentum) times as large in the end; a batch takes a mean, and as many fewer steps.
    """
    return min(
        ((1 - each.momentum) * float(_batch(each.batch)) for each in updates if each.rule != "standardized"),
        default=1.0,
    )


def is_standardized(updates: Iterable[Update]) -> bool:
    """Whether a layer learns by gradients whose size is divided out: rates are then of another order."""
    return any(each.rule == "standardized" for each in updates)


def usual(updates: Sequence[Update]) -> float:
    """The learning rate where nobody says or finds one; of what trains, or of nothing."""
    return USUAL_STANDARDIZED if is_standardized(updates) else USUAL * scale(updates)


def grid(updates: Sequence[Update]) -> tuple[float, ...]:
    """The rates that a search begins with, lowest first."""
    if is_standardized(updates):
        return GRID_STANDARDIZED
    factor = scale(updates)
    return tuple(float(f"{rate * factor:.3g}") for rate in GRID)


def search(rates: Sequence[float], steps: int, trial: Callable[[float, int], Trial]) -> list[Trial]:
    """Try rates.

    Args:
        rates: to begin with, lowest first.
        steps: of the training that a rate is wanted for.
        trial: trains so many steps from the same state, with a rate, and says what it gave.

    Returns:
        All trials in the order they were made; `best` of those that took `steps` is the answer.
    """
    few = min(steps, max(steps // SHORT, LEAST))
    tried = {rate: trial(rate, few) for rate in rates}
    for count, outwards in ((LOWER, 1 / FACTOR), (HIGHER, FACTOR)):
        for _ in range(count):
            end = min(tried) if outwards < 1 else max(tried)
            if best(tried.values()).rate != end or (tried[end].diverged and outwards > 1):
                break
            tried[_next(end, outwards)] = trial(_next(end, outwards), few)
    trials = list(tried.values())
    if few == steps:
        return trials
    first = best(trials)
    second = best([each for each in trials if each is not first])
    whole = {rate: trial(rate, steps) for rate in dict.fromkeys((first.rate, second.rate))}
    lower = _below(first.rate, tried)
    for _ in range(LOWER):
        if lower not in whole:
            whole[lower] = trial(lower, steps)
        if best(whole.values()).rate != lower or lower > min(whole):
            break
        lower = _below(lower, tried)
    return [*trials, *whole.values()]


def best(trials: Iterable[Trial]) -> Trial:
    """The trial to go by: of those whose score and loss chance may well have told apart, that of the lowest rate.

    A lower rate is farther from where training collapses, and forgets less. Chance is half a standard error of the best
    share; errors of values, which are losses themselves, differ by chance up to 5 %.
    """
    found = sorted(trials, key=lambda each: each.rate)
    top = max(each.score for each in found)
    is_share = 0 <= top <= 1
    if is_share:
        top -= CHANCE * float(np.sqrt(top * (1 - top) / found[0].of))
    elif np.isfinite(top):
        top -= NEAR * abs(top)
    good = [each for each in found if each.score >= top]
    least = min(each.loss for each in good)
    return next(each for each in good if each.loss <= least * (1 + NEAR) + (NATS if is_share else 0.0))


def _batch(size: int) -> float:
    return size if size <= LINEAR_BATCH else float(np.sqrt(LINEAR_BATCH * size))


def _next(rate: float, factor: float) -> float:
    return float(f"{rate * factor:.3g}")


def _below(rate: float, tried: Iterable[float]) -> float:
    """The next lower rate: one that was tried, or one beyond them."""
    return max((each for each in tried if each < rate), default=_next(rate, 1 / FACTOR))
