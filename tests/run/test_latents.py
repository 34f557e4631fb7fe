"""Replay of latents learns the bytes that replay of inputs learns, on every executor, whatever crosses the cut."""

from __future__ import annotations

import warnings
from copy import copy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import mcugrad as mg
from life_models import NET, mcu
from mcugrad import targets
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin
from mcugrad.run.life import Life
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import State, Stored, differences
from mcugrad.trainer import Trainer
from networks import Conv, Dense, Pool, corners, model
from run.test_any_runner import Transport
from thoroughness import LONG, turns

Found = tuple[bytes, State, Stored]

SKIPS: dict[str, tuple[tuple[tuple[str, ...], ...], Any, set[str]]] = {
    # a skip connection passes the cut: both of its ends are stored
    "skip": (
        (("conv", "a", "x"), ("conv", "b", "a"), ("conv", "c", "b"), ("add", "d", "c", "a")),
        "last:2",
        {"conv1_y", "conv2_y"},
    ),
    # what a trained layer says is added to the input, which is stored as well
    "input again": (
        (("conv", "a", "x"), ("conv", "b", "a"), ("add", "d", "b", "x")),
        "last:2",
        {"conv1_y", "x"},
    ),
    # a frozen branch comes behind a layer that trains: it is computed again from what is stored
    "branch": (
        (("conv", "a", "x"), ("conv", "b", "a"), ("conv", "c", "a"), ("add", "d", "b", "c")),
        ("conv2", "fc1"),
        {"conv1_y"},
    ),
}
"""Nodes of small networks, the last of which a fully connected layer reads; what trains; what crosses the cut."""


@cache
def branched(name: str, folder: Path) -> mg.Model:
    """A network of 3x3 convolutions on one channel of 12x12, sums of two maps, and a layer for four classes."""
    rng = np.random.default_rng(3)
    nodes, weights = [], []
    for kind, y, *inputs in SKIPS[name][0]:
        if kind == "add":
            nodes.append(helper.make_node("Add", inputs, [y], y))
            continue
        weights.append(numpy_helper.from_array(rng.normal(0, 0.4, (1, 1, 3, 3)).astype(np.float32), f"{y}_w"))
        nodes.append(helper.make_node("Conv", [*inputs, f"{y}_w"], [y], y, pads=[1, 1, 1, 1]))
    weights.append(numpy_helper.from_array(rng.normal(0, 0.1, (4, 144)).astype(np.float32), "fc_w"))
    nodes += [
        helper.make_node("Flatten", [nodes[-1].output[0]], ["flat"], "flat"),
        helper.make_node("Gemm", ["flat", "fc_w"], ["y"], "fc", transB=1),
    ]
    ends = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s)]
        for n, s in (("x", (1, 1, 12, 12)), ("y", (1, 4)))
    ]
    graph = helper.make_graph(nodes, "net", *ends, weights)
    path = folder / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return mg.load(path)


def pair(net: mg.Model, x: NDArray[Any], **options: Any) -> tuple[Trainer, Trainer]:
    """The same model with replay of inputs and of latents."""
    chosen = {"rule": "sr8", "seed": 5, "rate": 0.02, "train": "last:2", "features": "replay,soft", **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mg.McugradWarning)
        inputs, latents = (
            mg.compile(net, calibration=x, replay_of=of, **chosen) for of in ("inputs", "latents")
        )
    return inputs, latents


def replayed(
    runner: Life,
    x: NDArray[np.int8],
    y: NDArray[Any],
    *,
    every: int = 1,
    collect: bool = True,
    remember: bool = False,
    steps: int = 12,
) -> Found:
    """What steps with replay report, learn and leave in the buffer, which is too small for all."""
    runner.begin_replay(8, every, collect, 7)
    runner.replay_add(x[:20], y[:20])
    if remember:
        runner.replay_remember()
    order = np.arange(steps, dtype=np.uint32) % len(x)
    info = runner.train(x, y, order, np.full(steps, 0.02, np.float32)).info
    return info.tobytes(), runner.state(), runner.replay()


