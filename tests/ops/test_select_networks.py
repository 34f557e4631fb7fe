"""Partial updates of whole networks: the same on every executor, what a step leaves as it is, and what it reports."""

from __future__ import annotations

import importlib.util
from functools import cache
from itertools import product

import numpy as np
import pytest

import mcugrad as mg
from mcugrad import targets
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import Runner, State, differences
from mcugrad.training.rules import RuleChoice
from mcugrad.training.sparse import Choice, Policy, choice_text
from networks import PARTIAL_NET as NET
from networks import Conv, Dense, model, samples
from thoroughness import LONG, turns

mcu = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the emulator is not installed")

POLICIES: tuple[Policy, ...] = ("split", "single", "sampled", "rooted", "topk")


def in_turn(first: int, low: float, high: float = 0.0, samples: float = 1.0) -> Choice:
    """The layers in order take the policies in order, from the one numbered `first`: each meets other neighbours."""
    layers = ("conv1", "conv2", "conv3", "fc1")
    return {
        layer: mg.Sparse(low, high, POLICIES[(first + i) % len(POLICIES)], samples)
        for i, layer in enumerate(layers)
    }


ALONE: dict[str, Choice] = {
    "split": mg.Sparse(0.25, policy="split"),
    "single by loss": mg.Sparse(0.1, 1.0, "single"),
    "half of the samples": mg.Sparse(samples=0.5),
    "sampled": mg.Sparse(0.25, policy="sampled"),
    "sampled by loss": mg.Sparse(0.1, 1.0, "sampled"),
    "rooted": mg.Sparse(0.25, policy="rooted"),
    "topk": mg.Sparse(0.25, policy="topk"),
    "topk by loss": mg.Sparse(0.1, 1.0, "topk"),
    "static": mg.Static({"conv1": 0.5, "fc1": (0, 3, 5)}),
}
TOGETHER: dict[str, Choice] = {
    "split to rooted": in_turn(0, 0.25),
    "single to topk by loss": in_turn(1, 0.1, 1.0),
    "half of the samples, sampled to split": in_turn(2, 0.3, samples=0.5),
    "rooted to single": in_turn(3, 0.25),
    "topk to sampled by loss": in_turn(4, 0.1, 1.0),
    "per layer": {
        "conv1": mg.Sparse(0.3, samples=0.7),
        "conv2": (1, 2),
        "*": mg.Sparse(0.2, policy="topk", samples=0.7),
    },
}
"""Every policy in every layer of all that choose."""
CHOICES: dict[str, Choice] = {**(ALONE if LONG else {}), **TOGETHER}
ON_CORES = [*CHOICES] if LONG else [*TOGETHER][:3]


@cache
def problem() -> tuple[mg.Model, np.ndarray, np.ndarray]:
    net = model((2, 9, 13), NET)
    return (net, *samples(net, 24))


def compiled(sparse: Choice | None, rule: RuleChoice = "sr16") -> tuple[mg.Trainer, np.ndarray, np.ndarray]:
    net, x, y = problem()
    return mg.compile(net, calibration=x, rule=rule, seed=3, sparse=sparse), x, y


def train(trainer: mg.Trainer, runner: Runner, x: np.ndarray, y: np.ndarray) -> State:
    runner.init()
    order = np.arange(len(x), dtype=np.uint32)
    rates = np.linspace(0.05, 0.01, len(x)).astype(np.float32)
    runner.train(trainer.quantize(x), trainer.labels(y, len(y)), order, rates)
    return runner.state()


@cache
def chosen(name: str) -> tuple[mg.Trainer, np.ndarray, np.ndarray, State]:
    """A network that learns so, by either rule in turn, and what the twin comes to."""
    trainer, x, y = compiled(CHOICES[name], ("sr12", "sr16", "sr16", "sr12")[[*CHOICES].index(name) % 4])
    return trainer, x, y, train(trainer, trainer.twin, x, y)


