"""The learning rate that nobody gave: it is looked for, what was found is told, and the search leaves no trace."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
import networks
from command_line import Cli, save
from mcugrad.errors import McugradWarning
from mcugrad.rate_search import FEWEST
from mcugrad.training.rate_grid import (
    GRID,
    grid,
)
from mcugrad.zoo import data, model_path
from networks import Conv, Dense, model, write_onnx
from rate_trials import tried

Array = np.ndarray

FAST = pytest.mark.usefixtures("fast_twins")
"""For tests that share one build."""


@pytest.fixture(scope="module")
def net() -> mg.Model:
    return model((1, 6, 6), (Conv(4, stride=(2, 2)), Dense(4)))


@pytest.fixture(scope="module")
def compiled(net: mg.Model) -> mg.Trainer:
    """As delivered: tests take copies, so that all have one build."""
    return mg.compile(net, calibration=corners(240)[0])


def corners(count: int) -> tuple[Array, Array]:
    """Samples that it learns."""
    return networks.corners(count, 6)


def same(a: mg.Trainer, b: mg.Trainer) -> bool:
    return all(value.tobytes() == b.state[name].tobytes() for name, value in a.state.items())


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "augment": {"augment": mg.Augment(shift=1, noise=0.02)},
    "no shuffle": {"shuffle": False, "schedule": "constant"},
    "warm-up": {"schedule": mg.Schedule("linear", warmup=60)},
    "steps": {"schedule": mg.Schedule("steps", every=100, factor=0.5)},
    "function": {"schedule": lambda t: 1 - t},
    "validation": {"guard": True, "replay": True},
}


@FAST
@pytest.mark.parametrize("case", OPTIONS)
def test_training_is_as_if_the_rate_had_been_given(compiled: mg.Trainer, case: str) -> None:
    x, y = corners(120)
    options = dict(OPTIONS[case])
    if options.pop("guard", False):
        options |= {"guard": (x[:20], y[:20])}
    if options.pop("replay", False):
        options |= {"replay": mg.Replay(8, source=(x[:30], y[:30]))}
    first, second, again = copy(compiled), copy(compiled), copy(compiled)
    first.fit(x, y, epochs=2, seed=5, **options)
    found = first.rate_search
    assert found is not None
    assert found.rate in {each.rate for each in found.trials}
    second.fit(x, y, epochs=2, rate=found.rate, seed=5, **options)
    assert second.rate_search is None
    assert same(first, second)
    assert first.data_hash == second.data_hash
    again.fit(x, y, epochs=2, rate="auto", seed=5, **options)
    assert again.rate_search is not None
    assert again.rate_search.trials == found.trials


@FAST
def test_a_model_that_trained_goes_on_from_there(compiled: mg.Trainer) -> None:
    """Every trial begins at the state that is there, and an interrupted search leaves it."""
    x, y = corners(240)
    trainer = copy(compiled)
    trainer.fit(x, y, epochs=3, rate=0.01)
    known, state = trainer.evaluate(x, y), trainer.state
    first = trainer.rate_search
    trainer.fit(x, y)
    assert first is None
    assert trainer.rate_search is not None
    assert trainer.rate_search.before == pytest.approx(known, abs=0.1)
    assert int(trainer.state["step"][0]) == int(state["step"][0]) + len(x)

    trainer.state = state
    steps = trainer.twin.train
    calls = 0

    def stop(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return steps(*given)

    trainer.twin.train = stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(x, y)
    del trainer.twin.train
    assert all(value.tobytes() == state[name].tobytes() for name, value in trainer.state.items())
    assert trainer.data_hash == compiled.data_hash or trainer.data_hash is None


def test_a_rate_that_was_compiled_in_is_taken(net: mg.Model, tmp_path: Path) -> None:
    x, y = corners(64)
    given = mg.compile(net, calibration=x, rate=0.02)
    given.fit(x, y)
    assert given.rate_search is None
    assert given.rate == pytest.approx(0.02)
    given.fit(x, y, rate="auto")
    assert given.rate_search is not None
    free = mg.compile(net, calibration=x, rule=mg.Update("sr12", momentum=0.9))
    assert free.rate == pytest.approx(0.001)
    assert float(free.state["schedule"]["rate"][0]) == pytest.approx(0.001), (
        "a device begins with the usual one"
    )
    for each, wanted in ((free, True), (given, False)):
        again = mg.Trainer.load(each.save(tmp_path / "a.mcgstate"))
        again.fit(x, y)
        assert (again.rate_search is not None) == wanted
    with pytest.raises(mg.UsageError, match="a learning rate of 'fast' is not usable"):
        given.fit(x, y, rate="fast")  # type: ignore[arg-type]
    with pytest.raises(mg.UsageError, match="a learning rate of -1 is not usable"):
        mg.compile(net, calibration=x, rate=-1.0)


@FAST
def test_what_was_found_is_told(compiled: mg.Trainer, caplog: pytest.LogCaptureFixture) -> None:
    x, y = corners(240)
    trainer = copy(compiled)
    with caplog.at_level("INFO", "mcugrad"):
        trainer.fit(x, y, epochs=2)
    found = trainer.rate_search
    assert found is not None
    assert found.text in caplog.text
    assert found.text.startswith(f"rate {found.rate:.3g} found: ")
    assert f"{found.steps:,} steps" in found.text
    assert found.held_out >= 60, "30 are few, so that some parts were held out in turn"
    assert found.steps == sum(each.steps for each in found.trials)


def test_samples_that_are_known_keep_the_rates_of_the_grid() -> None:
    digits = data.load("digits")
    x, y = digits.x_train[:400, ..., None] / 16, digits.y_train[:400]
    trainer = mg.compile(mg.load(model_path("digits_cnn")), calibration=x[:256], train="last:2")
    assert trainer.evaluate(x, y) > 0.99
    rate, trials = tried(trainer, x, y, epochs=2)
    assert rate == 0.009
    assert min(each.rate for each in trials) == GRID[0]
    assert trainer.rate_search is not None
    assert "level with no training: of such rates the one nearest the usual" in trainer.rate_search.text
    assert trainer.evaluate(x, y) > 0.99


@pytest.mark.parametrize("options", [{"rule": mg.Update(batch=1000)}, {"sparse": mg.Sparse(samples=0.0001)}])
def test_hardly_a_step_keeps_the_rates_of_the_grid(net: mg.Model, options: dict[str, Any]) -> None:
    """A batch beyond all samples, and a share of the samples that is none."""
    x, y = corners(240)
    rate, trials = tried(mg.compile(net, calibration=x, **options), x, y, epochs=3)
    lowest = grid([options.get("rule", mg.Update())])
    assert rate == lowest[1]
    assert min(each.rate for each in trials) >= lowest[0] / 10


def test_a_trial_that_diverged_was_held_against_as_many_samples(net: mg.Model) -> None:
    x, y = corners(240)
    wanted = 1e15 * np.eye(4)[y]
    trainer = mg.compile(net, calibration=x, precision="float32", loss="mse", typical_labels=wanted)
    _, trials = tried(trainer, x, wanted, epochs=2)
    assert any(each.diverged for each in trials)
    assert trainer.rate_search is not None
    assert {each.of for each in trials} == {trainer.rate_search.held_out}


TOO_LONG: dict[str, tuple[dict[str, Any], str]] = {
    "warm-up": (
        {"schedule": mg.Schedule("cosine", warmup=4000)},
        "a warm-up of 4000 steps leaves none of 480 for the cosine",
    ),
    "just": (
        {"schedule": mg.Schedule("linear", warmup=480)},
        "a warm-up of 480 steps leaves none of 480 for the linear",
    ),
    "replay": (
        {"schedule": mg.Schedule("cosine", warmup=720), "replay": "corners"},
        "a warm-up of 720 steps leaves none of 720 for the cosine",
    ),
    "function": ({"schedule": lambda t: 1 - 2 * t}, "in step 241 of 480"),
}


@FAST
@pytest.mark.parametrize("case", TOO_LONG)
def test_a_schedule_that_does_not_fit_is_refused_in_numbers_of_the_training(
    compiled: mg.Trainer, case: str
) -> None:
    """Not in those of a trial, which has fewer steps and a shorter warm-up."""
    x, y = corners(240)
    given, what = TOO_LONG[case]
    options = dict(given)
    if "replay" in options:
        options["replay"] = mg.Replay(20, every=2, source=corners(40))
    for rate in ("auto", 0.01):
        trainer = copy(compiled)
        with pytest.raises(mg.UsageError, match=what):
            trainer.fit(x, y, epochs=2, rate=rate, **options)  # type: ignore[arg-type]


@FAST
@pytest.mark.parametrize("every", [1, 2, 7, 113])
def test_the_longest_warm_up_that_fits_a_training_fits_its_trials(compiled: mg.Trainer, every: int) -> None:
    x, y = corners(241)
    replay = mg.Replay(20, every=every, source=corners(40))
    trainer = copy(compiled)
    warmup = 241 * 9 + replay.draws(241 * 9) - 1
    tried(trainer, x, y, epochs=9, schedule=mg.Schedule("cosine", warmup=warmup), replay=replay)
    assert trainer.rate_search is not None
    assert trainer.rate_search.found is not None


def test_a_rate_far_below_the_compiled_one_is_told_as_it_was(net: mg.Model) -> None:
    """A schedule from a small rate is none that has ended; one that a function set, step by step, is."""
    x, y = corners(32)
    trainer = mg.compile(net, calibration=x, rate=0.01)
    for rate in (1e-6, 1e-9, 0.0):
        trainer.fit(x, y, rate=rate)
        assert trainer.rate == np.float32(rate)
    trainer.fit(x, y, rate=0.02, schedule=lambda t: 1 - t**0.001)
    assert trainer.rate == np.float32(0.01)


@FAST
def test_few_samples_take_the_usual_rate(compiled: mg.Trainer) -> None:
    x, y = corners(240)
    for count in (1, 3, FEWEST - 1, FEWEST):
        trainer = copy(compiled)
        trainer.fit(x[:count], y[:count])
        assert trainer.rate_search is not None
        json.dumps(trainer.rate_search.facts(), allow_nan=False)
        assert bool(trainer.rate_search.trials) == (count >= FEWEST)
        if count < FEWEST:
            assert trainer.rate_search.rate == 0.01
            assert "the usual one: 16 samples or more" in trainer.rate_search.text


KINDS: dict[str, tuple[dict[str, Any], Callable[[Array], Any]]] = {
    "mse": ({"loss": "mse"}, lambda y: np.eye(4)[y].astype(np.float32)),
    "bits": ({"loss": "binary_cross_entropy"}, lambda y: np.eye(4)[y].astype(np.uint8)),
    "float32": ({"precision": "float32"}, lambda y: y),
    "standardized": ({"rule": mg.Update("standardized", batch=8)}, lambda y: y),
    "momentum": ({"rule": mg.Update("sr12", momentum=0.9, batch=4)}, lambda y: y),
    "sparse": ({"sparse": mg.Sparse(0.25)}, lambda y: y),
}


@pytest.mark.parametrize("case", KINDS)
def test_all_losses_rules_and_precisions(net: mg.Model, case: str) -> None:
    x, y = corners(120)
    options, labels = KINDS[case]
    wanted = labels(y)
    labels = {"typical_labels": wanted} if options.get("loss") == "mse" else {}
    trainer = mg.compile(net, calibration=x, **options, **labels)
    before = trainer.evaluate(x, wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("error", McugradWarning)
        trainer.fit(x, wanted, epochs=6)
    after = trainer.evaluate(x, wanted)
    assert after < 0.6 * before if case == "mse" else after > max(before, 0.8)


@FAST
def test_labels_that_mean_nothing_are_told(compiled: mg.Trainer) -> None:
    """No rate makes a network that knows its samples better at labels drawn at random."""
    x, y = corners(240)
    trainer = copy(compiled)
    trainer.fit(x, y, epochs=3, rate=0.01)
    mixed = y.copy()
    mixed[::2] = np.random.default_rng(0).permutation(y[::2])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", McugradWarning)
        trainer.fit(x, np.where(np.arange(240) % 2, y, (y + 1 + mixed) % 4), epochs=8)
    assert trainer.rate_search is not None
    note = trainer.rate_search.note
    assert (note in [str(each.message) for each in said]) == (note is not None)


def test_trials_without_a_whole_batch_say_nothing_of_rates_or_labels(net: mg.Model) -> None:
    """They change no weight, so that by how much they differ from no training is the luck of ranges."""
    x, y = corners(240)
    trainer = mg.compile(net, calibration=x, rule=mg.Update("sr12", batch=64))
    trainer.fit(x[:192], y[:192], epochs=10, rate=0.5)  # whole batches
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", McugradWarning)
        trainer.fit(x[:50], y[:50], rate="auto")
    found = trainer.rate_search
    assert found is not None
    assert found.is_level
    for before in (found.before, found.before + 0.03):
        assert replace(found, before=before).note is None
    assert replace(found, before=found.before + 0.03, is_level=False).note is not None
    assert [str(each.message) for each in said] == [
        "50 steps make no change by batches of 64: try a batch of 1, or more epochs"
    ]


def test_the_command_line_looks_for_a_rate_and_says_so(cli: Cli, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((80, 8, 8)).astype(np.float32)
    data = save(tmp_path / "x.npz", x, np.arange(80) % 10, x_test=x[:20], y_test=np.arange(20) % 10)
    write_onnx(tmp_path / "net.onnx", (1, 8, 8), (Dense(10),))
    options = ("net.onnx", "--data", data)
    out = cli("train", *options, "--epochs", "2").out
    assert out.count(" found: ") == 1
    assert out.index(" found: ") < out.index("epoch 1/2")
    facts = cli("train", *options, "--epochs", "2", "--json").facts
    assert facts["rate"] == pytest.approx(facts["rate_search"]["rate"])
    assert "seconds" not in facts["rate_search"]
    assert cli("train", *options, "--epochs", "2", "--rate", "0.02", "--json").facts["rate_search"] is None
    refused = cli("train", *options, "--rate", "fast")
    assert refused.code == 2
    assert "'fast' is no learning rate" in refused.err
