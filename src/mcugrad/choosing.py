"""advise: what to train, and how, within limits of memory and time, by short trainings on the user's samples.

What a way to train takes is known beforehand, to the byte. What it brings is not: so of every number of layers the
most precise rule that fits is tried, briefly; the best few are tried at full length. Where a whole step takes too long,
the largest share of the updates that does not is tried in its place. Each trial is a search for the learning rate
(`rate_search`), so that no way is judged by the rate of another, and leaves no trace.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.api import compile as compile_model
from mcugrad.api import target_given
from mcugrad.errors import FitError, McugradWarning, UsageError
from mcugrad.footprint import Footprint, kib
from mcugrad.given import in_bytes, is_number, is_whole, shown
from mcugrad.model import Model
from mcugrad.options import Budget
from mcugrad.progress import line
from mcugrad.rate_search import FEWEST, RateSearch
from mcugrad.targets import Target
from mcugrad.targets import load as load_target
from mcugrad.trainer import Trainer
from mcugrad.training.losses import Loss
from mcugrad.training.rate_grid import Trial, ties
from mcugrad.training.rules import FAMILY, updates
from mcugrad.training.sparse import Sparse
from mcugrad.ways import Footprints, made_up

RULES = tuple(rule.name for rule in reversed(FAMILY))
"""From the most precise, which takes most memory, to the least."""
MOST_WAYS = 8
"""Numbers of layers that are tried; more layers than these are tried at every second number, and so on."""
FINALISTS = 2
"""Ways that are tried at full length."""
COUNTED = 2
"""Samples that the instructions of a step are the mean of, or a batch."""
SHARES = (0.5, 0.25, 0.1)
"""Of a layer's channels, which a step may update where all of them take too long."""


Tried = tuple["Choice", RateSearch]
"""A way to train, and the search for its rate."""


@dataclass(frozen=True)
class Limits:
    """What a training step may take.

    Attributes:
        ram: bytes of RAM: model, sample, and what is kept for stack and caller.
        flash: bytes of flash for constants; code comes on top; None for any number.
        milliseconds: of a step, estimated; None for any.
    """

    ram: int
    flash: int | None = None
    milliseconds: float | None = None

    @property
    def text(self) -> str:
        """`64.0 KiB of RAM, 256.0 KiB of flash, 50 ms a step`."""
        flash = "" if self.flash is None else f", {kib(self.flash)} of flash"
        time = "" if self.milliseconds is None else f", {self.milliseconds:g} ms a step"
        return f"{kib(self.ram)} of RAM{flash}{time}"


@dataclass(frozen=True)
class Choice:
    """A way to train.

    Attributes:
        train: `all` or `last:N`.
        rule: how weights are stored and updated.
        updates: share of the channels that a step updates, 1 for all; of each step, so that none takes longer.
        ram: bytes of RAM that it needs, what is kept for stack and caller included: counted.
        flash: bytes of constants in flash: counted.
        instructions: of a training step on the target, counted; None where there is none.
        milliseconds: estimated from these; None for a plain core.
        score: of samples held out: the share that is right, or the negative of a mean squared error.
        rate: learning rate that gave it.
        steps: training steps that it had.
    """

    train: str
    rule: str
    ram: int
    flash: int
    instructions: float | None = None
    milliseconds: float | None = None
    score: float | None = None
    rate: float | None = None
    steps: int = 0
    updates: float = 1.0

    @property
    def options(self) -> dict[str, Any]:
        """What `compile` is told of it, its rate left out."""
        whole = {"train": self.train, "rule": self.rule}
        return whole if self.updates == 1 else {**whole, "sparse": Sparse(self.updates, policy="split")}

    @property
    def text(self) -> str:
        """`last:3 by sr16`, `last:3 by sr16, 25 % of its updates`."""
        part = "" if self.updates == 1 else f", {100 * self.updates:g} % of its updates"
        return f"{self.train} by {self.rule}{part}"

    def within(self, limits: Limits) -> bool:
        """Whether it takes no more."""
        return (
            self.ram <= limits.ram
            and (limits.flash is None or self.flash <= limits.flash)
            and (limits.milliseconds is None or (self.milliseconds or 0.0) <= limits.milliseconds)
        )

    def is_dominated(self, others: Sequence[Choice]) -> bool:
        """Whether another one, tried as long or longer, is at least as good and takes less of all."""
        return any(
            other is not self
            and other.steps >= self.steps
            and (other.score or 0.0) >= (self.score or 0.0)
            and other.ram <= self.ram
            and other.flash <= self.flash
            and (other.instructions or 0.0) <= (self.instructions or 0.0)
            for other in others
        )


