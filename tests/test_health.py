"""Partial learning: layers that do not change and channels that die are told; a training that goes well is not."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad.abi.records import WATCH
from mcugrad.advice import Rates
from mcugrad.errors import McugradWarning
from mcugrad.health import Health, Layer, layers_of
from mcugrad.ops.life.life import EMPTY, EXCEEDED, STALLED, trouble
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import Steps, step_type
from mcugrad.training.losses import LabelKind
from networks import Conv, Dense, corners, model

Array = np.ndarray

BLIND = float(np.log(4))
RATE = Rates(0.01)


def steps(
    count: int, *, loss: float = 1.0, saturation: float = 0.0, empty: float = 0.0, taken: float = 1.0
) -> Steps:
    """What steps report; only so many of them, evenly, were taken, and found errors of 0."""
    info = np.zeros(count, step_type(LabelKind.CLASS))
    info["loss"], info["saturation"] = loss, saturation
    info["update_rate"] = np.diff(np.floor(np.arange(count + 1) * taken))
    info["empty"] = empty * info["update_rate"]
    return Steps(info)


def state(conv: int = 0, bias: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0), fc: int = 0) -> dict[str, Array]:
    return {
        "conv_w": np.full(4, conv, np.int8),
        "conv_w_residual": np.zeros(4, np.uint8),
        "conv_b": np.asarray(bias, np.float32),
        "fc_w": np.full(4, fc, np.int8),
        "fc_b": np.zeros(2, np.float32),
    }


def followed(
    *states: dict[str, Array], batch: int = 1, count: int = 100, rule: str = "sr12", **late: Any
) -> str:
    """What is said after these states, some steps apart."""
    names = [("conv", "conv_w", "conv_b"), ("fc", "fc_w", "fc_b"), ("gone", "gone_w", "gone_b")]
    health = Health(layers_of(names, {"conv": batch}, states[0], {"conv": rule, "fc": rule}))
    assert [layer.name for layer in health.layers] == ["conv", "fc"]
    health.begin(states[0])
    for each in states[1:]:
        health.look(each, count)
    return "\n".join(health.notes(steps(count, **late), BLIND, RATE))


def learning(n: int) -> list[dict[str, Array]]:
    return [state(i, (i, i, i, i), i) for i in range(n)]


def test_what_learns_is_not_told() -> None:
    assert followed(*learning(5)) == ""
    last = learning(5)
    assert followed(*last, last[-1]) == "", "weights may rest while the rate ends at 0"
    residuals = [state(fc=i) | {"conv_w_residual": np.full(4, i, np.uint8)} for i in range(5)]
    assert "conv" not in followed(*residuals), "residual bits are weights, too"


def test_layers_that_never_change_are_named() -> None:
    said = followed(*(state(fc=i) for i in range(5)))
    assert said.startswith("1 of 2 layers have not changed by a bit in 400 steps: conv; ")
    assert "try a rate of 0.03, the rule sr16" in said
    for rule in ("sr16", ""):  # none is finer than these
        said = followed(*(state(fc=i) for i in range(5)), rule=rule)
        assert said.endswith("lost in rounding: try a rate of 0.03, or train= with the layers that change")
    assert followed(*(state() for i in range(5))).endswith("try a rate of 0.03, or the rule sr16")
    assert followed(*(state(fc=i) for i in range(5)), loss=0.01) == "", "nothing is left to learn"
    assert followed(*(state(fc=i) for i in range(5)), count=20) == "", "80 steps are few"


def test_layers_that_stopped_say_since_when() -> None:
    said = followed(state(), state(9, fc=1), *(state(9, fc=i) for i in range(2, 6)), empty=0.5, taken=0.1)
    assert "1 of 2 layers have not changed by a bit since step 100 of 500: conv; " in said
    assert "their errors are 0 by now: try a rate of 0.0033" in said


@pytest.mark.parametrize(
    ("rule", "moved", "lost"),
    [("sr16", 1, True), ("sr16", 2, False), ("qas", 50, True), ("", 1e-6, True), ("", 1, False)],
)
def test_layers_that_moved_by_roundings_only_stopped_in_rounding(rule: str, moved: float, lost: bool) -> None:
    """Where rounding is to nearest; a rate that falls to 0 along its schedule is no error of 0."""
    kind = np.int8 if rule else np.float32
    first = state() | {"conv_w": np.full(4, 1, kind)}
    then = [state(fc=i) | {"conv_w": np.full(4, 1 + moved, kind)} for i in range(1, 7)]
    said = followed(first, *then, rule=rule, empty=0.5 if rule else 0.0)  # float32 counts no errors of 0
    assert ("conv; changes that small are lost in rounding: try a rate of 0.03" in said) == lost
    assert ("the rule sr8" in said) == (lost and rule != "")
    assert ("their errors are 0 by now" in said) != lost


@pytest.mark.parametrize("rule", ["sr8", "sr10", "sr12"])
def test_layers_that_hardly_moved_by_chance_are_not_advised_smaller_steps(rule: str) -> None:
    """Rounding at random moves a weight now and then where a change is far below its step."""
    for moved, empty, is_small in ((1, 0.0, True), (1, 0.5, True), (9, 0.0, True), (9, 0.5, False)):
        said = followed(state(), *(state(moved, fc=i) for i in range(1, 7)), rule=rule, empty=empty)
        either = "their errors are 0, or " if empty else ""
        small = f"conv; {either}changes that small are rare by {rule}: try a rate of 0.03, or the rule sr16"
        assert said.endswith(small) == is_small, "no error was 0, or hardly a weight had moved"
        assert ("their errors are 0 by now: try a rate of 0.0033" in said) != is_small


def test_most_of_the_layers_that_rest_say_why() -> None:
    names = [(name, f"{name}_w", "") for name in "abcd"]

    def weights(a: int, others: int, d: int) -> dict[str, Array]:
        by = {"a": a, "b": others, "c": others, "d": d}
        return {f"{name}_w": np.full(4, value, np.int8) for name, value in by.items()}

    for a, others, told in (
        (9, 1, "changes that small are rare by sr8"),
        (9, 9, "their errors are 0 by now"),
    ):
        health = Health(layers_of(names, {}, weights(0, 0, 0), dict.fromkeys("abcd", "sr8")))
        health.begin(weights(0, 0, 0))
        for i in range(1, 7):
            health.look(weights(a, others, i), 100)
        (said,) = health.notes(steps(100, empty=0.5), BLIND, RATE)
        assert told in said
        assert health.wants_smaller == (others == 9)


def test_weights_that_are_no_numbers_are_compared_without_a_warning() -> None:
    """Whoever trains is told of them; a warning of NumPy would come before, and may be an error."""
    health = Health(layers_of([("conv", "conv_w", "conv_b")], {}, state(), {"conv": "sr16"}))
    health.begin(state())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for value in (np.inf, np.inf, np.nan, np.inf):
            health.look(state(1, (value, -value, value, 3e38)), 100)


def test_a_batch_that_is_larger_than_the_steps_is_told() -> None:
    said = followed(*(state(fc=i) for i in range(5)), batch=1000)
    assert "400 steps make 0 changes by batches of 1000: try a batch of 4, or more epochs" in said


def test_a_training_without_a_whole_batch_is_told_however_short() -> None:
    """Unless it is so short that the next one goes on with what was gathered."""
    resting = [state(), state()]
    layers = layers_of(
        [("conv", "conv_w", "conv_b"), ("fc", "fc_w", "fc_b")], {"conv": 64, "fc": 64}, state()
    )
    for count, told in ((32, True), (15, False), (64, False)):
        health = Health(layers)
        health.begin(resting[0])
        health.look(resting[1], count)
        said = "".join(health.notes(steps(count), BLIND, RATE))
        assert (
            f"{count} steps make no change by batches of 64: try a batch of 1, or more epochs" == said
        ) == told


def sampled(*taken: int, batch: int = 1, count: int = 100) -> str:
    """What is said where so many of each hundred samples were learned from; only these change a thing."""
    names = [("conv", "conv_w", "conv_b"), ("fc", "fc_w", "fc_b")]
    health, at = Health(layers_of(names, {"conv": batch, "fc": batch}, state())), 0
    health.begin(state())
    for each in taken:
        at += each
        health.look(state(at // batch, (at // batch,) * 4, at // batch), count, each)
    return "\n".join(health.notes(steps(count), BLIND, RATE))


def test_steps_that_were_not_taken_are_no_rest() -> None:
    assert sampled(30, 30, 30, 30, 0, 0, 0, 0) == "", "no layer could change in the last half"
    assert sampled(2, 0, 0, 0) == "", "two steps say nothing of layers"
    said = sampled(0, 0, 0, 0)
    assert said == (
        "none of 400 samples was learned from, which makes no change: try samples=0.25, or more epochs"
    )
    said = sampled(1, 0, 0, 0, batch=8)
    assert said == (
        "1 of 400 samples was learned from, which makes no change by batches of 8: try samples=0.25, or more epochs"
    )
    said = sampled(5, 0, 0, 2, batch=200)
    assert (
        "7 of 400 samples were learned from, which makes no change by batches of 200: try samples=0.5" in said
    )
    assert sampled(0, 0, count=7) == "", "14 samples are few"


def test_rests_are_counted_in_steps_that_were_taken() -> None:
    layers = layers_of([("conv", "conv_w", "conv_b"), ("fc", "fc_w", "fc_b")], {}, state())
    health = Health(layers)
    health.begin(state())
    for each in range(1, 9):
        health.look(state(min(each, 2), fc=each), 100, 25)
    (said,) = health.notes(steps(100), BLIND, RATE)
    assert "1 of 2 layers have not changed by a bit since step 50 of 200: conv; " in said


def test_rules_that_round_say_so_where_the_rate_became_small() -> None:
    layers = layers_of(
        [("conv", "conv_w", "conv_b"), ("fc", "fc_w", "fc_b")], {}, state(), {"conv": "qas", "fc": "qas"}
    )
    health = Health(layers)
    health.begin(state())
    for each in (state(1, fc=1), *[state(1, fc=i) for i in range(2, 6)]):
        health.look(each, 100)
    (said,) = health.notes(steps(100), BLIND, RATE)
    assert "since step 100 of 500: conv; changes that small are lost in rounding: try a rate of 0.03," in said


def test_samples_of_one_answer_need_no_layers() -> None:
    layers = layers_of([("conv", "conv_w", "conv_b")], {}, state())
    health = Health(layers)
    health.begin(state())
    health.look(state(), 400)
    assert health.notes(steps(400), BLIND, RATE) != ()
    assert health.notes(steps(400), 0.0, RATE) == ()


def test_channels_that_died_are_told() -> None:
    alive = [state(i, (i, i, i, i), i) for i in range(3)]
    dead = [state(i, (i, i, 1, 1), i) for i in range(3, 7)]
    dead[:0] = [state(2, (2, 2, 1, 1), 2)]
    said = followed(*alive[:2], *dead)
    assert said.startswith("channels have died, they take no part any more: 2 of 4 in conv; ")
    tiny = [state(i, (i, i, *[1 + 1e-6 * min(i, 1)] * 2), i) for i in range(7)]
    assert followed(*tiny) == "", "by 10 roundings in 100 steps: rounding may well hold them while rates fall"
    rested = [state(i, (i, i, 0, 0), i) for i in range(7)]
    assert followed(*rested) == "", "channels that never moved are left out, or were dead before"


def test_ranges_that_are_exceeded_are_told() -> None:
    assert "each step exceeds 40% of the ranges" in followed(*learning(5), saturation=0.4)
    assert followed(*learning(5), saturation=0.1) == ""


def test_many_layers_are_counted() -> None:
    layers = [Layer(f"conv{i}", (f"w{i}",), "", 1) for i in range(9)]
    health = Health(layers)
    begin = {f"w{i}": np.zeros(2, np.int8) for i in range(9)}
    health.begin(begin)
    health.look(begin, 400)
    (said,) = health.notes(steps(400), BLIND, RATE)
    assert (
        "9 of 9 layers have not changed by a bit in 400 steps: conv0, conv1, conv2, conv3 and 5 more; "
        in said
    )


# --- trainings ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def net() -> mg.Model:
    return model((1, 12, 12), (Conv(6, stride=(2, 2)), Conv(8, stride=(2, 2)), Dense(4)))


def test_a_rate_too_small_for_its_rule_names_the_layers(net: mg.Model) -> None:
    """qas rounds to nearest, so that small changes are lost."""
    x, y = corners(400)
    trainer = mg.compile(net, calibration=x, rule="qas")
    with pytest.warns(McugradWarning, match="layers have not changed by a bit in 400 steps"):
        trainer.fit(x, y, rate=1e-5)


@pytest.mark.parametrize(
    ("rule", "rate"),
    [
        ({"conv2": "sr12", "*": "sr8"}, 0.01),
        ("qas", 0.01),
        (mg.Update("standardized", batch=4), 0.004),
    ],
    ids=["sr8, sr12", "qas", "standardized"],
)
def test_a_training_that_goes_well_has_nothing_to_say(net: mg.Model, rule: Any, rate: float) -> None:
    x, y = corners(400)
    trainer = mg.compile(net, calibration=x, rule=rule)
    with warnings.catch_warnings():
        warnings.simplefilter("error", McugradWarning)
        trainer.fit(x, y, epochs=4, rate=rate)


FEW_TAKEN: dict[str, tuple[float, int, int, str | None]] = {
    # share of the samples, samples, batch, what is said
    "none": (0.0001, 200, 1, "none of 200 samples was learned from, which makes no change: try samples=0.5,"),
    "no batch": (
        0.0001,
        400,
        16,
        "none of 400 samples was learned from, which makes no change by batches of 16: try samples=0.25,",
    ),
    "some": (
        0.02,
        400,
        1,
        r"nothing has been learned by now: \d+ of 400 samples were learned from; try samples=0.75",
    ),
    "a short one": (0.05, 200, 1, None),
}


@pytest.mark.parametrize("case", FEW_TAKEN)
def test_a_training_that_takes_hardly_a_step_says_so(net: mg.Model, case: str) -> None:
    """And nothing of errors that are 0, channels that died, or rates."""
    share, count, batch, told = FEW_TAKEN[case]
    x, y = corners(400)
    trainer = mg.compile(net, calibration=x, rule=mg.Update(batch=batch), sparse=mg.Sparse(samples=share))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", McugradWarning)
        trainer.fit(x[:count], y[:count], rate=0.01)
    texts = [str(each.message) for each in said]
    assert len(texts) == (told is not None)
    assert told is None or re.search(told, texts[0])


# --- on the device ----------------------------------------------------------------------------------------------


def watch(seen: int, loss: float) -> Any:
    made = np.zeros(1, WATCH)
    made["seen"], made["loss"] = seen, loss
    return made[0]


TROUBLES: dict[str, tuple[int, float, float, float, float, int]] = {
    "all is well": (1000, 0.3, BLIND, 0.0, 0.0, 0),
    "stalled": (256, 0.91 * BLIND, BLIND, 0.0, 0.0, STALLED),
    "at first": (255, 0.91 * BLIND, BLIND, 0.0, 0.0, 0),
    "unknown": (1000, 9.0, 0.0, 0.0, 0.0, 0),
    "exceeded": (1000, 0.3, BLIND, 0.25, 0.0, EXCEEDED),
    "empty": (1000, 0.3, BLIND, 0.2, 0.5, EMPTY),
    "all": (1000, 9.0, BLIND, 0.3, 0.1, STALLED + EXCEEDED + EMPTY),
}


@pytest.mark.parametrize("case", TROUBLES)
def test_trouble(case: str) -> None:
    seen, loss, blind, saturation, empty, expected = TROUBLES[case]
    given = watch(seen, loss), blind, np.float32(saturation), np.float32(empty)
    assert int(trouble(given[0], np.float32(0.1), *given[1:])) == expected
    assert int(trouble(given[0], np.float32(0.0), *given[1:])) == expected & ~EMPTY, (
        "nothing is left to learn"
    )


def test_a_step_says_what_looks_wrong(net: mg.Model) -> None:
    x, y = corners(300)
    trainer = mg.compile(net, calibration=x, rate=0.01)
    samples, labels = trainer.quantize(x), trainer.labels(y, 300)
    order = np.arange(300, dtype=np.uint32)
    stalled = trainer.twin.train(samples, labels[::-1].copy(), order, np.zeros(300, np.float32)).info
    assert (stalled["trouble"][:255] & STALLED == 0).all()
    assert stalled["trouble"][-1] & STALLED
    assert trainer.build.compiled.program.errors == 2
    twin, reference = trainer.twin, ReferenceRunner(trainer.build.compiled)
    for dead, empty in (("", 0.0), ("conv1_b", 0.5), ("conv2_b", 1.0)):
        twin.init()
        broken = twin.state()
        if dead:
            broken[dead][...] = -100.0  # its ReLUs pass nothing
        infos = []
        for runner in (twin, reference):
            runner.restore(broken)
            infos.append(runner.train(samples, labels, order[:20]).info)
        assert infos[0].tobytes() == infos[1].tobytes()
        assert np.median(infos[0]["empty"]) == empty
        assert np.median(infos[0]["trouble"] & EMPTY) == (EMPTY if dead else 0)