def demand_same(first: Found, other: Found) -> None:
    """The same losses and the same learned bytes, by the same draws from the same classes."""
    assert first[0] == other[0]
    assert differences(first[1], other[1]) == []
    assert (first[2].header == other[2].header).all()
    assert (first[2].memory[:, 0] == other[2].memory[:, 0]).all()


KINDS: dict[str, dict[str, Any]] = {
    "sr8": {"features": "all"},
    "sr16, one layer": {"rule": "sr16", "train": "last:1"},
    "qas, standardized": {"rule": {"fc1": "standardized", "*": "qas"}, "rate": 0.001},
    "bits, in batches": {
        "rule": mg.Update("sr12", batch=4, momentum=0.9, weight_decay=1e-3),
        "loss": "binary_cross_entropy",
        "features": "replay",
    },
    "partial": {"sparse": mg.Sparse(0.3, 1.0)},
    "some samples": {"sparse": mg.Sparse(0.5, samples=0.5)},
    "values": {"loss": "mse", "features": "replay"},
    "mixed": {"precision": "mixed", "rule": "sr16"},
    "float32": {"precision": "float32", "rule": "sr16"},
}


@cache
def task(kind: str) -> tuple[tuple[Trainer, Trainer], NDArray[np.int8], NDArray[Any]]:
    """Both models, samples and labels in the device's form."""
    x, y = corners(40)
    random, options = np.random.default_rng(0), dict(KINDS[kind])
    if kind.startswith("bits"):
        y = random.integers(0, 2, (40, 4))
    if kind == "values":
        y = random.uniform(-1, 1, (40, 4))
        options["typical_labels"] = y
    both = pair(model((1, 12, 12), NET), x, **options)
    return both, both[0].quantize(x), both[0].labels(y, 40)


@pytest.mark.parametrize("kind", KINDS)
def test_latents_learn_what_inputs_learn(kind: str) -> None:
    """The proof of the feature: the reference with inputs, then twin and reference with latents, byte for byte."""
    both, x, y = task(kind)
    compiled = [trainer.build.compiled for trainer in both]
    remember = both[0].options.loss.name == "cross_entropy"
    twin = HostTwin(compiled[1])
    for how in ({"every": 2, "collect": False}, {"remember": remember}):
        first = replayed(ReferenceRunner(compiled[0]), x, y, **how)
        twin.init()
        demand_same(first, replayed(twin, x, y, **how))
    demand_same(first, replayed(ReferenceRunner(compiled[1]), x, y, **how))


@pytest.mark.parametrize("name", SKIPS)
def test_all_that_crosses_the_cut_is_stored(name: str, tmp_path: Path) -> None:
    x, y = corners(40)
    both = pair(branched(name, tmp_path), x, train=SKIPS[name][1])
    program = both[1].build.compiled.program
    assert {buffer.name for buffer in program.latents} == SKIPS[name][2]
    assert program.stored == sum(buffer.size for buffer in program.latents)
    places = program.latent_places
    lie = [place for b in program.latents for place in range(places[b.name], places[b.name] + b.size)]
    assert lie == list(range(program.stored))
    taken = both[0].quantize(x), both[0].labels(y, 40)
    first = replayed(ReferenceRunner(both[0].build.compiled), *taken)
    for runner in (ReferenceRunner, HostTwin):
        demand_same(first, replayed(runner(both[1].build.compiled), *taken))


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(
    ("name", "core"),
    turns(["input again", "mixed", "values", *(["chain"] if LONG else [])], ["cortex-m0plus", "cortex-m4f"]),
)
def test_cores_learn_from_latents_what_the_twin_learns_from_inputs(
    name: str, core: str, tmp_path: Path
) -> None:
    if name == "input again":
        x, y = corners(40)
        both = pair(branched(name, tmp_path), x)
        taken = both[0].quantize(x), both[0].labels(y, 40)
    else:
        both, *taken = task("sr8" if name == "chain" else name)
    remember = name != "values"
    device = EmulatedDevice(both[1].build.compiled, targets.load(core), replay=8)
    found = replayed(device, *taken, remember=remember)
    demand_same(replayed(HostTwin(both[0].build.compiled), *taken, remember=remember), found)
    reference = replayed(ReferenceRunner(both[1].build.compiled), *taken, remember=remember)
    assert (reference[2].memory == found[2].memory).all()


