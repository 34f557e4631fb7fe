"""Replay that remembers: training towards what a network said about a sample, the same on every executor."""

from __future__ import annotations

import re

import numpy as np
import pytest

import mcugrad as mg
from life_models import ARG, CAPACITY, CORES, NET, NULL, OK, STATE, Api, device, kinds, learner, mcu
from mcugrad.ops.life.replay import drawn
from mcugrad.ops.loss.soft_cross_entropy_f32 import soft_cross_entropy_f32
from mcugrad.ops.loss.soft_cross_entropy_s8 import soft_cross_entropy_s8, soften_s8
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import Runner, State, differences
from networks import corners, model
from thoroughness import turns

F32 = np.float32
CLASSES = 4
OPEN = np.asarray([-(1 << 30), 1 << 30], np.int32)
KINDS = ("classes", "sr16", "sparse", "some samples", "head", "float32", "sparse float32", "mixed")


def taught(name: str, epochs: int = 3) -> tuple[HostTwin, np.ndarray, np.ndarray]:
    """A twin that knows the samples."""
    trainer, x, y = kinds(name)
    twin = HostTwin(trainer.build.compiled)
    for _ in range(epochs):
        twin.train(x, y, np.arange(len(x), dtype=np.uint32), np.full(len(x), 0.03, F32))
    return twin, x, y


