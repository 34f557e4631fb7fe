"""A model's life on the device: schedules, what a step reports, drift; the same on every executor."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

import cffi
import numpy as np
import pytest

import mcugrad as mg
from mcugrad import targets
from mcugrad.ops.life import DRIFT_LIMIT, watch_class, watch_confidence_s8
from mcugrad.program.kernel import DRIFT, SCHEDULE, WATCH
from mcugrad.run import toolchain
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import Runner, State, differences
from mcugrad.trainer import Trainer
from mcugrad.training.schedules import half_cosine, rates, rates_of
from networks import Conv, Dense, Pool, corners, model

F32 = np.float32
NET = (Conv(6, stride=(2, 2), pads=(1, 1, 1, 1)), Pool(), Conv(9, (2, 2), act="relu6"), Dense(4))
OK, NULL, LABEL, STATE, RATE, ARG, EMPTY = 0, -1, -2, -3, -4, -5, -6

mcu = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the emulator is not installed")
CORES = ("cortex-m0plus", "cortex-m4f")


@cache
def task(rule: str = "sr8", name: str = "life") -> tuple[Trainer, np.ndarray, np.ndarray]:
    """A trainer, samples and classes in the device's form."""
    x, y = corners(300)
    trainer = mg.compile(model((1, 12, 12), NET, name=name), calibration=x[:64], rule=rule, seed=5)
    return trainer, trainer.quantize(x), trainer.targets(y, len(x))


# --- schedules ------------------------------------------------------------------------------------------------


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
        ({"kind": "steps"}, "decay by 1 every 0 steps is no decay"),
        ({"kind": "steps", "every": 9, "factor": 0.0}, "decay by 0 every 9 steps is no decay"),
        ({"kind": "steps", "every": 9, "factor": float("nan")}, "decay by nan every 9 steps is no decay"),
    ],
)
def test_schedules_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(mg.UsageError, match=message):
        mg.Schedule(**options)


def test_schedules_and_rates_that_do_not_go_together() -> None:
    for rate in (-0.1, float("nan"), float("inf"), 1e39):
        with pytest.raises(mg.UsageError, match=r"learning rate of .* is not usable"):
            rates(rate, "cosine", 10)
    with pytest.raises(mg.UsageError, match="a warm-up of 10 steps leaves none of 10 for the cosine"):
        rates(0.1, mg.Schedule("cosine", warmup=10), 10)
    with pytest.raises(mg.UsageError, match=r"gives a learning rate of -0\.05 in step 6 of 10"):
        rates(0.1, lambda t: 1 if t < 0.55 else -0.5, 10)


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


# --- on every executor ----------------------------------------------------------------------------------------

LIVES = (
    mg.Schedule("cosine", warmup=7, last=0.1),
    mg.Schedule("linear"),
    mg.Schedule("steps", every=9, factor=0.7, last=0.05),
    mg.Schedule(warmup=30),
)


def live(runner: Runner, x: np.ndarray, y: np.ndarray) -> tuple[bytes, State]:
    """Three steps at a rate, then some by each schedule; the last ones run beyond its end."""
    order = np.arange(45, dtype=np.uint32)
    runner.init()
    info = [runner.train(x, y, order[:3], np.full(3, 0.02, F32)).info]
    for schedule in LIVES:
        runner.set_schedule(schedule.record(0.05, 40))
        info.append(runner.train(x, y, order).info)
    return np.concatenate(info).tobytes(), runner.state()


def assert_same_life(runner: Runner) -> None:
    trainer, x, y = task()
    info, state = live(HostTwin(trainer.build.compiled), x, y)
    found, found_state = live(runner, x, y)
    assert differences(state, found_state) == []
    assert found == info


def test_the_reference_lives_alike() -> None:
    assert_same_life(ReferenceRunner(task()[0].build.compiled))


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize("core", CORES)
def test_cores_live_alike(core: str) -> None:
    assert_same_life(EmulatedDevice(task()[0].build.compiled, targets.load(core)))


# --- what a step reports --------------------------------------------------------------------------------------


def test_step_info_says_what_happened() -> None:
    trainer, x, y = task()
    twin = HostTwin(trainer.build.compiled)
    twin.set_schedule(mg.Schedule("cosine").record(0.05, 300))
    order = np.arange(300, dtype=np.uint32)
    info = twin.train(x, y, order).info
    np.testing.assert_array_equal(info["rate"], rates(0.05, "cosine", 300))
    right = info["predicted"] == y
    for n in (1, 2, 40, 256):  # plain means at first
        assert info["mean_accuracy"][n - 1] == pytest.approx(right[:n].mean(), abs=1e-5)
        assert info["mean_loss"][n - 1] == pytest.approx(info["loss"][:n].mean(), rel=1e-4)
    assert info["mean_accuracy"][-1] == pytest.approx(  # then exponential ones
        info["mean_accuracy"][-2] + (right[-1] - info["mean_accuracy"][-2]) / 256, abs=1e-6
    )
    assert (info["update_rate"] == 1).all()
    assert info["saturation"][0] > 0.3, "ranges of errors begin low"
    assert info["saturation"][-100:].mean() < 0.2
    assert set(np.unique(np.round(info["saturation"] * trainer.build.compiled.program.ranges, 4))) <= set(
        range(9)
    )
    assert info["drift"].max() < 0.5, "learning is no drift"