def test_frozen_layers_behind_the_cut_are_computed_again() -> None:
    """Of a small expansion: with stored samples, and with new ones, whose latents the twin remembers."""
    x, y = corners(40)
    layers = (Conv(8, (5, 5)), Conv(2, (5, 5)), Conv(8, (1, 1)), Dense(4))
    both = pair(model((1, 12, 12), layers), x, train="last:1")
    segments = both[1].build.compiled.program.segments
    assert segments["forward"].calls[0].node == "conv3"
    taken = both[0].quantize(x), both[0].labels(y, 40)
    reference, twin = ReferenceRunner(both[0].build.compiled), HostTwin(both[1].build.compiled)
    demand_same(replayed(reference, *taken), replayed(twin, *taken))
    order, rates = np.arange(20, dtype=np.uint32) % 5, np.full(20, 0.02, np.float32)
    for runner in (reference, twin):
        runner.end_replay()
    assert (
        reference.train(*taken, order, rates).info.tobytes()
        == twin.train(*taken, order, rates).info.tobytes()
    )
    np.testing.assert_array_equal(reference.predict(taken[0]), twin.predict(taken[0]))
    assert differences(reference.state(), twin.state()) == []


def test_a_stored_place_is_what_the_frozen_layers_say() -> None:
    """In the twin's buffer, behind the class: the bytes that the reference computes of the sample."""
    (_, trainer), x, y = task("sr8")
    compiled = trainer.build.compiled
    twin, reference = HostTwin(compiled), ReferenceRunner(compiled)
    twin.begin_replay(4, 1, True, 0)
    twin.replay_add(x[:4], y[:4])
    memory = twin.replay().memory
    assert memory.shape == (4, compiled.program.slot_words)
    for words, sample, label in zip(memory, x, y, strict=False):
        assert words[0] == label
        stored = words[1:].view(np.int8)[: compiled.program.stored]
        np.testing.assert_array_equal(stored, reference.latents(sample))


def test_a_state_fits_both() -> None:
    inputs, latents = task("sr8")[0]
    assert inputs.build.compiled.fingerprint == latents.build.compiled.fingerprint
    assert inputs.build.compiled.layout.offsets == latents.build.compiled.layout.offsets
    assert inputs.ram == latents.ram


def test_what_is_stored_is_not_forgotten_with_a_state(tmp_path: Path) -> None:
    trainer = task("sr8")[0][1]
    trainer.save(tmp_path / "net.mcgstate")
    again = mg.Trainer.load(tmp_path / "net.mcgstate")
    assert again.options.replay_of == "latents"
    assert again.build.compiled.files == trainer.build.compiled.files


def test_fit_replays_latents_as_it_does_inputs() -> None:
    x, y = corners(40)
    states = []
    for trainer in map(copy, task("sr8")[0]):
        replay = mg.Replay(8, source=(x[:20], y[:20]), remember=True)
        trainer.fit(x, y, rate=0.01, replay=replay, guard=(x[:9], y[:9]))
        states.append(trainer.state)
    assert differences(*states) == []


def test_what_makes_no_sense_is_refused() -> None:
    x, y = corners(40)
    net = model((1, 12, 12), NET)

    def refused(text: str, **options: Any) -> None:
        with pytest.raises(mg.UsageError, match=text):
            mg.compile(net, calibration=x, **{"replay_of": "latents", "rate": 0.01, **options})

    refused("the first layer of the network trains")
    refused("the first layer of the network trains", train="bias")
    refused("holds no 'activations'", replay_of="activations")
    refused("nothing trains, so that nothing is replayed", train="none", rate=None)
    trainer = pair(net, x)[1]
    with pytest.raises(mg.UsageError, match="augmentation changes inputs") as error:
        trainer.fit(x, y, rate=0.01, replay=mg.Replay(8), augment=mg.Augment(shift=1))
    assert "replay_of='inputs'" in error.value.hint
    trainer.fit(x, y, rate=0.01, augment=mg.Augment(shift=1))  # without stored samples nothing contradicts


