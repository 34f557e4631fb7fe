"""A model's life on the device: schedules, what a step reports, drift, replay, guard; the same on every executor."""

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
from mcugrad.ops.replay import replay_slot
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


# --- replay ---------------------------------------------------------------------------------------------------


class Reservoir:
    """The reservoir by its reference, samples being their number."""

    def __init__(self, capacity: int, classes: int, seed: int) -> None:
        self.capacity, self.classes, self.seed = capacity, classes, seed
        self.labels = np.zeros(capacity, np.uint32)
        self.samples = np.full(capacity, -1)
        self.count, self.added = np.zeros(1, np.uint32), np.zeros(1, np.uint32)
        self.seen, self.held = np.zeros(classes, np.uint32), np.zeros(classes, np.uint32)
        self.full, self.slot = np.zeros(classes, np.uint8), np.zeros(1, np.int32)

    def add(self, label: int) -> None:
        replay_slot(
            *(self.capacity, self.classes, 1, label, self.seed, self.labels, self.count, self.added),
            *(self.seen, self.held, self.full, self.slot),
        )
        if self.slot[0] >= 0:
            self.labels[self.slot[0]], self.samples[self.slot[0]] = label, self.added[0] - 1


def test_classes_share_the_reservoir() -> None:
    """Of 2000 samples 70 % are of one class and 1 % of another; of one there are five."""
    random = np.random.default_rng(0)
    reservoir = Reservoir(60, 5, seed=3)
    stream = random.choice(4, 2000, p=[0.7, 0.2, 0.09, 0.01])
    stream[[100, 500, 900, 1300, 1700]] = 4
    for label in stream:
        reservoir.add(int(label))
        assert (np.bincount(reservoir.labels[: reservoir.count[0]], minlength=5) == reservoir.held).all()
    assert reservoir.held[4] == 5, "all there are"
    rest = 55 - reservoir.held[3]
    assert reservoir.held[3] >= min((stream == 3).sum(), 13)
    assert abs(int(reservoir.held[0]) - rest / 3) <= 1
    assert (stream[reservoir.samples] == reservoir.labels).all()


def test_within_a_class_every_sample_is_equally_likely_to_stay() -> None:
    kept = np.zeros(100)
    for seed in range(300):
        reservoir = Reservoir(10, 1, seed)
        for _ in range(100):
            reservoir.add(0)
        kept[reservoir.samples] += 1
    assert kept.sum() == 3000
    thirds = kept.reshape(4, 25).sum(axis=1) / 3000
    assert np.abs(thirds - 0.25).max() < 0.03


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capacity": 0}, "a replay buffer for 0 samples holds nothing"),
        ({"capacity": 4, "every": 0}, "every=0 never trains a stored sample"),
        ({"capacity": 4, "seed": -1}, "seed -1 does not fit into 32 bits"),
        ({"capacity": 4, "collect": False}, "without source that collects nothing stays empty"),
    ],
)
def test_replay_that_makes_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(mg.UsageError, match=message):
        mg.Replay(**options)


def test_replay_keeps_what_was_known() -> None:
    """Two corners learned first, then the other two alone: without replay the first are forgotten, with it not."""
    x, y = corners(400)
    first, then = y < 2, y >= 2
    trainer = mg.compile(model((1, 12, 12), NET), calibration=x[:64], rule="sr12")
    trainer.fit(x[first], y[first], epochs=3, rate=0.03)
    known = trainer.state
    assert trainer.evaluate(x[first], y[first]) > 0.95
    left = {}
    source = x[first][:64], y[first][:64]
    for name, replay in {"no": None, "source": mg.Replay(32, source=source), "own": mg.Replay(32)}.items():
        trainer.state = known
        history = trainer.fit(x[then], y[then], epochs=3, rate=0.03, schedule="cosine", replay=replay)
        left[name] = trainer.evaluate(x[first], y[first])
        assert trainer.evaluate(x[then], y[then]) > 0.9
        count = int(then.sum())
        assert history[-1].steps == {"no": 3 * count, "source": 6 * count, "own": 6 * count - 1}[name]
        state = trainer.state
        assert state["schedule"]["steps"][0] == history[-1].steps, "a schedule spans replayed samples, too"
        assert state["step"][0] - known["step"][0] == history[-1].steps
    assert left["no"] < 0.5
    assert left["source"] > 0.95