@dataclass(frozen=True)
class Advice:
    """What there is to choose from, and what was chosen.

    Attributes:
        limits: that all of it keeps to.
        choices: ways that were tried, those with most layers first.
        best: the best of those that were tried at full length.
        before: score before training.
        held_out: samples that scores are of.
        is_share: whether scores are shares; else negatives of mean squared errors.
        seconds: what it took.
    """

    limits: Limits
    choices: tuple[Choice, ...]
    best: Choice
    before: float
    held_out: int
    is_share: bool
    seconds: float

    @property
    def options(self) -> dict[str, Any]:
        """What `compile` is told: `mg.compile(model, **advice.options, ...)`."""
        return {**self.best.options, "rate": self.best.rate, "ram": self.limits.ram}

    @property
    def kept(self) -> tuple[Choice, ...]:
        """The choices that no other is better than in everything."""
        return tuple(choice for choice in self.choices if not choice.is_dominated(self.choices))

    @property
    def why(self) -> str:
        """Why the choice won, in a sentence."""
        best, finalists = self.best, [each for each in self.choices if each.steps == self.best.steps]
        others = [each for each in finalists if each is not best]
        said = f"{best.text}: {self.score(best.score)} of {self.held_out} samples held out"
        beside = ", ".join(f"{each.text}: {self.score(each.score)}" for each in others)
        gain = "; no way to train makes them better" if (best.score or 0.0) <= self.before else ""
        beside = f"{beside}; " if beside else ""
        return f"{said} ({beside}before training {self.score(self.before)}), {kib(best.ram)} of RAM{gain}"

    def __str__(self) -> str:
        """A line for each choice that is worth one, and why the best one is."""
        lines = [
            f"{'*' if each is self.best else ' '} {each.text}  {kib(each.ram)}  {self.score(each.score)}"
            for each in self.kept
        ]
        return "\n".join([f"within {self.limits.text}", *lines, self.why])

    def score(self, score: float | None) -> str:
        """A score for people."""
        if score is None or not np.isfinite(score):
            return "diverged"
        return f"{score:.1%}" if self.is_share else f"error {abs(score):.4g}"

    def facts(self) -> dict[str, Any]:
        """The same on every run and computer, for JSON: no time."""
        return {
            "limits": asdict(self.limits),
            "before": self.before,
            "held_out": self.held_out,
            "best": asdict(self.best),
            "choices": [
                {**asdict(each), "dominated": each.is_dominated(self.choices)} for each in self.choices
            ],
        }


