"""What fits: the model's RAM with 4 KiB for the stack, and its constants, to the byte."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import mcugrad as mg
from mcugrad import targets
from mcugrad.targets import Target
from networks import Conv, Dense, Pool, corners, write_onnx

STACK = 4096
"""Bytes kept for the stack, as documented."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> mg.Model:
    path = tmp_path_factory.mktemp("fit") / "tiny.onnx"
    return mg.load(write_onnx(path, (1, 12, 12), (Conv(2), Pool(), Dense(4))))


def board(ram: int, flash: int = 1 << 20) -> Target:
    """A board with so many bytes, though real memories are whole pages."""
    made = replace(targets.load("cortex-m4f"))
    object.__setattr__(made, "ram", replace(made.ram, bytes=ram))
    object.__setattr__(made, "flash", replace(made.flash, bytes=flash))
    return made


@pytest.mark.parametrize("train", ["all", "none"])
def test_ram_and_stack_fit_to_the_byte(model: mg.Model, train: str) -> None:
    x, _ = corners(16)
    need = mg.compile(model, calibration=x, train=train).ram + STACK
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
        return mg.compile(model, calibration=corners(16)[0], **options).ram + STACK

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
