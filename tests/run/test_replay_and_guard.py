"""Replay from a reservoir and the guard, the same on every executor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from life_models import CAPACITY, device, kinds, learner, mcu
from mcugrad.ops.life.replay import replay_slot
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import Runner, State, differences

F32 = np.float32


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
    kept = np.zeros(40)
    for seed in range(300):
        reservoir = Reservoir(10, 1, seed)
        for _ in range(40):
            reservoir.add(0)
        kept[reservoir.samples] += 1
    assert kept.sum() == 3000
    quarters = kept.reshape(4, 10).sum(axis=1) / 3000
    assert np.abs(quarters - 0.25).max() < 0.03


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capacity": 0}, "a replay buffer cannot hold 0 samples"),
        ({"capacity": 4, "every": 0}, "every=0 never trains a stored sample"),
        ({"capacity": 4, "seed": -1}, "seed -1 does not fit into 32 bits"),
        ({"capacity": 4, "collect": False}, "without source that collects nothing stays empty"),
        ({"capacity": 2**31}, "a replay buffer cannot hold 2147483648 samples"),
        ({"capacity": 4, "every": 2**32}, "every=4294967296 never trains"),
        ({"capacity": 4, "seed": 2**32}, "seed 4294967296 does not fit"),
        ({"capacity": 4, "remember": 1}, "remember=1 is neither True nor False"),
        ({"capacity": 4, "remember": True}, "there is nothing to remember"),
    ],
)
def test_replay_that_makes_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(mg.UsageError, match=message):
        mg.Replay(**options)


def test_replay_as_far_as_it_makes_sense() -> None:
    plain = mg.Replay(1)
    assert (plain.every, plain.source, plain.collects, plain.seed, plain.remember) == (
        1,
        None,
        True,
        0,
        False,
    )
    wide = mg.Replay(2**31 - 1, every=2**32 - 1, seed=2**32 - 1, source=(np.zeros(1), [0]), remember=True)
    assert not wide.collects
    assert mg.Replay(4, source=(np.zeros(1), [0]), collect=True).collects
    assert [mg.Replay(4).draws(n) for n in (0, 1, 5)] == [0, 0, 4], "nothing is stored before the first"
    assert [mg.Replay(4, every=2).draws(n) for n in (0, 1, 2, 5)] == [0, 0, 1, 2]
    assert [mg.Replay(4, source=(np.zeros(1), [0])).draws(n) for n in (0, 1, 5)] == [0, 1, 5]


def test_replay_keeps_what_was_known() -> None:
    """Two corners learned first, then the other two alone: without replay the first are forgotten, with it not."""
    trainer, x, y = learner()
    first, then = y < 2, y >= 2
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
    trainer, x, y = learner()
    trainer.fit(x, y, epochs=3, rate=0.03)
    replay = mg.Replay(32, source=(x[:64], (y[:64] + 1) % 4))
    trainer.fit(x, y, rate=0.0, replay=replay)
    watch = trainer.state["watch"][0]
    assert watch["accuracy"] > 0.95
    assert watch["drift_sum"] < 1


# --- guard ----------------------------------------------------------------------------------------------------


def test_a_guard_undoes_harm() -> None:
    trainer, x, y = learner()
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
    trainer, x, y = learner()
    guard = mg.Guard(x[200:], y[200:], every=75, margin=0.5)
    history = trainer.fit(x[:200], y[:200], epochs=4, rate=0.03, guard=guard)
    last = history[-1].guard
    assert last is not None
    assert last.outcome in ("best", "within")
    assert last.error == pytest.approx(1 - trainer.evaluate(x[200:], y[200:]))


def test_guards_that_make_no_sense() -> None:
    for margin in (-0.1, float("nan"), float("inf"), 3.1e38):
        with pytest.raises(mg.UsageError, match=r"margin=.* is not usable"):
            mg.Guard(np.zeros(1), [0], margin=margin)
    for every in (-1, 2**32):
        with pytest.raises(mg.UsageError, match=f"every={every} is no number of samples"):
            mg.Guard(np.zeros(1), [0], every=every)


def test_guards_as_far_as_they_make_sense() -> None:
    plain = mg.Guard(np.zeros(1), [0])
    assert (plain.every, plain.margin) == (0, 0.02), "after each epoch, two points"
    for every, margin in ((2**32 - 1, 0.0), (0, 3e38)):
        assert mg.Guard(np.zeros(1), [0], every=every, margin=margin).margin == margin


RUNNERS: dict[str, Callable[[mg.Trainer], Runner]] = {
    "host": lambda trainer: HostTwin(trainer.build.compiled),
    "reference": lambda trainer: ReferenceRunner(trainer.build.compiled),
}


@pytest.mark.parametrize("who", RUNNERS)
def test_a_guard_comes_back_only_beyond_the_margin(who: str) -> None:
    """Not at it: errors are shares of four samples, margins quarters, both exact in float32."""
    trainer, x, _ = kinds("classes")
    runner, x = RUNNERS[who](trainer), x[:4]
    runner.begin_guard()
    right = runner.predict(x).argmax(axis=1).astype(np.uint32)
    wrong = [np.where(np.arange(4) < n, (right + 1) % 4, right).astype(np.uint32) for n in range(5)]

    def look(errors: int, margin: float) -> tuple[str, float, float]:
        found = runner.guard(x, wrong[errors], margin)
        return found.outcome, found.error, found.best

    def moved() -> State:
        runner.train(x, right, np.arange(4, dtype=np.uint32), np.zeros(4, F32))
        state = runner.state()
        state["fc1_b"] += 1
        runner.restore(state)
        return state

    assert look(2, 0.0) == ("best", 0.5, 0.5), "the first is the best so far"
    best = moved()
    assert runner.predict(x).argmax(axis=1).tolist() == right.tolist(), "a change that changes no class"
    assert look(2, 0.0) == ("best", 0.5, 0.5), "as good, and newer"
    later = moved()
    assert look(3, 0.25) == ("within", 0.75, 0.5), "at the margin"
    assert differences(later, runner.state()) == []
    assert look(4, 0.25) == ("restored", 1.0, 0.5), "beyond it"
    back = runner.state()
    np.testing.assert_array_equal(back["fc1_b"], best["fc1_b"])
    for name in ("schedule", "watch", "step"):
        np.testing.assert_array_equal(back[name], later[name])
    assert look(3, 0.25 - 2.0**-24) == ("restored", 0.75, 0.5), "the last bit of the sum less"
    assert look(1, 0.0) == ("best", 0.25, 0.25)
    assert look(2, 0.0) == ("restored", 0.5, 0.25), "without a margin"


# --- on every executor ----------------------------------------------------------------------------------------


def guarded_life(runner: Runner, x: np.ndarray, y: np.ndarray) -> tuple[list[Any], State]:
    """Three parts with a look of the guard after each, the second of them at a rate that does harm."""
    runner.begin_guard()
    runner.begin_replay(CAPACITY, 2, True, 5)
    runner.replay_add(x[:9], y[:9])
    seen: list[Any] = [runner.guard(x[40:], y[40:], 0.05)]
    for rate in (0.02, 0.5, 0.05):
        seen.append(runner.train(x, y, np.arange(20, dtype=np.uint32), np.full(20, rate, F32)).info.tobytes())
        seen.append(runner.guard(x[40:], y[40:], 0.05))
    stored = runner.replay()
    return [*seen, stored.header.tobytes(), stored.memory.tobytes()], runner.state()


@pytest.mark.parametrize(
    "name", ["classes", "bits", "values", "shifted values", "some samples", "float32", "float32 values"]
)
def test_the_reference_replays_and_guards_alike(name: str) -> None:
    trainer, x, y = kinds(name)
    seen, state = guarded_life(HostTwin(trainer.build.compiled), x, y)
    found, found_state = guarded_life(ReferenceRunner(trainer.build.compiled), x, y)
    assert differences(state, found_state) == []
    assert found == seen
    if name == "classes":
        assert [seen[i].outcome for i in (0, 2, 4, 6)] == ["best", "best", "restored", "best"]


def test_guards_of_the_reference_meet_what_is_no_number() -> None:
    """An output that is no number is never the largest, and an error that is none is as large as one can be."""
    for name, wanted in (("float32", None), ("float32 values", 3e38)):
        trainer, x, y = kinds(name)
        state = trainer.state
        broken = {**state, "fc1_b": np.where(np.arange(4) == 2, F32(np.nan), state["fc1_b"]).astype(F32)}
        found = []
        for runner in (HostTwin(trainer.build.compiled), ReferenceRunner(trainer.build.compiled)):
            runner.begin_guard()
            runner.restore(broken)
            found.append(runner.guard(x[:20], y[:20], 0.5))
        assert found[0] == found[1]
        assert wanted is None or found[0].error == F32(wanted)


def test_the_reference_forgets_what_was_best() -> None:
    trainer, x, _ = kinds("classes")
    runner = ReferenceRunner(trainer.build.compiled)
    right = runner.predict(x[:4]).argmax(axis=1).astype(np.uint32)
    assert runner.guard(x[:4], right, 0.0).best == 0
    runner.begin_guard()
    found = runner.guard(x[:4], (right + 1) % 4, 0.0)
    assert (found.outcome, found.best) == ("best", 1)


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(
    ("name", "core"),
    [
        ("classes", "cortex-m4f"),
        ("values", "cortex-m0plus"),
        ("some samples", "cortex-m0plus"),
        ("float32", "cortex-m4f"),
    ],
)
def test_cores_replay_and_guard_alike(name: str, core: str) -> None:
    trainer, x, y = kinds(name)
    seen, state = guarded_life(HostTwin(trainer.build.compiled), x, y)
    found, found_state = guarded_life(device(name, core), x, y)
    assert differences(state, found_state) == []
    assert found == seen
