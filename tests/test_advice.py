"""Advice on learning rates: none that a search has tried, by whatever tells that a training does not learn."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import mcugrad as mg
from mcugrad.advice import Rates
from mcugrad.errors import McugradWarning
from mcugrad.rate_search import RateSearch
from mcugrad.training.rate_grid import Trial
from networks import Conv, Dense, corners, model
from thoroughness import turns

GRID = (0.003, 0.009, 0.027, 0.081, 0.243)


def test_rates_that_were_tried_are_not_advised() -> None:
    assert Rates(0.03).lower() == "a rate of 0.01"
    assert Rates(0.03).lower(10) == "a rate of 0.003"
    assert Rates(0.03).higher() == "a rate of 0.09"
    assert Rates(0.03).told == ""
    for times in (3, 10):
        assert Rates(0.027, tried=GRID).lower(times) == "a rate of 0.001, below all that were tried"
    assert Rates(0.003, tried=GRID).lower() == "a rate of 0.001", "that is below them anyway"
    assert Rates(0.027, tried=GRID).higher() == ""
    assert Rates(0.243, tried=GRID).higher() == "a rate of 0.73"
    assert Rates(0.243, tried=GRID).told == "rates from 0.003 to 0.24 were tried"


def test_a_lower_rate_that_a_search_saw_learn_is_advised_before_any_other() -> None:
    known = Rates(0.243, 0.01, GRID, safer=0.081)
    assert known.lower() == known.lower(10) == "a rate of 0.081, with which the search did well, too"


def test_what_a_search_saw_learn_at_a_lower_rate() -> None:
    def found(scores: dict[float, float]) -> float:
        trials = [Trial(0.05, 400, 1.0, 0.1, 99), *(Trial(r, 800, s, 0.1, 99) for r, s in scores.items())]
        return RateSearch(0.09, tuple(trials), 99, 0.5, 9, 1.0, is_share=True).safer

    assert found({0.01: 0.8, 0.03: 0.8, 0.09: 0.9, 0.27: 0.9}) == 0.03
    assert found({0.01: 0.8, 0.03: 0.69, 0.09: 0.9}) == 0.01, "0.69 is less than half of the gain"
    assert found({0.03: -np.inf, 0.09: 0.9}) == 0
    assert found({0.03: 0.5, 0.09: 0.5}) == 0, "nothing learned"


USUAL = "a rate of 0.01, which is usual (without a rate one is looked for)"


def test_a_rate_that_is_far_off_is_not_moved_by_a_small_factor() -> None:
    for rate in (1e-30, 1e-7, 3e-5):
        assert Rates(rate, 0.01).higher() == USUAL
        assert Rates(rate, 0.01).is_far_below
    for rate in (1e4, 1e30):
        assert Rates(rate, 0.01).lower() == USUAL
    assert Rates(1e-4, 0.01).higher() == "a rate of 0.0003"
    assert Rates(3.0, 0.01).lower() == "a rate of 1"
    assert Rates(1e-7, 0.01, (1e-7, 3e-7, 1e-2)).higher() == "", "a search knows better"
    assert Rates(1e-7).higher() == "a rate of 3e-07"


UPDATES = (mg.Update(batch=4), mg.Update(), mg.Update("sr12", momentum=0.9), mg.Update("qas"))


@pytest.mark.parametrize(
    ("update", "epochs"),
    turns(UPDATES, (2, 1, 1, 1)),
    ids=lambda each: each.text if isinstance(each, mg.Update) else str(each),
)
def test_no_training_advises_a_rate_that_its_search_tried(update: mg.Update, epochs: int) -> None:
    """Of labels drawn at random nothing is learned at any rate."""
    net = model((1, 6, 6), (Conv(3, stride=(2, 2)), Dense(4)))
    x, y = corners(400, 6)
    trainer = mg.compile(net, calibration=x, rule=update)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", McugradWarning)
        trainer.fit(x, np.random.default_rng(1).permutation(y), epochs=epochs)
    assert trainer.rate_search is not None
    texts = [str(each.message) for each in said]
    assert any("nothing has been learned" in text or "little has been learned" in text for text in texts), (
        texts
    )
    tried = [each.rate for each in trainer.rate_search.trials]
    for text in texts:
        for rate in re.findall(r"try a rate of (\S+?)[,:;]? ", text):
            assert min(abs(np.log(float(rate) / each)) for each in tried) > np.log(1.5), text
