"""Schedules of the learning rate: their formulas, and the same on every executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from kernels import library
from life_models import CORES, device, kinds, mcu, task
from mcugrad.ops.life.life import BEGIN_STEP
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import Runner, State, differences
from mcugrad.training.schedules import half_cosine, has_ended, rate_ahead, rates, rates_of
from networks import Conv, Dense, corners, model

F32 = np.float32


def test_half_cosine_is_one() -> None:
    t = np.linspace(0, 1, 10_001, dtype=F32)
    value = half_cosine(t)
    assert np.abs(value - (1 + np.cos(np.pi * t.astype(np.float64))) / 2).max() < 2e-7
    assert (value[0], value[-1]) == (1, 0)
    assert (np.diff(value) <= 0).all()


SCHEDULES = {
    "constant": (mg.Schedule(), lambda t: 1.0),
    "cosine": (mg.Schedule("cosine"), lambda t: (1 + np.cos(np.pi * t)) / 2),
    "cosine to a tenth": (mg.Schedule("cosine", last=0.1), lambda t: 0.1 + 0.9 * (1 + np.cos(np.pi * t)) / 2),
    "linear": (mg.Schedule("linear"), lambda t: 1 - t),
    "steps": (mg.Schedule("steps", every=25, factor=0.5), lambda t: 0.5 ** (t * 200 // 25)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_their_formulas(name: str) -> None:
    schedule, formula = SCHEDULES[name]
    found = rates(0.02, schedule, 200)
    np.testing.assert_allclose(found, [0.02 * formula(i / 200) for i in range(200)], rtol=1e-5, atol=1e-8)


def test_warm_up_rises_to_the_rate_and_takes_its_steps_from_the_schedule() -> None:
    found = rates(0.1, mg.Schedule("linear", warmup=10, last=0.5), 30)
    np.testing.assert_allclose(found[:10], 0.01 * np.arange(1, 11), rtol=1e-6)
    np.testing.assert_allclose(found[10:], 0.1 - 0.05 * np.arange(20) / 20, rtol=1e-6)


def test_after_the_end_the_last_rate_stays() -> None:
    record = mg.Schedule("cosine", last=0.25).record(0.04, 100, start=2**32 - 50)[0]
    steps = np.asarray([2**32 - 50, 0, 50, 51, 10_000], np.uint32)  # the counter wraps on the way
    np.testing.assert_allclose(rates_of(record, steps), [0.04, 0.025, 0.01, 0.01, 0.01], rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "steep"}, "unknown schedule 'steep'"),
        ({"warmup": -1}, "warmup=-1 is no number of steps"),
        ({"last": 1.5}, r"last=1.5 is not in \[0, 1\]"),
        ({"last": float("nan")}, r"last=nan is not in \[0, 1\]"),
        ({"last": -0.01}, r"last=-0.01 is not in \[0, 1\]"),
        ({"warmup": 2**32}, "warmup=4294967296 is no number of steps"),
        ({"kind": "steps", "every": 2**32, "factor": 0.5}, "decay by 0.5 every 4294967296 steps is no decay"),
        ({"kind": "steps", "every": 9, "factor": 1.01}, "decay by 1.01 every 9 steps is no decay"),
        ({"kind": "steps", "every": 0, "factor": 0.5}, "decay by 0.5 every 0 steps is no decay"),
        ({"kind": "steps"}, "decay by 1 every 0 steps is no decay"),
        ({"kind": "steps", "every": 9, "factor": 0.0}, "decay by 0 every 9 steps is no decay"),
        ({"kind": "steps", "every": 9, "factor": float("nan")}, "decay by nan every 9 steps is no decay"),
    ],
)
def test_schedules_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(mg.UsageError, match=message):
        mg.Schedule(**options)


def test_schedules_as_far_as_they_make_sense() -> None:
    plain = mg.Schedule()
    assert (plain.kind, plain.warmup, plain.last, plain.every, plain.factor) == ("constant", 0, 0.0, 0, 1.0)
    mg.Schedule(warmup=2**32 - 1, last=1.0)
    mg.Schedule("steps", every=1, factor=1.0)
    mg.Schedule("steps", every=2**32 - 1, factor=1e-9)
    assert rates(0.0, "constant", 2).tolist() == [0, 0]
    assert rates(3e38, "constant", 1).tolist() == [F32(3e38)]
    with pytest.raises(mg.UsageError, match="a learning rate of 3\\.1e\\+38 is not usable"):
        rates(3.1e38, "constant", 1)
    with pytest.raises(mg.UsageError, match="a learning rate of 'much' is not usable"):
        rates("much", "constant", 1)  # type: ignore[arg-type]
    assert rates(0.5, mg.Schedule("linear", warmup=1), 2).tolist() == [0.5, 0.5], (
        "one step more than the warm-up"
    )
    for kind in ("constant", "steps"):  # never end, so that a warm-up may be all of them
        assert rates(0.5, mg.Schedule(kind, warmup=4, every=9, factor=0.5), 2).tolist() == [0.125, 0.25]


def test_the_record_is_what_the_schedule_says() -> None:
    record = mg.Schedule("steps", warmup=3, last=0.25, every=7, factor=0.5).record(0.5, 100, start=9)[0]
    assert record.tolist() == (3, 9, 3, 100, 7, 0.5, 0.125, 0.5)
    assert mg.Schedule().record(1, 1)[0].tolist() == (0, 0, 0, 1, 1, 1.0, 0.0, 1.0), "every is at least 1"


def test_rates_by_hand() -> None:
    """Multiples of powers of two, exact: the first and last step of each part, and beyond."""
    steps = np.arange(8, dtype=np.uint32)
    linear = mg.Schedule("linear", warmup=2, last=0.5).record(1.0, 6)[0]
    assert rates_of(linear, steps).tolist() == [0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.5]
    decay = mg.Schedule("steps", every=2, factor=0.5, last=0.25).record(1.0, 8)[0]
    assert rates_of(decay, steps).tolist() == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]
    assert rates(2.0, lambda t: t, 4).tolist() == [0, 0.5, 1, 1.5]
    assert rates(2.0, lambda t: 1 - t, 1).tolist() == [2.0]
    assert rates(2.0, lambda t: 0, 0).tolist() == []


def test_schedules_and_rates_that_do_not_go_together() -> None:
    for rate in (-0.1, float("nan"), float("inf"), 1e39):
        with pytest.raises(mg.UsageError, match=r"learning rate of .* is not usable"):
            rates(rate, "cosine", 10)
    for schedule in ("constant", lambda t: 1.0):
        with pytest.raises(mg.UsageError, match=r"a learning rate of -0\.1 is not usable"):
            rates(-0.1, schedule, 10)
    with pytest.raises(mg.UsageError, match="a warm-up of 10 steps leaves none of 10 for the cosine"):
        rates(0.1, mg.Schedule("cosine", warmup=10), 10)
    with pytest.raises(mg.UsageError, match=r"gives a learning rate of -0\.05 in step 6 of 10"):
        rates(0.1, lambda t: 1 if t < 0.55 else -0.5, 10)


def test_rates_are_those_of_the_kernel() -> None:
    """To the last bit over whole schedules, by steps that divide them into sixty-fourths and by others."""
    build = library.available()[0]
    bare, uneven = (
        mg.Schedule("cosine"),
        mg.Schedule("linear", warmup=7, last=0.32),
    )  # whose parts add up to no 0.4
    for schedule in (*LIVES, bare, uneven):
        for rate, length in ((1.0, 64 + schedule.warmup), (0.4, 99)):
            record = schedule.record(rate, length, start=2**32 - 5)
            steps = (np.arange(length + 3) + 2**32 - 5).astype(np.uint32)
            found = np.zeros(1, F32)
            for step, expected in zip(steps, rates_of(record[0], steps), strict=True):
                given = {"schedule": record, "step": step.reshape(1), "rate": found}
                library.library(build).run(BEGIN_STEP, {**given, "saturated": np.zeros(1, np.int32)})
                assert found[0] == expected


@pytest.mark.parametrize("ahead", [1e-5, np.nextafter(1e-5, 1), np.nextafter(1e-5, 0)])
def test_a_schedule_has_ended_below_a_thousandth(ahead: float) -> None:
    assert has_ended(ahead, 0.01) == (ahead < 0.01 / 1000)


def test_the_rate_ahead_is_that_of_the_next_step() -> None:
    record = mg.Schedule("linear", warmup=2, last=0.5).record(1.0, 6)
    ahead = [rate_ahead(record, np.asarray([step], np.uint32)) for step in range(8)]
    assert ahead == [0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.5]


def test_fit_lets_the_device_follow_the_schedule() -> None:
    """A name, a Schedule and a function that says the same teach the same; the first two are the device's own."""
    trainer = task()[0]
    x, y = corners(80)
    states = []
    for schedule in ("constant", mg.Schedule(), lambda t: 1.0, "cosine"):
        trainer.twin.init()
        trainer.fit(x, y, epochs=2, rate=0.05, schedule=schedule)
        states.append(trainer.state)
    assert differences(states[0], states[1]) == []
    assert [int(state["schedule"]["steps"][0]) for state in states] == [160, 160, 0, 160]
    assert [int(state["schedule"]["kind"][0]) for state in states] == [0, 0, 0, 1]
    for name in ("conv1_w", "fc1_b", "watch"):
        np.testing.assert_array_equal(states[0][name], states[2][name])