def soft_labels(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(1, 256, (count, CLASSES)).astype(np.uint8)


def some(count: int, rate: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Order and rates of so many steps."""
    return np.arange(count, dtype=np.uint32), np.full(count, rate, F32)


# --- the loss -------------------------------------------------------------------------------------------------


def defined(z: np.ndarray, soft: np.ndarray) -> float:
    """9 times the cross-entropy of soft and softmax(z / 3), in float64."""
    scaled = z / 3
    log_p = scaled - scaled.max() - np.log(np.exp(scaled - scaled.max()).sum())
    return float(-9 * (soft / soft.sum() * log_p).sum())


def test_loss_and_gradient_follow_the_definition() -> None:
    random, n = np.random.default_rng(1), 6
    for _ in range(50):
        q, soft = random.integers(-127, 128, n).astype(np.int8), random.integers(0, 256, n).astype(np.uint8)
        scale, w_scale = np.asarray([random.uniform(0.005, 0.05)], F32), np.linspace(0.5, 2, n).astype(F32)
        z = q * float(scale[0])
        wanted = np.asarray([defined(z + h, soft) - defined(z - h, soft) for h in np.eye(n) * 1e-5]) / 2e-5
        e, c, scratch = np.zeros(n, np.int8), np.zeros(2, F32), np.zeros(n, F32)
        loss, confidence, ratio = (np.zeros(1, F32) for _ in range(3))
        soft_cross_entropy_s8(
            *(n, n, 0, q, scale, soft, w_scale, OPEN, e, c, loss, confidence, ratio, scratch)
        )
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        assert loss[0] == pytest.approx(defined(z, soft), rel=1e-5)
        assert confidence[0] == pytest.approx(p.max(), rel=1e-4)
        assert c[1] == np.abs(e).max() / 127 == 1
        gradient = e * float(c[0]) / w_scale
        assert np.abs(gradient - wanted).max() <= 0.02 * np.abs(wanted).max() + 1e-6
        assert ratio[0] == pytest.approx(np.abs(wanted).sum() / 6, rel=1e-3, abs=1e-5)
        real = np.zeros(n, F32)
        ratio[0] = 0
        soft_cross_entropy_f32(n, z.astype(F32), soft, real, loss, confidence, ratio)
        assert ratio[0] == pytest.approx(np.abs(wanted).sum() / 6, rel=1e-3, abs=1e-5)
        assert loss[0] == pytest.approx(defined(z, soft), rel=1e-5)
        np.testing.assert_allclose(real, wanted, atol=1e-5)


def test_what_is_kept_is_a_softmax_at_temperature_3() -> None:
    q, soft = np.asarray([10, -128, 127, 100], np.int8), np.zeros(4, np.uint8)
    soften_s8(4, q, np.asarray([0.05], F32), soft)
    np.testing.assert_array_equal(soft, np.round(255 * np.exp((q.astype(int) - 127) * 0.05 / 3)))


def real_outputs(twin: HostTwin, x: np.ndarray) -> np.ndarray:
    """Outputs by the scale that they have now."""
    outputs: np.ndarray = twin.predict(x[:CAPACITY]).astype(np.float64)
    return outputs * float(twin.state().get("fc1_y_scale", np.ones(1))[0])


@pytest.mark.parametrize("name", ["sr16", "float32"])
def test_towards_what_it_says_the_model_hardly_moves(name: str) -> None:
    """The remembered distribution differs from the model's own by its rounding to 1/255 alone."""
    twin, x, y = taught(name)
    twin.begin_replay(CAPACITY, 1, False, 0)
    twin.replay_add(x[:CAPACITY], y[:CAPACITY])
    twin.replay_remember()
    soft = twin.replay().memory[:, 1:].copy().view(np.uint8)[:, 144 : 144 + CLASSES]
    assert (soft.max(axis=1) == 255).all()
    begin, before = twin.state(), real_outputs(twin, x)
    steps = twin.train_soft(x[:CAPACITY], soft, *some(CAPACITY))
    towards = np.abs(real_outputs(twin, x) - before).mean()
    twin.restore(begin)
    twin.train(x[:CAPACITY], (y[:CAPACITY] + 1) % CLASSES, *some(CAPACITY))
    assert towards < 0.1 * np.abs(real_outputs(twin, x) - before).mean()
    share = soft / soft.sum(axis=1, keepdims=True)
    entropy = -9 * np.where(share > 0, share * np.log(np.maximum(share, 1e-9)), 0).sum(axis=1)
    assert np.abs(steps.loss[0] - entropy[0]) < 0.01, "at least the entropy of what is wanted"


# --- a step ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["classes", "sparse", "float32", "sparse float32"])
def test_running_means_are_those_of_labels(name: str) -> None:
    twin, x, _ = taught(name)
    before = twin.state()
    info = twin.train_soft(x, soft_labels(len(x)), *some(len(x))).info
    after = twin.state()
    assert differences({"watch": before["watch"]}, after) == []
    assert (info["mean_loss"] == before["watch"]["loss"]).all()
    assert (info["loss"] > 3).all(), "9 times an entropy, far above any loss of a label"
    assert int(after["step"][0]) == int(before["step"][0]) + len(x)
    if "sparse" in name:
        np.testing.assert_array_equal(after["largest_loss"], before["largest_loss"])
        rates = info["update_rate"]
        assert 0.3 <= rates.min() < rates.max() <= 1


@pytest.mark.parametrize("name", ["sparse", "sparse float32"])
def test_the_share_that_is_updated_follows_the_distance(name: str) -> None:
    """Far from what is wanted more channels take part than near it."""
    twin, x, y = taught(name, 8)
    shares = []
    for shift in (0, 1):
        soft = np.full((len(x), CLASSES), 8, np.uint8)
        soft[np.arange(len(x)), (y + shift) % CLASSES] = 255
        shares.append(float(twin.train_soft(x, soft, *some(len(x), 0.0)).info["update_rate"].mean()))
    assert shares[0] + 0.1 < shares[1]


def test_smoothing_and_class_weights_are_of_labels() -> None:
    plain, x, _ = kinds("classes")
    loss = mg.Loss(label_smoothing=0.2, class_weights=(0, 1, 2, 3))
    other = mg.compile(
        plain.model, calibration=corners(60)[0], rule="sr8", seed=5, rate=0.01, loss=loss, features="soft"
    )
    states = []
    for trainer in (plain, other):
        twin = HostTwin(trainer.build.compiled)
        twin.train_soft(x, soft_labels(60), *some(40))
        states.append(twin.state())
    assert differences(*states) == []


# --- replay ---------------------------------------------------------------------------------------------------


def train_back(twin: Runner, x: np.ndarray, y: np.ndarray, rate: np.ndarray) -> None:
    """A step on a stored sample: running means stay as they are."""
    watch = twin.state()["watch"]
    twin.train(x, y, np.zeros(1, np.uint32), rate)
    twin.restore(twin.state() | {"watch": watch})


def test_replay_trains_what_it_remembers() -> None:
    """By hand: each new sample by its label, then a stored one: remembered, towards that; else by its label."""
    twin, x, y = taught("classes", 1)
    begin, rate = twin.state(), np.full(1, 0.02, F32)
    twin.begin_replay(CAPACITY, 1, False, 7)
    twin.replay_add(x[:5], y[:5])
    twin.replay_remember()
    twin.replay_add(x[5:7], y[5:7])
    memory = twin.replay().memory
    soft = memory[:, 1:].copy().view(np.uint8)[:, 144 : 144 + CLASSES]
    assert [bool(row.any()) for row in soft] == [True] * 5 + [False] * 3
    twin.train(x, y, *some(40))
    found = twin.state()
    twin.end_replay()
    twin.restore(begin)
    for i in range(40):
        twin.train(x, y, np.asarray([i], np.uint32), rate)
        old = drawn(7, i, 7)
        if old < 5:
            twin.train_soft(x[:5], soft[:5], np.asarray([old], np.uint32), rate)
        else:
            train_back(twin, x[[old]], y[[old]], rate)
    assert differences(twin.state(), found) == []


def test_what_is_remembered_is_trained_as_it_came() -> None:
    """With augmentation new samples change, and stored ones that have their label alone."""
    trainer, x, y = kinds("classes")
    twin, x, y = taught("classes", 1)
    how = trainer.augmentation(mg.Augment(shift=1, gain=0.1, noise=0.1, seed=3))
    begin, rate, first = twin.state(), np.full(1, 0.02, F32), np.zeros(1, np.uint32)
    twin.begin_augment(how)
    twin.begin_replay(CAPACITY, 1, False, 7)
    twin.replay_add(x[:5], y[:5])
    twin.replay_remember()
    twin.replay_add(x[5:7], y[5:7])
    soft = twin.replay().memory[:, 1:].copy().view(np.uint8)[:, 144 : 144 + CLASSES]
    twin.train(x, y, *some(40))
    found = twin.state()
    twin.end_replay()
    old = [drawn(7, i, 7) for i in range(40)]
    twin.begin_augment(how)
    changed = [[twin.augment(x[[n]]) for n in ((i,) if k < 5 else (i, k))] for i, k in enumerate(old)]
    twin.end_augment()
    twin.restore(begin)
    for i, k in enumerate(old):
        twin.train(changed[i][0], y[[i]], first, rate)
        if k < 5:
            twin.train_soft(x[[k]], soft[[k]], first, rate)
        else:
            train_back(twin, changed[i][1], y[[k]], rate)
    assert differences(twin.state(), found) == []


def test_who_takes_a_place_is_not_taken_for_who_was_there() -> None:
    twin, x, y = taught("classes", 1)
    twin.begin_replay(CAPACITY, 1, True, 7)
    twin.replay_add(x[:CAPACITY], y[:CAPACITY])
    twin.replay_remember()
    before = twin.replay().memory
    twin.train(x[CAPACITY:], y[CAPACITY:], *some(len(x) - CAPACITY))
    after = twin.replay().memory
    changed = (before[:, 1:37] != after[:, 1:37]).any(axis=1)
    assert changed.any()
    for place in range(CAPACITY):
        assert after[place, 37] == (0 if changed[place] else before[place, 37])
    twin.replay_remember()
    assert twin.replay().memory[:, 37].all()


def test_fit_remembers() -> None:
    trainer, x, y = learner()
    first, then = y < 2, y >= 2
    trainer.fit(x[first], y[first], epochs=3, rate=0.03)
    replay = mg.Replay(8, source=(x[first][:8], y[first][:8]), remember=True)
    before = trainer.predict(x[first])
    history = trainer.fit(x[then], y[then], epochs=3, rate=0.03, schedule="cosine", replay=replay)
    assert history[-1].steps == 6 * int(then.sum())
    assert (trainer.predict(x[first]) == before).mean() > 0.95
    assert trainer.evaluate(x[then], y[then]) > 0.9


# --- on every executor ----------------------------------------------------------------------------------------


def life(runner: Runner, trainer: mg.Trainer, x: np.ndarray, y: np.ndarray) -> tuple[list[bytes], State]:
    """Learning, remembering, learning with replay, augmented, too, and towards other distributions."""
    seen = [runner.train(x, y, *some(10)).info.tobytes()]
    runner.begin_replay(CAPACITY, 1, True, 5)
    runner.replay_add(x[:6], y[:6])
    runner.replay_remember()
    seen.append(runner.replay().memory.tobytes())
    seen.append(runner.train(x[20:], y[20:], *some(12)).info.tobytes())
    runner.replay_remember()
    runner.begin_augment(trainer.augmentation(mg.Augment(gain=0.1, noise=0.1)))
    seen.append(runner.train(x[32:], y[32:], *some(10)).info.tobytes())
    runner.end_augment()
    runner.end_replay()
    seen.append(runner.replay().memory.tobytes() if isinstance(runner, EmulatedDevice) else b"")
    seen.append(runner.train_soft(x, soft_labels(len(x)), *some(8)).info.tobytes())
    return seen, runner.state()


def assert_same(runner: Runner, name: str) -> None:
    trainer, x, y = kinds(name)
    seen, state = life(HostTwin(trainer.build.compiled), trainer, x, y)
    found, found_state = life(runner, trainer, x, y)
    assert differences(state, found_state) == []
    assert found[:4] + found[5:] == seen[:4] + seen[5:]


@pytest.mark.parametrize("name", KINDS)
def test_the_reference_remembers_alike(name: str) -> None:
    assert_same(ReferenceRunner(kinds(name)[0].build.compiled), name)


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(
    ("name", "core"), turns(["classes", "sparse", "some samples", "sparse float32"], CORES)
)
def test_cores_remember_alike(name: str, core: str) -> None:
    assert_same(device(name, core), name)


# --- bad calls ------------------------------------------------------------------------------------------------


def test_only_classes_can_be_remembered() -> None:
    x, _ = corners(20)
    y = np.random.default_rng(0).uniform(-1, 1, (20, CLASSES))
    trainer = mg.compile(model((1, 12, 12), NET), calibration=x, loss="mse", typical_labels=y)
    with pytest.raises(
        mg.UsageError, match="the loss mse has no classes that a replay buffer could remember"
    ):
        trainer.fit(x, y, replay=mg.Replay(4, source=(x, y), remember=True))
    compiled = trainer.build.compiled
    for runner in (HostTwin(compiled), ReferenceRunner(compiled)):
        with pytest.raises(mg.UsageError, match="only a loss on classes can be trained towards"):
            runner.train_soft(trainer.quantize(x), soft_labels(20), *some(2))
        runner.begin_replay(4, 1, True, 0)
        with pytest.raises(mg.UsageError, match="only a loss on classes can be trained towards"):
            runner.replay_remember()
    for text in compiled.files.values():
        assert not re.search(r"_train_soft|_replay_remember|mcg_soft", text)


def test_a_buffer_that_begins_empty_remembers_nothing() -> None:
    with pytest.raises(mg.UsageError, match="nothing to remember in a replay buffer that begins empty"):
        mg.Replay(8, remember=True)
    with pytest.raises(mg.UsageError, match="remember='yes' is neither True nor False"):
        mg.Replay(8, remember="yes")  # type: ignore[arg-type]


def test_soft_labels_that_cannot_be_used() -> None:
    trainer, x, _ = kinds("classes")
    before, soft = trainer.state, soft_labels(len(x))
    with pytest.raises(mg.UsageError, match=r"soft labels of shape \(60, 3\) for 60 samples of 4 classes"):
        trainer.twin.train_soft(x, soft[:, :3], *some(2))
    with pytest.raises(mg.UsageError, match="order names sample 60 of 60"):
        trainer.twin.train_soft(x, soft, np.asarray([60], np.uint32))
    soft[[7, 9]] = 0
    with pytest.raises(mg.UsageError, match=r"2 of 60 soft labels are all 0, the first is that of sample 7"):
        trainer.twin.train_soft(x, soft, *some(2))
    assert differences(before, trainer.state) == []


def test_bad_calls_change_nothing() -> None:
    api = Api()
    m, null, c, ffi = api.model, api.ffi.NULL, api.c, api.ffi
    x, soft = ffi.new("int8_t[]", 144), ffi.new("uint8_t[]", [0, 0, 0, 0])
    header, memory = ffi.new("uint64_t[]", 40), ffi.new("uint32_t[]", 3 * 38)
    assert c.life_train_soft(m, x, soft, null) == STATE
    assert c.life_replay_remember(m, header) == STATE
    assert c.life_init(m) == OK
    assert c.life_replay_remember(m, header) == STATE
    assert c.life_replay_init(header, memory, 3 * 38, 0) == OK
    before = api.bytes(m)
    calls = [(null, x, soft), (m, null, soft), (m, x, null)]
    assert [c.life_train_soft(*call, null) for call in calls] == [NULL] * 3
    assert c.life_train_soft(m, x, soft, null) == ARG
    assert [c.life_replay_remember(null, header), c.life_replay_remember(m, null)] == [NULL] * 2
    assert c.life_replay_remember(m, header) == OK, "nothing is stored, nothing to do"
    assert not any(memory)
    assert api.bytes(m) == before
    soft[2] = 1
    assert c.life_train_soft(m, x, soft, null) == OK
    assert api.bytes(m) != before


def test_remembering_changes_nothing_that_was_learned() -> None:
    twin, x, y = taught("classes", 1)
    twin.begin_replay(CAPACITY, 1, True, 0)
    twin.replay_add(x[:CAPACITY], y[:CAPACITY])
    before = twin.state()
    twin.replay_remember()
    assert differences(before, twin.state()) == []
