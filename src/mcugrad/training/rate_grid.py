"""Which learning rate: the usual one of an update, the rates that a search tries, and in which order.

A search is told how good a rate is after some steps, and knows nothing of networks. Rates stand a factor of 3 apart.
Each of the grid takes a short training; where the best is the lowest or the highest of them, the grid goes on there,
downwards only as long as lower rates may be better than no training.
The best two then train as long as the training that is wanted, and the neighbours of the best of those, until both of
its neighbours have. Few steps mislead both ways: from new weights what is best of them is too large for many; a network
that knows much is upset by a rate that many steps make good use of. A brief search, for who compares ways to train,
trains with the best one alone to the end, and with lower ones only where that collapses.
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

NEAR = 0.01
"""Share of a loss within which it is taken for the same by who chooses among rates."""
LEVEL = 0.05
"""Likewise by who asks whether anything was learned, and share of an error of values that is chance."""
NATS = 0.02
"""Loss below which a network makes hardly a mistake: it need not be surer."""
SURE = 2.0
"""Standard errors above the best guess from which on a network knows something."""
RUINED = 3.0
"""Standard errors below the best of few steps from which on a rate is not tried for many."""
UNMOVED = 0.001
"""Share of a loss within which, with the same score, a training has moved nothing."""


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


@dataclass(frozen=True)
class Untrained:
    """The network before training, by the same samples.

    Attributes:
        score: as that of a Trial.
        loss: likewise.
        guess: score of the best answer that is the same for every sample.
        of: held-out samples.
    """

    score: float
    loss: float
    guess: float
    of: int

    @property
    def knows(self) -> bool:
        """Whether the network is not at chance."""
        chance = SURE * _margin(self.guess, self.of)
        return self.score > self.guess + chance or (self.score >= 0 and self.loss <= NATS)

    def is_level_with(self, trial: Trial) -> bool:
        """Whether chance may well tell the network from what a training made of it, in score and loss."""
        apart = abs(trial.loss - self.loss)
        more = NATS if self.score >= 0 else 0.0
        return (
            abs(trial.score - self.score) <= _margin(self.score, self.of)
            and apart <= LEVEL * self.loss + more
        )

    def ends(self, trials: Iterable[Trial]) -> bool:
        """Whether lower rates than those of trials are no better than no training.

        So it is where the lowest two are level with it: a single one may be on the way from harm to gain. Of a network
        at chance they may be better even so, since what higher ones spoil looks like what has learned nothing. But
        where a training has not moved a thing, a gentler one does not, either.
        """
        lowest, *others = sorted(trials, key=lambda each: each.rate)[:2]
        if lowest.score == self.score and abs(lowest.loss - self.loss) <= UNMOVED * self.loss:
            return True
        return self.knows and all(map(self.is_level_with, (lowest, *others)))


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


def search(
    rates: Sequence[float],
    steps: int,
    trial: Callable[[float, int], Trial],
    untrained: Untrained,
    usual: float,
    *,
    brief: bool = False,
) -> list[Trial]:
    """Try rates.

    Args:
        rates: to begin with, lowest first.
        steps: of the training that a rate is wanted for.
        trial: trains so many steps from the same state, with a rate, and says what it gave.
        untrained: that state.
        usual: the rate where nobody looks for one.
        brief: whether one rate alone shall train to the end, unless it collapses.

    Returns:
        All trials in the order they were made; `answer` of those that took `steps` is the answer.
    """
    few = min(steps, max(steps // SHORT, LEAST))
    tried = {rate: trial(rate, few) for rate in rates}
    for count, outwards in ((LOWER, 1 / FACTOR), (HIGHER, FACTOR)):
        for _ in range(count):
            end = min(tried) if outwards < 1 else max(tried)
            if best(tried.values()).rate != end or (tried[end].diverged and outwards > 1):
                break
            if outwards < 1 and untrained.ends(tried.values()):
                break
            tried[_next(end, outwards)] = trial(_next(end, outwards), few)
    trials = list(tried.values())
    if few == steps:
        return trials
    first = answer(trials, untrained, usual)
    if brief:
        return [*trials, *_lasting(first, tried, steps, trial)]
    second = answer([each for each in trials if each is not first], untrained, usual)
    whole = {rate: trial(rate, steps) for rate in dict.fromkeys((first.rate, second.rate))}
    for _ in range(LOWER):
        top = best(whole.values()).rate
        lower, higher = _below(top, tried), min((rate for rate in tried if rate > top), default=top)
        new = [] if untrained.ends(whole.values()) else [lower]
        new += [higher] if _is_sound(tried[higher], best(trials)) else []
        if all(rate in whole for rate in new):
            break
        whole |= {rate: trial(rate, steps) for rate in new if rate not in whole}
    return [*trials, *whole.values()]


def answer(trials: Iterable[Trial], untrained: Untrained, usual: float) -> Trial:
    """The trial to go by: the best; of those that are level with no training the one whose rate is nearest the usual.

    Such samples do not say which rate suits: they are known already, or hardly a step was taken. The lowest rate would
    be one that learns nothing of anything else either, so the one is taken that is taken where nobody looks.
    """
    level = ties(trials)
    if not untrained.is_level_with(level[0]):
        return level[0]
    return min(level, key=lambda each: max(each.rate / usual, usual / each.rate))


def best(trials: Iterable[Trial]) -> Trial:
    """The best trial: of those whose score and loss chance may well have told apart, that of the lowest rate.

    A lower rate is farther from where training collapses, and forgets less.
    """
    return ties(trials)[0]


def alike(trials: Sequence[Trial]) -> list[Trial]:
    """Those whose score chance may well have told apart from the best: by a standard error, or a single sample."""
    top = max(trials, key=lambda each: each.score)
    return [each for each in trials if each.score >= top.score - _chance(top)]


def ties(trials: Iterable[Trial]) -> list[Trial]:
    """The best trials, which chance may well have told apart in score and loss, that of the lowest rate first.

    Chance is a standard error of the best share; errors of values, which are losses themselves, differ by chance up to
    5 %.
    """
    found = sorted(trials, key=lambda each: each.rate)
    top = max(each.score for each in found)
    good = [each for each in found if each.score >= top - _margin(top, found[0].of)]
    least = min(each.loss for each in good)
    same = max(least * (1 + NEAR), NATS) if top >= 0 else least * (1 + LEVEL)
    return [each for each in good if each.loss <= same]


def _lasting(
    first: Trial, tried: Iterable[float], steps: int, trial: Callable[[float, int], Trial]
) -> list[Trial]:
    """Trainings to the end, at the rate of a short one, then at lower ones until one has not collapsed."""
    found = []
    for rate in sorted((rate for rate in tried if rate <= first.rate), reverse=True):
        found.append(trial(rate, steps))
        if found[-1].score >= first.score - RUINED * _chance(first):
            break
    return found


def _is_sound(trial: Trial, top: Trial) -> bool:
    """Whether few steps at a rate did not so much harm that many are to be feared, which may collapse by chance."""
    return trial.score >= top.score - RUINED * _margin(top.score, top.of)


def _margin(score: float, of: int) -> float:
    """By how much scores may well differ by chance: a standard error of shares, 5 % of negative errors of values."""
    if not np.isfinite(score):
        return 0.0
    return float(np.sqrt(score * (1 - score) / of)) if score >= 0 else LEVEL * abs(score)


def _chance(trial: Trial) -> float:
    """The margin of a score, a sample at the least: of all samples right, a standard error says nothing."""
    return max(_margin(trial.score, trial.of), 1 / trial.of if trial.score >= 0 else 0.0)


def _batch(size: int) -> float:
    return size if size <= LINEAR_BATCH else float(np.sqrt(LINEAR_BATCH * size))


def _next(rate: float, factor: float) -> float:
    return float(f"{rate * factor:.3g}")


def _below(rate: float, tried: Iterable[float]) -> float:
    """The next lower rate: one that was tried, or one beyond them."""
    return max((each for each in tried if each < rate), default=_next(rate, 1 / FACTOR))