LIVES = (
    mg.Schedule("cosine", warmup=7, last=0.1),
    mg.Schedule("linear"),
    mg.Schedule("steps", every=9, factor=0.7, last=0.05),
    mg.Schedule(warmup=30),
)


def live(runner: Runner, x: np.ndarray, y: np.ndarray) -> tuple[bytes, State]:
    """Three steps at a rate, then some by each schedule; the last ones run beyond its end."""
    order = np.arange(18, dtype=np.uint32)
    runner.init()
    info = [runner.train(x, y, order[:3], np.full(3, 0.02, F32)).info]
    for schedule in LIVES:
        runner.set_schedule(schedule.record(0.05, 15))
        info.append(runner.train(x, y, order).info)
    return np.concatenate(info).tobytes(), runner.state()


def assert_same_life(runner: Runner) -> None:
    trainer, x, y = kinds("classes")
    info, state = live(HostTwin(trainer.build.compiled), x, y)
    found, found_state = live(runner, x, y)
    assert differences(state, found_state) == []
    assert found == info


def test_the_reference_lives_alike() -> None:
    assert_same_life(ReferenceRunner(kinds("classes")[0].build.compiled))


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize("core", CORES)
def test_cores_live_alike(core: str) -> None:
    assert_same_life(device("classes", core))


