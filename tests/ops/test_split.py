"""Partial updates at any depth: what `split` and `single` hand down and change, and samples that are left out."""

from __future__ import annotations

import warnings
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from life_models import mcu
from mcugrad.abi.records import SCALE, WATCH
from mcugrad.measure import cost
from mcugrad.ops.selection.select import SELECT_CERTAIN, SELECT_SAMPLED, SELECT_SAMPLES, odds_of
from mcugrad.ops.selection.select_s8 import SELECT_SUMS_S8
from mcugrad.ops.update.update_s8 import bias_update, prepare_update
from mcugrad.program import Space
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import differences
from mcugrad.training.schedules import Kind, Schedule, rates_of
from mcugrad.training.sparse import Choice, policies, share_of_samples
from networks import PARTIAL_NET as NET
from networks import Conv, Dense, model, samples
from thoroughness import LONG

STEPS = 4000 if LONG else 1600
"""Of a schedule; a share of samples is counted over all, or half of them."""


def f32(*values: float) -> np.ndarray:
    return np.asarray(values, np.float32)


def u32(value: int) -> np.ndarray:
    return np.asarray([value], np.uint32)


def compiled(sparse: Choice | None, **more: object) -> tuple[mg.Trainer, np.ndarray, np.ndarray]:
    net = model((2, 9, 13), NET)
    x, y = samples(net, 24)
    return mg.compile(net, calibration=x, seed=3, sparse=sparse, **more), x, y  # type: ignore[arg-type]


def errors() -> np.ndarray:
    """(pixels, channels), of channels far apart; one has none."""
    rng = np.random.default_rng(5)
    e = rng.integers(-127, 128, (6, 12)) * np.geomspace(0.05, 1, 12)
    e[:, 7] = 0
    return np.round(e).astype(np.int8)


def drawn(e: np.ndarray, share: float, step: int, policy: str) -> tuple[np.ndarray, np.ndarray]:
    """Channels and odds of one draw."""
    channels = e.shape[1]
    sums, marked = np.zeros(channels, np.int32), np.zeros(channels, np.int32)
    SELECT_SUMS_S8.reference(*e.shape, e.reshape(-1), sums)
    if policy == "single":
        SELECT_CERTAIN.reference(channels, f32(share, share), f32(0), sums, marked)
        sums = marked
    active, odds = np.zeros(1 + channels, np.uint16), np.zeros(channels, np.int32)
    SELECT_SAMPLED.reference(channels, f32(share, share), f32(0), u32(1), u32(step), 3, sums, active, odds)
    return active, odds


