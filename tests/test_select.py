"""Partial updates: what the policies choose, that sampling is without bias, and that nothing else changes."""

from __future__ import annotations

import importlib.util
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcugrad as mg
from mcugrad import targets
from mcugrad.commands.inputs import sparse_choice
from mcugrad.ops.select import (
    SELECT_RATIO,
    SELECT_ROOTS_S32,
    SELECT_SAMPLED,
    SELECT_SCALE_S8,
    SELECT_SUMS_S8,
    SELECT_TOPK,
    SELECT_UNIT_S8,
    odds_of,
    wanted,
)
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import Runner, State, differences
from mcugrad.training.rules import RuleChoice
from mcugrad.training.sparse import DEFAULT_POLICY, Choice, choice_text, policies
from networks import PARTIAL_NET as NET
from networks import Conv, Dense, model, samples

pytestmark = pytest.mark.usefixtures("quick_twin")

mcu = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the emulator is not installed")


def f32(*values: float) -> np.ndarray:
    return np.asarray(values, np.float32)


def u32(value: int) -> np.ndarray:
    return np.asarray([value], np.uint32)


# -- how many ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "low", "high", "ratio", "k"),
    [
        (10, 0.1, 0.1, 0.0, 1),
        (16, 0.1, 1.0, 0.0, 1.6),
        (16, 0.1, 1.0, 0.5, 8.8),
        (16, 0.1, 1.0, 1.0, 16),
        (16, 0.25, 0.5, 1.0, 8),
        (16, 0.25, 0.5, 9.0, 8),
        (16, 0.25, 0.5, np.inf, 8),
        (3, 0.1, 0.1, 0.0, 1),
        (16, 0.25, 0.5, np.nan, 4),
        (16, 0.25, 0.5, -1.0, 4),
        (16, 0.25, 0.25, np.inf, 4),
        (1, 0.5, 1.0, 0.3, 1),
    ],
)
def test_how_many(channels: int, low: float, high: float, ratio: float, k: float) -> None:
    assert wanted(channels, f32(low, high), f32(ratio)) == np.float32(k)


@pytest.mark.parametrize("ratio", [1.0, np.inf])
@pytest.mark.parametrize(
    ("low", "high"), [(0.09, 0.84), (0.11, 0.42), (0.22, 0.84), (0.33, 0.84), (0.1, 0.5)]
)
def test_no_loss_asks_for_more_channels_than_there_is_room_for(low: float, high: float, ratio: float) -> None:
    """low + 1 * (high - low) may be above high, in float32; a loss that is infinite is above the largest."""
    for channels in range(1, 400):
        room = mg.Sparse(low, high, "topk").most(channels)
        assert int(wanted(channels, f32(low, high), f32(ratio))) <= room, channels


def test_the_ratio_compares_with_the_largest_loss() -> None:
    largest, ratio = f32(0), f32(9)
    for loss, expected in ((0.0, 0.0), (2.0, 1.0), (1.0, 0.5), (4.0, 1.0), (1.0, 0.25), (np.nan, np.nan)):
        SELECT_RATIO.reference(f32(loss), largest, ratio)
        assert ratio[0] == expected or np.isnan(ratio[0]) == np.isnan(expected)
    assert largest[0] == 4


def test_an_infinite_loss_does_not_become_the_largest() -> None:
    """Else every share would be the smallest from then on; a float32 network gets over such a sample."""
    largest, ratio = f32(2), f32(9)
    SELECT_RATIO.reference(f32(np.inf), largest, ratio)
    assert largest[0] == 2
    assert ratio[0] == np.inf  # the largest share takes part
    SELECT_RATIO.reference(f32(1), largest, ratio)
    assert ratio[0] == 0.5


# -- which ---------------------------------------------------------------------------------------------------------


def topk(sums: list[int], share: float) -> list[int]:
    active = np.zeros(1 + len(sums), np.uint16)
    SELECT_TOPK.reference(len(sums), f32(share, share), f32(0), np.asarray(sums, np.int32), active)
    return active[1 : 1 + int(active[0])].tolist()


def test_topk_keeps_the_largest_sums() -> None:
    assert topk([3, 9, 1, 7], 0.5) == [1, 3]
    assert topk([5, 5, 9, 5, 5], 0.6) == [0, 1, 2], "of equal ones the first"
    assert topk([0, 0, 1, 0], 0.75) == [2], "channels without an error never"
    assert topk([0, 0], 1.0) == []
    assert topk([4, 0, 2], 1.0) == [0, 2]
    assert topk([7], 0.1) == [0]


