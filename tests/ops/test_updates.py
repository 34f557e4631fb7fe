"""Options of update rules: what they compute against float, and the same bytes everywhere."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad import arithmetic as ar
from mcugrad.abi.records import SCALE
from mcugrad.ops.linear.linear_s8 import LINEAR_UPDATE, LinearStruct
from mcugrad.ops.update.apply_s8 import APPLY_BIAS, APPLY_STANDARDIZED, APPLY_UPDATE
from mcugrad.ops.update.update_s8 import DECAY_TURNS, DECAY_WEIGHTS, PREPARE_UPDATE
from mcugrad.training.rules import IN_PLACE, PLANES, RuleChoice
from networks import Conv, Dense, Pool, corners, model
from thoroughness import LONG, turns

Update = mg.Update

# --- against float ---------------------------------------------------------------------------------------------

ROWS, COUNT = 3, 40
RATE, C, X_SCALE = 0.003, 0.02, 0.1


class Layer:
    """A linear layer that learns by the reference kernels, and the same in float64."""

    def __init__(self, update: mg.Update, seed: int = 0) -> None:
        self.update, self.seed = update, np.asarray([seed], np.uint32)
        self.rule, self.plane = IN_PLACE[update.rule], PLANES[update.velocity_bits]
        random = np.random.default_rng(5)
        self.w_scale = np.asarray([0.01, 0.02, 0.005], np.float32)
        self.real = random.uniform(-60, 60, (ROWS, COUNT)) * self.w_scale[:, None]
        w, residual = self.rule.encode(self.real, self.w_scale)
        self.w, self.residual = w.reshape(-1), residual.reshape(-1)
        self.real = self.weights()
        self.scale = self.w_scale * np.float32(2.0**-10)
        change, low = self.plane.encode(np.zeros((ROWS, COUNT)), self.scale)
        self.change, self.low = change.reshape(-1), low.reshape(-1)
        self.velocity = np.zeros((ROWS, COUNT))
        self.kept = np.ones(ROWS, np.float32)
        self.steps = 0

    def weights(self) -> np.ndarray:
        """Real weights as stored."""
        master = self.rule.split(self.w, self.residual, ROWS, COUNT) - self.rule.half
        return master / (1 << self.rule.residual_bits) * self.w_scale[:, None]

    def step(self, x: np.ndarray, e: np.ndarray) -> None:
        """One sample through update and apply, and through SGD with momentum in float."""
        u, step = self.update, np.asarray([self.steps], np.uint32)
        rate = np.asarray([RATE / u.batch], np.float32)
        factor = np.zeros(ROWS, SCALE)
        PREPARE_UPDATE.reference(
            ROWS, None, None, rate, np.asarray([C], np.float32), np.asarray([X_SCALE], np.float32), self.w_scale,
            self.scale, factor,
        )  # fmt: skip
        gradient = np.outer(e * C / self.w_scale, x * X_SCALE)
        LINEAR_UPDATE.reference(
            LinearStruct(COUNT, ROWS, COUNT, 0, 0), x, e, None, factor, self.plane, self.seed, step, 0, self.change,
            self.low if self.low.size else None, self.scale,
        )  # fmt: skip
        APPLY_UPDATE.reference(
            ROWS, COUNT, u.batch, round(u.momentum * 65536),
            None if u.clip is None else np.asarray([u.clip], np.float32), np.asarray([RATE], np.float32), self.rule,
            self.seed, step, 0, self.w, self.residual if self.residual.size else None, self.w_scale, self.change,
            self.low if self.low.size else None, self.scale, self.kept,
        )  # fmt: skip
        self.velocity -= RATE / u.batch * gradient
        self.steps += 1
        if self.steps % u.batch == 0:
            self.real = self.real + self.velocity
            self.velocity *= u.momentum


def samples(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(1)
    toward = random.integers(-100, 101, COUNT)  # gradients that agree in part, as real ones do
    return [
        (
            np.clip(toward + random.integers(-60, 61, COUNT), -127, 127).astype(np.int8),
            random.integers(-20, 21, ROWS).astype(np.int8),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    "update",
    [
        *([Update("sr16", momentum=0.9), Update("sr16", batch=4)] if LONG else []),
        Update("sr16", momentum=0.8, batch=3),
        Update("sr12", momentum=0.9),
        Update("sr16", momentum=0.9, velocity_bits=8),
    ],
    ids=lambda u: u.text,
)
def test_batch_and_momentum_follow_float(update: mg.Update) -> None:
    """Averaged over seeds, weights go where SGD in float goes, but for the first steps, in which ranges grow."""
    seeds = (3 if LONG else 2) * (1 if update.velocity_bits == 16 else 2)
    layers = [Layer(update, seed) for seed in range(seeds)]
    for i, (x, e) in enumerate(samples(120 if update.velocity_bits == 16 and not LONG else 180)):
        for layer in layers:
            layer.step(x, e)
            if i == 59:
                layer.real = layer.weights()
                master = layer.plane.split(layer.change, layer.low, ROWS, COUNT) - layer.plane.half
                layer.velocity = (
                    master / (1 << layer.plane.residual_bits) * layer.scale[:, None].astype(float)
                )
                start = layer.real.copy()
    expected = np.mean([layer.real - start for layer in layers], axis=0)
    found = np.mean([layer.weights() - start for layer in layers], axis=0)
    assert np.abs(expected).max() > 3 * layers[0].w_scale.max(), "there is something to see"
    assert np.corrcoef(expected.reshape(-1), found.reshape(-1))[0, 1] > 0.999
    slope = float((expected * found).sum() / (expected**2).sum())
    assert abs(slope - 1) < 0.03


def test_a_batch_that_is_not_full_stays_pending() -> None:
    layer = Layer(Update("sr12", batch=4))
    before = layer.w.copy(), layer.residual.copy()
    for x, e in samples(3):
        layer.step(x, e)
        assert all(np.array_equal(a, b) for a, b in zip(before, (layer.w, layer.residual), strict=True))
    assert layer.change.any()
    layer.step(*samples(4)[3])
    assert not np.array_equal(before[0], layer.w)
    assert not layer.change.any(), "without momentum nothing is kept"
    assert (layer.low == 128).all()


def test_clip_bounds_the_change_of_a_row() -> None:
    layer = Layer(Update("sr16", momentum=0.9, clip=0.3))
    clipped = 0
    for x, e in samples(60):
        before, scale = layer.weights(), layer.w_scale.copy()
        layer.step(x, e)
        moved = np.linalg.norm(layer.weights() - before, axis=1)
        limit = 0.3 * RATE * np.linalg.norm(before, axis=1)
        assert (moved <= 1.05 * limit + scale * 0.1).all(), "up to the rounding of the norms"
        clipped += int((layer.kept < 1).sum())
    assert clipped > 20


@pytest.mark.parametrize("name", IN_PLACE)
def test_decay_shrinks_weights_without_bias(name: str) -> None:
    """qas and sr16 too, whose own rounding would lose such small steps."""
    rule, repeats = IN_PLACE[name], 120 if LONG else 40
    w = np.asarray([[-127, -100, -1, 0, 1, 3, 90, 127]] * DECAY_TURNS, np.float64)
    rate, decay = np.asarray([0.01], np.float32), np.asarray([0.02], np.float32)
    total = np.zeros_like(w)
    for seed in range(repeats):
        data, low = (plane.reshape(-1) for plane in rule.encode(w, np.ones(len(w))))
        for step in range(DECAY_TURNS):
            place = np.asarray([seed], np.uint32), np.asarray([step], np.uint32), 0
            DECAY_WEIGHTS.reference(
                len(w), 8, None, decay, rate, rule, *place, data, low if low.size else None
            )
        total += (rule.split(data, low, len(w), 8) - rule.half) / (1 << rule.residual_bits) - w
    expected = -w * 0.01 * 0.02 * DECAY_TURNS
    noise = 0.5 / (1 << rule.residual_bits) / (repeats * len(w)) ** 0.5
    assert (np.abs(total / repeats - expected).mean(axis=0) <= 3 * noise * len(w) ** 0.5 + 2e-5).all()
    assert np.array_equal(np.sign(expected.sum(axis=0)), np.sign(total.sum(axis=0).round(3)))


def test_biases_follow_sgd_with_momentum() -> None:
    change, bias = np.asarray([0.0, 0.0], np.float32), np.asarray([1.0, -1.0], np.float32)
    kept = np.asarray([1.0, 0.5], np.float32)
    expected, velocity = bias.astype(np.float64), np.zeros(2)
    for step in range(40):
        gradient = np.asarray([0.1, -0.2]) * np.sin(step)
        change += gradient.astype(np.float32)
        velocity += gradient
        APPLY_BIAS.reference(2, 2, 58982, np.asarray([step], np.uint32), kept, change, bias)
        if step % 2:
            velocity *= kept
            expected, velocity = expected + velocity, velocity * 58982 / 65536
    np.testing.assert_allclose(bias, expected, rtol=1e-5)


@pytest.mark.parametrize("zero", [-128, -20, 127])
def test_standardized_is_the_published_formula(zero: int) -> None:
    random = np.random.default_rng(3)
    w = random.integers(-128, 128, (ROWS, COUNT)).astype(np.int8)
    plane, scale = PLANES[16], np.asarray([0.1, 0.02, 3.0], np.float32)
    w_scale, w_zero = np.full(ROWS, 0.01, np.float32), np.asarray([zero], np.int32)
    mean, deviation = np.zeros(ROWS, np.float32), np.zeros(ROWS, np.float32)
    real, moving = (w.astype(np.int64) - zero) * 0.01, (np.zeros(ROWS), np.zeros(ROWS))
    flat = w.reshape(-1)
    for step in range(6):
        gradient = random.normal(0.3, 1, (ROWS, COUNT)) * scale[:, None] * 30
        change, low = (p.reshape(-1) for p in plane.encode(-gradient, scale))
        now = gradient.mean(axis=1), gradient.std(axis=1)
        moving = now if step == 0 else tuple(0.85 * a + 0.15 * b for a, b in zip(moving, now, strict=True))
        real = real - 0.02 * (gradient - moving[0][:, None]) / moving[1][:, None]
        APPLY_STANDARDIZED.reference(
            ROWS, COUNT, 1, np.asarray([0.02], np.float32), np.asarray([step], np.uint32), flat, w_scale, w_zero,
            change, low, scale, mean, deviation,
        )  # fmt: skip
        assert not change.any()
        np.testing.assert_allclose(mean, -moving[0], rtol=1e-3)
        np.testing.assert_allclose(deviation, moving[1], rtol=1e-3)
        least, most = min(real.min(), 0), max(real.max(), 0)
        np.testing.assert_allclose(w_scale, (most - least) / 255, rtol=1e-2)
        assert abs(int(w_zero[0]) - (-128 - least / w_scale[0])) <= 1
        found = (flat.reshape(ROWS, COUNT).astype(np.int64) - w_zero[0]) * w_scale[:, None]
        assert np.abs(found - real).max() <= 1.1 * w_scale[0], (
            "rounded to nearest, and the ends to the zero point"
        )
        real = found


def test_standardized_leaves_rows_that_took_no_part() -> None:
    """Neither their weights nor their statistics change; the first batch that they take part in counts whole."""
    random = np.random.default_rng(4)
    plane, scale = PLANES[16], np.full(ROWS, 0.1, np.float32)
    w_scale, w_zero = np.full(ROWS, 0.01, np.float32), np.asarray([5], np.int32)
    w = random.integers(-128, 128, ROWS * COUNT).astype(np.int8)
    w[:2] = -128, 127  # the ends of the range are in the first row
    mean, deviation = np.zeros(ROWS, np.float32), np.zeros(ROWS, np.float32)
    taking_part = [(0, 1), (0,), (0, 1), (0, 2)]
    for step, rows in enumerate(taking_part):
        gradient = np.zeros((ROWS, COUNT))
        gradient[list(rows)] = random.normal(0.3, 1, (len(rows), COUNT))
        change, low = (p.reshape(-1) for p in plane.encode(-gradient, scale))
        before = (w.reshape(ROWS, COUNT).astype(np.int64) - w_zero[0]) * w_scale[:, None]
        statistics = mean.copy(), deviation.copy()
        APPLY_STANDARDIZED.reference(
            ROWS, COUNT, 1, np.asarray([0.02], np.float32), np.asarray([step], np.uint32), w, w_scale, w_zero,
            change, low, scale, mean, deviation,
        )  # fmt: skip
        after = (w.reshape(ROWS, COUNT).astype(np.int64) - w_zero[0]) * w_scale[:, None]
        for o in range(ROWS):
            if o not in rows:
                assert np.abs(after[o] - before[o]).max() <= 1.1 * w_scale[0]
                assert (mean[o], deviation[o]) == (statistics[0][o], statistics[1][o])
            elif not any(o in earlier for earlier in taking_part[:step]):
                np.testing.assert_allclose(deviation[o], gradient[o].std(), rtol=1e-3)


def test_sqrt() -> None:
    values = np.concatenate([np.exp(np.linspace(-80, 80, 999)), np.arange(1, 500)]).astype(np.float32)
    found = np.asarray([ar.sqrt(v) for v in values])
    np.testing.assert_allclose(found, np.sqrt(values), rtol=3e-7)
    assert [float(ar.sqrt(v)) for v in (0.0, -1.0, 1e-38, float("nan"))] == [0.0] * 4


# --- the same bytes everywhere -----------------------------------------------------------------------------------

ALONE: dict[str, Update] = {
    "momentum": Update("sr12", momentum=0.9),
    "int8 velocity": Update("sr8", momentum=0.9, velocity_bits=8, batch=4),
    "batch and decay": Update("sr16", batch=8, weight_decay=1e-2),
    "clip": Update("sr10", momentum=0.5, clip=0.5, weight_decay=0.1),
    "qas": Update("qas", momentum=0.9, batch=4),
    "standardized": Update("standardized", batch=4),
}
BY_LAYER: dict[str, dict[str, str | Update]] = {
    "momentum first": {
        "conv1": ALONE["momentum"],
        "conv2": ALONE["int8 velocity"],
        "fc1": ALONE["standardized"],
    },
    "clip first": {"conv1": ALONE["clip"], "conv2": ALONE["qas"], "fc1": ALONE["batch and decay"]},
    "batch first": {
        "conv1": ALONE["batch and decay"],
        "conv2": Update("standardized", batch=2, velocity_bits=8),
        "fc1": ALONE["momentum"],
    },
    "in place first": {"conv1": "qas", "conv2": Update("sr12", weight_decay=0.1), "fc1": ALONE["clip"]},
    "standardized first": {
        "conv1": ALONE["standardized"],
        "conv2": ALONE["momentum"],
        "fc1": ALONE["int8 velocity"],
    },
}
"""Every option but qas with momentum on a convolution and on a linear layer; the first three have all of them."""
EVERY: dict[str, RuleChoice] = {**(ALONE if LONG else {}), **BY_LAYER}


@cache
def problem() -> tuple[mg.Model, np.ndarray, np.ndarray]:
    layers = (Conv(5, stride=(2, 2), pads=(1, 1, 1, 1)), Pool(), Conv(7, (2, 2), act="relu6"), Dense(4))
    return (model((1, 12, 12), layers), *corners(160))


@cache
def every(name: str) -> mg.Trainer:
    """The network that learns as `EVERY` says; tests leave its twin as they found it."""
    return compiled(EVERY[name])


def compiled(choice: RuleChoice, **options: Any) -> mg.Trainer:
    net, x, _ = problem()
    return mg.compile(net, calibration=x[:64], rule=choice, seed=7, rate=0.05, **options)


@pytest.mark.parametrize("name", EVERY)
def test_host_and_reference(name: str) -> None:
    """In as many steps as every row has decayed twice in, and batches of 8 have ended four times."""
    _, x, y = problem()
    every(name).verify(x[:35], y[:35], on="reference")


@pytest.mark.mcu
@pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the emulator is not installed")
@pytest.mark.parametrize(
    ("name", "core"), turns([*EVERY][: None if LONG else 3], ["cortex-m4f", "cortex-m0plus"])
)
def test_every_option_on_a_core(name: str, core: str) -> None:
    _, x, y = problem()
    count = 160 if LONG else 35
    every(name).verify(x[:count], y[:count], on=core)


@pytest.mark.parametrize(
    "name",
    ["momentum", "int8 velocity", "clip", "qas"] if LONG else ["momentum first", "clip first", "batch first"],
)
def test_it_learns(name: str) -> None:
    _, x, y = problem()
    trainer = every(name)
    history = trainer.fit(x, y, epochs=6, rate=0.005 if "momentum" in name else 0.02)
    trainer.twin.init()
    assert history[-1].loss < 0.7 * history[0].loss


def test_biases_alone_have_batches_too() -> None:
    _, x, y = problem()
    trainer = compiled(Update(batch=4, momentum=0.5, clip=1.0, weight_decay=0.1), train="bias")
    assert "conv1_b_change" in trainer.state
    assert not [name for name in trainer.state if name.endswith("_w_change")]
    trainer.verify(x[:20], y[:20], on="reference")


def test_momentum_stays_below_one() -> None:
    """A share that rounds to all of it: what is kept would never fade."""
    calls = compiled(Update(momentum=0.999999)).build.compiled.program.calls
    kept = [[a.value for a in c.arguments] for c in calls if c.kernel in (APPLY_UPDATE, APPLY_BIAS)]
    assert len(kept) == 6
    assert all(65535 in values and 65536 not in values for values in kept)


def test_planes_are_state() -> None:
    """Stopped within a batch and restored elsewhere, it goes on as if nothing had been."""
    _, x, y = problem()
    trainer = every("standardized first")
    trainer.fit(x[:13], y[:13], shuffle=False)
    begun = trainer.state
    ends = []
    for _ in range(2):
        trainer.state = begun
        trainer.fit(x[13:30], y[13:30], shuffle=False)
        ends.append(trainer.state)
        trainer.twin.init()
    assert begun["fc1_w_change"].any()
    assert all(np.array_equal(ends[1][k], v) for k, v in ends[0].items())


def test_the_header_says_how_it_learns() -> None:
    trainer = compiled({"fc1": "sr8", "*": Update("sr12", momentum=0.9, batch=8, clip=0.02)})
    header = trainer.build.compiled.files["net.h"]
    line = "conv1, conv2 (sr12, batch 8, momentum 0.9, clip 0.02, int16 plane), fc1 (sr8, in place)"
    assert f" *   trains  {line}\n" in header
    assert "train by fc1: sr8; others: sr12, batch 8, momentum 0.9, clip 0.02, int16 plane" in repr(trainer)


def test_a_plane_costs_what_it_says() -> None:
    net = problem()[0]
    weights = sum(net.graph[layer.w].size for layer in net.layers)
    channels = sum(net.graph[layer.b].size for layer in net.layers)
    sizes = {
        bits: compiled(Update("sr12", momentum=0.9, velocity_bits=bits)).build.compiled.layout
        for bits in (8, 16)
    }
    alone = compiled("sr12").build.compiled.layout.params_size
    assert sizes[8].params_size - alone == pytest.approx(weights + 8 * channels, abs=12), "alignment"
    assert sizes[16].params_size - alone == pytest.approx(2 * weights + 8 * channels, abs=12)