@pytest.mark.parametrize(
    ("share", "policy"),
    [*product([0.1, 0.25, 0.5], ["split", "single"])] if LONG else [(0.1, "split"), (0.5, "single")],
)
def test_changes_are_without_bias(share: float, policy: str) -> None:
    """The mean of all steps is the whole step, within five standard errors: biases, and factors of weights."""
    e, steps = errors(), 1500 if LONG else 700
    pixels, channels = e.shape
    ones = np.ones(channels, np.float32)
    whole = np.zeros(channels, np.float32)
    bias_update(pixels, channels, e.reshape(-1), None, None, f32(1), f32(1, 1), ones, whole)
    found, factors, counts = np.zeros((steps, channels)), np.zeros((steps, channels)), []
    for step in range(len(found)):
        active, odds = drawn(e, share, step, policy)
        chosen = active[1 : 1 + int(active[0])]
        bias, factor = np.zeros(channels, np.float32), np.zeros(channels, SCALE)
        kept = np.ascontiguousarray(e[:, chosen]).reshape(-1)
        bias_update(pixels, channels, kept, active, odds, f32(1), f32(1, 1), ones, bias)
        prepare_update(channels, active, odds, f32(1e-6), f32(1, 1), f32(1), ones, ones, factor)
        found[step] = bias
        factors[step] = np.ldexp(
            factor["mult"].astype(float), factor["pre"].astype(int) - factor["shift"].astype(int)
        )
        counts.append(len(chosen))
    spread = found.std(axis=0) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - whole) <= 5 * spread + 2e-3 * np.abs(whole) + 1e-6).all()
    has_error = np.abs(e.astype(int)).sum(axis=0) > 0
    spread = factors.std(axis=0) / np.sqrt(len(factors))
    expected = np.where(has_error, 65536e-6, 0)
    assert (np.abs(factors.mean(axis=0) - expected) <= 5 * spread + 2e-3 * expected + 1e-9).all()
    k = max(share * channels, 1)
    assert np.mean(counts) == pytest.approx(k, abs=0.05)
    if policy == "single":
        size = np.abs(e.astype(int)).sum(axis=0)
        first = np.argsort(-size, kind="stable")[: int(k) // 2]
        assert set(first.tolist()) <= set(active[1 : 1 + int(active[0])].tolist())


def test_what_is_certain_leaves_the_rest_to_be_drawn() -> None:
    """Two of four places go to marked channels; the others have odds in proportion."""
    odds = odds_of(np.asarray([-90, -80, 10, 10, 20, 0]), np.float32(4))
    assert odds.tolist() == [65536, 65536, 32768, 32768, 65535, 0] or odds[4] == 65536


def calls_of(trainer: mg.Trainer, kernel: str) -> list[dict[str, str]]:
    """Buffers of the calls of a kernel, by parameter."""
    return [
        {p.name: a.buffer for a, p in zip(c.arguments, c.kernel.params, strict=True)}
        for c in trainer.build.compiled.program.calls
        if c.kernel.name == kernel
    ]


def test_two_lists_one_unit() -> None:
    """What goes down comes from the largest, what is updated from the drawn; both keep the unit of the whole error."""
    trainer, _, _ = compiled(mg.Sparse(0.25, policy="split"))
    assert not calls_of(trainer, "mcg_select_scale_s8")
    handed = {c["e"] for c in calls_of(trainer, "mcg_conv2d_grad_input_s8")}
    assert {e for e in handed if e.endswith("_handed")} == handed
    for call in calls_of(trainer, "mcg_conv2d_update"):
        assert call["e"].endswith("_kept")
    updates = calls_of(trainer, "mcg_bias_update")
    assert [bool(c["odds"]) for c in updates] == [False, True, True, True, True]
    assert all(not c["c"].endswith("_kept_c") for c in updates)


def test_the_first_layer_hands_nothing_down() -> None:
    trainer, _, _ = compiled(mg.Sparse(0.25, policy="split"))
    buffers = trainer.build.compiled.program.buffers
    assert not any(name.startswith("conv1_hand") for name in buffers)
    assert any(name.startswith("conv2_hand") for name in buffers)


@pytest.mark.parametrize("policy", ["split", "single", "topk"])
def test_room_for_what_may_take_part(policy: str) -> None:
    """`single` has one copy of an error, `split` two, and no more channels than may take part."""
    trainer, _, _ = compiled(mg.Sparse(0.25, policy=policy))  # type: ignore[arg-type]
    buffers = trainer.build.compiled.program.buffers
    for name, channels in (("conv2", 7), ("fc1", 11)):
        copies = [
            b for n, b in buffers.items() if n.startswith(f"{name}_y_e_") and n.endswith(("_kept", "_handed"))
        ]
        assert len(copies) == 1 + (policy == "split")
        few = int(0.25 * channels)
        assert max(b.shape[-1] for b in copies) == few + 2 * (policy != "topk")
        assert all(b.space is Space.ARENA for b in copies)


def test_all_rows_decay() -> None:
    """Also those that no sample draws."""
    trainer, x, y = compiled(mg.Sparse(0.1, policy="split"), rule=mg.Update("sr16", weight_decay=5.0))
    still = np.full(
        (40, trainer.quantize(x).shape[1]),
        trainer.build.graph[trainer.build.graph.input].quant.zero,  # type: ignore[union-attr]
        np.int8,
    )
    before = trainer.state["fc1_w"].astype(int)
    order = np.arange(40, dtype=np.uint32)
    trainer.twin.train(still, trainer.labels(y[[0] * 40], 40), order, np.full(40, 0.05, np.float32))
    after = trainer.state["fc1_w"].astype(int)
    assert (np.abs(after).sum(axis=1) < np.abs(before).sum(axis=1)).all()


# -- samples -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch", "channels", "precision"), [(1, 1.0, "int8"), (4, 0.3, "int8"), (1, 0.3, "float32")]
)
def test_samples_that_are_left_out_change_nothing(batch: int, channels: float, precision: str) -> None:
    """Nothing but running means, the largest loss and the step counter; batches are taken whole; all twins agree."""
    more = {"precision": precision} if precision != "int8" else {"rule": mg.Update("sr12", batch=batch)}
    low, high = (1.0, 0.0) if channels == 1 else (0.1, channels)
    trainer, x, y = compiled(mg.Sparse(low, high, samples=0.5), **more)
    given, labels = trainer.quantize(x), trainer.labels(y, len(y))
    rate, order = np.full(1, 0.05, np.float32), np.arange(48, dtype=np.uint32) % 24
    for runner in (ReferenceRunner(trainer.build.compiled), HostTwin(trainer.build.compiled)):
        runner.init()
        taken = []
        for i in range(48):
            before = runner.state()
            info = runner.train(given, labels, order[i : i + 1], rate).info
            after = runner.state()
            taken.append(bool(info["update_rate"][0]))
            changed = {name for name in after if after[name].tobytes() != before[name].tobytes()}
            assert {"step", "watch"} <= changed
            if not taken[-1]:
                assert changed <= {"step", "watch", "schedule", "largest_loss", "taken_gain"}
                assert info["loss"][0] > 0
            else:
                assert len(changed) > 4
        assert 8 < sum(taken) < 40
        assert all(len(set(taken[i : i + batch])) == 1 for i in range(0, 48, batch))
    assert trainer.build.compiled.program.segments["backward"].when == "taken"


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_biases_alone_learn_from_a_share_of_the_samples(precision: str) -> None:
    """There are no channels to count: a step that is taken updates all that there is."""
    trainer, x, y = compiled(mg.Sparse(samples=0.5), train="bias", precision=precision)
    given, labels = trainer.quantize(x), trainer.labels(y, len(y))
    rates, order = np.full(48, 0.05, np.float32), np.arange(48, dtype=np.uint32) % 24
    both = [ReferenceRunner(trainer.build.compiled), HostTwin(trainer.build.compiled)]
    infos = [runner.train(given, labels, order, rates).info for runner in both]
    assert infos[0].tobytes() == infos[1].tobytes()
    assert set(infos[0]["update_rate"].tolist()) == {0.0, 1.0}
    assert differences(both[0].state(), both[1].state()) == []