def test_running_means_are_those_of_new_samples() -> None:
    """Replayed ones, here with wrong labels and a rate of 0, say nothing about the world as it is."""
    x, y = corners(300)
    trainer = mg.compile(model((1, 12, 12), NET), calibration=x[:64], rule="sr12")
    trainer.fit(x, y, epochs=3, rate=0.03)
    replay = mg.Replay(32, source=(x[:64], (y[:64] + 1) % 4))
    trainer.fit(x, y, rate=0.0, replay=replay)
    watch = trainer.state["watch"][0]
    assert watch["accuracy"] > 0.95
    assert watch["drift_sum"] < 1


# --- guard ----------------------------------------------------------------------------------------------------


def test_a_guard_undoes_harm() -> None:
    x, y = corners(300)
    trainer = mg.compile(model((1, 12, 12), NET), calibration=x[:64], rule="sr12")
    trainer.fit(x[:200], y[:200], epochs=3, rate=0.03)
    good = trainer.evaluate(x[200:], y[200:])
    before = trainer.state
    wrong = (y[:200] + 1) % 4
    history = trainer.fit(x[:200], wrong, epochs=2, rate=0.05, guard=(x[200:], y[200:]))
    assert [epoch.guard.outcome for epoch in history if epoch.guard] == ["restored", "restored"]
    assert history[0].guard is not None
    assert history[0].guard.best == pytest.approx(1 - good)
    assert trainer.evaluate(x[200:], y[200:]) == good
    for name, value in trainer.state.items():  # all that was learned is back; time went on
        if name not in ("schedule", "watch", "step"):
            np.testing.assert_array_equal(value, before[name])
    assert trainer.state["step"][0] == before["step"][0] + 400


def test_a_guard_lets_good_training_go_on() -> None:
    x, y = corners(300)
    trainer = mg.compile(model((1, 12, 12), NET), calibration=x[:64], rule="sr12")
    guard = mg.Guard(x[200:], y[200:], every=75, margin=0.5)
    history = trainer.fit(x[:200], y[:200], epochs=4, rate=0.03, guard=guard)
    last = history[-1].guard
    assert last is not None
    assert last.outcome in ("best", "within")
    assert last.error == pytest.approx(1 - trainer.evaluate(x[200:], y[200:]))


def test_guards_that_make_no_sense() -> None:
    for margin in (-0.1, float("nan"), float("inf")):
        with pytest.raises(mg.UsageError, match=r"margin=.* is not usable"):
            mg.Guard(np.zeros(1), [0], margin=margin)
    with pytest.raises(mg.UsageError, match="every=-1 is no number of samples"):
        mg.Guard(np.zeros(1), [0], every=-1)


# --- replay and guard on every executor -----------------------------------------------------------------------

CAPACITY, GUARDED = 7, 20


@cache
def kinds(name: str) -> tuple[Trainer, np.ndarray, np.ndarray]:
    """Trainer, samples and targets in the device's form: classes, bits, values, and a float32 model."""
    x, y = corners(60)
    random = np.random.default_rng(0)
    options: dict[str, Any] = {"rule": "sr8", "seed": 5}
    if name == "bits":
        options, y = {"loss": "binary_cross_entropy"}, random.integers(0, 2, (60, 4))
    if name.endswith("values"):
        y = random.uniform(-1, 1, (60, 4))
        options = {"loss": "mse", "targets": y}
    if name.startswith("float32"):
        options = {**options, "rule": "sr16", "precision": "float32"}
    trainer = mg.compile(model((1, 12, 12), NET), calibration=x, **options)
    return trainer, trainer.quantize(x), trainer.targets(y, 60)


