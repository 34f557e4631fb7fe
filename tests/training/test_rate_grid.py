"""Which rates are tried, in which order, and which of them is the answer: the search without networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad.training.rate_grid import (
    GRID,
    GRID_STANDARDIZED,
    LOWER,
    USUAL,
    Trial,
    Untrained,
    alike,
    answer,
    best,
    grid,
    search,
    usual,
)

WORST = Untrained(0.0, 99.0, 0.1, 10**6)
"""At chance, and unlike whatever a training gives."""


def peak(at: float, drift: float = 0.0) -> tuple[list[tuple[float, int]], Callable[[float, int], Trial]]:
    """What was asked, and trials whose loss is least at a rate, which falls by a power of the steps."""
    asked: list[tuple[float, int]] = []

    def trial(rate: float, steps: int) -> Trial:
        asked.append((rate, steps))
        loss = abs(float(np.log(rate / (at * (steps / 400) ** -drift))))
        return Trial(rate, steps, float(np.exp(-loss)), loss, 10**6)

    return asked, trial


@pytest.mark.parametrize("at", [0.00004, 0.0009, 0.003, 0.02, 0.081, 0.3, 2.0])
def test_the_grid_goes_on_where_the_best_is_at_its_end(at: float) -> None:
    _, trial = peak(at)
    found = best([each for each in search(GRID, 8000, trial, WORST, USUAL) if each.steps == 8000]).rate
    assert abs(np.log(found / at)) <= np.log(3) / 2 + 0.05


def test_what_is_tried_and_for_how_long() -> None:
    asked, trial = peak(0.027)
    search(GRID, 8000, trial, WORST, USUAL)
    assert asked[:5] == [(rate, 1000) for rate in GRID]
    assert sorted(asked[5:]) in (
        [(0.009, 8000), (0.027, 8000)],
        [(0.009, 8000), (0.027, 8000), (0.081, 8000)],
    )
    asked, trial = peak(0.027)
    search(GRID, 300, trial, WORST, USUAL)
    assert asked == [(rate, 300) for rate in GRID], "a short training is tried as it is"
    asked, trial = peak(0.05, drift=1.5)
    found = best([each for each in search(GRID, 8000, trial, WORST, USUAL) if each.steps == 8000])
    assert found.rate < 0.003, "many steps want lower rates than the best two of few"


def test_what_diverged_is_never_the_best_and_equals_give_the_lowest() -> None:
    gone = Trial(0.3, 10, -np.inf, np.inf, 1)
    assert best([gone, Trial(0.1, 10, 0.1, 2.0, 50)]).rate == 0.1
    assert best([Trial(r, 10, 1.0, 0.0, 50) for r in (0.3, 0.1, 0.2)]).rate == 0.1
    close = [Trial(0.1, 10, 0.905, 0.3, 50), Trial(0.2, 10, 0.92, 0.9, 50)]
    assert best(close).rate == 0.1, "one sample in 50 is chance: the loss decides"
    sure = [Trial(r, 10, 1.0, loss, 50) for r, loss in ((0.1, 0.5), (0.2, 0.015), (0.3, 0.0))]
    assert best(sure).rate == 0.2, "what makes no mistake need not be surer"
    assert best([Trial(0.1, 10, 0.70, 0.3, 50), close[1]]).rate == 0.2
    errors = [Trial(0.1, 10, -0.5, 0.5, 50), Trial(0.2, 10, -0.4, 0.4, 50), Trial(0.3, 10, -0.399, 0.399, 50)]
    assert best(errors).rate == 0.2
    everything = [Trial(r, 10, -np.inf, np.inf, 1) for r in (0.2, 0.1)]
    assert best(everything).rate == 0.1


def level(untrained: Untrained, up_to: float, noise: float = 0.0) -> tuple[list[float], float]:
    """Rates that were asked for and the answer, where those up to one leave all as it was and others spoil it."""
    asked: list[float] = []

    def trial(rate: float, steps: int) -> Trial:
        asked.append(rate)
        if rate > up_to * 1.01:
            return Trial(rate, steps, untrained.guess, 2.3, untrained.of)
        return Trial(rate, steps, untrained.score, untrained.loss * (1 + noise), untrained.of)

    found = search(GRID, 8000, trial, untrained, USUAL)
    return asked, answer([each for each in found if each.steps == 8000], untrained, USUAL).rate


KNOWN = Untrained(1.0, 0.002, 0.1, 200)
CHANCE = Untrained(0.12, 2.5, 0.1, 200)


@pytest.mark.parametrize("untrained", [KNOWN, Untrained(0.9, 0.3, 0.1, 200), Untrained(-0.01, 0.01, -0.1, 9)])
def test_what_is_known_is_not_looked_for_further_down(untrained: Untrained) -> None:
    """Rates that leave a network as good as it was say no more; of these the one is taken that one would begin with."""
    assert untrained.knows
    asked, found = level(untrained, up_to=1.0, noise=0.01)
    assert min(asked) == GRID[0]
    assert found == 0.009
    assert level(untrained, up_to=0.003, noise=0.01) == ([*GRID, 0.001, 0.003, 0.001], 0.003)
    asked, found = level(untrained, up_to=0.0001, noise=0.01)
    assert found == pytest.approx(0.003 / 81, rel=0.01), "all above do harm: the first that does none"
    assert min(asked) == pytest.approx(found / 3, rel=0.01), (
        "and the next lower one, which all searches look at"
    )


def test_a_rate_on_the_way_from_harm_to_gain_is_no_end() -> None:
    """One that is level with no training by chance, between those that spoil a network and those it needs."""
    scores = {0.003: 0.901, 0.001: 0.96, 0.000333: 0.98, 0.000111: 0.93}

    def trial(rate: float, steps: int) -> Trial:
        score = scores.get(rate, 0.9 if rate < 0.001 else 0.1)
        return Trial(rate, steps, score, 3 * (1 - score), 2000)

    untrained = Untrained(0.9, 0.3, 0.1, 2000)
    found = search(GRID, 8000, trial, untrained, USUAL)
    assert answer([each for each in found if each.steps == 8000], untrained, USUAL).rate == 0.000333


@pytest.mark.parametrize(("upset", "taken"), [(0.02, 0.003), (0.2, 0.001)])
def test_a_higher_rate_that_few_steps_dislike_is_tried_with_many_unless_it_ruins(
    upset: float, taken: float
) -> None:
    """A pretrained network is upset by rates that many steps make good use of."""
    short = {0.003: 0.85 - upset, 0.001: 0.86, 0.000333: 0.85}
    asked: list[tuple[float, int]] = []

    def trial(rate: float, steps: int) -> Trial:
        asked.append((rate, steps))
        if steps < 8000:
            score = short.get(rate, 0.2 if rate > 0.003 else 0.84)
        else:
            score = {0.003: 0.93, 0.001: 0.90}.get(rate, 0.86)
        return Trial(rate, steps, score, 3 * (1 - score), 400)

    untrained = Untrained(0.8, 0.6, 0.1, 400)
    found = search(GRID, 8000, trial, untrained, USUAL)
    assert answer([each for each in found if each.steps == 8000], untrained, USUAL).rate == taken
    assert ((0.003, 8000) in asked) == (taken == 0.003)
    assert (0.009, 8000) not in asked


def test_a_network_at_chance_is_looked_for_further_down() -> None:
    """What large steps have spoiled looks like what has learned nothing; but not for ever."""
    assert not CHANCE.knows
    asked, found = level(CHANCE, up_to=1.0, noise=0.01)
    assert min(asked) == pytest.approx(GRID[0] / 3**LOWER, rel=0.01)
    assert found == 0.009
    asked, found = level(CHANCE, up_to=1.0)
    assert min(asked) == GRID[0], "where nothing moves at all a lower rate moves nothing, either"
    assert found == 0.009

    def learns(rate: float, steps: int) -> Trial:
        good = 0.0001 < rate < 0.001
        return Trial(rate, steps, 0.8 if good else 0.12, 0.6 if good else 2.4, 200)

    found_there = search(GRID, 8000, learns, CHANCE, USUAL)
    assert answer([each for each in found_there if each.steps == 8000], CHANCE, USUAL).rate == 0.000111


def test_a_network_that_knows_its_only_class_is_not_at_chance() -> None:
    assert Untrained(1.0, 0.01, 1.0, 50).knows
    assert not Untrained(0.95, 0.3, 0.95, 50).knows


UPDATES: dict[str, tuple[Any, float]] = {
    "plain": (mg.Update(), 1.0),
    "momentum": (mg.Update(momentum=0.9), 0.1),
    "batch": (mg.Update(batch=8), 8.0),
    "large batch": (mg.Update(batch=32), 16.0),
    "both": (mg.Update(momentum=0.9, batch=8), 0.8),
}


@pytest.mark.parametrize("case", UPDATES)
def test_momentum_and_batch_scale_rates(case: str) -> None:
    update, factor = UPDATES[case]
    assert usual([update]) == pytest.approx(0.01 * factor)
    assert grid([update]) == pytest.approx([rate * factor for rate in GRID], rel=0.01)
    assert grid([mg.Update("standardized", batch=48), update]) == GRID_STANDARDIZED
    assert usual([mg.Update("standardized", batch=48)]) == 0.001
    assert usual([]) == 0.01


def test_a_brief_search_trains_with_the_best_rate_alone_to_the_end() -> None:
    asked, trial = peak(0.027)
    found = search(GRID, 8000, trial, WORST, USUAL, brief=True)
    assert asked == [*((rate, 1000) for rate in GRID), (0.027, 8000)]
    assert found[-1].rate == 0.027
    asked, trial = peak(0.027)
    search(GRID, 300, trial, WORST, USUAL, brief=True)
    assert asked == [(rate, 300) for rate in GRID], "a short training is tried as it is"


def test_a_brief_search_goes_down_from_a_rate_that_collapses_in_a_long_training() -> None:
    """Three standard errors: of 200 samples 0.9 may become 0.84, and no less."""

    def trial(rate: float, steps: int, limit: float) -> Trial:
        good = 0.9 if rate < 0.1 else 0.2
        collapsed = steps == 8000 and rate > limit
        return Trial(rate, steps, 0.5 if collapsed else good - 1e-4 / rate, 1 / rate, 200)

    for limit, asked in ((1.0, (0.081,)), (0.05, (0.081, 0.027)), (0.01, (0.081, 0.027, 0.009))):
        found = search(GRID, 8000, lambda *given, limit=limit: trial(*given, limit), WORST, USUAL, brief=True)
        whole = [each for each in found if each.steps == 8000]
        assert tuple(each.rate for each in whole) == asked
        assert answer(whole, WORST, USUAL).rate == asked[-1]


def test_scores_are_alike_within_a_standard_error_or_a_sample() -> None:
    def of(*scores: float, count: int = 100) -> list[float]:
        return [each.score for each in alike([Trial(0.01, 9, score, 0.1, count) for score in scores])]

    assert of(0.9, 0.88, 0.86) == [0.9, 0.88], "0.03 is a standard error of 0.9"
    assert of(1.0, 0.99, 0.98) == [1.0, 0.99], "which is 0 of all samples, of which there is none more"
    assert of(0.2, 0.5) == [0.5]
    assert of(-1.0, -1.04, -1.06) == [-1.0, -1.04], "errors of values: 5 %"
    assert of(-np.inf, -np.inf) == [-np.inf, -np.inf]