DELIVERED: dict[str, dict[str, Any]] = {
    "cosine": {"schedule": "cosine", "steps": 40},
    "warm-up": {"schedule": mg.Schedule("cosine", warmup=8, last=0.1), "steps": 40},
    "steps": {"schedule": mg.Schedule("steps", every=10, factor=0.5)},
    "constant": {},
}


@pytest.mark.parametrize("case", DELIVERED)
def test_a_device_begins_with_the_schedule_that_was_compiled_in(case: str, tmp_path: Path) -> None:
    x, y = corners(60)
    net = model((1, 12, 12), (Conv(4, stride=(2, 2)), Dense(4)))
    trainer = mg.compile(net, calibration=x, rate=0.02, **DELIVERED[case])
    given = DELIVERED[case].get("schedule", "constant")
    wanted = rates(0.02, given, 40)
    order = np.arange(40, dtype=np.uint32)
    samples, labels = trainer.quantize(x), trainer.labels(y, 60)
    again = mg.Trainer.load(trainer.save(tmp_path / "a.mcgstate"))
    for each in (trainer, again):
        found = each.twin.train(samples, labels, order).info["rate"]
        assert np.array_equal(found, wanted)


def test_a_schedule_that_ends_needs_steps() -> None:
    x, _ = corners(60)
    net = model((1, 12, 12), (Conv(4, stride=(2, 2)), Dense(4)))
    with pytest.raises(mg.UsageError, match="how many a device will take is not said"):
        mg.compile(net, calibration=x, schedule="cosine")
    with pytest.raises(mg.UsageError, match="steps=-1 is no number of steps"):
        mg.compile(net, calibration=x, schedule="cosine", steps=-1)
    with pytest.raises(mg.UsageError, match="a warm-up of 50 steps leaves none of 40"):
        mg.compile(net, calibration=x, schedule=mg.Schedule("linear", warmup=50), steps=40)
