"""Networks in float32 whose layers are updated in part: the same bits everywhere, and they learn."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad import targets
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.selection.select_f32 import (
    SELECT_COPY_F32,
    SELECT_WEIGH_F32,
)
from mcugrad.program.buffer import Space
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import Runner, State, differences
from mcugrad.training.sparse import Choice, Policy
from networks import PARTIAL_NET, Conv, Dense, Pool, corners, model, samples
from shape_nets import SIZE, Net
from thoroughness import LONG

mcu = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the emulator is not installed")

Array = np.ndarray


@cache
def chain() -> tuple[mg.Model, Array, Array]:
    net = model((2, 9, 13), PARTIAL_NET)
    return net, *samples(net, 24)


@cache
def kinds() -> tuple[mg.Model, Array, Array]:
    """Every layer that trains: plain, pointwise, depthwise with one and two outputs, grouped, transposed, linear."""
    net = Net()
    x = net.conv("input", 6, low=None)
    x = net.conv(x, 40, 1)
    x = net.depthwise(x, 1, stride=(2, 2), low=0.0)
    x = net.depthwise(net.conv(x, 4, 1, low=None), 2, dilation=(2, 1), padding=(2, 1, 2, 1), low=0.0)
    x = net.grouped(x, 6, 2, low=0.0, high=3.0)
    x = net.transposed(x, 5, stride=(2, 2), padding=(1, 1, 0, 1), output_padding=(0, 1), low=0.0)
    return net.model(net.fc(x, 9, low=0.0)), *corners(16, SIZE)


@cache
def line() -> tuple[mg.Model, Array, Array]:
    """1-D convolutions: maps of one row."""
    net = Net((1, 16, 3))
    x = "input"
    for out, k in ((9, 3), (8, 2)):
        named = net.name("conv")
        weights = net.weights(named["name"], (out, 1, k, net.tensors[x].channels))
        x = net.add(Conv2d(**named, x=x, **weights, stride=(1, 2), padding=(0, 1, 0, 1), low=0.0))
    random = np.random.default_rng(4)
    return net.model(x), random.normal(0, 1, (20, 1, 16, 3)).astype(np.float32), random.integers(0, 4, 20)


NETS = {"chain": chain, "kinds": kinds, "line": line}
ALONE: dict[str, Choice] = {
    "split": mg.Sparse(0.25, policy="split"),
    "single": mg.Sparse(0.25, policy="single", samples=0.5),
    "sampled by loss": mg.Sparse(0.1, 1.0, "sampled"),
    "rooted": mg.Sparse(0.25, policy="rooted"),
    "topk": mg.Sparse(0.25, policy="topk"),
    "topk by loss": mg.Sparse(0.1, 1.0, "topk"),
    "one channel": mg.Sparse(1e-4, policy="sampled"),
    "static": {"*": 0.4},
}
TURNS: dict[str, mg.Sparse] = {
    "a tenth": mg.Sparse(0.1),
    "a quarter": mg.Sparse(0.25),
    "half of the samples": mg.Sparse(0.25, samples=0.5),
    "by loss": mg.Sparse(0.1, 1.0),
    "one channel": mg.Sparse(1e-4),
    "everything": mg.Sparse(1.0),
}
"""What layers keep that take the policies in order."""


def in_turn(net: str, train: str, name: str, first: int) -> Choice:
    """Each layer but the last has the next policy, from the one numbered `first`: they meet in every order."""
    policies: tuple[Policy, ...] = ("split", "single", "sampled", "rooted", "topk")
    layers = NETS[net]()[0].layers[0 if train == "all" else -int(train[-1]) : -1]
    return {
        layer.name: replace(TURNS[name], policy=policies[(first + i) % len(policies)])
        for i, layer in enumerate(layers)
    }


def compiled(
    net: str, sparse: Choice | None, precision: str = "float32", train: Any = "all"
) -> tuple[mg.Trainer, Array, Array]:
    network, x, y = NETS[net]()
    trainer = mg.compile(
        network, calibration=x, precision=precision, train=train, seed=3, sparse=sparse, rate=0.05
    )
    return trainer, x, y


def train(trainer: mg.Trainer, runner: Runner, x: Array, y: Array) -> State:
    runner.init()
    order = np.arange(len(x), dtype=np.uint32)
    rates = np.linspace(0.05, 0.01, len(x)).astype(np.float32)
    runner.train(trainer.quantize(x), trainer.labels(y, len(y)), order, rates)
    return runner.state()


@pytest.mark.parametrize(
    ("net", "name", "first"),
    [
        ("kinds", "a tenth", 0),
        ("kinds", "half of the samples", 2),
        ("kinds", "by loss", 3),
        ("kinds", "one channel", 4),
        ("chain", "by loss", 1),
        ("line", "a quarter", 3),
    ],
)
def test_reference_and_twin(net: str, name: str, first: int) -> None:
    assert_twin_is_reference(net, in_turn(net, "all", name, first))


@pytest.mark.parametrize(("name", "net"), [*product(ALONE, NETS)] if LONG else [("static", "kinds")])
def test_reference_and_twin_where_all_layers_choose_alike(name: str, net: str) -> None:
    assert_twin_is_reference(net, ALONE[name])


def assert_twin_is_reference(net: str, sparse: Choice) -> None:
    trainer, x, y = compiled(net, sparse)
    build, few = trainer.build.compiled, slice(0, 8)
    assert not differences(
        train(trainer, ReferenceRunner(build), x[few], y[few]),
        train(trainer, HostTwin(build), x[few], y[few]),
    )


@pytest.mark.parametrize("first", [1, 3])
def test_mixed_reference_and_twin(first: int) -> None:
    """In two layers `single` and `sampled`, `rooted` and `topk`; the cores have `topk` and `split`."""
    trainer, x, y = compiled("chain", in_turn("chain", "last:3", "by loss", first), "mixed", "last:3")
    build = trainer.build.compiled
    assert {b.ctype for b in build.program.buffers.values() if b.name.endswith("_kept")} == {"float"}
    assert not differences(
        train(trainer, ReferenceRunner(build), x, y), train(trainer, HostTwin(build), x, y)
    )


def test_policies_by_layer() -> None:
    choice = {"conv1": mg.Sparse(0.3), "conv2": (1, 2), "*": mg.Sparse(0.2, policy="topk")}
    trainer, x, y = compiled("chain", choice)  # type: ignore[arg-type]
    build = trainer.build.compiled
    assert not differences(
        train(trainer, ReferenceRunner(build), x, y), train(trainer, HostTwin(build), x, y)
    )


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(
    ("net", "train_what", "first", "core"),
    [
        ("chain", "last:3", 4, "cortex-m0plus"),
        ("kinds", "all", 0, "cortex-m4f"),
        ("kinds", "all", 3, "cortex-m0plus"),
        *product(
            ["chain", "kinds"], ["last:3", "all"] if LONG else [], range(5), ["cortex-m0plus", "cortex-m4f"]
        ),
    ],
)
def test_cores(net: str, train_what: str, first: int, core: str) -> None:
    trainer, x, y = compiled(net, in_turn(net, train_what, "a quarter", first), "mixed", train_what)
    build, few = trainer.build.compiled, slice(0, 6 if core == "cortex-m4f" else 3)
    device = EmulatedDevice(build, targets.load(core))
    assert not differences(
        train(trainer, HostTwin(build), x[few], y[few]), train(trainer, device, x[few], y[few])
    )


@cache
def learned_by_all(net: str, precision: str, what: str) -> State:
    """What whole updates come to; every policy is compared with it."""
    trainer, x, y = compiled(net, None, precision, what)
    return train(trainer, trainer.twin, x, y)


@pytest.mark.parametrize(
    ("net", "precision", "what", "first"),
    [
        *product(NETS, ["float32"], ["all"], range(5)),
        *product(["kinds", "chain"], ["mixed"], ["last:3"], range(5)),
        *product(["line"], ["mixed"], ["last:2"], range(5)),
    ]
    if LONG
    else [
        ("kinds", "float32", "all", 0),
        ("kinds", "float32", "all", 3),
        ("chain", "float32", "all", 1),
        ("chain", "mixed", "last:3", 4),
    ],
)
def test_keeping_everything_is_the_same_as_no_policy(net: str, precision: str, what: str, first: int) -> None:
    part, x, y = compiled(net, in_turn(net, what, "everything", first), precision, what)
    assert not differences(learned_by_all(net, precision, what), train(part, part.twin, x, y))


@pytest.mark.parametrize("first", range(5) if LONG else [1, 4])
def test_weights_that_are_no_numbers_do_no_harm(first: int) -> None:
    """They spoil what they would spoil in a whole update, all executors go on, and find the same numbers."""
    trainer, x, y = compiled("chain", in_turn("chain", "all", "by loss", first))
    for value in (np.nan, np.inf, 3e38):
        assert_no_harm(trainer, x[:8], y[:8], value)


def assert_no_harm(trainer: mg.Trainer, x: Array, y: Array, value: float) -> None:
    """Of a row of weights that are spoilt."""
    build, order = trainer.build.compiled, np.arange(len(x), dtype=np.uint32)
    states, infos = [], []
    for runner in (ReferenceRunner(build), HostTwin(build)):
        runner.init()
        spoilt = runner.state()
        spoilt["fc2_w"][1, :4] = value
        runner.restore(spoilt)
        rates = np.full(len(x), 0.01, np.float32)
        infos.append(runner.train(trainer.quantize(x), trainer.labels(y, len(y)), order, rates).info)
        states.append(runner.state())
    if not np.isfinite(value):
        assert not np.isfinite(states[0]["conv1_w"]).all()
    for name, found in states[0].items():
        np.testing.assert_array_equal(found, states[1][name])
    np.testing.assert_array_equal(*(i["update_rate"] for i in infos))
    assert (infos[0]["update_rate"] <= 1).all()


def changed(trainer: mg.Trainer, x: Array, y: Array) -> dict[str, list[int]]:
    """Channels whose weights or biases a step has changed, by layer."""
    trainer.twin.init()
    before = trainer.state
    after = train(trainer, trainer.twin, x, y)
    found = {}
    for layer in trainer.model.layers:
        if layer.w in after:
            moved = [
                (after[n] != before[n]).reshape(len(after[layer.b]), -1).any(axis=1)
                for n in (layer.w, layer.b)
            ]
            found[layer.name] = np.flatnonzero(np.any(moved, axis=0)).tolist()
    return found


@pytest.mark.parametrize("first", range(5) if LONG else [0, 2])
def test_a_step_updates_no_more_channels_than_it_may(first: int) -> None:
    choice = in_turn("kinds", "all", "a tenth", first)
    assert isinstance(choice, dict)
    trainer, x, y = compiled("kinds", choice)
    layers = trainer.model.layers
    for i in range(8):
        found = changed(trainer, x[i : i + 1], y[i : i + 1])
        for layer in layers[:-1]:
            channels = trainer.build.graph[layer.w].shape[0]
            assert len(found[layer.name]) <= max(int(0.1 * channels), 1) + (
                choice[layer.name].policy != "topk"
            )
        assert found[layers[-1].name] == [0, 1, 2, 3], "the layer that makes the outputs takes part whole"


def test_static_updates_these_channels_alone() -> None:
    trainer, x, y = compiled("chain", mg.Static({"conv1": (1, 4), "fc1": 0.3}))
    found = changed(trainer, x, y)
    assert set(found["conv1"]) <= {1, 4}
    largest = np.abs(trainer.build.graph["fc1_w"].value).sum(axis=1).argsort()[-3:]  # type: ignore[arg-type]
    assert set(found["fc1"]) <= set(largest.tolist())
    assert len(found["conv3"]) == 6


def test_a_step_reports_the_share_that_took_part() -> None:
    """Of 6 + 11 + 3 channels: the last three layers."""
    for sparse, low, high in (
        (mg.Sparse(0.25, policy="sampled"), 3, 3 + 2 + 3),
        (mg.Sparse(0.1, 1.0), 3, 20),
    ):
        trainer, x, y = compiled("chain", sparse, "mixed", "last:3")
        build, order = trainer.build.compiled, np.arange(len(x), dtype=np.uint32)
        rates = np.full(len(x), 0.02, np.float32)
        infos = [
            runner.train(trainer.quantize(x), trainer.labels(y, len(y)), order, rates).info
            for runner in (HostTwin(build), ReferenceRunner(build))
        ]
        assert infos[0].tobytes() == infos[1].tobytes()
        found = infos[0]["update_rate"] * 20
        assert np.allclose(found, np.round(found), atol=1e-4)
        assert low <= found.min() <= found.max() <= high + 1e-3
    trainer, x, y = compiled("chain", {"conv3": (0, 1, 5)}, "mixed", "last:3")
    assert trainer.build.compiled.program.update_rate == pytest.approx(17 / 20)


def test_kept_errors_have_room_for_as_many_as_may_take_part() -> None:
    trainer, _, _ = compiled("kinds", mg.Sparse(0.1, policy="sampled"))
    buffers = trainer.build.compiled.program.buffers
    graph, layers = trainer.build.graph, trainer.model.layers
    assert len(layers) == 9
    for layer in layers[:-1]:
        error = buffers[f"{layer.y}_e_kept"]
        most = mg.Sparse(0.1, policy="sampled").most(graph[layer.w].shape[0])
        assert (error.space, error.ctype, error.shape[-1]) == (Space.ARENA, "float", most)


@pytest.mark.parametrize(
    ("policy", "layers"), [("split", 8), ("single", 8), ("sampled", 8), ("rooted", 8), ("topk", 0)]
)
def test_errors_are_divided_by_their_odds(policy: Policy, layers: int) -> None:
    """Once in each layer that draws: nothing else makes up for channels that are left out."""
    trainer, _, _ = compiled("kinds", mg.Sparse(0.1, policy=policy))
    odds = [
        argument.buffer
        for call in trainer.build.compiled.program.calls
        if call.kernel in (SELECT_COPY_F32, SELECT_WEIGH_F32)
        for argument, parameter in zip(call.arguments, call.kernel.params, strict=True)
        if parameter.name == "odds"
    ]
    assert sum(map(bool, odds)) == layers


@mcu
@pytest.mark.mcu
def test_what_is_skipped_costs_nothing() -> None:
    """An eighth of the channels: the backward pass takes less than a third of its instructions."""
    net = model((8, 7, 7), (Conv(32), Conv(32), Dense(32), Dense(4)))
    x, y = samples(net, 6)
    found = []
    for sparse in (None, mg.Sparse(0.125, policy="split"), mg.Sparse(0.125, policy="topk")):
        trainer = mg.compile(net, calibration=x, precision="float32", sparse=sparse, train="last:3")
        device = EmulatedDevice(trainer.build.compiled, targets.load("cortex-m4f"))
        order, rates = np.arange(2, dtype=np.uint32), np.full(2, 0.01, np.float32)
        device.predict(trainer.quantize(x[:1]))
        forward = device.device.last_instructions
        device.train(trainer.quantize(x[:2]), trainer.labels(y[:2], 2), order, rates)
        found.append(np.mean(device.step_instructions) - forward)
    assert max(found[1:]) < found[0] / 3, found


@pytest.mark.parametrize("precision", ["float32", "mixed"])
def test_it_learns(precision: str) -> None:
    x, y = corners(400)
    net = model((1, 12, 12), (Conv(6, (3, 3), (2, 2), (1, 1, 1, 1)), Pool(), Dense(16, "relu"), Dense(4)))
    trainer = mg.compile(
        net,
        calibration=x[:64],
        precision=precision,
        train="all" if precision == "float32" else "last:2",
        rate=0.05,
        sparse=mg.Sparse(0.1, 1.0),
    )
    trainer.fit(x[:300], y[:300], epochs=8)
    assert trainer.evaluate(x[300:], y[300:]) > 0.9
    assert "float32 SGD, split 10 to 100 %" in repr(trainer)