@pytest.mark.parametrize("name", CHOICES)
def test_reference_and_twin(name: str) -> None:
    trainer, x, y, learned = chosen(name)
    assert not differences(train(trainer, ReferenceRunner(trainer.build.compiled), x, y), learned)


def test_the_first_step_of_all_fits() -> None:
    """Its loss is the largest: 0.11 + 1 * (0.42 - 0.11) is above 0.42 in float32, and 150 channels are one more."""
    net = model((2, 5, 5), (Conv(150, (1, 1)), Conv(150, (1, 1)), Dense(3)))
    x, y = samples(net, 2)
    trainer = mg.compile(net, calibration=x, sparse=mg.Sparse(0.11, 0.42, "split"))
    assert trainer.verify(x, y, on="reference").steps == 2


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(("name", "core"), turns(ON_CORES, ["cortex-m0plus", "cortex-m4f"]))
def test_cores(name: str, core: str) -> None:
    trainer, x, y, learned = chosen(name)
    device = EmulatedDevice(trainer.build.compiled, targets.load(core))
    assert not differences(learned, train(trainer, device, x, y))


@pytest.mark.parametrize(
    ("rule", "sparse"),
    [("sr12", in_turn(0, 0.25, samples=0.5)), ("standardized", in_turn(1, 0.25))]
    if not LONG
    else [
        (rule, mg.Sparse(0.25, policy=p, samples=1.0 if p == "sampled" else 0.5))
        for rule, p in product(["sr12", "standardized"], POLICIES)
    ],
)
def test_batches_with_momentum(rule: str, sparse: Choice) -> None:
    """Rows that a sample leaves out add nothing to what a batch keeps."""
    momentum = 0.0 if rule == "standardized" else 0.9
    trainer, x, y = compiled(sparse, mg.Update(rule, batch=4, momentum=momentum))
    build = trainer.build.compiled
    assert not differences(
        train(trainer, ReferenceRunner(build), x, y), train(trainer, HostTwin(build), x, y)
    )


@pytest.mark.parametrize(
    "sparse",
    [in_turn(0, 1.0), in_turn(3, 1.0), *([mg.Sparse(1.0, policy=p) for p in POLICIES] if LONG else [])],
)
def test_keeping_everything_is_the_same_as_no_policy(sparse: Choice) -> None:
    part, x, y = compiled(sparse)
    assert not differences(learned_by_all(), train(part, part.twin, x, y))


@cache
def learned_by_all() -> State:
    """What whole updates come to."""
    whole, x, y = compiled(None)
    return train(whole, whole.twin, x, y)


def changed(trainer: mg.Trainer, x: np.ndarray, y: np.ndarray) -> dict[str, list[int]]:
    """Channels whose weights or biases a step has changed, by layer."""
    trainer.twin.init()
    before = trainer.state
    after = train(trainer, trainer.twin, x, y)
    found = {}
    for layer in trainer.model.layers:
        names = [f"{layer.w}", f"{layer.w}_residual", layer.b]
        moved = [(after[n] != before[n]).reshape(len(after[layer.b]), -1).any(axis=1) for n in names]
        found[layer.name] = np.flatnonzero(np.any(moved, axis=0)).tolist()
    return found


def test_static_updates_these_channels_alone() -> None:
    trainer, x, y = compiled(mg.Static({"conv1": (1, 4), "fc1": 0.3}))
    found = changed(trainer, x, y)
    assert set(found["conv1"]) <= {1, 4}
    largest = np.abs(trainer.build.graph["fc1_w"].value).sum(axis=1).argsort()[-3:]  # type: ignore[arg-type]
    assert set(found["fc1"]) <= set(largest.tolist())
    assert len(found["conv3"]) == 6
    assert found["fc2"] == [0, 1, 2]


DECAY = mg.Update("sr10", weight_decay=2.0, batch=2)
FIXED = mg.Static({"conv1": (1, 4), "fc1": (0, 3, 5)})


@cache
def decaying() -> tuple[mg.Trainer, np.ndarray, np.ndarray]:
    return compiled(FIXED, DECAY)


