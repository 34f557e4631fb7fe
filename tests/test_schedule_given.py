"""Schedules and options of a training that make no sense: refused as ours, and told by their cause."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad.errors import McugradWarning, UsageError
from mcugrad.rate_search import RateSearch
from mcugrad.training.rate_grid import Trial
from networks import Dense, model, samples


@pytest.fixture(scope="module")
def net() -> mg.Model:
    return model((6,), (Dense(8, "relu"), Dense(3)))


@pytest.mark.parametrize("found", ["a", None, True, np.ones(1), 1j], ids=repr)
@pytest.mark.parametrize("rate", [0.01, None])
def test_a_function_that_gives_no_number(net: mg.Model, found: Any, rate: float | None) -> None:
    x, y = samples(net, 40)
    trainer = mg.compile(net, calibration=x)
    before = trainer.state
    with pytest.raises(
        UsageError, match=r"the schedule gives .* at a progress of 0, which is no number"
    ) as error:
        trainer.fit(x, y, schedule=lambda t: found, rate=rate)
    assert error.value.where == "schedule"
    assert "lambda t: 1 - t" in error.value.hint
    assert all(value.tobytes() == before[name].tobytes() for name, value in trainer.state.items())


def test_a_function_that_is_0_throughout_is_the_cause(net: mg.Model) -> None:
    x, y = samples(net, 400)
    trainer = mg.compile(net, calibration=x)
    for schedule, said in (
        (lambda t: 0, "nothing is learned: the schedule is 0 in every step"),
        (lambda t: np.float32(t < 0.5), None),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", McugradWarning)
            history = trainer.fit(x, y, schedule=schedule, rate=0.01)
        assert [str(each.message) for each in caught].count(
            "nothing is learned: the schedule is 0 in every step"
        ) == (said is not None)
        assert said is None or history[-1].notes == (said,)
    with pytest.warns(McugradWarning, match="nothing is learned: the rate is 0"):
        trainer.fit(x, y, schedule=lambda t: 0, rate=0)


NO_EFFECT: dict[str, dict[str, Any]] = {
    "sparse": {"sparse": mg.Sparse(0.5)},
    "schedule": {"schedule": "cosine", "steps": 9},
    "warm-up": {"schedule": mg.Schedule("constant", warmup=4)},
    "steps": {"steps": 9},
    "rate": {"rate": 0.1},
}


@pytest.mark.parametrize("case", NO_EFFECT)
def test_options_of_a_training_that_there_is_none_of(net: mg.Model, case: str) -> None:
    x, _ = samples(net, 40)
    with pytest.raises(UsageError, match=r"^nothing trains, so that .* no effect") as error:
        mg.compile(net, calibration=x, train="none", **NO_EFFECT[case])
    assert error.value.where == next(iter(NO_EFFECT[case]))
    mg.compile(net, calibration=x, train="none", schedule="constant", rate="auto")


def test_more_steps_than_a_device_can_count(net: mg.Model) -> None:
    x, _ = samples(net, 40)
    with pytest.raises(
        UsageError, match="steps=99999999999 is no number of steps that a device can count"
    ) as error:
        mg.compile(net, calibration=x, schedule="cosine", steps=99999999999)
    assert error.value.hint == "5000; at most 4294967295"


def test_a_search_tells_of_the_rates_next_to_the_one_it_found() -> None:
    rates = (0.0001, 0.0003, 0.001, 0.003, 0.009, 0.027, 0.081)
    trials = tuple(Trial(rate, 400, -rate, rate, 50) for rate in rates)
    found = RateSearch(0.009, trials, 50, -0.0, 2800, 1.0, is_share=False)
    assert (
        "(0.001: error 0.001, 0.003: error 0.003, 0.027: error 0.027, 0.081: error 0.081; before"
        in found.text
    )
    assert "before training error 0)" in found.text
    assert "-0" not in found.text
