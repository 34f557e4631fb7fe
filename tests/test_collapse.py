"""Whether a training has learned anything: told at its end with numbers, and never of one that learns."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from command_line import Cli, save
from mcugrad import fitting
from mcugrad.advice import Rates
from mcugrad.collapse import Judge
from mcugrad.errors import McugradWarning
from mcugrad.passes.quantize import affine
from mcugrad.training.losses import Loss, loss_of_one_answer, losses_of_one_answer
from mcugrad.zoo import data, model_path
from networks import Conv, Dense, corners, model, write_onnx

Array = np.ndarray

TEN = np.log(10)


def judge(**options: Any) -> Judge:
    given = {"loss": Loss(), "outputs": 10, "label_scale": None, "update": mg.Update(), "rates": Rates(0.03)}
    return Judge(**{**given, **options})


def course(*means: float, steps: int = 400, noise: float = 0.3) -> Array:
    """Losses that go through these means in equal parts."""
    level = np.repeat(means, steps // len(means))
    return (level * np.random.default_rng(0).uniform(1 - noise, 1 + noise, len(level))).astype(np.float32)


def classes(count: int, outputs: int = 10) -> Array:
    return (np.arange(count) % outputs).astype(np.uint32)


def apart() -> Array:
    return np.random.default_rng(0).integers(-128, 128, (20, 10))


def alike() -> Array:
    return np.tile(np.random.default_rng(0).integers(-128, 128, (1, 10)), (20, 1))


def look(
    each: Judge, losses: Array, predicted: Array | None = None, answers: Callable[[], Array] = apart
) -> str:
    wanted = classes(len(losses))
    chosen = (
        np.random.default_rng(0).integers(0, 10, len(losses)).astype(np.uint32)
        if predicted is None
        else predicted
    )
    return "\n".join(each.epoch(losses, wanted, chosen, answers))


# losses, outputs of some samples, all of one class?, what is said
COURSES: dict[str, tuple[Array, Callable[[], Array], bool, str]] = {
    "learns": (course(2.3, 1.5, 0.5), apart, False, ""),
    "learns slowly": (course(2.4, 2.2, 2.0, 1.8), apart, False, ""),
    "learns little": (
        course(2.4, 2.3, 2.2, 2.1),
        apart,
        False,
        "still 9.% of 2.303.*: little has been learned in 400 steps; try a rate of 0.09,",
    ),
    "knows": (course(0.01), apart, False, ""),
    "dead": (
        course(2.31),
        alike,
        False,
        "not below 2.303, that of the same answer to every sample; the outputs do not depend on the input: training "
        "collapsed; try a rate of 0.003, or batch 8",
    ),
    "dead and far away": (course(9.0), alike, False, "training ran away; try a rate of 0.01"),
    "far, far away": (course(99.0), alike, False, "training ran away; try a rate of 0.003"),
    "lost": (
        course(1.0, 1.0, 2.5, 2.5),
        apart,
        False,
        r"the loss has been \S+: training collapsed; try a rate of 0.01",
    ),
    "fades": (course(0.1, 1.0, 1.6), apart, False, r"above 0.\d+, where it has been: training ran away"),
    "begins in another world": (course(12.0, 9.0, 7.0, 6.0), apart, False, ""),
    "rises a little": (course(0.01, 0.3), apart, False, ""),
    "hardly": (
        course(2.27, noise=0.01),
        apart,
        False,
        "hardly below 2.303.*nothing has been learned in 400 steps; try a rate of 0.09,",
    ),
    "one class": (
        course(1.9),
        apart,
        True,
        "the last 200 samples are all taken for class 3, 10% of them are of it: nothing has been learned in 400 steps",
    ),
}


@pytest.mark.parametrize("case", COURSES)
def test_courses(case: str) -> None:
    losses, answers, is_one, message = COURSES[case]
    said = look(judge(), losses, np.full(len(losses), 3, np.uint32) if is_one else None, answers)
    if message:
        with pytest.warns(McugradWarning, match=message):
            warnings.warn(said, McugradWarning, stacklevel=1)
    assert bool(said) == bool(message)


def test_few_steps_are_no_reason_to_worry() -> None:
    assert look(judge(), course(2.4, steps=299), answers=alike) == ""
    each = judge()
    assert look(each, course(2.4, steps=150), answers=alike) == ""
    assert "in 300 steps" in look(each, course(2.4, steps=150))
    assert look(judge(), course(2.4, steps=1)) == ""
    assert look(judge(rates=Rates(1.0)), course(9.0, steps=20)) != "", "but a loss that explodes is one"


def test_chance_is_no_rise() -> None:
    """A long epoch of a network that is right in three of four: some hundred samples are easier than others."""
    random = np.random.default_rng(0)
    losses = np.where(random.random(60_000) < 0.75, 0.1, random.exponential(2.5, 60_000)).astype(np.float32)
    assert 0.6 < losses.mean() < 0.8
    assert losses.reshape(-1, 100).mean(axis=1).min() < losses.mean() / 2
    assert look(judge(), losses) == ""


def test_samples_of_one_class_have_nothing_to_tell_apart() -> None:
    zeros = np.zeros(400, np.uint32)
    assert judge().epoch(course(0.5), zeros, zeros, alike) == ()
    rare = zeros.copy()
    rare[-10:] = 1
    assert judge(outputs=2).epoch(course(0.1), rare, zeros, apart) == (), (
        "always the same may be the best there is"
    )


def test_a_loss_that_falls_to_the_end_has_lost_nothing() -> None:
    """What the last stretch has is where the training is, not where it has been."""
    for losses in (course(1.5, 1.4, 0.1, steps=300), course(2.3, 1.0, 0.9, 0.1)):
        assert look(judge(), losses) == ""
    each = judge()
    assert look(each, course(2.3, 1.0, 0.9, 0.1)) == ""
    assert "where it has been: training ran away" in look(each, course(1.9)), "an epoch later it is lost"


@pytest.mark.parametrize("rare", [2, 8])
@pytest.mark.parametrize("known", [False, True])
def test_stretches_without_the_rare_class_are_no_measure(rare: int, known: bool) -> None:
    """All but a few samples are of one class, so that the loss of a stretch hangs on how many of the few it has."""
    wanted = np.zeros(800, np.uint32)
    wanted[-3 * rare :: 3] = 1
    share = wanted.mean()
    losses = np.where(wanted == 1, -np.log(share), -np.log(1 - share)).astype(np.float32)
    losses += 1e-3
    predicted = np.zeros(800, np.uint32)
    each = judge(outputs=2)
    if known:
        each.begin(losses[:100] / 3, wanted[:100])
    said = "\n".join(each.epoch(losses, wanted, predicted, apart))
    assert "collapsed" not in said
    assert "ran away" not in said
    each = judge(outputs=2)
    each.begin(losses / 9, wanted)
    assert "collapsed" in "\n".join(each.epoch(losses, wanted, predicted, apart)), "what was known counts"


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "binary_cross_entropy"])
def test_what_one_answer_costs_each_sample_is_its_loss_on_average(name: Any) -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, (200, 3)) if name == "binary_cross_entropy" else random.exponential(2, (200, 3))
    costs = losses_of_one_answer(Loss(name), y, y, 3)
    assert costs.mean() == pytest.approx(loss_of_one_answer(Loss(name), y))
    assert losses_of_one_answer(Loss(name), y, y[:9], 3) == pytest.approx(costs[:9])


@pytest.mark.parametrize(
    "loss",
    [Loss(), Loss(label_smoothing=0.2), Loss(class_weights=(1, 3, 0, 2, 1))],
    ids=lambda loss: loss.text,
)
def test_what_one_answer_costs_each_class_is_its_loss_on_average(loss: Loss) -> None:
    y = np.random.default_rng(0).integers(0, 4, 200) ** 2 % 5
    costs = losses_of_one_answer(loss, y, y, 5)
    assert costs.mean() == pytest.approx(loss_of_one_answer(loss, y, 5))
    assert losses_of_one_answer(loss, y, y[:9], 5) == pytest.approx(costs[:9])


def test_few_steps_of_a_network_that_knows_nothing_yet_do_not_run_away() -> None:
    """Where one class is rare, one answer is soon good, and a network begins far above it."""
    wanted = np.arange(17) == 16
    begins = np.full(17, 0.6, np.float32)
    each = judge(outputs=2)
    assert each.epoch(begins, wanted.astype(np.uint32), wanted.astype(np.uint32), apart) == ()
    assert "ran away" in "".join(each.epoch(9 * begins, wanted.astype(np.uint32), None, apart))


def test_a_few_steps_of_many_samples_are_told_as_such() -> None:
    """Not as a rate that is too small; and none at all is not told here."""
    losses, wanted = course(2.3), classes(400)
    for taken, said in (
        (
            3,
            "nothing has been learned by now: 3 of 400 samples were learned from; try samples=0.75, or more epochs",
        ),
        (299, "299 of 400 samples were learned from; try samples=0.75"),
        (300, "nothing has been learned in 300 steps; try a rate of 0.09"),
        (None, "nothing has been learned in 400 steps; try a rate of 0.09"),
    ):
        assert said in "".join(judge().epoch(losses, wanted, wanted, apart, taken))
    assert judge().epoch(course(9.0), wanted, wanted, apart, 0) == ()
    assert judge(batch=8).epoch(course(9.0), wanted, wanted, apart, 7) == ()
    assert "ran away" in judge(batch=8).epoch(course(9.0), wanted, wanted, apart, 8)[0]


def test_stretches_are_compared_where_samples_come_at_random() -> None:
    losses = course(0.1, 2.0)
    assert "ran away" in look(judge(), losses)
    assert look(judge(shuffle=False), losses) == ""


ADVICE = {
    "plain": (mg.Update(), "try a rate of 0.003, or batch 8, which takes the mean of 8 samples"),
    "batch": (mg.Update(batch=4), "try a rate of 0.003"),
    "momentum": (
        mg.Update(momentum=0.9),
        "try a rate of 0.003: momentum 0.9 makes changes up to 10 times as large",
    ),
    "more": (
        mg.Update(momentum=0.99),
        "try a rate of 0.0003: momentum 0.99 makes changes up to 100 times as large",
    ),
}


def test_advice_knows_that_float32_has_no_options() -> None:
    plain = judge(has_options=False)
    assert look(plain, course(2.4), answers=alike).endswith("try a rate of 0.003")
    assert "try a rate of 0.09, or more epochs" in look(judge(has_options=False), course(2.3))


def test_no_larger_steps_are_advised_beside_smaller_ones() -> None:
    given = course(2.3), classes(400), classes(400) // 2, apart
    (said,) = judge().epoch(*given, wants_smaller=True)
    assert said.endswith("nothing has been learned in 400 steps")


def test_outputs_that_never_depended_on_the_input_have_not_collapsed() -> None:
    said = look(judge(blank=True), course(2.31), answers=alike)
    assert "nor did they before training" in said
    assert "collapsed" not in said
    assert "a rate of" not in said


@pytest.mark.parametrize("case", ADVICE)
def test_advice_knows_the_update(case: str) -> None:
    update, advice = ADVICE[case]
    assert look(judge(update=update), course(2.4), answers=alike).endswith(advice)


def test_a_rate_of_zero_is_named() -> None:
    for losses, answers in ((course(2.4), apart), (course(2.4), alike), (course(0.1, 1.0), apart)):
        assert look(judge(rates=Rates(0.0)), losses, answers=answers) == "nothing is learned: the rate is 0"


def test_losses_with_options_and_other_labels() -> None:
    """One answer costs more with smoothed labels, less where classes weigh little; values have their variance."""
    assert look(judge(loss=Loss(class_weights=(0.5,) * 10)), course(TEN / 2 * 1.01)) != ""
    assert look(judge(loss=Loss(class_weights=(0.5,) * 10)), course(TEN / 2 * 0.85)) == ""
    assert look(judge(loss=Loss(label_smoothing=0.3)), course(TEN * 0.85)) == ""
    scale = affine("y", -1.0, 1.0)
    values = np.random.default_rng(0).integers(-128, 128, (400, 1)).astype(np.int8)
    spread = float(np.var((values.astype(float) - scale.zero) * scale.scale))
    for mean, told in ((1.01, True), (0.8, False)):
        each = judge(loss=Loss("mse"), outputs=1, label_scale=scale)
        assert bool(each.epoch(course(spread * mean, noise=0.1), values, None, apart)) == told
    bits = np.random.default_rng(0).integers(0, 2, (400, 3)).astype(np.uint8)
    for mean, told in ((1.0, True), (0.8, False)):
        each = judge(loss=Loss("binary_cross_entropy"), outputs=3)
        assert bool(each.epoch(course(np.log(2) * mean, noise=0.01), bits, None, apart)) == told


# --- trainings ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def net() -> mg.Model:
    return model((1, 12, 12), (Conv(6, stride=(2, 2)), Dense(4)))


@pytest.mark.parametrize(
    "update", [mg.Update("sr16"), mg.Update("sr12", momentum=0.9)], ids=["plain", "momentum"]
)
def test_a_training_that_collapses_says_so_and_one_that_learns_does_not(
    net: mg.Model, update: mg.Update
) -> None:
    x, y = corners(400)
    trainer = mg.compile(net, calibration=x, rule=update)
    fresh = trainer.state
    with pytest.warns(McugradWarning, match="training (collapsed|ran away); try a rate of") as caught:
        history = trainer.fit(x, y, epochs=2, rate=4.0)
    assert [str(w.message) for w in caught] == list(history[-1].notes)
    assert caught[0].filename == __file__
    for rate in (0.002, 0.01):
        trainer.state = fresh
        with warnings.catch_warnings():
            warnings.simplefilter("error", McugradWarning)
            history = trainer.fit(x, y, epochs=3, rate=rate)
        assert history[-1].accuracy is not None
        assert history[-1].accuracy > 0.6
        assert history[-1].notes == ()


@pytest.mark.parametrize("options", [{"rule": "sr16"}, {"precision": "float32"}], ids=["sr16", "float32"])
def test_what_a_network_knew_before_the_first_step_counts(options: dict[str, Any]) -> None:
    """A few large steps spoil it before any stretch of the training shows what it knew."""
    digits = data.load("digits")
    x, y = digits.x_train[:400, ..., None] / 16, digits.y_train[:400]
    trainer = mg.compile(mg.load(model_path("digits_cnn")), calibration=x[:256], **options)
    assert trainer.evaluate(x, y) > 0.95
    with pytest.warns(McugradWarning, match="where it has been: training ran away; try a rate of 0.033"):
        trainer.fit(x, y, epochs=2, rate=0.1, schedule="constant")
    assert trainer.evaluate(x, y) < 0.6


@pytest.mark.parametrize(
    "rule", [mg.Update("sr8", momentum=0.9, batch=3), "standardized"], ids=["momentum", "standardized"]
)
def test_the_look_at_what_is_known_changes_no_bit(net: mg.Model, rule: Any) -> None:
    """In the middle of a batch, with momentum that moves weights at any rate, and with changed samples."""
    x, y = corners(400)
    trainer = mg.compile(net, calibration=x, rule=rule, rate=0.002)
    trainer.fit(x[:100], y[:100])
    start, given = trainer.state, (trainer.quantize(x), trainer.labels(y, 400))
    course = fitting.Course(
        1,
        0.002,
        "cosine",
        shuffle=True,
        seed=0,
        is_class=True,
        augment=trainer.augmentation(mg.Augment(shift=1)),
    )
    left = []
    for each in (None, judge(outputs=4)):
        trainer.state = start
        fitting.run(trainer.twin, given, replace(course, judge=each), lambda: None)
        left.append({name: value.tobytes() for name, value in trainer.state.items()})
    assert left[0] == left[1]


@pytest.mark.parametrize("dead", ["conv1_b", "fc1_w"])
def test_a_network_that_passes_nothing_is_told_as_such_unless_it_is_a_new_last_layer(
    net: mg.Model, dead: str
) -> None:
    x, y = corners(400)
    trainer = mg.compile(net, calibration=x)
    state = trainer.state
    state[dead][...] = 0 if dead == "fc1_w" else -100
    trainer.state = state
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", McugradWarning)
        trainer.fit(x, y, epochs=2, rate=0.01)
    texts = [str(each.message) for each in said]
    assert [("nor did they before training" in text) for text in texts] == [True] * (dead == "conv1_b"), texts


NOTHING: dict[str, tuple[float, dict[str, Any], Callable[[Array, Array], tuple[Array, Array]], str]] = {
    # bias of the network, options, samples and labels of those that are there, what is said
    "noise": (0.1, {}, lambda x, y: (x, y), "nothing has been learned in 3000 steps; try a rate of 0.03"),
    "one that differs": (
        0.1,
        {},
        lambda x, y: (x, np.where(np.arange(1200).reshape(600, 2) < 2, -0.5, 0.5)),
        "little has been",
    ),
    "samples that are one": (
        0.1,
        {},
        lambda x, y: (np.full_like(x, 0.5), y),
        "all 600 samples are the same to the network, which can learn but one answer",
    ),
    "far away": (
        1e6,
        {},
        lambda x, y: (x, y),
        r"not below .* it was 2\.\d+e\+11 before training: nothing has been learned in 3000 steps; try weights",
    ),
    "far away, and slow": (
        1e6,
        {"rate": 0.001},
        lambda x, y: (x, y),
        r"it was 2\.\d+e\+11 before training: little has been learned in 3000 steps; try weights of the last layer",
    ),
}


@pytest.mark.parametrize("case", NOTHING)
def test_where_there_is_nothing_to_learn_nothing_has_collapsed(case: str) -> None:
    """Nor run away: values that samples do not tell, and a loss that falls by twelve orders of magnitude."""
    bias, options, made, message = NOTHING[case]
    random = np.random.default_rng(3)
    x, y = (random.normal(size=(600, n)).astype(np.float32) for n in (6, 2))
    few, labels = made(x, y)
    values = model((6,), (Dense(16, "relu"), Dense(2)), bias=bias)
    trainer = mg.compile(values, calibration=x, loss="mse", typical_labels=labels)
    with pytest.warns(McugradWarning, match=message) as caught:
        trainer.fit(few, labels, epochs=5, **{"rate": 0.01, **options})
    assert not any("collapsed" in str(each.message) or "ran away" in str(each.message) for each in caught)


def test_how_many_samples_tell_what_is_known() -> None:
    """None where nothing would be said, or samples come in an order of their own; else few beside the training."""
    assert [judge().looks_before(steps, 5000) for steps in (299, 300, 4000, 50_000)] == [0, 100, 200, 256]
    assert judge().looks_before(50_000, 99) == 0
    assert judge().looks_before(50_000, 150) == 150
    assert judge(shuffle=False).looks_before(50_000, 5000) == 0
    each = judge()
    each.begin(course(0.001), classes(400))
    assert "above 0.001" in look(each, course(1.8, 1.9))
    assert look(judge(), course(1.8, 1.9)) == ""


def test_labels_that_do_not_belong_to_the_samples_are_told(net: mg.Model) -> None:
    x, y = corners(400)
    trainer = mg.compile(net, calibration=x)
    with pytest.warns(
        McugradWarning, match="nothing has been learned in 400 steps; .* labels and samples belong"
    ):
        trainer.fit(x, np.random.default_rng(0).permutation(y), rate=0.003)


def test_the_command_line_notes_it_once(cli: Cli, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((320, 8, 8)).astype(np.float32)
    data = save(tmp_path / "x.npz", x, np.arange(320) % 10, x_test=x[:20], y_test=np.arange(20) % 10)
    write_onnx(tmp_path / "net.onnx", (1, 8, 8), (Dense(10),))
    options = ("--data", data, "--epochs", "2", "--rate", "30")
    for verb, more in (("train", ()), ("report", ("--steps", "2"))):
        out = cli(verb, "net.onnx", *options, *more).out
        assert out.count("training ran away; try a rate of") == out.count("note  ") == 1
