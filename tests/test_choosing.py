"""What to train within limits: what is chosen keeps to them, is the best that was tried, and leaves no trace."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from command_line import Cli, save
from mcugrad import choosing
from mcugrad.advised import Advice, Choice, Limits
from mcugrad.choosing import SHARES, _best, _no_less, _tried_of
from mcugrad.errors import FitError, UsageError
from mcugrad.measure.cost import measure_step
from mcugrad.rate_search import RateSearch
from mcugrad.targets import load as load_target
from mcugrad.training.rate_grid import Trial
from networks import Conv, Dense, corners, model, write_onnx

Array = np.ndarray
SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def net() -> mg.Model:
    return model(SHAPE, (Conv(4, stride=(2, 2)), Dense(4)))


@pytest.fixture(scope="module")
def samples() -> tuple[Array, Array]:
    return corners(64, SHAPE[-1])


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing trains, for what asks which ways there are, and what they take: as if all brought the same."""

    def made_up(*given: Any) -> tuple[Choice, RateSearch]:
        trial = Trial(0.01, 100, 0.9, 0.3, 128)
        search = RateSearch(0.01, (trial,), 128, 0.2, 100, 1.0, is_share=True)
        return replace(given[4], score=0.9, rate=0.01, steps=100), search

    monkeypatch.setattr(choosing, "_tried", made_up)


def test_the_choice_is_the_best_that_was_tried_and_fits(net: mg.Model, samples: tuple[Array, Array]) -> None:
    found = mg.advise(net, *samples, ram="8K", epochs=1)
    assert all(choice.within(found.limits) for choice in found.choices)
    assert {choice.steps for choice in found.choices} == {found.best.steps}
    assert (found.best.score or 0) >= max(
        choice.score or 0 for choice in found.choices
    ) - 0.5 / found.held_out**0.5
    assert found.best.score is not None
    assert found.best.score > found.before
    made = mg.compile(net, calibration=samples[0], **found.options)
    assert found.best.ram == made.build.footprint.need
    assert found.best.flash == made.build.footprint.constants
    again = mg.advise(net, *samples, ram="8K", epochs=1)
    assert again.facts() == found.facts()


def tried(layers: int, score: float) -> tuple[Choice, RateSearch]:
    trial = Trial(0.01, 100, score, 0.3, 128)
    way = Choice(f"last:{layers}", "sr16", 1000 * layers, 900, score=score, steps=100)
    return way, RateSearch(0.01, (trial,), 128, 0.2, 100, 1.0, is_share=True)


def test_of_ways_that_chance_tells_apart_that_with_most_layers_is_taken() -> None:
    """A standard error of 0.9 of 128 is 0.027."""
    ways = [tried(4, 0.80), tried(3, 0.89), tried(2, 0.91), tried(1, 0.60)]
    assert _best(ways)[0].train == "last:3"
    assert _best(ways[::3])[0].train == "last:4"
    assert _best(ways[2:])[0].train == "last:2"


class Fitting:
    """Ways to train by their number of layers, some of which there are not."""

    def __init__(self, numbers: tuple[int, ...], there: set[int]) -> None:
        self.numbers, self.there = numbers, there

    def of(self, number: int) -> Choice | None:
        return Choice(f"last:{number}", "sr16", 1000 * number, 900) if number in self.there else None

    def refused(self) -> FitError:
        return FitError("nothing")


