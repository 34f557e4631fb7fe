"""What fits: the model's RAM with 4 KiB for the stack, and its constants, to the byte."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import mcugrad as mg
from mcugrad import targets
from mcugrad.fit_check import Footprints, made_up
from mcugrad.options import Preference
from mcugrad.targets import Target
from mcugrad.training.rules import updates
from networks import Conv, Dense, Pool, corners, write_onnx

STACK = 4096
"""Bytes kept for the stack, as documented."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> mg.Model:
    path = tmp_path_factory.mktemp("fit") / "tiny.onnx"
    return mg.load(write_onnx(path, (1, 12, 12), (Conv(2), Pool(), Dense(4))))


def board(ram: int, flash: int = 1 << 20, core: str = "cortex-m4f") -> Target:
    """A board with so many bytes, though real memories are whole pages."""
    made = replace(targets.load(core))
    object.__setattr__(made, "ram", replace(made.ram, bytes=ram))
    object.__setattr__(made, "flash", replace(made.flash, bytes=flash))
    return made


@pytest.mark.parametrize("train", ["all", "none"])
def test_ram_and_stack_fit_to_the_byte(model: mg.Model, train: str) -> None:
    x, _ = corners(16)
    need = mg.compile(model, calibration=x, train=train, prefer="ram").ram + STACK
    faster = mg.compile(model, calibration=x, train=train).ram + STACK
    assert need < faster or (train == "none" and need == faster)  # more would make no prediction faster
    assert mg.compile(model, calibration=x, train=train, target=board(need)).ram + STACK == need
    what = "training" if train == "all" else "inference"
    text = f"{need / 1024:.1f} KiB"
    with pytest.raises(mg.FitError) as error:
        mg.compile(model, calibration=x, train=train, target=board(need - 1024))
    assert error.value.what == (
        f"{what} needs {text} of RAM; cortex-m4f has {(need - 1024) / 1024:.1f} KiB (1.0 KiB short)"
    )
    assert error.value.where.startswith("learned state ")
    with pytest.raises(mg.FitError, match=r"\(1 B short\)"):
        mg.compile(model, calibration=x, train=train, target=board(need - 1))


def test_constants_fit_to_the_byte(model: mg.Model) -> None:
    x, _ = corners(16)
    build = mg.compile(model, calibration=x).build
    mg.compile(model, calibration=x, target=board(1 << 18, build.constants))
    with pytest.raises(
        mg.FitError, match=r"constants alone need .* KiB of flash; cortex-m4f has .* \(1 B short\)"
    ):
        mg.compile(model, calibration=x, target=board(1 << 18, build.constants - 1))


def hint(model: mg.Model, ram: int, **options: Any) -> str:
    """What a board with so many bytes is told to try."""
    with pytest.raises(mg.FitError) as error:
        mg.compile(model, calibration=corners(16)[0], target=board(ram), **options)
    return error.value.hint


def test_smaller_rules_and_precisions_are_named(model: mg.Model) -> None:
    def need(**options: Any) -> int:
        return mg.compile(model, calibration=corners(16)[0], prefer="ram", **options).ram + STACK

    def said(ram: int) -> str:
        return f"({ram / 1024:.1f} KiB)"

    small, none = need(rule="sr8"), need(train="none")
    assert small < need(rule="sr16")
    assert hint(model, small, rule="sr16") == f"train=all with rule=sr8   {said(small)}"
    last = need(train="last:1", rule="sr8")
    assert hint(model, last, rule="sr8") == f"train=last:1   {said(last)}"
    assert hint(model, none, rule="sr8") == f"train=none   {said(none)}"
    assert small < need(train="none", precision="float32")
    assert (
        hint(model, small, precision="float32")
        == f"precision=int8 with train=all with rule=sr8   {said(small)}"
    )
    tiny = "a smaller input or network: not even inference fits"
    assert hint(model, none - 1, precision="float32") == tiny


@pytest.mark.parametrize("prefer", ["balanced", "ram", "speed"])
@pytest.mark.parametrize("core", ["cortex-m4f", "cortex-m0plus"])
def test_sizes_are_said_before_there_is_a_build(model: mg.Model, core: str, prefer: Preference) -> None:
    """To the byte, whatever the samples, and where a target leaves little for kernels to be faster."""
    x, _ = corners(16)
    for train, rule in (("all", "sr16"), ("all", "sr8"), ("last:1", "sr12"), ("none", "sr8")):
        least = mg.compile(model, calibration=x, train=train, rule=rule, prefer="ram", target=core)
        for more in (0, 300, 1500, 1 << 18):
            goal = board(least.ram + STACK + more, core=core)
            made = mg.compile(model, calibration=x, train=train, rule=rule, prefer=prefer, target=goal)
            sizes = Footprints(model, made_up(model), replace(made.options, train="all"))
            found = sizes.of(train, updates(rule))
            assert (found.ram, found.need) == (made.ram, made.build.footprint.need)
            assert found.fits(goal)