def guarded_life(runner: Runner, x: np.ndarray, y: np.ndarray) -> tuple[list[Any], State]:
    """Three parts with a look of the guard after each, the second of them at a rate that does harm."""
    runner.begin_guard()
    runner.begin_replay(CAPACITY, 2, True, 5)
    runner.replay_add(x[:9], y[:9])
    seen: list[Any] = [runner.guard(x[40:], y[40:], 0.05)]
    for rate in (0.02, 0.5, 0.05):
        seen.append(runner.train(x, y, np.arange(40, dtype=np.uint32), np.full(40, rate, F32)).info.tobytes())
        seen.append(runner.guard(x[40:], y[40:], 0.05))
    stored = runner.replay()
    return [*seen, stored.header.tobytes(), stored.memory.tobytes()], runner.state()


@pytest.mark.parametrize("name", ["classes", "bits", "values", "float32", "float32 values"])
def test_the_reference_replays_and_guards_alike(name: str) -> None:
    trainer, x, y = kinds(name)
    seen, state = guarded_life(HostTwin(trainer.build.compiled), x, y)
    found, found_state = guarded_life(ReferenceRunner(trainer.build.compiled), x, y)
    assert differences(state, found_state) == []
    assert found == seen
    if name == "classes":
        assert [seen[i].outcome for i in (0, 2, 4, 6)] == ["best", "best", "restored", "best"]


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(
    ("name", "core"),
    [
        ("classes", "cortex-m0plus"),
        ("classes", "cortex-m4f"),
        ("values", "cortex-m0plus"),
        ("float32", "cortex-m4f"),
    ],
)
def test_cores_replay_and_guard_alike(name: str, core: str) -> None:
    trainer, x, y = kinds(name)
    seen, state = guarded_life(HostTwin(trainer.build.compiled), x, y)
    device = EmulatedDevice(trainer.build.compiled, targets.load(core), replay=CAPACITY, guard=GUARDED)
    found, found_state = guarded_life(device, x, y)
    assert differences(state, found_state) == []
    assert found == seen


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
            "int life_snapshot(const void *m, void *s); int life_rollback(void *m, const void *s);"
            "int life_guard(void *m, void *s, const int8_t *x, const uint32_t *labels, uint32_t n, float margin,"
            "void *r);"
            "int life_replay_init(void *r, uint32_t *memory, uint32_t words, uint32_t seed);"
            "int life_replay_add(void *r, const int8_t *x, uint32_t label);"
            "int life_replay_draw(void *r, const int8_t **x, uint32_t *label);"
            "int life_train_soft(void *m, const int8_t *x, const uint8_t *soft, void *step);"
            "int life_replay_remember(void *m, void *r);"
            "int life_augment_init(void *how, int32_t h, int32_t w, float gain, float offset, float noise,"
            "uint32_t seed);"
            "int life_augment(void *how, const int8_t *x, int8_t *y);"
            "int life_train_replay(void *m, void *r, const int8_t *x, uint32_t label, void *step);"
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