def advise(
    model: Model,
    x: NDArray[Any],
    y: Sequence[Any] | NDArray[Any],
    *,
    ram: int | str | None = None,
    flash: int | str | None = None,
    milliseconds: float | None = None,
    target: str | Target | None = None,
    epochs: int = 5,
    rules: str | Sequence[str] = RULES,
    calibration: NDArray[Any] | None = None,
    loss: str | Loss = "cross_entropy",
    typical_labels: NDArray[Any] | None = None,
    seed: int = 0,
) -> Advice:
    """Find out what to train, and by which rule, within limits.

    Args:
        model: from `load`.
        x: samples in real units, (n, *input shape), as `Trainer.fit` takes them.
        y: their labels.
        ram: bytes of RAM that model, sample, stack and caller may take, or `64K`; those of the target if not given.
        flash: bytes of constants in flash; likewise.
        milliseconds: that a step may take on the target, a board; estimated from instructions.
        target: a board or core, for its memories and its time.
        epochs: passes over the samples that the training will have.
        rules: that may be chosen, of the `sr` family.
        calibration: typical inputs in real units, as for `compile`; the first 256 samples if not given.
        loss: as for `compile`.
        typical_labels: as for `compile`; for losses on values.
        seed: of the device's random numbers, 32 bits.

    Raises:
        UsageError: there is no limit, or an option makes no sense.
        FitError: nothing that trains fits.
        DataError: samples or labels cannot be used.
    """
    goal = target_given(target)
    limits = _limits(ram, flash, milliseconds, goal)
    if not is_whole(epochs) or epochs < 1:
        raise UsageError(f"epochs={epochs!r} is no number of passes", where="epochs", hint="1 or more")
    named = [rules] if isinstance(rules, str) else list(rules)
    unknown = [rule for rule in named if rule not in RULES]
    if unknown or not named:
        what = (
            f"rules={rules!r} has {unknown[0]!r}, which is not chosen from"
            if unknown
            else "rules= names none"
        )
        raise UsageError(what, where="rules", hint=f"some of {', '.join(RULES)}")
    count = np.shape(x)[0] if np.ndim(x) else 0
    if count < FEWEST:
        raise UsageError(
            f"{count} samples tell no way to train from another",
            where="x",
            hint=f"{FEWEST} or more, better hundreds",
        )
    start = monotonic()
    options: dict[str, Any] = {
        "calibration": np.asarray(x)[:256] if calibration is None else calibration,
        "loss": loss,
        "typical_labels": typical_labels,
        "seed": seed,
    }
    budget = replace(Budget.on(goal), ram=limits.ram)
    ways = _most_precise(_ways(model, options, limits, budget, [rule for rule in RULES if rule in named]))
    if goal is not None:
        within = {**options, "target": goal, "ram": limits.ram}
        ways = _in_time(ways, limits, goal, lambda way: _counted(model, x, y, within, way, goal))
    tried = [_tried(model, x, y, options, way, 1) for way in ways]
    ranked = _ranked(tried)
    finalists = ranked[:FINALISTS]
    if epochs > 1:
        finalists = [_tried(model, x, y, options, way, epochs) for way, _ in finalists]
    names = [way.text for way, _ in finalists]
    all_tried = [*finalists, *(each for each in ranked if each[0].text not in names)]
    best, found = _ranked(finalists)[0]
    order = {way.text: i for i, way in enumerate(ways)}
    choices = sorted((way for way, _ in all_tried), key=lambda way: order[way.text])
    return Advice(
        limits, tuple(choices), best, found.before, found.held_out, found.is_share, monotonic() - start
    )


def _ranked(tried: Sequence[Tried]) -> list[Tried]:
    """The better ones first: of ways that chance may well have told apart, in score and loss, that with less RAM."""
    rest, found = list(tried), []
    while rest:
        level = ties(_trial(each) for each in rest)
        first = min((each for each in rest if _trial(each) in level), key=lambda each: each[0].ram)
        rest.remove(first)
        found.append(first)
    return found


def _trial(each: Tried) -> Trial:
    """What a way gave at the rate that was found."""
    trial = each[1].found
    assert trial is not None  # there are samples enough
    return trial


def _limits(ram: Any, flash: Any, milliseconds: Any, goal: Target | None) -> Limits:
    sizes: dict[str, Any] = {"ram": in_bytes(ram), "flash": in_bytes(flash)}
    for name, given in (("ram", ram), ("flash", flash)):
        if given is not None and sizes[name] is None:
            raise UsageError(f"{name}={given!r} is no number of bytes", where=name, hint="65536 or 64K")
    if milliseconds is not None and not (is_number(milliseconds) and 0 < milliseconds < np.inf):
        raise UsageError(f"milliseconds={shown(milliseconds)} is no time", where="milliseconds", hint="50")
    if milliseconds is not None and (goal is None or goal.clock_hz is None):
        raise UsageError(
            "how long a step takes depends on the board",
            where="milliseconds",
            hint="target='nrf52840', or no time",
        )
    if goal is None and sizes["ram"] is None:
        raise UsageError(
            "there is no limit to choose within", where="ram", hint="ram='64K', or target='nrf52840'"
        )
    if goal is not None:
        sizes = {
            name: memory.bytes if sizes[name] is None else min(sizes[name], memory.bytes)
            for name, memory in (("ram", goal.ram), ("flash", goal.flash))
        }
    return Limits(sizes["ram"], sizes["flash"], milliseconds)