@pytest.mark.parametrize(
    ("scores", "asked"),
    [
        ({8: 0.9, 1: 0.8}, [8, 1]),  # most layers are better: what is between is not asked
        ({8: 0.89, 1: 0.9}, [8, 1]),  # or as good
        ({6: 0.9, 2: 0.8}, [6, 2]),  # ends of those that there are
        ({8: 0.5, 7: 0.5, 6: 0.9, 4: 0.9, 1: 0.8}, [8, 1, 4, 6, 7]),
        ({8: 0.5, 4: 0.5, 3: 0.5, 2: 0.5, 1: 0.8}, [8, 1, 4, 2]),
        ({8: 0.5, 5: 0.9, 1: 0.8}, [8, 1, 5]),
        ({3: 0.4}, [3]),
    ],
)
def test_what_is_between_is_tried_where_fewer_layers_were_better(
    scores: dict[int, float], asked: list[int]
) -> None:
    said: list[int] = []

    def trial(way: Choice) -> tuple[Choice, RateSearch]:
        said.append(int(way.train[5:]))
        return tried(said[-1], scores[said[-1]])

    ways: Any = Fitting((8, 7, 6, 5, 4, 3, 2, 1), set(scores))
    found = _tried_of(ways, trial, thorough=False)
    assert said == asked
    assert [way.train for way, _ in found] == [f"last:{number}" for number in sorted(asked, reverse=True)]
    said.clear()
    _tried_of(ways, trial, thorough=True)
    assert said == sorted(scores, reverse=True)
    with pytest.raises(FitError, match="nothing"):
        _tried_of(Fitting((2, 1), set()), trial, thorough=False)  # type: ignore[arg-type]


@pytest.mark.usefixtures("untried")
def test_a_number_of_layers_is_tried_by_the_most_precise_rule_that_fits(
    net: mg.Model, samples: tuple[Array, Array]
) -> None:
    x, y = samples
    found = mg.advise(net, x, y, ram="1M", epochs=1)
    assert [(choice.train, choice.rule) for choice in found.choices] == [
        ("all", "sr16"),
        ("last:1", "sr16"),
    ]
    least = mg.compile(net, calibration=x, rule="sr16", prefer="ram").build.footprint.need
    tight = replace(found.limits, ram=least - 1)
    found = mg.advise(net, x, y, ram=tight.ram, rules=("sr8", "sr16"), epochs=1)
    assert ("all", "sr8") in [(choice.train, choice.rule) for choice in found.choices]


DEEP = (Conv(12, pads=(1, 1, 1, 1)), Conv(3), Conv(12), Conv(3), Dense(4))


def between_kept_and_recomputed() -> int:
    """RAM in which all layers of `DEEP` train only where activations are made again."""
    kept, again = (
        mg.compile(
            model(SHAPE, DEEP),
            calibration=corners(48, SHAPE[-1])[0],
            rule="sr8",
            prefer="ram",
            recompute=recompute,
        ).build.footprint.need
        for recompute in (False, True)
    )
    assert again < kept
    return (again + kept) // 2


def test_where_no_rule_fits_activations_are_recomputed(samples: tuple[Array, Array]) -> None:
    x, y = (part[:16] for part in samples)
    net = model(SHAPE, DEEP)
    found = mg.advise(net, x, y, ram=between_kept_and_recomputed(), epochs=1)
    first = found.choices[0]
    assert first.recompute
    assert first.text == f"all by {first.rule}, recomputed"
    assert first.options == {"train": "all", "rule": first.rule, "recompute": True}
    made = mg.compile(net, calibration=x, **{**found.options, **first.options})
    assert made.build.footprint.need == first.ram
    assert not found.choices[-1].recompute, "where it is not needed it only costs instructions"
    assert found.facts()["choices"][0]["recompute"]


