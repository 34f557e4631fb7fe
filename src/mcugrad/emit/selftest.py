"""Emit the self-test: two more files that tell on the device whether the model computes what it does on the PC."""

from __future__ import annotations

from mcugrad.emit.amalgamate import amalgamate
from mcugrad.emit.c import render, whose
from mcugrad.emit.layout import Layout
from mcugrad.emit.literals import number
from mcugrad.ops.life.selftest import CRC, NOISE
from mcugrad.program import Program
from mcugrad.training.losses import LabelKind

PREDICTIONS, STEPS = 4, 8
"""Samples that are predicted, and training steps on them."""
TARGET_COUNTER = 1 << 31
"""Counter of random targets: beyond those of the samples."""


def emit_selftest(program: Program, place: Layout, rate: float, expected: int) -> dict[str, str]:
    """The self-test's files.

    Args:
        program: of the model.
        place: its layout.
        rate: learning rate of the steps.
        expected: hash that a right build gives.

    Returns:
        Text by file name: `<name>_selftest.h` and `<name>_selftest.c`.
    """
    output = program.buffers[program.output]
    classes = program.label_kind is LabelKind.CLASS
    targets = 0 if classes or not program.trains else program.classes
    context = {
        "name": program.name,
        "NAME": program.name.upper(),
        "training": program.trains,
        "target": program.label_kind,
        "classes": classes,
        "output_type": output.ctype,
        "output_bytes": output.size + targets,
        "predictions": PREDICTIONS,
        "steps": STEPS,
        "target_counter": f"0x{TARGET_COUNTER:08x}U",
        "rate": number(rate, "float"),
        "params": sum(b.size for b in place.params),
        "hash": f"0x{expected:08x}U",
        "runtime": amalgamate([CRC.name, NOISE.name], []),
        **whose(program.name),
    }
    return {f"{program.name}_selftest.{kind}": render(f"selftest.{kind}.j2", context) for kind in ("h", "c")}
