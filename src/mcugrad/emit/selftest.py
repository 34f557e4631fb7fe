"""Self-test: two more files of code that tell on the device whether the model computes what it does on the PC."""

from __future__ import annotations

from mcugrad.emit.amalgamate import amalgamate
from mcugrad.emit.context import context
from mcugrad.emit.firmware import Firmware
from mcugrad.emit.literals import number
from mcugrad.emit.render import render
from mcugrad.ops.life.selftest import CRC, NOISE

PREDICTIONS, STEPS = 4, 8
"""Samples that are predicted, and training steps on them."""
LABEL_COUNTER = 1 << 31
"""Counter of random labels: beyond those of the samples."""


def selftest_names(name: str) -> list[str]:
    """Names of the files for a model of this name: header and source."""
    return [f"{name}_selftest.{kind}" for kind in ("h", "c")]


def selftest(firmware: Firmware) -> dict[str, str]:
    """Text by file name: `<name>_selftest.h` and `<name>_selftest.c`; nothing for firmware without a proof."""
    if firmware.proof is None:
        return {}
    program, known = firmware.program, context(firmware)
    labels = 0 if known["classes"] or not program.trains else program.classes
    known |= {
        "output_bytes": program.buffers[program.output].size + labels,
        "predictions": PREDICTIONS,
        "steps": STEPS,
        "label_counter": f"0x{LABEL_COUNTER:08x}U",
        "rate": number(firmware.proof.rate, "float"),
        "params": sum(b.size for b in firmware.layout.params),
        "hash": f"0x{firmware.proof.expected:08x}U",
        "runtime": amalgamate([CRC.name, NOISE.name], []),
    }
    return {file: render(f"selftest{file[-2:]}.j2", known) for file in selftest_names(program.name)}
