"""Rate search: the learning rate that suits a network, its samples and the length of a training, found by trying some.

An eighth of the samples is held out, evenly over the classes, and copies of these with them; each trial begins at the
state that the model has, and leaves no trace. Few samples are held out part by part, so that the answer does not hang
on a handful.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import fsum
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import UsageError
from mcugrad.fitting import Course, Samples, demand_course, demand_schedule, spanned, stretch
from mcugrad.progress import progress
from mcugrad.run.life import Life
from mcugrad.training.rate_grid import Trial, Untrained, answer, search
from mcugrad.training.schedules import Kind, Schedule, named
from mcugrad.training.schedules import shortened as part_of

PARTS = 8
"""Parts that samples are divided into; one of them is held out."""
FEWEST = 2 * PARTS
"""Samples below which no rate is looked for."""
ENOUGH = 200
"""Held-out samples that tell rates apart; fewer are held out part by part."""
MOST = 2000
"""Held-out samples that are looked at."""
LONGEST = 20_000
"""Steps of a trial, at most; so much tells rates of longer trainings apart."""
WORK = 3e11
"""Products of a trial in its forward passes, at most, where that leaves `SHORTEST` steps: some minutes of a PC."""
SHORTEST = 1000

SHOWN = 4
"""Other rates that a line shows: those next to the one that was found."""

Rating = Callable[[NDArray[Any], NDArray[Any]], tuple[float, float]]
"""Score and mean loss of outputs, given labels; the score larger for better."""


@dataclass(frozen=True)
class RateSearch:
    """A learning rate that was looked for, and what was found.

    Attributes:
        rate: that which was taken.
        trials: all that was tried, in order; empty where there were too few samples.
        held_out: samples that were held out, of all parts together.
        before: score of these before training; NaN where there were too few samples.
        steps: training steps that the search took.
        seconds: how long it took.
        is_share: whether a score is a share; else the negative of a mean squared error.
        is_level: whether no training is level with it; of such rates it is the one nearest the usual.
    """

    rate: float
    trials: tuple[Trial, ...]
    held_out: int
    before: float
    steps: int
    seconds: float
    is_share: bool
    is_level: bool = False

    @property
    def found(self) -> Trial | None:
        """The trial that the rate is of; None where there were too few samples."""
        return next((each for each in reversed(self.trials) if each.rate == self.rate), None)

    @property
    def safer(self) -> float:
        """The next lower rate that learned at least half as much in as many steps; 0 where none did."""
        found = self.found
        if found is None or not found.score > self.before:
            return 0.0
        enough = self.before + (found.score - self.before) / 2
        lower = (
            each.rate
            for each in self.trials
            if each.steps == found.steps and each.rate < self.rate and each.score >= enough
        )
        return max(lower, default=0.0)

    @property
    def has_diverged(self) -> bool:
        """Whether training diverged at every rate."""
        return self.found is not None and self.found.diverged

    @property
    def tried(self) -> tuple[float, ...]:
        """Rates that were tried, each once, in order of the first trial."""
        return tuple(dict.fromkeys(each.rate for each in self.trials))

    @property
    def text(self) -> str:
        """What was found, and what it cost, in a line."""
        found = self.found
        if found is None:
            return f"rate {self.rate:.3g}, the usual one: {FEWEST} samples or more would find a better one"
        longest = max(each.steps for each in self.trials)
        others = [each for each in self.trials if each.rate != self.rate]
        near = sorted(
            [each for each in others if each.steps == longest] or others,
            key=lambda each: (max(each.rate / self.rate, self.rate / each.rate), each.rate),
        )
        shown = sorted(near[:SHOWN], key=lambda each: each.rate)
        also = ", ".join(f"{each.rate:.3g}: {self._score(each.score)}" for each in shown)
        level = "; level with no training: of such rates the one nearest the usual" if self.is_level else ""
        return (
            f"rate {self.rate:.3g} found: {self._score(found.score)} of {self.held_out} samples held out "
            f"({also}; before training {self._score(self.before)}){level}; {len(self.trials)} trials, "
            f"{self.steps:,} steps, {self.seconds:.1f} s"
        )

    @property
    def note(self) -> str | None:
        """What is odd about it; None for nothing."""
        found = self.found
        if found is None:
            return None
        if self.has_diverged:
            return f"training diverged at every rate tried, from {max(self.tried):.2g} down to {min(self.tried):.2g}"
        worse = found.score < self.before - (0.02 if self.is_share else 0.02 * abs(self.before))
        if worse and not self.is_level:  # so little may be chance, and hardly a step may have been taken
            return (
                f"no rate from {min(each.rate for each in self.trials):.2g} to "
                f"{max(each.rate for each in self.trials):.2g} made held-out samples better than the "
                f"{self._score(self.before)} before training (best {self._score(found.score)}); do labels and samples "
                f"belong together, and are there enough of them? A guard keeps what is better"
            )
        return None

    def facts(self) -> dict[str, Any]:
        """The same on every run and computer, for JSON: no time."""
        return {
            "rate": self.rate,
            "steps": self.steps,
            "held_out": self.held_out,
            "before": self.before if self.trials else None,
            "trials": [
                {
                    "rate": each.rate,
                    "steps": each.steps,
                    "score": None if each.diverged else each.score,
                    "loss": None if each.diverged else each.loss,
                }
                for each in self.trials
            ],
        }

    def _score(self, score: float) -> str:
        if not np.isfinite(score):
            return "diverged"
        return f"{score:.1%}" if self.is_share else f"error {abs(score):.4g}"


def find(
    twin: Life,
    data: Samples,
    course: Course,
    rates: tuple[float, ...],
    usual: float,
    rating: Rating,
    guess: Callable[[NDArray[Any]], float],
    macs: int,
    *,
    brief: bool = False,
) -> RateSearch:
    """Look for a learning rate; the twin's state is afterwards what it was.

    Args:
        twin: what would train.
        data: the samples it would be trained with.
        course: how; its rate does not matter.
        rates: to begin with.
        usual: the rate to take where there are too few samples.
        rating: of outputs.
        guess: score of the best answer that is the same for every sample, given labels.
        macs: products of a prediction.
        brief: whether the best of the short trials alone trains to the end.
    """
    demand_course(course, len(data[0]))
    start, count = monotonic(), len(data[0])
    total = int(course.epochs) * count
    demand_schedule(course, total)  # in the numbers of the training, not of a trial
    is_share = course.is_share
    if count < FEWEST:
        return RateSearch(usual, (), 0, np.nan, 0, 0.0, is_share)
    steps = min(total, LONGEST, max(SHORTEST, int(WORK / max(macs, 1))))
    kinds = _kinds(data)
    firsts = np.unique(kinds, return_index=True)[1]
    if len(firsts) < FEWEST:  # in many copies: whatever is held out is trained, too, and whatever comes was
        kinds = firsts = np.arange(count)
    classes = data[1][firsts] if course.is_class else None
    parts = [firsts[part] for part in _parts(classes, len(firsts), course.seed)]
    folds = min(PARTS, -(-ENOUGH // len(parts[0])), max(1, LONGEST // steps))
    looked = [part[:MOST] for part in parts[:folds]]
    state = twin.state()
    held_out = sum(map(len, looked))
    before, loss = _over([rating(twin.predict(data[0][part]), data[1][part]) for part in looked], looked)
    untrained = Untrained(before, loss, guess(data[1][np.concatenate(looked)]), held_out)
    trained = [0]
    few_and_whole = (1 if brief else 3) * steps + len(rates) * max(steps // 8, min(steps, 400))

    with progress("looking for the rate", folds * few_and_whole) as advance:

        def trial(rate: float, length: int) -> Trial:
            ratings = []
            for part in looked:
                twin.restore(state)
                left = np.flatnonzero(~np.isin(kinds, kinds[part]))
                order = _order(left, course, length, total)
                trained[0] += length
                if not _trained(twin, data, shortened(course, rate, length, total), order, advance):
                    return Trial(rate, folds * length, -np.inf, np.inf, held_out)
                ratings.append(rating(twin.predict(data[0][part]), data[1][part]))
            return Trial(rate, folds * length, *_over(ratings, looked), held_out)

        try:
            trials = search(rates, steps, trial, untrained, usual, brief=brief)
        finally:
            twin.restore(state)
    longest = max(each.steps for each in trials)
    chosen = answer([each for each in trials if each.steps == longest], untrained, usual)
    return RateSearch(
        chosen.rate,
        tuple(trials),
        held_out,
        before,
        trained[0],
        monotonic() - start,
        is_share,
        untrained.is_level_with(chosen),
    )


def _over(ratings: Sequence[tuple[float, float]], parts: Sequence[NDArray[np.intp]]) -> tuple[float, float]:
    """Mean score and loss over parts of the samples."""
    sizes = [len(part) for part in parts]
    score, loss = (
        fsum(value * size for value, size in zip(values, sizes, strict=True)) / sum(sizes)
        for values in zip(*ratings, strict=True)
    )
    return score, loss


def shortened(course: Course, rate: float, length: int, total: int) -> Course:
    """The same course at another rate, its schedule shortened from all new samples to some; without guard and judge.

    A warm-up that leaves a step of the whole leaves one of the part, too: replayed samples are rounded by themselves.
    """
    schedule: Kind | Schedule | Callable[[float], float] = course.schedule
    if not callable(schedule):
        whole = named(schedule)
        ends = whole.warmup < spanned(course, total)
        most = spanned(course, length) - 1 if ends else whole.warmup
        schedule = part_of(whole, length / total, most)
    return replace(course, rate=rate, schedule=schedule, guard=None, judge=None)


def _trained(
    twin: Life,
    data: Samples,
    course: Course,
    order: NDArray[np.uint32],
    advance: Callable[[int], None],
) -> bool:
    """Whether a training ended with numbers that are finite."""
    try:
        stretch(twin, data, course, order, advance)
    except UsageError as error:
        if "diverged" not in error.what:
            raise
        return False
    return True


def _kinds(data: Samples) -> NDArray[np.intp]:
    """For each sample a number that its copies have, too, labels included; in order of the first of them."""
    numbers: dict[bytes, int] = {}
    copies = (
        numbers.setdefault(blake2b(x.tobytes() + wanted.tobytes(), digest_size=16).digest(), len(numbers))
        for x, wanted in zip(*data, strict=True)
    )
    return np.fromiter(copies, np.intp, len(data[0]))


def _parts(classes: NDArray[Any] | None, count: int, seed: int) -> list[NDArray[np.intp]]:
    """Samples to hold out: some parts that have none in common, each with the shares of the classes.

    A class of a single sample is not held out, and of no class all samples are.
    """
    random = np.random.default_rng(seed)
    mixed = random.permutation(count)
    if classes is not None:
        sizes = np.bincount(classes.astype(np.int64))
        mixed = mixed[sizes[classes[mixed].astype(np.int64)] > 1]
        mixed = mixed[np.argsort(classes[mixed], kind="stable")]
    if len(mixed) < FEWEST:  # hardly a class has two samples: all may be held out but in turn
        mixed = random.permutation(count)
    return [random.permutation(mixed[first::PARTS]) for first in range(PARTS)]


def _order(left: NDArray[np.intp], course: Course, steps: int, total: int) -> NDArray[np.uint32]:
    """Samples of a trial: passes over those that are left; where they come in order, evenly spaced in their course."""
    if not course.shuffle:
        epochs = np.tile(left, int(course.epochs))
        return epochs[np.linspace(0, len(epochs) - 1, steps).round().astype(np.intp)].astype(np.uint32)
    random = np.random.default_rng(course.seed)
    passes = [random.permutation(left) for _ in range(-(-steps // len(left)))]
    return np.concatenate(passes)[:steps].astype(np.uint32)