def test_how_many_samples_are_taken() -> None:
    """A quarter of them, whatever the seed; without a factor, so that what is taken changes as much as ever."""
    part, x, y = compiled(mg.Sparse(samples=0.25))
    whole, _, _ = compiled(None)
    order = np.arange(STEPS, dtype=np.uint32) % 24
    rates = np.full(STEPS, 1e-3, np.float32)
    info = part.twin.train(part.quantize(x), part.labels(y, 24), order, rates).info
    assert info["update_rate"].mean() == pytest.approx(0.25, abs=0.03)
    first = int(np.flatnonzero(info["update_rate"])[0])
    part.twin.init()
    part.twin.train(part.quantize(x), part.labels(y, 24), order[: first + 1], rates[: first + 1])
    # The same sample at the same step, alone.
    state = whole.state
    state["step"][:] = first
    whole.twin.restore(state)
    whole.twin.train(whole.quantize(x), whole.labels(y, 24), order[first : first + 1], rates[:1])
    for name, value in whole.state.items():
        if name != "watch":
            np.testing.assert_array_equal(part.state[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("loss", "mean", "share"),
    [
        (1.0, 1.0, 0.25),
        (2.0, 1.0, 0.5),
        (9.0, 1.0, 1.0),
        (0.0, 1.0, 0.0),
        (np.nan, 1.0, 0.25),
        (0.0, 0.0, 0.25),
    ],
)
def test_samples_that_fit_badly_are_taken_more_often(loss: float, mean: float, share: float) -> None:
    found = [taken(step, loss, mean, f32(1)) for step in range(STEPS // 2)]
    assert np.mean(found) == pytest.approx(share, abs=0.03)
    assert share not in (0.0, 1.0) or np.mean(found) == share


def taken(
    step: int,
    loss: float,
    mean: float,
    gain: np.ndarray,
    share: int = 16384,
    schedule: Schedule | None = None,
    rate: float = 0.1,
) -> int:
    """Whether a sample is learned from; the gain follows."""
    watch = np.zeros(1, WATCH)
    watch["loss"] = mean
    record, now = rate_at(step, schedule or Schedule(), rate)
    found, updated = np.zeros(1, np.int32), f32(0)
    SELECT_SAMPLES.reference(
        share, 1, f32(loss), watch, record, now, u32(7), u32(step), 0x40000, f32(0.5), gain, found, updated
    )
    assert updated[0] == 0.5 * found[0]
    return int(found[0])


@cache
def rate_at(step: int, schedule: Schedule, rate: float) -> tuple[np.ndarray, Any]:
    """The record of a schedule over `STEPS`, and what it comes to at one of them."""
    record = schedule.record(rate, STEPS)
    return record, rates_of(record[0], u32(step))


@pytest.mark.parametrize("share", [0.05, 0.1, 0.25, 0.5] if LONG else [0.05, 0.5])
def test_the_share_is_kept_however_losses_are_spread(share: float) -> None:
    """A few large losses, whose odds end at 1, take less than their part: other samples get it."""
    losses = np.random.default_rng(1).exponential(size=STEPS) ** 2
    gain = f32(1)
    found = [taken(step, loss, 2.0, gain, int(share * 65536)) for step, loss in enumerate(losses)]
    assert np.mean(found) == pytest.approx(share, rel=0.08)
    large = losses > np.quantile(losses, 0.9)
    assert np.mean(np.asarray(found)[large]) >= min(2 * share, 0.95)


@pytest.mark.parametrize(
    ("kind", "share"),
    [*product(["cosine", "linear"], [0.4, 0.75, 0.95])]
    if LONG
    else [("linear", 0.4), ("cosine", 0.75), ("linear", 0.95)],
)
def test_a_large_share_is_kept_over_a_schedule(kind: Kind, share: float) -> None:
    """Where twice the share is more than all samples, less is made of the rate."""
    gain, schedule = f32(1), Schedule(kind)
    found = [taken(step, 1.0, 1.0, gain, int(share * 65536), schedule) for step in range(STEPS)]
    assert np.mean(found) == pytest.approx(share, abs=0.02)
    assert np.mean(found[: STEPS // 2]) > np.mean(found[STEPS // 2 :])
    assert gain[0] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_more_samples_are_taken_while_the_rate_is_high(kind: Kind) -> None:
    """As many as a constant rate takes by the end of the schedule, and evenly after it."""
    schedule = Schedule(kind, last=0.01)
    found = np.asarray([taken(step, 1.0, 1.0, f32(1), schedule=schedule) for step in range(2 * STEPS)])
    first, second = (part.mean() for part in np.split(found[:STEPS], 2))
    after = found[STEPS:].mean()
    assert (first + second) / 2 == pytest.approx(0.25, abs=0.02)
    assert after == pytest.approx(0.25, abs=0.02)
    assert first > 2 * second


def test_neither_rates_of_0_nor_a_spoilt_loss_change_how_many_samples_are_taken() -> None:
    gain, cosine = f32(1), Schedule("cosine")
    assert np.mean(
        [taken(step, 1.0, 1.0, gain, 16384, cosine, 0.0) for step in range(STEPS // 2)]
    ) == pytest.approx(0.25, abs=0.03)
    assert np.mean([taken(step, np.nan, 1.0, gain) for step in range(STEPS // 2)]) == pytest.approx(
        0.25, abs=0.03
    )
    assert gain[0] == 1


def test_soft_labels_are_taken_evenly() -> None:
    """Their losses are of another size; the step that follows a label's does not tell them apart."""
    trainer, _, _ = compiled(mg.Sparse(samples=0.5))
    program = trainer.build.compiled.program
    losses = (program.segments[name].calls for name in ("loss", "soft_loss"))
    found = [[c for c in calls if c.kernel is SELECT_SAMPLES] for calls in losses]
    assert [len(calls) for calls in found] == [1, 1]
    assert [bool(calls[0].arguments[2].buffer) for calls in found] == [True, False]


def test_different_batches_end_together() -> None:
    """Layers with batches of 2 and 3: six samples are taken or left out at a time."""
    trainer, x, y = compiled(
        mg.Sparse(samples=0.5), rule={"fc1": mg.Update("sr16", batch=2), "*": mg.Update("sr16", batch=3)}
    )
    order = np.arange(96, dtype=np.uint32) % 24
    rates = np.full(96, 1e-3, np.float32)
    info = trainer.twin.train(trainer.quantize(x), trainer.labels(y, 24), order, rates).info
    taken = info["update_rate"].reshape(-1, 6)
    assert (taken == taken[:, :1]).all()
    assert 0 < taken.mean() < 1


def test_batches_that_hardly_ever_end_together_are_refused() -> None:
    apart = {"fc1": mg.Update("sr16", batch=499), "*": mg.Update("sr16", batch=500)}
    with pytest.raises(
        mg.UsageError, match="batches of 499 and 500 end together after 249,500 samples, which would"
    ):
        compiled(mg.Sparse(samples=0.5), rule=apart)
    assert compiled(mg.Sparse(0.5), rule=apart)[0].trained_layers


def test_samples_are_left_out_where_only_the_last_layer_trains() -> None:
    trainer, x, y = compiled(mg.Sparse(samples=0.5), train="last:1")
    trainer.verify(x, y, on="reference")
    assert policies(mg.Sparse(samples=0.5), {"out": np.ones((2, 3))}, ["out"]) == {}


@mcu
@pytest.mark.mcu
def test_the_stack_is_that_of_a_step_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the few steps that are measured leave all samples out, or end no batch."""
    # What each function takes is told beside it, and counted in the code that a compiler made: not of concern here.
    monkeypatch.setattr(cost, "memory", lambda build, device, seen: None)
    net = model((9,), (Dense(20, "relu"), Dense(4)))
    x, y = samples(net, 8)
    found = {}
    for share, batch in ((1.0, 4), (1e-3, 4), (1.0, 64), *([(1e-3, 64)] if LONG else [])):
        trainer = mg.compile(
            net,
            calibration=x,
            rate=0.01,
            rule=mg.Update("sr12", batch=batch, momentum=0.9),
            sparse=mg.Sparse(samples=share) if share < 1 else None,
        )
        found[share, batch] = trainer.measure(x, y, target="cortex-m0plus")
    assert [c.taken is None for c in found.values()] == [share == 1 for share, _ in found]
    least = found[1.0, 4].stack
    assert all(least <= c.stack <= least + 16 for c in found.values())


def test_all_layers_have_the_same_samples() -> None:
    with pytest.raises(
        mg.UsageError, match=r"layers cannot learn from different samples: 0\.5 and 1 of them"
    ):
        compiled({"conv1": mg.Sparse(0.5, samples=0.5), "*": mg.Sparse(0.5)})
    assert share_of_samples(mg.Static({"a": 0.5})) == 65536
    assert share_of_samples({"a": 0.5, "b": mg.Sparse(samples=0.25)}) == 16384


# -- what is said --------------------------------------------------------------------------------------------------

DEEP = (*(Conv(4, (1, 1)) for _ in range(5)), Dense(3))


@pytest.mark.parametrize(
    ("policy", "layers", "warns"),
    [
        ("sampled", "all", True),
        ("rooted", "all", True),
        ("split", "all", False),
        ("single", "all", False),
        ("topk", "all", False),
        ("sampled", "last:5", False),
    ],
)
def test_factors_that_multiply_are_told(policy: str, layers: str, warns: bool) -> None:
    net = model((2, 5, 5), DEEP)
    x, _ = samples(net, 8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mg.compile(net, calibration=x, train=layers, sparse=mg.Sparse(0.5, policy=policy))  # type: ignore[arg-type]
    told = [str(w.message) for w in caught if issubclass(w.category, mg.McugradWarning)]
    assert len(told) == warns
    if warns:
        assert told[0].startswith(f"5 layers in a row choose channels by the policy {policy}, which enlarges")


def test_both_is_half_of_the_channels_of_twice_the_samples() -> None:
    """A share of the work. By loss, by name, from a half on, and with a share of the samples it is `split`."""
    assert mg.Sparse(0.1, policy="both").resolved == mg.Sparse(0.5, policy="split", samples=0.2)
    for low, high, some in ((0.1, 1.0, 1.0), (0.5, 0.5, 1.0), (0.1, 0.1, 0.3)):
        given = mg.Sparse(low, high, "both", some)
        assert given.resolved == mg.Sparse(low, high, "split", some)
        assert given.resolved.resolved == given.resolved
    weights = {"a": np.ones((4, 2)), "out": np.ones((2, 4))}
    named: Choice = {"a": mg.Sparse(0.1, policy="both")}
    assert policies(named, weights, ["out"]) == {"a": mg.Sparse(0.1, policy="split")}
    assert share_of_samples(named) == 65536
    assert share_of_samples(mg.Sparse(0.1, policy="both")) == round(0.2 * 65536)
    assert mg.Sparse(0.1, policy="both").text == "split 50 %, 20 % of the samples"
    both, x, y = compiled(mg.Sparse(0.2, policy="both"))
    apart, _, _ = compiled(mg.Sparse(0.5, policy="split", samples=0.4))
    assert both.build.compiled.files == apart.build.compiled.files
    both.verify(x, y, on="reference")
