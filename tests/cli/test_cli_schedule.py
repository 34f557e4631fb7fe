"""`--schedule` and `--steps` of `mcugrad compile`: the rate of a device that nobody has trained yet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mcugrad as mg
from command_line import Cli
from mcugrad.training.schedules import rates_of

COMPILE = ("compile", "digits_cnn", "--data", "digits", "--train", "last:1", "--no-measure")


@pytest.mark.parametrize(("schedule", "steps"), [("cosine", 40), ("linear", 2**32 - 1), ("constant", None)])
def test_a_firmware_begins_with_the_schedule(
    cli: Cli, tmp_path: Path, schedule: str, steps: int | None
) -> None:
    options = ("--rate", "0.02", "--schedule", schedule, *(() if steps is None else ("--steps", str(steps))))
    done = cli(*COMPILE, *options, "--save", "a.mcgstate")
    told = f"its learning rate of 0.02 follows a {schedule} over {steps} training steps"
    assert (told in done.out) == (steps is not None)
    made = mg.Trainer.load(tmp_path / "a.mcgstate")
    assert (made.options.schedule, made.options.steps) == (mg.Schedule(schedule), steps or 0)  # type: ignore[arg-type]
    x = np.zeros((40, *made.model.input_shape), np.float32)
    samples, labels = made.quantize(x), made.labels(np.zeros(40, int), 40)
    order = np.arange(40, dtype=np.uint32)
    record = mg.Schedule(schedule).record(0.02, steps or 0)  # type: ignore[arg-type]
    assert np.array_equal(made.twin.train(samples, labels, order).info["rate"], rates_of(record[0], order))
    assert "0.02" in (tmp_path / "firmware/digits_cnn/digits_cnn.c").read_text()
    facts = cli(*COMPILE, *options, "--json").facts
    assert (facts["schedule"], facts["schedule_steps"]) == (schedule, steps)


def test_nothing_is_said_where_nothing_is_given(cli: Cli) -> None:
    facts = cli(*COMPILE, "--json").facts
    assert (facts["schedule"], facts["schedule_steps"]) == ("constant", None)


REFUSED = [
    (("--schedule", "steep"), "error: unknown schedule 'steep'", "try    cosine, linear or constant"),
    (("--schedule", "steps", "--steps", "9"), "error: unknown schedule 'steps'", "where  --schedule"),
    (
        ("--schedule", "cosine"),
        "error: a cosine ends after some steps, and how many a device will take is not said",
        "try    --steps 5000, or --schedule constant",
    ),
    (
        ("--steps", "500"),
        "error: a constant learning rate has no number of steps",
        "try    --schedule cosine",
    ),
    (("--schedule", "cosine", "--steps", "0"), "error: invalid value for '--steps'", "compile --help"),
    (
        ("--schedule", "cosine", "--steps", str(2**32)),
        "error: invalid value for '--steps'",
        "4294967295",
    ),
    (
        ("--schedule", "cosine", "--steps", "50", "--train", "none"),
        "error: nothing trains, so that there is no learning rate to follow a cosine",
        "try    --train last:1",
    ),
    (
        ("--schedule", "linear", "--steps", "50", "--resume", "a.mcgstate"),
        "error: what --resume brings has a schedule of its own, which goes on where it was",
        "_set_schedule on the device",
    ),
]


@pytest.mark.parametrize(("options", "what", "more"), REFUSED)
def test_what_makes_no_sense_is_refused(cli: Cli, options: tuple[str, ...], what: str, more: str) -> None:
    refused = cli(*COMPILE, *options)
    assert refused.code == 2
    assert what in refused.err
    assert more in refused.err


def test_run_follows_a_schedule(cli: Cli) -> None:
    run = ("run", "digits_cnn", "--data", "digits", "--train", "last:1", "--on", "reference", "--steps", "3")
    assert cli(*run, "--json").facts["schedule"] == "constant"
    followed = cli(*run, "--schedule", "cosine", "--sparse-samples", "0.5", "--json").facts
    assert (followed["schedule"], followed["equal"]) == ("cosine", True)
    assert "unknown schedule 'sine'" in cli(*run, "--schedule", "sine").err
