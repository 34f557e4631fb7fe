"""advise: what to train, and how, within limits of memory and time, by short trainings on the user's samples.

What a way to train takes is known beforehand, to the byte. What it brings is not: it is tried, by a brief search for
the learning rate (`rate_search`), so that no way is judged by the rate of another, and leaves no trace. RAM within the
limit is free, and what was measured on many worlds (docs/results.md) says that more layers learn more, whatever the
rule: so of ways that chance may have told apart the one with most layers is taken, and the two ends are tried first,
most layers and fewest; those in between only where fewer turned out to be better. Of a number of layers it is the most
precise rule that fits; where none does, one that recomputes activations; where a whole step takes too long, the
largest share of its updates that does not.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import ROUND_CEILING, Context
from functools import partial
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.advised import Advice, Choice, Limits
from mcugrad.api import compile as compile_model
from mcugrad.api import target_given
from mcugrad.errors import Consumer, FitError, McugradWarning, UsageError
from mcugrad.fit_check import largest_of
from mcugrad.footprint import Footprint, limit
from mcugrad.given import is_number, is_whole, shown
from mcugrad.measure.cost import measure_step
from mcugrad.model import Model
from mcugrad.options import Budget, Options
from mcugrad.progress import line
from mcugrad.rate_search import FEWEST, RateSearch
from mcugrad.targets import Target, kib
from mcugrad.targets import load as load_target
from mcugrad.trainer import Trainer
from mcugrad.training.losses import Loss
from mcugrad.training.rate_grid import alike
from mcugrad.training.rules import FAMILY, updates
from mcugrad.ways import Footprints, made_up

RULES = tuple(rule.name for rule in reversed(FAMILY))
"""From the most precise, which takes most memory, to the least."""
MOST_WAYS = 8
"""Numbers of layers that are tried; more layers than these are tried at every second number, and so on."""
COUNTED = 2
"""Samples that the instructions of a step are the mean of, or a batch."""
SHARES = (0.5, 0.25, 0.1)
"""Of a layer's channels, which a step may update where all of them take too long."""


Tried = tuple[Choice, RateSearch]
"""A way to train, and the search for its rate."""


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
    thorough: bool = False,
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
        thorough: try every number of layers (8 of them at most), not just the two ends where that tells enough; twice
            the time and more.

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
    made = compile_model(model, train="none", **options)
    budget = replace(Budget.on(goal), ram=limits.ram)
    like = replace(made.options, train="all", updates=updates("sr16"), budget=budget)
    counted: Callable[[Choice], Choice] | None = None
    if goal is not None:
        within = {**options, "target": goal, "ram": limits.ram}
        counted = partial(_counted, model, x, y, within, goal)
    ways = Ways(model, like, limits, [rule for rule in RULES if rule in named], goal, counted)
    tried = _tried_of(ways, lambda way: _tried(model, x, y, options, way, epochs), thorough)
    best, found = _best(tried)
    choices = tuple(way for way, _ in tried)
    return Advice(limits, choices, best, found.before, found.held_out, found.is_share, monotonic() - start)


