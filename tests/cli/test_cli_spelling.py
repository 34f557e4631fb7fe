"""Errors of the command line name its options, not what Python calls them."""

from __future__ import annotations

import inspect

import pytest
import typer

import mcugrad as mg
from command_line import COMPILE, TRAIN, Cli
from mcugrad.cli import app
from mcugrad.commands.spelling import OPTIONS, spelled

ERRORS: list[tuple[tuple[str, ...], str, str, str]] = [
    # options, what is wrong, where, what to try
    (("--sparse", "2"), "shares from 2.0 to 2.0 of the channels", "--sparse", "such as --sparse 0.1:1.0"),
    (
        ("--sparse-samples", "7"),
        "a share of 7.0 of the samples",
        "--sparse-samples",
        "such as --sparse-samples 0.25",
    ),
    (
        ("--sparse", "0.1", "--sparse-policy", "most"),
        "unknown policy 'most'",
        "--sparse-policy",
        "both, split",
    ),
    (("--sparse", "0.000001"), "a share of 1e-06 is half of", "--sparse", "or --sparse-policy split, which"),
    (
        ("--sparse", "0.5", "--train", "last:1"),
        "there is nothing to choose from",
        "--sparse",
        "--train all, --sparse-samples 0.25, or no --sparse",
    ),
    (("--train", "last:9"), "--train last:9: N must be from 1 to 4", "--train", "last:4 or all"),
    (("--clip", "1"), "clipping needs", "--clip", "--momentum 0.9 or --batch 8"),
    (("--rate", "-1"), "a learning rate of -1", "--rate", ""),
    (("--seed", "-1"), "seed -1 does not fit", "--seed", "0 to 4294967295"),
    (("--loss", "l1"), "unknown loss", "--loss", ""),
    (("--precision", "half"), "unknown precision", "--precision", "int8"),
    (
        ("--train", "none", "--sparse", "0.5"),
        "nothing trains, so that --sparse has",
        "--sparse",
        "no --sparse",
    ),
    (("--train", "none", "--rate", "0.1"), "nothing trains, so that --rate has", "--rate", "or no --rate"),
    (("--prefer", "speed", "--ram", "-3"), "--ram -3 is no number of bytes", "--ram", "65536"),
    (("--prefer", "speed", "--ram", "5Q"), "--ram 5Q is no number of bytes", "--ram", "65536 or 64K"),
    (
        ("--prefer", "speed", "--ram", "0.5K"),
        "--ram 0.5K allows 512 B",
        "learned state",
        "or more;  a smaller",
    ),
    (("--prefer", "speed", "--ram", "500"), "--ram 500 allows 500 B", "learned state", "--ram 139"),
    (
        ("--ram", "9000"),
        "--ram 9000 allows 8.8 KiB",
        "learned state",
        "or more;  --train last:2 with --rule sr8",
    ),
    (("--prefer", "ram", "--ram", "5000"), "--ram says how much all may take", "--ram", "or no --ram"),
    (
        ("--features", "replay,nonsense"),
        "there is no feature 'nonsense'",
        "--features",
        "all, none, or some of",
    ),
    (("--replay-of", "images"), "a replay buffer holds no 'images'", "--replay-of", "inputs, latents"),
    (
        ("--train", "all", "--replay-of", "latents"),
        "there are no latents",
        "--replay-of",
        "--train last:2 or fewer of the 4 layers, or --replay-of inputs",
    ),
    (
        ("--train", "none", "--replay-of", "latents"),
        "so that --replay-of has",
        "--replay-of",
        "--train last:1",
    ),
]


@pytest.mark.parametrize(("options", "what", "where", "hint"), ERRORS, ids=[" ".join(e[0]) for e in ERRORS])
def test_an_error_names_options(cli: Cli, options: tuple[str, ...], what: str, where: str, hint: str) -> None:
    facts = cli(*COMPILE, *options, "--json").facts
    assert what in facts["error"]
    assert facts["where"].startswith(where)
    assert hint in facts["hint"]
    told = facts["error"] + facts["hint"]
    for python in ("Sparse(", "sparse=", "train=", "samples=", "='"):
        assert python not in told


def test_every_keyword_is_one_and_has_its_option() -> None:
    calls = (mg.compile, mg.advise, mg.Update, mg.load, mg.Trainer.export)
    keywords = {name for call in calls for name in inspect.signature(call).parameters}
    assert keywords >= OPTIONS.keys()
    group = typer.main.get_command(app)
    verbs = [group.commands[name] for name in ("compile", "advise")]  # type: ignore[attr-defined]
    there = {name for verb in verbs for parameter in verb.params for name in parameter.opts}
    assert set(OPTIONS.values()) <= there


def test_texts() -> None:
    assert spelled("train='last:2', or no sparse=") == "--train last:2, or no --sparse"
    assert spelled("strain=3, 2 steps") == "strain=3, 2 steps"
    assert spelled("train=last:1 with sparse=None") == "--train last:1 without --sparse"


@pytest.mark.parametrize(
    "verb", [COMPILE, ("run", *TRAIN[1:]), ("report", *TRAIN[1:]), ("demo",)], ids=lambda v: v[0]
)
def test_more_steps_than_a_device_can_count(cli: Cli, verb: tuple[str, ...]) -> None:
    result = cli(*verb, "--steps", "99999999999")
    assert result.code == 2
    assert "--steps" in result.err
    assert "4294967295" in result.err