def test_only_what_trains_decays() -> None:
    trainer, x, y = decaying()
    found = changed(trainer, x, y)
    assert found["conv1"] == [1, 4]
    assert found["fc1"] == [0, 3, 5]
    assert len(found["conv3"]) == 6, "layers that are not named decay whole"
    trainer.twin.init()
    before, order = trainer.state, np.arange(len(x), dtype=np.uint32)
    still = np.zeros((len(x), trainer.quantize(x).shape[1]), np.int8)
    still[:] = trainer.build.graph[trainer.build.graph.input].quant.zero  # type: ignore[union-attr]
    trainer.twin.train(still, trainer.labels(y, len(y)), order, np.full(len(x), 0.1, np.float32))
    sizes = [np.abs(s["conv1_w"].astype(int)).reshape(8, -1).sum(axis=1) for s in (before, trainer.state)]
    assert (sizes[1] < sizes[0]).tolist() == [o in (1, 4) for o in range(8)]
    trainer.verify(x, y, on="reference")


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4f"] if LONG else ["cortex-m4f"])
def test_only_what_trains_decays_on_a_core(core: str) -> None:
    trainer, x, y = decaying()
    trainer.twin.init()
    trainer.verify(x, y, on=core)


@pytest.mark.parametrize(
    "name",
    ["split to rooted", "rooted to single", *(["split", "sampled", "rooted", "topk"] if LONG else [])],
)
def test_a_step_updates_no_more_channels_than_it_may(name: str) -> None:
    trainer, x, y, _ = chosen(name)
    for i in range(8):
        found = changed(trainer, x[i : i + 1], y[i : i + 1])
        assert len(found["conv1"]) <= 2
        assert len(found["conv2"]) <= 2
        assert len(found["conv3"]) <= 2
        assert len(found["fc1"]) <= 3
        assert found["fc2"] == [0, 1, 2], "the layer that makes the outputs takes part whole"


def rates(sparse: Choice | None) -> list[float]:
    """What steps report to have updated; the reference says the same."""
    trainer, x, y = compiled(sparse)
    x, y = x[:16], y[:16]
    order, given = np.arange(len(x), dtype=np.uint32), np.full(len(x), 0.02, np.float32)
    infos = [
        runner.train(trainer.quantize(x), trainer.labels(y, len(y)), order, given).info
        for runner in (HostTwin(trainer.build.compiled), ReferenceRunner(trainer.build.compiled))
    ]
    assert infos[0].tobytes() == infos[1].tobytes()
    found: list[float] = infos[0]["update_rate"].tolist()
    return found


def test_a_step_reports_the_share_that_took_part() -> None:
    """Of 8 + 7 + 6 + 11 + 3 channels."""
    assert set(rates(None)) == {1.0}
    assert set(rates(mg.Static({"conv1": (1, 4), "fc1": 0.3}))) == {float(np.float32(21 / 35))}
    found = np.asarray(rates(mg.Sparse(0.25, policy="split"))) * 35
    assert np.allclose(found, np.round(found), atol=1e-4)
    assert found.min() >= 3
    assert np.round(found.max()) <= 2 + 2 + 2 + 3 + 3
    by_loss = rates(mg.Sparse(0.1, 1.0))
    assert min(by_loss) < 0.9
    assert by_loss[0] > 0.6, "the first loss is the largest so far"


def test_choices_say_what_they_are() -> None:
    assert compiled(mg.Sparse(0.1, 1.0, "sampled"))[0].options.method == "sr16, sampled 10 to 100 %"
    assert mg.Sparse(0.5, policy="topk", samples=0.25).text == "topk 50 %, 25 % of the samples"
    assert mg.Sparse(samples=0.25).text == "25 % of the samples"
    text = choice_text({"conv1": mg.Sparse(0.3, policy="sampled"), "conv2": (1, 2), "*": np.float32(0.2)})  # type: ignore[dict-item]
    assert text == "conv1 sampled 30 %, conv2 2 channels, * 20 %"