def _tried_of(ways: Ways, trial: Callable[[Choice], Tried], thorough: bool) -> list[Tried]:
    """Those that are tried, most layers first: all, or both ends, and by halves what is between where fewer are better.

    Raises FitError where there are none.
    """
    tried: dict[int, Tried] = {}

    def has(number: int) -> bool:
        """Whether there is a way to train so many layers, which is tried then."""
        way = ways.of(number)
        if way is not None:
            tried[number] = trial(way)
        return way is not None

    found = filter(has, ways.numbers)
    most = next(found, None)
    if most is None:
        raise ways.refused()
    if thorough:
        list(found)
        return list(tried.values())
    fewer = [number for number in ways.numbers if number < most]
    few = next(filter(has, reversed(fewer)), most)
    if _best([tried[most], tried[few]]) is tried[few]:
        between = [number for number in fewer if number > few]
        while between:
            number = between.pop(len(between) // 2)
            if has(number):
                is_better = _best([tried[number], tried[few]]) is tried[number]
                between = [each for each in between if (each > number) is is_better]
                few = number if is_better else few
    return [tried[number] for number in sorted(tried, reverse=True)]


def _best(tried: Sequence[Tried]) -> Tried:
    """Of those whose scores chance may well have told apart from the best the first: that with most layers."""
    trials = [search.found for _, search in tried]
    good = alike([trial for trial in trials if trial is not None])
    return next(each for each, trial in zip(tried, trials, strict=True) if trial in good)


def _limits(ram: Any, flash: Any, milliseconds: Any, goal: Target | None) -> Limits:
    most_ram, most_flash = limit("ram", ram, goal), limit("flash", flash, goal)
    if milliseconds is not None and not (is_number(milliseconds) and 0 < milliseconds < np.inf):
        raise UsageError(f"milliseconds={shown(milliseconds)} is no time", where="milliseconds", hint="50")
    if milliseconds is not None and (goal is None or goal.clock_hz is None):
        raise UsageError(
            "how long a step takes depends on the board",
            where="milliseconds",
            hint="target='nrf52840', or no time",
        )
    if goal is not None:
        return Limits(most_ram or goal.ram.bytes, most_flash or goal.flash.bytes, milliseconds)
    if most_ram is None:
        raise UsageError(
            "there is no limit to choose within", where="ram", hint="ram='64K', or target='nrf52840'"
        )
    return Limits(most_ram, most_flash, milliseconds)


def _counted(
    model: Model, x: NDArray[Any], y: Any, options: dict[str, Any], goal: Target, way: Choice
) -> Choice:
    """With what a step takes on a target, whose memory may still be too small for its code.

    Raises FitError for shares of updates whose lists and sums take more than a whole step and do not fit.
    """
    made = compile_model(model, **way.options, **options)
    whole = made.options.updates.whole_batches(made.trained_layers, COUNTED)
    few = np.arange(whole) % len(x)
    samples, wanted = made.quantize(np.asarray(x)[few]), made.labels(np.asarray(y)[few], whole)
    step = measure_step(made.build, load_target(goal.core.name), samples, wanted, made.options.rate)
    cycles, size = step.cycles.cycles, made.build.footprint
    milliseconds = None if goal.clock_hz is None else 1e3 * cycles / goal.clock_hz
    sized = replace(way, ram=size.need, flash=size.constants)
    return replace(sized, instructions=step.instructions, milliseconds=milliseconds)


def _tried(model: Model, x: NDArray[Any], y: Any, options: dict[str, Any], way: Choice, epochs: int) -> Tried:
    """A way with the score that it reaches in so many passes, at the rate that suits it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", McugradWarning)
        made: Trainer = compile_model(model, **way.options, **options)
        found = made.search_rate(x, y, epochs=epochs, brief=True)
    score = None if found.found is None or found.has_diverged else found.found.score
    line(f"{way.text}: {found.text}")
    return replace(way, score=score, rate=found.rate, steps=found.found.steps if found.found else 0), found


def _no_less(milliseconds: float) -> str:
    """A time in three digits, none of which makes it less."""
    return f"{Context(3, ROUND_CEILING).create_decimal_from_float(milliseconds):f}"


class Ways:
    """Ways to train within limits: one for a number of layers, found where it is asked for.

    Attributes:
        numbers: of layers, most first.

    Args:
        model: the network.
        like: all but what trains, and how.
        limits: that a way keeps to.
        rules: that may be chosen, the most precise first.
        target: that a step takes its time on, if there is one.
        counted: adds to a way what a step takes on the target; None where there is none.
    """

    def __init__(
        self,
        model: Model,
        like: Options,
        limits: Limits,
        rules: Sequence[str],
        target: Target | None,
        counted: Callable[[Choice], Choice] | None,
    ) -> None:
        self._model, self._like, self._count = model, like, len(model.layers)
        numbers = range(self._count, 0, -max(1, -(-self._count // MOST_WAYS)))
        self.numbers = (*numbers, *([1] if 1 not in numbers and self._count else []))
        self._limits, self._rules, self._counted = limits, rules, counted
        self._target = target
        scales = made_up(model)
        self._sizes = [
            (again, Footprints(model, scales, replace(like, recompute=again))) for again in (False, True)
        ]
        self._late: list[Choice] = []

    def of(self, number: int) -> Choice | None:
        """With so many layers: by the most precise rule that fits, a whole step if that is in time; None for none."""
        train = self._train(number)
        for again, sizes in self._sizes:
            for rule in self._rules:
                size = sizes.of(train, updates(rule))
                way = Choice(train, rule, size.need, size.constants, recompute=again)
                if way.within(self._limits):
                    return way if self._counted is None else self._in_time(way, self._counted)
        return None

    def refused(self) -> FitError:
        """What to say where there is no way: the least that would do."""
        if self._late and self._limits.milliseconds is not None:
            least = min(self._late, key=lambda way: way.milliseconds or 0.0)
            time = _no_less(least.milliseconds or 0.0)
            board = "" if self._target is None else self._target.name
            return FitError(
                f"no training step takes {self._limits.milliseconds:g} ms or less on {board}",
                where=f"the least is that of {least.text}, {time} ms, its prediction included",
                hint=f"milliseconds={time} or more, a faster board, or a smaller network",
            )
        what, hint = "the network has no layers with weights", "a smaller network"
        largest: tuple[Consumer, ...] = ()
        if self.numbers:
            train, rule = self._train(self.numbers[-1]), self._rules[-1]
            size = self._sizes[0][1].of(train, updates(rule))
            like = replace(self._like, train=train, updates=updates(rule))
            largest = largest_of(self._model, like, "RAM" if size.need > self._limits.ram else "flash")
            what = (
                f"the least is train={train} rule={rule}, {kib(size.need)} of RAM, {kib(size.reserve)} of it for stack "
                f"and caller, and {kib(size.constants)} of constants"
            )
            hint = self._more(size)
        return FitError(
            f"nothing that trains fits {self._limits.text}",
            where=what,
            hint=f"{hint}; mcugrad inspect lists all ways to train",
            largest=largest,
        )

    def _more(self, size: Footprint) -> str:
        """What to allow, to the byte, as far as there is so much."""
        limits, target = self._limits, self._target
        ram, flash = (None, None) if target is None else (target.ram.bytes, target.flash.bytes)
        sizes = [("ram", size.need, limits.ram, ram), ("flash", size.constants, limits.flash, flash)]
        short = [each for each in sizes if each[2] is not None and each[1] > each[2]]
        if any(have is not None and need > have for _, need, _, have in short):
            return "a larger board, or a smaller network"
        allowed = " with ".join(f"{name}={need}" for name, need, *_ in short)
        return f"{allowed} or more, or a smaller network"

    def _train(self, number: int) -> str:
        return "all" if number == self._count else f"last:{number}"

    def _in_time(self, way: Choice, counted: Callable[[Choice], Choice]) -> Choice | None:
        """The way, or the largest share of its updates, whose step takes no more than it may; None for none.

        The layer that makes the outputs updates all of its channels, so where it trains alone there are no shares.
        """
        alone = way.train == self._train(self.numbers[-1])
        for share in (1.0, *(() if alone else SHARES)):
            with suppress(FitError):  # what `Footprints` found to fit is a whole step
                part = counted(replace(way, updates=share))
                if part.within(self._limits):
                    return part
                self._late.append(part)
        return None
