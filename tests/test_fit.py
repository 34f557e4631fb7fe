"""What fits: the model's RAM with 4 KiB for the stack, and its constants, to the byte."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import mcugrad as mg
from mcugrad import targets
from mcugrad.compiler import Footprint, build
from mcugrad.fit_check import Footprints
from mcugrad.targets import Target
from mcugrad.training.rules import updates
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
    with pytest.raises(mg.FitError, match=r"\(0.0 KiB short\)"):
        mg.compile(model, calibration=x, train=train, target=board(need - 1))


def test_constants_fit_to_the_byte(model: mg.Model) -> None:
    x, _ = corners(16)
    build = mg.compile(model, calibration=x).build
    mg.compile(model, calibration=x, target=board(1 << 18, build.constants))
    with pytest.raises(
        mg.FitError, match=r"constants alone need .* KiB of flash; cortex-m4f has .* \(0.0 KiB short\)"
    ):
        mg.compile(model, calibration=x, target=board(1 << 18, build.constants - 1))


def test_what_would_fit_is_named_with_the_stack(model: mg.Model) -> None:
    """The first that fits, where each one fits to the byte and the one before does not."""
    x, _ = corners(16)
    sizes = {
        train: mg.compile(model, calibration=x, train=train).ram + STACK
        for train in ("all", "last:1", "none")
    }
    assert len(set(sizes.values())) == 3
    for train in ("last:1", "none"):
        with pytest.raises(mg.FitError) as error:
            mg.compile(model, calibration=x, target=board(sizes[train]))
        assert f"({sizes[train] / 1024:.1f} KiB)" in error.value.hint or "rule=sr8" in error.value.hint
    smallest = np.min(list(sizes.values()))
    with pytest.raises(mg.FitError, match="a smaller input or network: not even inference fits"):
        mg.compile(model, calibration=x, target=board(int(smallest) - 1))


@pytest.mark.parametrize("precision", ["int8", "mixed"])
@pytest.mark.parametrize("sparse", [None, mg.Sparse(0.2, 1.0)])
def test_sizes_without_a_build_are_those_of_the_build(
    model: mg.Model, precision: str, sparse: mg.Sparse | None
) -> None:
    x, _ = corners(16)
    made = mg.compile(model, calibration=x, train="none", precision=precision)  # type: ignore[arg-type]
    sizes = Footprints(model, made.build.quantized, replace(made.options, sparse=sparse))
    rules = ("sr8", "sr10", "sr12", "sr16", "qas", "standardized", mg.Update("sr12", momentum=0.9))
    for train in ("all",) if sparse else ("all", "last:1", "bias", "none"):
        for rule in rules if precision == "int8" else rules[:1]:
            how = updates(rule)
            options = replace(made.options, train=train, updates=how, sparse=sparse)
            built = build(model, made.build.quantized, options)
            assert sizes.of(train, how) == Footprint(built.ram, built.constants)
