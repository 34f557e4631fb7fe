"""Numbers that users give: True, False and texts are none, wherever a number is asked for; messages show them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad.given import in_bytes, is_number, is_whole, shown
from mcugrad.passes.calibrate import Calibration
from networks import Dense, corners, model

X, Y = corners(8)


def compiled(**options: Any) -> mg.Trainer:
    return mg.compile(model((1, 12, 12), (Dense(4),)), calibration=X, **options)


def test_sizes_are_bytes_or_in_units_of_1024() -> None:
    for text, size in {
        1: 1,
        np.uint32(4096): 4096,
        "65536": 65536,
        "64K": 65536,
        "64k": 65536,
        "64 KiB": 65536,
        "64kB": 65536,
        " 1.5M ": 3 << 19,
        "0.5K": 512,
        "2MiB": 2 << 20,
        "1G": 1 << 30,
        "2 GiB": 2 << 30,
        "3 B": 3,
        "0.001953125K": 2,
    }.items():
        assert in_bytes(text) == size
    for odd in (
        0,
        -1,
        0.5,
        True,
        None,
        "",
        "0",
        "-5K",
        "5Q",
        "K",
        "1.5",
        "0.1K",
        "5 K K",
        "1e3",
        "0x10",
        "5KiBs",
    ):
        assert in_bytes(odd) is None


def test_what_a_number_is() -> None:
    for whole in (0, -1, 2**40, np.int8(3), np.uint64(3)):
        assert is_number(whole)
        assert is_whole(whole)
    for real in (0.5, 2.0, float("nan"), np.float32(0.5)):
        assert is_number(real)
        assert not is_whole(real)
    for none in (True, np.True_, "1", None, 1j, np.complex64(1), [1], np.ones(1)):
        assert not is_number(none)
        assert not is_whole(none)
    assert [shown(each) for each in (0.1 + 0.2, 3, np.float32(0.25), True, "2")] == [
        "0.3",
        "3",
        "0.25",
        "True",
        "'2'",
    ]


# The option, and what takes it.
TAKERS: dict[str, Callable[[Any], Any]] = {
    "rate": lambda v: compiled(rate=v),
    "rate of fit": lambda v: compiled().fit(X, Y, rate=v),
    "rate of verify": lambda v: compiled().verify(X, Y, on="reference", rate=v),
    "steps": lambda v: compiled(schedule="cosine", steps=v),
    "seed": lambda v: compiled(seed=v),
    "seed of fit": lambda v: compiled().fit(X, Y, seed=v),
    "epochs": lambda v: compiled().fit(X, Y, epochs=v),
    "percentile": lambda v: Calibration("percentile", v),
    "warmup": lambda v: mg.Schedule("cosine", warmup=v),
    "last": lambda v: mg.Schedule("cosine", last=v),
    "every": lambda v: mg.Schedule("steps", every=v, factor=0.5),
    "factor": lambda v: mg.Schedule("steps", every=9, factor=v),
    "capacity": mg.Replay,
    "every of a replay": lambda v: mg.Replay(4, every=v),
    "seed of a replay": lambda v: mg.Replay(4, seed=v),
    "every of a guard": lambda v: mg.Guard(X, Y, every=v),
    "margin": lambda v: mg.Guard(X, Y, margin=v),
    "shift": lambda v: mg.Augment(shift=v),
    "shift down": lambda v: mg.Augment(shift=(v, 0)),
    "gain": lambda v: mg.Augment(gain=v),
    "offset": lambda v: mg.Augment(offset=v),
    "noise": lambda v: mg.Augment(noise=v),
    "seed of changes": lambda v: mg.Augment(shift=1, seed=v),
    "momentum": lambda v: mg.Update(momentum=v),
    "velocity bits": lambda v: mg.Update(momentum=0.9, velocity_bits=v),
    "batch": lambda v: mg.Update(batch=v),
    "weight decay": lambda v: mg.Update(weight_decay=v),
    "clip": lambda v: mg.Update(batch=8, clip=v),
    "label smoothing": lambda v: mg.Loss(label_smoothing=v),
    "class weights": lambda v: mg.Loss(class_weights=(1, v)),
    "delta": lambda v: mg.Loss("huber", delta=v),
    "low": mg.Sparse,
    "high": lambda v: mg.Sparse(0.1, v),
    "samples": lambda v: mg.Sparse(samples=v),
}


@pytest.mark.parametrize("value", [True, False, np.True_, "1", [1]], ids=repr)
@pytest.mark.parametrize("option", TAKERS)
def test_what_is_no_number_is_refused(option: str, value: Any) -> None:
    with pytest.raises(mg.UsageError, match=re.escape(repr(value))):
        TAKERS[option](value)


@pytest.mark.parametrize("value", [True, np.True_])
def test_channels_are_no_yes_or_no(value: Any) -> None:
    net = model((1, 12, 12), (Dense(6, "relu"), Dense(4)))
    for choice in ({"fc1": value}, {"fc1": (value, 2)}, mg.Static({"fc1": value})):
        with pytest.raises(mg.UsageError, match=re.escape(repr(value))):
            mg.compile(net, calibration=X, sparse=choice)


def test_schedules_that_cannot_be_compiled_say_what_they_are() -> None:
    """No address: the same message in every run."""

    class Own:
        pass

    for schedule, what in (
        (lambda t: 1 - t, "a firmware cannot follow a function of Python as its schedule"),
        (Own(), "a schedule is a name or a Schedule, not Own"),
        (3, "a schedule is a name or a Schedule, not int"),
        (None, "a schedule is a name or a Schedule, not NoneType"),
        ("steep", "unknown schedule 'steep'"),
    ):
        with pytest.raises(mg.UsageError, match=what) as refused:
            compiled(schedule=schedule, steps=40)
        assert "0x" not in str(refused.value)
        if not callable(schedule):
            with pytest.raises(mg.UsageError, match=what):
                compiled().fit(X, Y, schedule=schedule)
