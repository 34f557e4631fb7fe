"""What a step reports: loss, accuracy, drift, confidence."""

from __future__ import annotations

import numpy as np
import pytest

import mcugrad as mg
from life_models import NET, OK, Api, task
from mcugrad.abi.records import DRIFT, WATCH
from mcugrad.ops.life.life import DRIFT_LIMIT, watch_class, watch_confidence_s8
from mcugrad.run.host import HostTwin
from mcugrad.training.schedules import rates
from networks import corners, model

F32 = np.float32


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
        model((1, 12, 12), NET), calibration=x, loss="mse", typical_labels=np.asarray([[-1.0], [1.0]])
    )
    wanted = trainer.labels(np.random.default_rng(0).uniform(-1, 1, (40, 4)), 40)
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