def test_roots() -> None:
    """64 times the root; all of them together stay in 32 bits however many channels share the largest total."""
    sums = np.asarray([0, 1, 2, 100, 2**30 - 1], np.int32)
    roots = np.zeros(5, np.int32)
    SELECT_ROOTS_S32.reference(5, sums, roots)
    assert roots.tolist() == [0, 64, 90, 640, 64 * 2**15]
    SELECT_ROOTS_S32.reference(1, np.asarray([2**30 // 65535], np.int32), roots)
    assert int(roots[0]) * 65535 < 2**30


@given(
    st.lists(st.one_of(st.integers(0, 20), st.integers(0, 2**20)), min_size=1, max_size=70),
    st.integers(1, 70),
)
def test_odds(sums: list[int], count: int) -> None:
    """In proportion to the sums, at most 1, and together as many as wanted where so many have an error."""
    count, a = min(count, len(sums)), np.asarray(sums)
    odds = odds_of(a, np.float32(count)) / 65536
    assert ((odds > 0) == (a > 0)).all()
    open_to = min(count, int((a > 0).sum()))
    assert odds.sum() == pytest.approx(open_to, abs=len(sums) / 65536 + 1e-3)
    drawn = a[(odds < 1) & (odds > 1e-3)]
    if len(drawn) > 1:
        ratios = drawn / odds[(odds < 1) & (odds > 1e-3)]
        assert ratios.max() <= ratios.min() * 1.04
        assert (a[odds == 1] >= drawn.max()).all()
    if count == len(sums):
        assert (odds[a > 0] == 1).all()


def sample(e: np.ndarray, share: float, step: int, rooted: bool = False) -> tuple[np.ndarray, int]:
    """What one draw makes of (pixels, channels) errors with unit 1, and how many channels it keeps."""
    pixels, channels = e.shape
    sums = np.zeros(channels, np.int32)
    SELECT_SUMS_S8.reference(pixels, channels, e.reshape(-1), sums)
    if rooted:
        SELECT_ROOTS_S32.reference(channels, sums.copy(), sums)
    active, factor, unit = np.zeros(1 + channels, np.uint16), np.zeros(channels, np.int32), f32(0, 0)
    SELECT_SAMPLED.reference(channels, f32(share, share), f32(0), u32(1), u32(step), 3, sums, active, factor)
    count = int(active[0])
    drawn = (factor[:count] < 65536).any()
    SELECT_UNIT_S8.reference(pixels, channels, e.reshape(-1), active, f32(1, 0.5), factor, unit)
    assert unit[1] == (1 if drawn else 0.5), "the largest of those that are drawn is 127"
    kept = np.zeros(pixels * count, np.int8)
    SELECT_SCALE_S8.reference(pixels, channels, e.reshape(-1), active, factor, u32(1), u32(step), 4, kept)
    whole = np.zeros(e.shape)
    whole[:, active[1 : 1 + count]] = kept.reshape(pixels, count) * float(unit[0])
    return whole, count


@pytest.mark.parametrize("rooted", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_sampling_is_without_bias(share: float, rooted: bool) -> None:
    """The mean of 3,000 draws is the error, within five standard errors of the mean, for every element."""
    rng = np.random.default_rng(5)
    e = rng.integers(-127, 128, (6, 12)) * (rng.random((6, 12)) < 0.6) * np.geomspace(0.05, 1, 12)
    e = np.round(e).astype(np.int8)
    draws = [sample(e, share, step, rooted) for step in range(3000)]
    values = np.asarray([whole for whole, _ in draws])
    spread = values.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(values.mean(axis=0) - e) <= 5 * spread + 1e-9 + 2e-4 * np.abs(e)).all()
    k = share * 12
    assert {count for _, count in draws} <= {int(k), int(k) + 1}
    assert np.mean([count for _, count in draws]) == pytest.approx(k, abs=0.03)


def test_sampling_keeps_the_resolution() -> None:
    """The largest error kept is 127, whatever the odds."""
    e = np.random.default_rng(2).integers(-3, 4, (9, 16)).astype(np.int8)
    for step in range(50):
        whole, count = sample(e, 0.25, step)
        assert count == 4
        steps = np.abs(whole) / np.abs(whole).max() * 127
        assert np.allclose(steps, np.round(steps), atol=1e-3)


def test_no_error_keeps_nothing() -> None:
    whole, count = sample(np.zeros((4, 5), np.int8), 0.5, 0)
    assert count == 0
    assert not whole.any()


# -- whole networks ------------------------------------------------------------------------------------------------

CHOICES: dict[str, Choice] = {
    "split": mg.Sparse(0.25, policy="split"),
    "single by loss": mg.Sparse(0.1, 1.0, "single"),
    "half of the samples": mg.Sparse(samples=0.5),
    "sampled": mg.Sparse(0.25, policy="sampled"),
    "sampled by loss": mg.Sparse(0.1, 1.0, "sampled"),
    "rooted": mg.Sparse(0.25, policy="rooted"),
    "topk": mg.Sparse(0.25, policy="topk"),
    "topk by loss": mg.Sparse(0.1, 1.0, "topk"),
    "static": mg.Static({"conv1": 0.5, "fc1": (0, 3, 5)}),
    "per layer": {
        "conv1": mg.Sparse(0.3, samples=0.7),
        "conv2": (1, 2),
        "*": mg.Sparse(0.2, policy="topk", samples=0.7),
    },
}


def compiled(sparse: Choice | None, rule: RuleChoice = "sr16") -> tuple[mg.Trainer, np.ndarray, np.ndarray]:
    net = model((2, 9, 13), NET)
    x, y = samples(net, 24)
    return mg.compile(net, calibration=x, rule=rule, seed=3, sparse=sparse), x, y


def train(trainer: mg.Trainer, runner: Runner, x: np.ndarray, y: np.ndarray) -> State:
    runner.init()
    order = np.arange(len(x), dtype=np.uint32)
    rates = np.linspace(0.05, 0.01, len(x)).astype(np.float32)
    runner.train(trainer.quantize(x), trainer.targets(y, len(y)), order, rates)
    return runner.state()


@pytest.mark.parametrize("name", CHOICES)
def test_reference_and_twin(name: str) -> None:
    trainer, x, y = compiled(CHOICES[name], "sr12")
    build = trainer.build.compiled
    assert not differences(
        train(trainer, ReferenceRunner(build), x, y), train(trainer, HostTwin(build), x, y)
    )


def test_the_first_step_of_all_fits() -> None:
    """Its loss is the largest: 0.11 + 1 * (0.42 - 0.11) is above 0.42 in float32, and 150 channels are one more."""
    net = model((2, 5, 5), (Conv(150, (1, 1)), Conv(150, (1, 1)), Dense(3)))
    x, y = samples(net, 2)
    trainer = mg.compile(net, calibration=x, sparse=mg.Sparse(0.11, 0.42, "split"))
    assert trainer.verify(x, y, on="reference").steps == 2


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4f"])
@pytest.mark.parametrize("name", CHOICES)
def test_cores(name: str, core: str) -> None:
    trainer, x, y = compiled(CHOICES[name])
    build = trainer.build.compiled
    device = EmulatedDevice(build, targets.load(core))
    assert not differences(train(trainer, HostTwin(build), x, y), train(trainer, device, x, y))


@pytest.mark.parametrize("policy", ["sampled", "split", "single"])
@pytest.mark.parametrize("rule", ["sr12", "standardized"])
def test_batches_with_momentum(rule: str, policy: str) -> None:
    """Rows that a sample leaves out add nothing to what a batch keeps."""
    net = model((2, 9, 13), NET)
    x, y = samples(net, 24)
    momentum = 0.0 if rule == "standardized" else 0.9
    trainer = mg.compile(
        net,
        calibration=x,
        rule=mg.Update(rule, batch=4, momentum=momentum),
        sparse=mg.Sparse(0.25, policy=policy, samples=1.0 if policy == "sampled" else 0.5),  # type: ignore[arg-type]
    )
    build = trainer.build.compiled
    assert not differences(
        train(trainer, ReferenceRunner(build), x, y), train(trainer, HostTwin(build), x, y)
    )


@pytest.mark.parametrize("policy", ["split", "single", "sampled", "rooted", "topk"])
def test_keeping_everything_is_the_same_as_no_policy(policy: str) -> None:
    whole, x, y = compiled(None)
    part, _, _ = compiled(mg.Sparse(1.0, policy=policy))  # type: ignore[arg-type]
    assert not differences(train(whole, whole.twin, x, y), train(part, part.twin, x, y))


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


def test_only_what_trains_decays() -> None:
    trainer, x, y = compiled(FIXED, DECAY)
    found = changed(trainer, x, y)
    assert found["conv1"] == [1, 4]
    assert found["fc1"] == [0, 3, 5]
    assert len(found["conv3"]) == 6, "layers that are not named decay whole"
    trainer.twin.init()
    before, order = trainer.state, np.arange(len(x), dtype=np.uint32)
    still = np.zeros((len(x), trainer.quantize(x).shape[1]), np.int8)
    still[:] = trainer.build.graph[trainer.build.graph.input].quant.zero  # type: ignore[union-attr]
    trainer.twin.train(still, trainer.targets(y, len(y)), order, np.full(len(x), 0.1, np.float32))
    sizes = [np.abs(s["conv1_w"].astype(int)).reshape(8, -1).sum(axis=1) for s in (before, trainer.state)]
    assert (sizes[1] < sizes[0]).tolist() == [o in (1, 4) for o in range(8)]
    trainer.verify(x, y, on="reference")


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4f"])
def test_only_what_trains_decays_on_a_core(core: str) -> None:
    trainer, x, y = compiled(FIXED, DECAY)
    trainer.verify(x, y, on=core)


@pytest.mark.parametrize("policy", ["split", "single", "sampled", "rooted", "topk"])
def test_a_step_updates_no_more_channels_than_it_may(policy: str) -> None:
    trainer, x, y = compiled(mg.Sparse(0.25, policy=policy))  # type: ignore[arg-type]
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
    order, given = np.arange(len(x), dtype=np.uint32), np.full(len(x), 0.02, np.float32)
    infos = [
        runner.train(trainer.quantize(x), trainer.targets(y, len(y)), order, given).info
        for runner in (HostTwin(trainer.build.compiled), ReferenceRunner(trainer.build.compiled))
    ]
    assert infos[0].tobytes() == infos[1].tobytes()
    found: list[float] = infos[0]["update_rate"].tolist()
    return found


def test_a_step_reports_the_share_that_took_part() -> None:
    """Of 8 + 7 + 6 + 11 + 3 channels."""
    assert set(rates(None)) == {1.0}
    assert set(rates(mg.Static({"conv1": 0.5, "fc1": (0, 3, 5)}))) == {float(np.float32(23 / 35))}
    found = np.asarray(rates(mg.Sparse(0.25, policy="split"))) * 35
    assert np.allclose(found, np.round(found), atol=1e-4)
    assert found.min() >= 3
    assert np.round(found.max()) <= 2 + 2 + 2 + 3 + 3
    by_loss = rates(mg.Sparse(0.1, 1.0))
    assert min(by_loss) < 0.9
    assert by_loss[0] > 0.6, "the first loss is the largest so far"


# -- what cannot be ------------------------------------------------------------------------------------------------

WEIGHTS = {"a": np.ones((4, 2)), "b": np.ones((3, 2)), "out": np.ones((2, 3))}


@pytest.mark.parametrize(
    ("sparse", "what"),
    [
        (lambda: mg.Sparse(0.0), "shares from 0.0 to 0.0 of the channels cannot be updated"),
        (lambda: mg.Sparse(0.5, 0.1), "shares from 0.5 to 0.1"),
        (lambda: mg.Sparse(0.5, 1.5), "shares from 0.5 to 1.5"),
        (lambda: mg.Sparse(float("nan")), "shares from nan to nan"),
        (
            lambda: mg.Sparse(1e-9),
            "a share of 1e-09 is half of the channels of 2e-09 of the samples, too few",
        ),
        (lambda: mg.Sparse(samples=0.0), "a share of 0.0 of the samples cannot be learned from"),
        (lambda: mg.Sparse(0.1, samples=1.5), "a share of 1.5 of the samples"),
        (lambda: mg.Sparse(0.1, samples=float("nan")), "a share of nan of the samples"),
        (lambda: mg.Sparse(0.1, samples="all"), "a share of 'all' of the samples"),  # type: ignore[arg-type]
        (lambda: mg.Sparse(0.5, policy="best"), "unknown policy 'best'"),  # type: ignore[arg-type]
        (lambda: mg.Static({}), "names no layer that can be updated in part: none at all"),
        (lambda: mg.Static({"out": 0.5}), "names no layer that can be updated in part: 'out'"),
        (lambda: {"c": mg.Sparse(0.5)}, "names no layer that can be updated in part: 'c'"),
        (lambda: mg.Static({"a": 1.5}), "a share of 1.5 of the channels of a cannot be updated"),
        (lambda: mg.Static({"a": (4,)}), "4 is no channel of a"),
        (lambda: mg.Static({"a": (float("nan"),)}), "nan is no channel of a"),
        (lambda: mg.Static({"a": "all"}), "'a' is no channel of a"),  # type: ignore[dict-item]
        (lambda: 0.1, "sparse=0.1 is neither a policy nor one by layer"),
        (lambda: mg.Static(["a"]), "Static(layers=['a']) is neither a policy"),  # type: ignore[arg-type]
        (lambda: mg.Static({"a": (1, 1)}), "no channel, or one twice, is named for a"),
        (lambda: mg.Static({"a": ()}), "no channel, or one twice, is named for a"),
    ],
)
def test_what_cannot_be_is_refused(sparse: object, what: str) -> None:
    with pytest.raises(mg.UsageError, match=re.escape(what)):
        policies(sparse(), WEIGHTS, ["out"])  # type: ignore[operator]


def test_there_must_be_something_to_choose_from() -> None:
    net = model((2, 9, 13), NET)
    x, _ = samples(net, 8)
    with pytest.raises(mg.UsageError, match="besides the layer that makes the outputs no weights train"):
        mg.compile(net, calibration=x, train="last:1", sparse=mg.Sparse(0.5))


@pytest.mark.parametrize("sparse", [mg.Sparse(0.1), mg.Static({"fc1": (0, 65536)})])
def test_more_channels_than_a_list_can_name_are_refused(sparse: Choice) -> None:
    net = model((1,), (Dense(65537, "relu"), Dense(2)))
    with pytest.raises(
        mg.ModelError, match="65537 channels are too many to be updated in part; 65535 can be"
    ):
        mg.compile(net, calibration=samples(net, 8)[0], precision="float32", sparse=sparse)


@pytest.mark.parametrize(
    ("share", "samples", "expected"),
    [
        ("0.1", None, mg.Sparse(0.1)),
        ("0.1:1", None, mg.Sparse(0.1, 1.0)),
        ("0.1", 0.5, mg.Sparse(0.1, samples=0.5)),
        (None, 0.25, mg.Sparse(samples=0.25)),
        (None, None, None),
    ],
)
def test_a_share_on_the_command_line(
    share: str | None, samples: float | None, expected: mg.Sparse | None
) -> None:
    assert sparse_choice(share, DEFAULT_POLICY, samples) == expected


@pytest.mark.parametrize("share", ["a", "0.1:", "1:2:3", "", "0.1:0"])
def test_a_share_that_is_none(share: str) -> None:
    with pytest.raises(mg.UsageError, match="is no share of channels"):
        sparse_choice(share, "topk", None)


def test_choices_say_what_they_are() -> None:
    assert compiled(mg.Sparse(0.1, 1.0, "sampled"))[0].options.method == "sr16, sampled 10 to 100 %"
    assert mg.Sparse(0.5, policy="topk", samples=0.25).text == "topk 50 %, 25 % of the samples"
    assert mg.Sparse(samples=0.25).text == "25 % of the samples"
    text = choice_text({"conv1": mg.Sparse(0.3, policy="sampled"), "conv2": (1, 2), "*": np.float32(0.2)})  # type: ignore[dict-item]
    assert text == "conv1 sampled 30 %, conv2 2 channels, * 20 %"


def test_shares_and_numbers_come_down_to_channels() -> None:
    weights = {"a": np.asarray([[1.0], [-9.0], [3.0], [3.0]]), "out": np.ones((2, 4))}
    assert policies(mg.Static({"a": 0.5}), weights, ["out"]) == {"a": (1, 2)}
    assert policies({"*": 0.01}, weights, ["out"]) == {"a": (1,)}
    assert policies(mg.Static({"a": (3, 0)}), weights, ["out"]) == {"a": (0, 3)}
    assert policies(mg.Static({"a": np.float32(0.5)}), weights, ["out"]) == {"a": (1, 2)}  # type: ignore[dict-item]
    assert policies(mg.Sparse(np.float32(0.5)), weights, ["out"]) == {"a": mg.Sparse(0.5, policy="split")}  # type: ignore[arg-type]
    assert policies(None, weights, ["out"]) == {}