@pytest.mark.mcu
@pytest.mark.usefixtures("untried")
def test_steps_are_counted_and_may_have_to_be_fast(
    samples: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole steps alone: of shares is the next test."""
    net = model(SHAPE, (Dense(8, "relu"), Dense(4)))
    monkeypatch.setattr(choosing, "SHARES", ())
    x, y = samples
    found = mg.advise(net, x, y, target="nrf52840", epochs=1)
    first = found.choices[0]
    made = mg.compile(net, calibration=x, train=first.train, rule="sr16")
    step = made.measure(x[:2], y[:2], target="nrf52840").step
    assert step is not None
    assert first.instructions == step.instructions
    assert first.milliseconds == pytest.approx(step.milliseconds)
    slowest, fastest = (pick(choice.milliseconds or 0 for choice in found.choices) for pick in (max, min))
    within = mg.advise(net, x, y, target="nrf52840", milliseconds=(slowest + fastest) / 2, epochs=1)
    assert {choice.train for choice in within.choices} < {choice.train for choice in found.choices}
    assert all((choice.milliseconds or 0) <= (slowest + fastest) / 2 for choice in within.choices)
    with pytest.raises(FitError, match=r"no training step takes 0.01 ms or less on nrf52840") as refused:
        mg.advise(net, x, y, target="nrf52840", milliseconds=0.01, epochs=1)
    assert re.search(rf"that of last:1 by sr16, {_no_less(fastest)} ms", refused.value.where)


@pytest.mark.mcu
@pytest.mark.usefixtures("untried")
def test_where_a_whole_step_takes_too_long_a_share_of_its_updates_is_tried(
    samples: tuple[Array, Array],
) -> None:
    x, y = samples
    net = model(SHAPE, (Dense(24, "relu"), Dense(4)))

    def milliseconds(way: Choice) -> float:
        made = mg.compile(net, calibration=x, target="nrf52840", **way.options)
        inputs, labels = made.quantize(x[:2]), made.labels(y[:2], 2)
        step = measure_step(made.build, load_target("nrf52840"), inputs, labels, made.options.rate)
        return step.milliseconds or 0

    limit = 0.97 * milliseconds(Choice("all", "sr16", 0, 0))
    found = mg.advise(net, x, y, target="nrf52840", milliseconds=limit, rules="sr16", epochs=1)
    part = next(choice for choice in found.choices if choice.train == "all")
    assert part.text == f"all by sr16, {100 * part.updates:g} % of its updates"
    assert (part.milliseconds or np.inf) <= limit
    made = mg.compile(net, calibration=x, **part.options)
    assert part.ram == made.build.footprint.need
    more = min(share for share in (1, *SHARES) if share > part.updates)
    assert milliseconds(replace(part, updates=more)) > limit


@pytest.mark.mcu
@pytest.mark.usefixtures("untried")
def test_where_kernels_can_have_nothing_more_what_fits_is_still_advised(
    samples: tuple[Array, Array],
) -> None:
    """Counted with the limit, too, or a way is left out for memory that it could do without."""
    x, y = samples
    net = model(SHAPE, (Conv(8, stride=(2, 2)), Dense(4)))
    sizes = [
        mg.compile(net, calibration=x, train="all", rule="sr8", prefer=prefer).build.footprint.need
        for prefer in ("ram", "balanced")
    ]
    limit = sizes[0] + 4
    assert sizes[1] > limit
    found = mg.advise(net, x, y, target="nrf52840", ram=limit, rules="sr8", epochs=1)
    assert [choice.text for choice in found.choices] == ["all by sr8", "last:1 by sr8"]
    assert all(choice.ram <= limit for choice in found.choices)
    made = mg.compile(net, calibration=x, **found.options)
    assert made.build.footprint.need == found.best.ram


def test_values_have_errors_for_scores(net: mg.Model, samples: tuple[Array, Array]) -> None:
    x, y = samples
    values = np.eye(4, dtype=np.float32)[y]
    found = mg.advise(net, x, values, ram="1M", epochs=1, loss="mse", typical_labels=values)
    assert not found.is_share
    assert 0 > (found.best.score or 0) > found.before
    assert "error 0." in found.why


@pytest.mark.parametrize(
    ("options", "what", "where"),
    [
        ({}, "no limit", "ram"),
        ({"ram": "much"}, "no number of bytes", "ram"),
        ({"ram": "8K", "flash": -1}, "no number of bytes", "flash"),
        ({"ram": "8K", "milliseconds": 5}, "depends on the board", "milliseconds"),
        ({"target": "cortex-m4f", "milliseconds": 5}, "depends on the board", "milliseconds"),
        ({"target": "nrf52840", "milliseconds": float("nan")}, "no time", "milliseconds"),
        ({"ram": "8K", "epochs": 0}, "no number of passes", "epochs"),
        ({"ram": "8K", "rules": ("sr8", "qas")}, "has 'qas', which is not chosen from", "rules"),
        ({"ram": "8K", "rules": ()}, "names none", "rules"),
        ({"target": 3}, "target=3 is no board or core", "target"),
    ],
)
def test_what_makes_no_sense_is_refused(
    net: mg.Model, samples: tuple[Array, Array], options: dict[str, Any], what: str, where: str
) -> None:
    with pytest.raises(UsageError, match=what) as refused:
        mg.advise(net, *samples, **options)
    assert refused.value.where == where


def test_too_few_samples_say_nothing(net: mg.Model, samples: tuple[Array, Array]) -> None:
    with pytest.raises(UsageError, match="5 samples tell no way"):
        mg.advise(net, samples[0][:5], samples[1][:5], ram="1M")
    with pytest.raises(UsageError, match="0 samples tell no way"):
        mg.advise(net, np.asarray(None), [], ram="1M")


@pytest.mark.usefixtures("untried")
def test_a_limit_that_nothing_meets_says_what_would_fit(net: mg.Model, samples: tuple[Array, Array]) -> None:
    with pytest.raises(FitError, match=r"nothing that trains fits 1.0 KiB of RAM") as refused:
        mg.advise(net, *samples, ram="1K")
    assert refused.value.where.startswith("the least is train=last:1 rule=sr8, ")
    assert refused.value.largest, "and what takes most of it"
    least = re.match(r"ram=(\d+) or more, ", refused.value.hint)
    assert least is not None, refused.value.hint
    advice = mg.advise(net, *samples, ram=int(least[1]), epochs=1)
    assert (advice.best.train, advice.best.ram) == ("last:1", int(least[1]))
    with pytest.raises(FitError, match="nothing that trains fits"):
        mg.advise(net, *samples, ram=int(least[1]) - 1)
    with pytest.raises(FitError) as refused:
        mg.advise(net, *samples, ram="1M", flash=100)
    least = re.match(r"flash=(\d+) or more, ", refused.value.hint)
    assert least is not None, refused.value.hint
    assert mg.advise(net, *samples, ram="1M", flash=int(least[1]), epochs=1).best.flash <= int(least[1])


def test_a_board_that_is_too_small_for_all_is_not_asked_for_more(
    net: mg.Model, samples: tuple[Array, Array]
) -> None:
    core = load_target("cortex-m4f")
    small = replace(core, ram=replace(core.ram, bytes=4096))
    with pytest.raises(FitError) as refused:
        mg.advise(net, *samples, target=small)
    assert refused.value.hint.startswith("a larger board, or a smaller network; ")


@pytest.mark.parametrize("time", [0.00123456, 0.9999, 3.2449, 99.96, 123.4, 9999.5])
def test_a_time_to_allow_is_no_less_than_what_is_taken(time: float) -> None:
    assert time <= float(_no_less(time)) <= 1.01 * time


def test_choices_that_another_beats_in_everything_are_not_shown() -> None:
    best = Choice("last:2", "sr16", 5000, 900, score=0.9, steps=10)
    worse = Choice("all", "sr8", 6000, 900, score=0.8, steps=10)
    smaller = Choice("last:1", "sr16", 4000, 900, score=0.5, steps=10)
    longer = Choice("bias", "sr16", 6000, 900, score=0.1, steps=20)
    assert [each.is_dominated([best, worse, smaller, longer]) for each in (best, worse, smaller, longer)] == [
        False,
        True,
        False,
        False,
    ]
    assert not best.within(Limits(4999))
    assert not best.within(Limits(5000, 899))
    assert best.within(Limits(5000, 900, 1.0))


def test_what_diverged_is_worse_than_any_error() -> None:
    """Errors are scores below 0."""
    bad = Choice("last:1", "sr16", 4000, 900, score=None, steps=10)
    good = Choice("all", "sr16", 5000, 900, score=-0.1, steps=10)
    assert not good.is_dominated([bad, good])
    said = Advice(Limits(9000), (good, bad), good, -2.0, 64, False, 1.0)
    assert good in said.kept
    assert "no way to train" not in said.why
    assert "chance" not in said.why
    none = Advice(Limits(9000), (bad,), bad, -2.0, 64, False, 1.0)
    assert "no way to train makes them better" in none.why


def test_what_is_advised_is_shown_though_another_takes_less() -> None:
    best = Choice("all", "sr16", 5000, 900, score=1.0, steps=10)
    small = Choice("last:1", "sr16", 4000, 900, score=1.0, steps=10)
    said = Advice(Limits(9000), (best, small), best, 1.0, 64, True, 1.0)
    assert said.kept == (best, small)
    assert str(said).splitlines()[1].startswith("* all by sr16")


@pytest.mark.usefixtures("untried")
def test_what_comes_next_has_all_that_was_told(cli: Cli, tmp_path: Path) -> None:
    """Another loss, another scale, a name with a space: the call is taken as it stands, with the same options."""
    x, y = corners(64, SHAPE[-1])
    network = write_onnx(tmp_path / "my net.onnx", SHAPE, (Conv(6, stride=(2, 2)), Dense(4)))
    where = save(tmp_path / "values.npz", x, np.eye(4, dtype=np.float32)[y])
    more = ("--loss", "mse", "--seed", "3", "--scale", "0.5", "--calibration", "20", "--name", "mine")
    result = cli("advise", str(network), "--data", where, "--ram", "1M", "--epochs", "1", *more)
    assert result.code == 0, result.err
    words = shlex.split(result.out.partition("next: mcugrad ")[2])
    assert set(more) <= set(words)
    done = cli(*words)
    assert done.code == 0, done.err


def test_the_command_line_shows_choices_and_what_comes_next(
    cli: Cli, tmp_path: Path, samples: tuple[Array, Array]
) -> None:
    network = write_onnx(tmp_path / "net.onnx", SHAPE, (Conv(6, stride=(2, 2)), Dense(4)))
    where = save(tmp_path / "corners.npz", *samples)
    ways = tmp_path / "ways.svg"
    result = cli(
        *("advise", str(network), "--data", where, "--ram", "1M", "--epochs", "1", "--picture", str(ways))
    )
    assert result.code == 0, result.err
    assert ways.read_text(encoding="utf-8").startswith("<svg")
    assert f"{ways}: all that was tried" in result.out
    assert re.search(r"^within 1024\.0 KiB of RAM$", result.out, re.MULTILINE)
    assert re.search(r"^ +train +rule +RAM +constants +held out$", result.out, re.MULTILINE)
    assert re.search(
        r"^next: mcugrad train \S+ --data \S+ --train \S+ --rule sr16 --rate .* --ram 1M$",
        result.out,
        re.MULTILINE,
    )


@pytest.mark.usefixtures("untried")
def test_the_command_line_tells_of_what_is_recomputed(cli: Cli, tmp_path: Path) -> None:
    """What comes next is what was advised, and takes no more than the limit."""
    limit = f"{between_kept_and_recomputed()}"
    network = write_onnx(tmp_path / "net.onnx", SHAPE, DEEP)
    where = save(tmp_path / "corners.npz", *corners(48, SHAPE[-1]))
    given = ("advise", str(network), "--data", where, "--ram", limit, "--epochs", "1", "--thorough")
    result = cli(*given)
    assert result.code == 0, result.err
    facts = cli(*given, "--json").facts
    assert [each["train"] for each in facts["choices"]] == ["all", "last:4", "last:3", "last:2", "last:1"]
    assert facts["choices"][0]["recompute"]
    is_best = facts["best"]["recompute"]
    assert (" --recompute " in result.out.partition("next: ")[2]) == is_best
    assert is_best, "all layers are the best here"
    assert re.search(r"^ +train +rule +recompute +RAM", result.out, re.MULTILINE)
    assert re.search(r"^ *\* +all +sr\d+ +yes ", result.out, re.MULTILINE)
