"""RAM for stack and caller: what compile accepts the linker takes, and stacks that were measured fit in."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad import targets
from mcugrad.program.reserve import CALLER, INTERRUPTS, LEAST, STACK, caller, reserve
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.targets import Region
from mcugrad.toolchain import size
from networks import Conv, Dense, model, samples

RESULTS = Path(__file__).parents[2] / "benchmarks/results"
SMALL = replace(targets.load("cortex-m4f"), ram=Region(0x2000_0000, 16 << 10), name="small")

mcu = pytest.mark.mcu


def stacks(found: Any) -> list[int]:
    """All that was counted as stack."""
    if isinstance(found, dict):
        own = [found["stack"]] if isinstance(found.get("stack"), int) else []
        return own + [depth for value in found.values() for depth in stacks(value)]
    return [depth for value in found for depth in stacks(value)] if isinstance(found, list) else []


def test_the_stack_is_what_was_measured_and_a_margin() -> None:
    """Of every network and core that the committed results are about."""
    measured = [n for f in RESULTS.glob("*.json") for n in stacks(json.loads(f.read_text(encoding="utf-8")))]
    assert len(measured) > 20
    assert -(-(max(measured) + INTERRUPTS) // 1024) * 1024 == STACK
    assert LEAST == STACK + CALLER


WAYS: dict[str, dict[str, Any]] = {
    "classes": {},
    "inference": {"train": "none"},
    "float": {"precision": "float32"},
    "bits": {"loss": "binary_cross_entropy"},
    "values": {"loss": "mse", "typical_labels": np.asarray([[-1.0], [1.0]])},
}


@cache
def compiled(way: str, outputs: int, inputs: int = 20) -> mg.Trainer:
    net = model((inputs,), (Dense(outputs),))
    options = dict(WAYS[way])
    if "typical_labels" in options:
        options["typical_labels"] = np.broadcast_to(options["typical_labels"], (2, outputs))
    return mg.compile(net, calibration=samples(net, 8)[0], rule="sr8", **options)


@mcu
@pytest.mark.parametrize("outputs", [3, 700])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_linked_takes_what_was_said(way: str, outputs: int) -> None:
    """To the byte: what is behind the firmware's last variable is not needed by it."""
    trainer = compiled(way, outputs)
    program = trainer.build.compiled.program
    firmware = EmulatedDevice(trainer.build.compiled, targets.load("cortex-m4f")).device.firmware
    ram = firmware.target.ram
    ends = [at + n for at, n in size.sections(firmware.elf).values() if ram.address <= at < ram.end]
    assert max(ends) - ram.address <= trainer.build.footprint.need
    assert trainer.build.footprint.reserve == reserve(program) >= LEAST
    assert firmware.sizes.stack >= STACK
    assert (reserve(program) > LEAST) == (caller(program) > CALLER)


@mcu
@pytest.mark.parametrize(("inputs", "fits"), [(560, True), (800, False)])
def test_sixteen_kib_are_enough_for_both_or_for_none(inputs: int, fits: bool) -> None:
    """Where the one kept 4 KiB and the other 8, models between were compiled and not linked."""
    net = model((inputs,), (Dense(16, "relu"), Dense(3)))
    x, y = samples(net, 4)
    build = mg.compile(net, calibration=x, rule="sr8").build
    assert (build.footprint.need <= SMALL.ram.bytes) == fits
    if fits:
        trainer = mg.compile(net, calibration=x, rule="sr8", target=SMALL)
        assert build.ram + 2 * LEAST > SMALL.ram.bytes
        trainer.verify(x, y, on="emulator")
        return
    with pytest.raises(mg.FitError) as early:
        mg.compile(net, calibration=x, rule="sr8", target=SMALL)
    with pytest.raises(mg.FitError) as late:
        EmulatedDevice(build.compiled, SMALL)
    assert early.value.what.startswith("training needs ")
    assert late.value.what.startswith("the firmware needs ")
    for error in (early.value, late.value):
        assert " KiB of RAM; small has 16.0 KiB (" in error.what
        assert "what calls the model" in error.where


def test_a_convolution_fits_as_it_did() -> None:
    """4,096 bytes beside model and sample, as documented."""
    net = model((1, 8, 8), (Conv(4), Dense(3)))
    assert mg.compile(net, calibration=samples(net, 8)[0]).build.footprint.reserve == 4096
