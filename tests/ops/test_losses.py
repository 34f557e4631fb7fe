"""Losses: gradients against finite differences, training with each, labels that cannot be used, generated C."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad import toolchain
from mcugrad.encoding import score
from mcugrad.graph import ActivationScale
from mcugrad.ops.loss.binary_cross_entropy_s8 import binary_cross_entropy_s8
from mcugrad.ops.loss.regression_s8 import regression_loss_s8
from mcugrad.ops.loss.softmax_cross_entropy_s8 import softmax_cross_entropy_s8
from mcugrad.training.losses import LabelKind, loss_of_one_answer
from networks import Conv, Dense, Pool, model, samples
from thoroughness import LONG, turns

OPEN = np.asarray([-(1 << 30), 1 << 30], np.int32)
CLASSES = 6
NET = (Conv(4, (3, 3), (2, 2), (1, 1, 1, 1)), Pool(), Dense(8, "relu"), Dense(CLASSES))
LOSSES: dict[str, mg.Loss] = {
    "cross_entropy": mg.Loss(),
    "smoothed": mg.Loss("cross_entropy", label_smoothing=0.1),
    "weighted": mg.Loss("cross_entropy", class_weights=(1, 2, 0.5, 1, 0, 1)),
    "binary_cross_entropy": mg.Loss("binary_cross_entropy"),
    "mse": mg.Loss("mse"),
    "mae": mg.Loss("mae"),
    "huber": mg.Loss("huber", delta=0.3),
}


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()


def float_loss(loss: mg.Loss, z: np.ndarray, label: Any) -> float:
    """The loss as its definition says, in float64."""
    if loss.name == "cross_entropy":
        wanted = np.full(len(z), loss.label_smoothing / len(z))
        wanted[label] += 1 - loss.label_smoothing
        return float(-(wanted * np.log(softmax(z))).sum())
    if loss.name == "binary_cross_entropy":
        p = 1 / (1 + np.exp(-z))
        return float(-(label * np.log(p) + (1 - label) * np.log(1 - p)).mean())
    d = z - label
    if loss.name == "mse":
        return float((d**2).mean())
    if loss.name == "mae":
        return float(np.abs(d).mean())
    inside = np.abs(d) <= loss.delta
    return float(np.where(inside, d**2 / 2, loss.delta * (np.abs(d) - loss.delta / 2)).mean())


def integer_loss(loss: mg.Loss, q: np.ndarray, scale: float, label: Any) -> tuple[float, np.ndarray]:
    """Loss and gradient by the reference kernel, the gradient in real units; weight scales differ per output."""
    n = len(q)
    w_scale = np.linspace(0.5, 2, n).astype(np.float32)
    e, c, result, scratch = (
        np.zeros(n, np.int8),
        np.zeros(2, np.float32),
        np.zeros(1, np.float32),
        np.zeros(n),
    )
    scratch = scratch.astype(np.float32)
    s = np.asarray([scale], np.float32)
    if loss.name == "cross_entropy":
        smoothing = np.asarray([loss.label_smoothing], np.float32)
        confidence = np.zeros(1, np.float32)
        softmax_cross_entropy_s8(
            n, n, 0, q, s, label, smoothing, w_scale, OPEN, e, c, result, confidence, scratch
        )
        np.testing.assert_allclose(confidence[0], softmax(q * scale).max(), rtol=1e-5)
    elif loss.name == "binary_cross_entropy":
        binary_cross_entropy_s8(n, n, 0, q, s, label, w_scale, OPEN, e, c, result, scratch)
    else:
        linear = np.asarray([{"mse": 3e38, "mae": 0.0}.get(loss.name, loss.delta)], np.float32)
        t_scale, t = np.asarray([0.02], np.float32), np.round(label / 0.02).astype(np.int8)
        regression_loss_s8(n, n, 0, 0, q, s, t, t_scale, linear, w_scale, OPEN, e, c, result, scratch)
    assert c[1] == np.abs(e).max() / 127, "the largest error fills its range"
    return float(result[0]), e.astype(np.float64) * c[0] / w_scale


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_loss_and_gradient_follow_the_definition(name: str) -> None:
    loss, random = LOSSES[name], np.random.default_rng(1)
    for _ in range(50):
        q = random.integers(-127, 128, CLASSES).astype(np.int8)
        scale = float(np.float32(random.uniform(0.005, 0.05)))
        label: Any = int(random.integers(CLASSES))
        if loss.label_kind is LabelKind.BITS:
            label = random.integers(0, 2, CLASSES).astype(np.uint8)
        elif loss.label_kind is LabelKind.VALUES:
            label = random.integers(-50, 50, CLASSES) * 0.02
        z = q * scale
        found, gradient = integer_loss(loss, q, scale, label)
        assert found == pytest.approx(float_loss(loss, z, label), rel=1e-4, abs=1e-5)
        steps = np.eye(CLASSES) * 1e-6
        wanted = np.asarray([float_loss(loss, z + h, label) - float_loss(loss, z - h, label) for h in steps])
        wanted /= 2e-6
        assert np.abs(gradient - wanted).max() <= 0.02 * np.abs(wanted).max() + 1e-7
        cosine = gradient @ wanted / max(np.linalg.norm(gradient) * np.linalg.norm(wanted), 1e-30)
        assert cosine >= 0.99


def task(loss: mg.Loss) -> tuple[mg.Trainer, np.ndarray, np.ndarray]:
    """A small network and samples whose label follows from the class."""
    net = model((1, 12, 12), NET, name="net")
    x = samples(net, 400, seed=3)[0]
    y = (x.reshape(400, -1) @ np.random.default_rng(5).normal(size=(144, CLASSES))).argmax(axis=1)
    label = np.eye(CLASSES)[y]
    y = y if loss.label_kind is LabelKind.CLASS else label
    labels = label if loss.label_kind is LabelKind.VALUES else None
    return mg.compile(net, calibration=x[:64], loss=loss, typical_labels=labels, rule="sr16"), x, y


@cache
def trained(name: str) -> tuple[mg.Trainer, np.ndarray, np.ndarray, float]:
    """A trainer that tests leave as it was delivered, its samples, and a rate."""
    # a mean over labels has small gradients
    return *task(LOSSES[name]), 0.2 if LOSSES[name].label_kind is LabelKind.BITS else 0.05


@pytest.mark.mcu
@pytest.mark.parametrize(
    ("name", "core"),
    # one of each kernel
    turns(
        sorted(LOSSES) if LONG else ["binary_cross_entropy", "huber", "weighted"],
        ["cortex-m0plus", "cortex-m4f"],
    ),
)
def test_training_with_it_on_a_core(name: str, core: str) -> None:
    trainer, x, y, rate = trained(name)
    trainer.verify(x[:12], y[:12], on=core, rate=rate)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_training_with_it(name: str) -> None:
    trainer, x, y, rate = trained(name)
    trainer.verify(x[:12], y[:12], on="reference", rate=rate)
    history = trainer.fit(x, y, epochs=8, rate=rate, schedule="cosine", validation=(x, y))
    end = trainer.evaluate(x, y)
    trainer.twin.init()
    assert history[-1].loss < 0.9 * history[0].loss
    assert (history[0].accuracy is None) == (LOSSES[name].label_kind is not LabelKind.CLASS)
    assert history[-1].validation_accuracy == end


def test_a_class_without_weight_teaches_nothing() -> None:
    trainer, x, y = task(LOSSES["weighted"])
    before = trainer.state
    trainer.fit(x[y == 4], y[y == 4], rate=0.1)
    for name, value in trainer.state.items():
        if name.endswith(("_w", "_b", "_residual")):
            np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(("name", "compiler"), turns(["binary_cross_entropy", "mse"], ["zig", "gcc"]))
def test_generated_c_has_no_warnings(name: str, compiler: str) -> None:
    if compiler not in toolchain.host_compilers():
        pytest.skip(f"{compiler} is not installed")
    folder = task(LOSSES[name])[0].build.compiled.folder()
    toolchain.check_warnings([folder / "host.c", folder / "examples/main.c"], [folder], compiler=compiler)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "hinge"}, "unknown loss 'hinge'"),
        ({"label_smoothing": 1.0}, r"label smoothing of 1 is not in \[0, 1\)"),
        ({"name": "mse", "label_smoothing": 0.1}, "do not apply to mse"),
        ({"name": "huber", "delta": 0.0}, "delta of 0 is not above 0"),
        ({"class_weights": (1.0, -1.0)}, "a class weight is negative or not finite"),
        ({"class_weights": (float("nan"),)}, "a class weight is negative or not finite"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(mg.UsageError, match=message):
        mg.Loss(**options)


def test_class_weights_must_be_one_per_class() -> None:
    net = model((1, 12, 12), NET)
    with pytest.raises(mg.UsageError, match="2 class weights for 6 classes"):
        mg.compile(net, calibration=samples(net, 8)[0], loss=mg.Loss(class_weights=(1, 1)))


@pytest.mark.parametrize("labels", [None, [], [float("nan")]])
def test_values_need_a_range(labels: Any) -> None:
    net = model((1, 12, 12), NET)
    with pytest.raises(mg.DataError, match="the loss mse needs typical labels"):
        mg.compile(net, calibration=samples(net, 8)[0], loss="mse", typical_labels=labels)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_a_range_of_values_that_the_loss_does_not_take_is_refused(loss: str) -> None:
    net = model((1, 12, 12), NET)
    with pytest.raises(mg.UsageError, match=f"the loss {loss} takes no values") as error:
        mg.compile(net, calibration=samples(net, 8)[0], loss=loss, typical_labels=np.zeros((8, CLASSES)))
    assert error.value.where == "typical_labels"


def test_labels_that_do_not_fit() -> None:
    trainer, x, _ = task(LOSSES["binary_cross_entropy"])
    with pytest.raises(mg.DataError, match=r"y has shape \(3,\) for 3 samples of 6 outputs"):
        trainer.fit(x[:3], [0, 1, 2])
    with pytest.raises(mg.DataError, match="1 of 18 labels are neither 0 nor 1, the first is 2"):
        trainer.fit(x[:3], np.eye(6)[:3] + np.eye(6)[:3] * (np.arange(3) == 1)[:, None])
    with pytest.raises(mg.DataError, match="18 values that are NaN or infinite, the first in sample 0"):
        trainer.fit(x[:3], np.full((3, 6), np.nan))


def test_scores() -> None:
    q, real = np.asarray([[3, -2], [-1, 5]], np.int8), np.asarray([[0.3, -0.2], [-0.1, 0.5]], np.float32)
    assert score(LabelKind.CLASS, q, np.asarray([0, 0]), real) == 0.5
    assert score(LabelKind.BITS, q, np.asarray([[1, 0], [1, 1]]), real) == 0.75
    assert score(LabelKind.VALUES, q, real + np.float32(0.5), real) == pytest.approx(0.25)
    assert score(LabelKind.VALUES, q, 0 * real, 1e30 * real) == pytest.approx(0.0975e60), "beyond float32"


def test_an_autoencoder_restores_its_samples() -> None:
    net = model((8,), (Dense(5, "relu"), Dense(8)), name="auto")
    random = np.random.default_rng(0)
    x = random.normal(size=(500, 2)) @ random.normal(size=(2, 8))
    trainer = mg.compile(net, calibration=x[:64], loss="mse", typical_labels=x[:64], rule="sr16")
    before = trainer.evaluate(x, x)
    trainer.fit(x, x, epochs=10, rate=0.05, schedule="cosine")
    assert trainer.evaluate(x, x) < 0.3 * before
    assert trainer.predict(x).shape == (500, 8)
    quant = trainer.options.label_scale
    assert isinstance(quant, ActivationScale)


def test_divergence_is_told_and_loses_nothing() -> None:
    trainer, x, y = task(LOSSES["mse"])
    trainer.fit(x[:50], y[:50], rate=0.01)
    before = trainer.state
    with pytest.raises(mg.UsageError, match=r"training diverged in epoch \d: .* is no longer finite"):
        trainer.fit(x, y, rate=3e38)
    for name, value in trainer.state.items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear", mg.Schedule("cosine", warmup=5)])
def test_divergence_advises_no_schedule_that_was_taken(schedule: Any) -> None:
    """And of NumPy no warning comes before, which may be an error: the state holds numbers that are none."""
    trainer, x, y = task(LOSSES["mse"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(mg.UsageError, match="training diverged in epoch 1") as error:
            trainer.fit(x, y, rate=3e38, schedule=schedule)
    assert error.value.hint is not None
    assert ("schedule='cosine'" in error.value.hint) == (schedule == "constant")
    assert error.value.hint.startswith("a rate of 0.")


def test_a_held_out_score_that_is_not_finite_is_divergence(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, x, y = task(LOSSES["mse"])
    before = trainer.state
    monkeypatch.setattr(trainer, "_score", lambda samples, wanted: float("inf"))
    with pytest.raises(mg.UsageError, match="diverged in epoch 1: the held-out score is no longer finite"):
        trainer.fit(x[:40], y[:40], validation=(x[:40], y[:40]))
    for name, value in trainer.state.items():
        np.testing.assert_array_equal(value, before[name])


def one_answer(loss: str, y: Any) -> float:
    return loss_of_one_answer(mg.Loss(loss), np.asarray(y))


def test_loss_of_one_answer() -> None:
    assert one_answer("cross_entropy", [0, 1, 2, 3]) == pytest.approx(np.log(4))
    assert one_answer("cross_entropy", [7, 7]) == 0
    assert one_answer("binary_cross_entropy", [[0, 1], [1, 1]]) == pytest.approx(np.log(2) / 2)
    assert one_answer("mse", [[0.0], [2.0]]) == pytest.approx(1)
    assert one_answer("mae", [[0.0], [0.0], [9.0]]) == pytest.approx(3)
    assert one_answer("huber", [[0.0], [0.0], [9.0]]) == pytest.approx(8.5 / 3)