def test_latents_that_are_larger_than_inputs_are_told() -> None:
    x, _ = corners(40)
    net = model((1, 12, 12), (Conv(3, pads=(1, 1, 1, 1)), Dense(4)))
    with pytest.warns(mg.McugradWarning, match="takes 432 bytes as latents and 144 as an input"):
        wide = mg.compile(net, calibration=x, train="last:1", replay_of="latents", rule="sr8")
    assert wide.build.compiled.program.stored == 432


def test_a_runner_without_these_calls_says_so() -> None:
    (_, trainer), x, y = task("sr8")
    runner = Transport(HostTwin(trainer.build.compiled))
    runner.begin_replay(4, 1, True, 0)
    with pytest.raises(mg.UsageError, match="does not go on from latents"):
        runner.replay_add(x[:1], y[:1])


@settings(max_examples=200 if LONG else 8, deadline=None)
@given(st.data())
def test_any_network_learns_from_latents_what_it_learns_from_inputs(data: st.DataObject) -> None:
    """Layers, how many of them train, rule, replay and samples as they come: by the reference, every learned byte."""
    draw = data.draw
    layers = [
        draw(
            st.sampled_from(
                [
                    Conv(2, (3, 3), pads=(1, 1, 1, 1)),
                    Conv(5, (1, 1), act="relu6"),
                    Conv(3, (2, 2), (2, 2)),
                    Pool(),
                ]
            )
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    net = model((1, 12, 12), (Conv(3, (3, 3)), *layers, Dense(4)), seed=draw(st.integers(0, 9)))
    count = len(net.layers)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = random.uniform(-1, 1, (12, 12, 12, 1)).astype(np.float32)
    trained = draw(st.integers(1, count - 1))
    shares = [None, mg.Sparse(samples=0.5)]  # of the last layer no channels can be chosen
    both = pair(
        net,
        x,
        train=f"last:{trained}",
        rule=draw(st.sampled_from(["sr8", "sr16", mg.Update("sr10", batch=2, momentum=0.5)])),
        sparse=draw(st.sampled_from(shares if trained == 1 else [*shares, mg.Sparse(0.4)])),
    )
    assert both[0].build.compiled.fingerprint == both[1].build.compiled.fingerprint
    taken = both[0].quantize(x), both[0].labels(random.integers(0, 4, 12), 12)
    how = {
        "every": draw(st.integers(1, 3)),
        "collect": draw(st.booleans()),
        "remember": draw(st.booleans()),
        "steps": 8,
    }
    first, other = (replayed(ReferenceRunner(trainer.build.compiled), *taken, **how) for trainer in both)
    demand_same(first, other)


@mcu
@pytest.mark.mcu
def test_what_a_stored_step_takes_is_said_before_it_is_taken() -> None:
    """By bench, from calls one by one of a model as delivered; steps differ by a few percent as the model learns."""
    x, y = corners(40)
    core = targets.load("cortex-m4f")
    trainer = pair(model((1, 12, 12), NET), x, prefer="ram", features="replay")[1]
    table = trainer.bench(x[:4], y[:4], target=core)
    device = EmulatedDevice(trainer.build.compiled, core, replay=4)
    samples = trainer.quantize(x), trainer.labels(y, 40)
    counts = []
    for every in (0, 1):
        device.begin_replay(4, every, False, 0)
        device.replay_add(samples[0][:4], samples[1][:4])
        device.step_instructions.clear()
        device.train(*samples, np.arange(4, dtype=np.uint32), np.full(4, 0.02, np.float32))
        counts.append(float(np.mean(device.step_instructions)))
    assert table.stored_step is not None
    assert table.training_step is not None
    whole, stored = table.training_step.instructions, table.stored_step.instructions
    assert stored < 0.9 * whole
    assert counts[0] == pytest.approx(whole, rel=0.05)
    assert counts[1] - counts[0] == pytest.approx(stored, rel=0.1)