def _ways(
    model: Model, options: dict[str, Any], limits: Limits, budget: Budget, rules: Sequence[str]
) -> list[Choice]:
    """Ways to train that fit, most layers first, by each rule that does, the most precise first."""
    made = compile_model(model, train="none", **options)
    like = replace(made.options, train="all", updates=updates("sr16"), budget=budget)
    sizes = Footprints(model, made_up(model), like)
    count = len(model.layers)
    numbers = range(count, 0, -max(1, -(-count // MOST_WAYS)))
    found: list[Choice] = []
    least: tuple[Footprint, str] | None = None
    for number in [*numbers, *([1] if 1 not in numbers and count else [])]:
        train = "all" if number == count else f"last:{number}"
        for rule in rules:
            size = sizes.of(train, updates(rule))
            way = Choice(train, rule, size.need, size.constants)
            if way.within(limits):
                found.append(way)
            least = (size, f"train={train} rule={rule}")
    if not found:
        what = (
            "the network has no layers with weights"
            if least is None
            else (
                f"the least is {least[1]}, {kib(least[0].need)} of RAM, {kib(least[0].reserve)} of it for stack and "
                f"caller, and {kib(least[0].constants)} of constants"
            )
        )
        raise FitError(
            f"nothing that trains fits {limits.text}",
            where=what,
            hint="so much, or a smaller network; mcugrad inspect lists all ways to train",
        )
    return found


def _most_precise(ways: Sequence[Choice]) -> list[Choice]:
    """Of every number of layers the first that fits."""
    first: dict[str, Choice] = {}
    for way in ways:
        first.setdefault(way.train, way)
    return list(first.values())


def _counted(
    model: Model, x: NDArray[Any], y: Any, options: dict[str, Any], way: Choice, goal: Target
) -> Choice:
    """With what a step takes on a target, whose memory may still be too small for its code.

    Raises FitError for shares of updates whose lists and sums take more than a whole step and do not fit.
    """
    made = compile_model(model, **way.options, **options)
    whole = made.options.updates.whole_batches(made.trained_layers, COUNTED)
    few = np.arange(whole) % len(x)
    step = made.measure(np.asarray(x)[few], np.asarray(y)[few], target=load_target(goal.core.name)).step
    assert step is not None
    cycles, size = step.cycles.cycles, made.build.footprint
    milliseconds = None if goal.clock_hz is None else 1e3 * cycles / goal.clock_hz
    sized = replace(way, ram=size.need, flash=size.constants)
    return replace(sized, instructions=step.instructions, milliseconds=milliseconds)


def _in_time(
    ways: Sequence[Choice], limits: Limits, goal: Target, counted: Callable[[Choice], Choice]
) -> list[Choice]:
    """Those whose step takes no more than it may; of the others the largest share that does not.

    The layer that makes the outputs updates all of its channels, so where it trains alone there are no shares. Raises
    FitError where nothing is in time.
    """
    found, late = [], []
    alone = ways[-1].train
    for way in ways:
        for share in (1.0, *(() if way.train == alone else SHARES)):
            with suppress(FitError):  # what `Footprints` found to fit is a whole step
                part = counted(replace(way, updates=share))
                if part.within(limits):
                    found.append(part)
                    break
                late.append(part)
    if not found:
        least = min(late, key=lambda way: way.milliseconds or 0.0)
        raise FitError(
            f"no training step takes {limits.milliseconds:g} ms or less on {goal.name}",
            where=f"the least is that of {least.text}, {least.milliseconds:.3g} ms, its prediction included",
            hint=f"milliseconds={least.milliseconds:.3g} or more, a faster board, or a smaller network",
        )
    return found


def _tried(model: Model, x: NDArray[Any], y: Any, options: dict[str, Any], way: Choice, epochs: int) -> Tried:
    """A way with the score that it reaches in so many passes, at the rate that suits it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", McugradWarning)
        made: Trainer = compile_model(model, **way.options, **options)
        found = made.search_rate(x, y, epochs=epochs)
    score = None if found.found is None or found.has_diverged else found.found.score
    line(f"{way.text}: {found.text}")
    return replace(way, score=score, rate=found.rate, steps=found.found.steps if found.found else 0), found