def test_values_have_no_accuracy() -> None:
    x, _ = corners(40)
    trainer = mg.compile(
        model((1, 12, 12), NET), calibration=x, loss="mse", targets=np.asarray([[-1.0], [1.0]])
    )
    wanted = trainer.targets(np.random.default_rng(0).uniform(-1, 1, (40, 4)), 40)
    steps = trainer.twin.train(
        trainer.quantize(x), wanted, np.arange(40, dtype=np.uint32), np.full(40, 0.01, F32)
    )
    assert "mean_accuracy" not in (steps.info.dtype.names or ())
    assert steps.info["mean_loss"][-1] == pytest.approx(steps.loss.mean(), rel=1e-5)
    assert not steps.predicted.any()
    for name, text in trainer.build.compiled.files.items():
        assert "mcg_watch_confidence" not in text, name


def test_drift_is_told_and_calms_down() -> None:
    """5 % wrong for 2000 steps, 50 % for 100, 5 % again."""
    random, watch, drift = np.random.default_rng(0), np.zeros(1, WATCH), []
    for share in np.repeat([0.05, 0.5, 0.05], [2000, 100, 1000]):
        wrong = np.asarray([random.random() < share], np.uint32)
        watch_class(0, wrong, np.ones(1, F32), watch)
        drift.append(watch["drift_sum"][0] / DRIFT_LIMIT)
    assert max(drift[:2000]) < 0.5
    assert min(np.flatnonzero(np.asarray(drift) >= 1)) in range(2010, 2060)
    assert max(drift) <= 2
    assert drift[-1] == 0


def test_drift_of_confidence_needs_no_labels() -> None:
    random, drift, seen = np.random.default_rng(0), np.zeros(1, DRIFT), []
    for spread in np.repeat([60, 12], [500, 100]):
        logits = np.clip(random.normal(0, spread, 10), -128, 127).astype(np.int8)
        watch_confidence_s8(10, logits, np.full(1, 0.1, F32), drift)
        seen.append(float(drift["drift"][0]))
    assert max(seen[:500]) < 0.5
    assert min(np.flatnonzero(np.asarray(seen) >= 1)) < 560


def test_a_loss_that_is_none_is_left_out() -> None:
    watch = np.zeros(1, WATCH)
    for loss in (1.0, float("nan"), 3.0, float("inf")):
        watch_class(0, np.zeros(1, np.uint32), np.asarray([loss], F32), watch)
    assert watch["loss"][0] == F32(1) + F32(2) / F32(3)  # the third step of which a mean knows


# --- bad calls ------------------------------------------------------------------------------------------------


class Api:
    """The C functions of the model on this computer, and its memory."""

    def __init__(self) -> None:
        compiled = task()[0].build.compiled
        library = toolchain.build_shared([compiled.folder() / "life.c"], [compiled.folder()], opt="-O1")
        self.ffi = cffi.FFI()
        self.ffi.cdef(
            "int life_init(void *m); int life_predict(void *m, const int8_t *x, int8_t *y);"
            "int life_train_step(void *m, const int8_t *x, uint32_t label, void *step);"
            "int life_set_rate(void *m, float rate); int life_set_schedule(void *m, const void *schedule);"
            "int life_watch(const void *m, const int8_t *y, void *drift);"
        )
        self.c = self.ffi.dlopen(str(library))
        self.size = compiled.layout.size
        self.model = self.ffi.new("uint32_t[]", self.size // 4)

    def bytes(self, memory: Any) -> bytes:
        return bytes(self.ffi.buffer(memory))


def test_bad_schedules_change_nothing() -> None:
    api = Api()
    m, null = api.model, api.ffi.NULL
    good = mg.Schedule("steps", every=3, factor=0.5).record(0.1, 10)
    given = api.ffi.from_buffer(good)
    assert api.c.life_set_schedule(m, given) == STATE
    assert api.c.life_init(m) == OK
    before = api.bytes(m)
    assert [api.c.life_set_schedule(null, given), api.c.life_set_schedule(m, null)] == [NULL] * 2
    nan, infinite = float("nan"), float("inf")
    wrong: list[tuple[dict[str, Any], int]] = [
        *(({"rate": value}, RATE) for value in (-1e-9, nan, infinite)),
        *(({"last": value}, ARG) for value in (-1e-9, nan, infinite)),
        *(({"factor": value}, ARG) for value in (0, -1, 1.01, nan)),
        ({"every": 0}, ARG),
        ({"kind": 4}, ARG),
        ({"kind": 1, "warmup": 10}, ARG),
        ({"kind": 2, "warmup": 2**32 - 1}, ARG),
    ]
    for fields, status in wrong:
        record = good.copy()
        for name, value in fields.items():
            record[name] = value
        assert api.c.life_set_schedule(m, api.ffi.from_buffer(record)) == status, fields
    assert api.bytes(m) == before
    assert api.c.life_set_schedule(m, given) == OK
    assert api.c.life_set_rate(m, nan) == RATE
    schedule = np.frombuffer(api.bytes(m), np.uint8)[task()[0].build.compiled.layout.offsets["schedule"] :]
    assert schedule[: SCHEDULE.itemsize].tobytes() == good.tobytes(), "a bad rate does not end a schedule"


def test_bad_watches_change_nothing() -> None:
    api = Api()
    m, null = api.model, api.ffi.NULL
    y, drift = api.ffi.new("int8_t[]", 4), api.ffi.new("uint32_t[]", DRIFT.itemsize // 4)
    assert api.c.life_watch(m, y, drift) == STATE
    api.c.life_init(m)
    before = api.bytes(m)
    assert [
        api.c.life_watch(null, y, drift),
        api.c.life_watch(m, null, drift),
        api.c.life_watch(m, y, null),
    ] == [NULL] * 3
    assert not any(drift)
    assert api.c.life_watch(m, y, drift) == OK
    assert np.frombuffer(api.bytes(drift), DRIFT)["confidence"][0] == 0.25
    assert api.bytes(m) == before