def test_confidence_is_what_the_device_says() -> None:
    trainer, q, labels = task()
    trainer.twin.init()
    trainer.twin.train(q, labels, np.arange(50, dtype=np.uint32))  # the scale of the outputs has moved
    api = Api()
    api.c.life_init(api.model)
    for sample, label in zip(q[:50], labels[:50], strict=True):
        assert api.c.life_train_step(api.model, sample.tobytes(), int(label), api.ffi.NULL) == OK
    x, _ = corners(300)
    found = trainer.confidence(x[:40])
    y, drift = api.ffi.new("int8_t[]", 4), api.ffi.new("uint32_t[]", DRIFT.itemsize // 4)
    for sample, confidence in zip(q[:40], found, strict=True):
        assert api.c.life_predict(api.model, sample.tobytes(), y) == OK
        assert api.c.life_watch(api.model, y, drift) == OK
        assert np.frombuffer(api.bytes(drift), DRIFT)["confidence"][0] == confidence
    assert found.dtype == np.float32
    assert 0.25 <= found.min() < found.max() <= 1


def test_confidence_of_float_outputs() -> None:
    x, _ = corners(20)
    trainer = mg.compile(model((1, 12, 12), NET, name="life"), calibration=x, precision="float32")
    logits = trainer.twin.predict(trainer.quantize(x)).astype(np.float64)
    softmax = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(trainer.confidence(x), 1 / softmax.sum(axis=1), rtol=1e-5)


def test_confidence_is_that_of_one_class() -> None:
    x, _ = corners(20)
    trainer = mg.compile(model((1, 12, 12), NET, name="life"), calibration=x, loss="binary_cross_entropy")
    with pytest.raises(mg.UsageError, match="confidence is that of a class, and loss='binary_cross_entropy'"):
        trainer.confidence(x)


def test_bad_guards_change_nothing() -> None:
    api = Api()
    m, null, c, ffi = api.model, api.ffi.NULL, api.c, api.ffi
    x, labels = ffi.new("int8_t[]", 2 * 144), ffi.new("uint32_t[]", [1, 2])
    snapshot = ffi.new("uint32_t[]", api.size // 4)
    result = ffi.new("uint32_t[]", 3)
    assert c.life_guard(m, snapshot, x, labels, 2, 0.1, result) == STATE
    assert [c.life_snapshot(m, snapshot), c.life_rollback(m, snapshot)] == [STATE] * 2
    assert c.life_init(m) == OK
    before = api.bytes(m)
    assert c.life_rollback(m, snapshot) == STATE, "nothing was kept yet"
    assert [c.life_snapshot(null, snapshot), c.life_snapshot(m, null)] == [NULL] * 2
    assert [c.life_rollback(null, snapshot), c.life_rollback(m, null)] == [NULL] * 2
    arguments = [m, snapshot, x, labels]
    for i in range(4):
        given = [null if i == j else argument for j, argument in enumerate(arguments)]
        assert c.life_guard(*given, 2, 0.1, result) == NULL
    assert c.life_guard(*arguments, 0, 0.1, result) == ARG
    for margin in (-0.1, float("nan"), float("inf")):
        assert c.life_guard(*arguments, 2, margin, result) == ARG
    labels[1] = 4
    assert c.life_guard(*arguments, 2, 0.1, result) == LABEL
    assert not any(snapshot)
    assert not any(result)
    assert api.bytes(m) == before
    labels[1] = 3
    assert c.life_guard(*arguments, 2, 0.1, null) == OK
    assert c.life_guard(*arguments, 2, 0.1, result) == OK
    assert result[0] == 1


def test_bad_replays_change_nothing() -> None:
    api = Api()
    m, null, c, ffi = api.model, api.ffi.NULL, api.c, api.ffi
    x, header, memory = ffi.new("int8_t[]", 144), ffi.new("uint64_t[]", 40), ffi.new("uint32_t[]", 3 * 38)
    assert [c.life_replay_init(null, memory, 114, 0), c.life_replay_init(header, null, 114, 0)] == [NULL] * 2
    assert [c.life_replay_init(header, memory, words, 0) for words in (0, 37)] == [ARG] * 2
    got, label = ffi.new("const int8_t **"), ffi.new("uint32_t *")
    assert c.life_replay_add(header, x, 0) == STATE
    assert c.life_replay_draw(header, got, label) == STATE
    assert c.life_train_replay(m, header, x, 0, null) == STATE
    assert not any(header)
    assert c.life_replay_init(header, memory, 114, 0) == OK
    assert c.life_train_replay(m, header, x, 0, null) == STATE, "the model is not initialised"
    c.life_init(m)
    before = api.bytes(m), api.bytes(header)
    assert c.life_replay_draw(header, got, label) == EMPTY
    assert [
        c.life_replay_draw(*a) for a in ((null, got, label), (header, null, label), (header, got, null))
    ] == [NULL] * 3
    assert [
        c.life_replay_add(null, x, 0),
        c.life_replay_add(header, null, 0),
        c.life_replay_add(header, x, 4),
    ] == [*(NULL, NULL, LABEL)]
    assert [c.life_train_replay(null, header, x, 0, null), c.life_train_replay(m, null, x, 0, null)] == [
        NULL
    ] * 2
    assert [c.life_train_replay(m, header, null, 0, null), c.life_train_replay(m, header, x, 4, null)] == [
        NULL,
        LABEL,
    ]
    assert (api.bytes(m), api.bytes(header)) == before
    x[0] = 77
    assert c.life_train_replay(m, header, x, 3, null) == OK
    assert c.life_replay_draw(header, got, label) == OK
    assert (got[0][0], label[0]) == (77, 3)
