"""RAM that a firmware needs beside its model and the sample: a stack, and what calls the model.

The one place that says so. A model is checked against a target with it before there is any C, and the emulated
firmware is linked with it, so that what the one accepts the other takes.
"""

from __future__ import annotations

from mcugrad.abi.records import SCHEDULE
from mcugrad.program.buffer import Space
from mcugrad.program.program import Program

STACK = 3072
"""Bytes of stack: the deepest of all calls that benchmarks/results has counted, and `INTERRUPTS`, in whole KiB."""
INTERRUPTS = 256
"""Two, one within the other: a core with floats stores 104 bytes for each by itself."""
CALLER = 1024
"""Bytes for what calls the model, unless answers and labels take more."""
LEAST = STACK + CALLER

_REPORT = 128
"""Mailbox, report of a step, and gaps before what begins at multiples of 8."""


def caller(program: Program) -> int:
    """Bytes that the emulated firmware keeps beside model and sample at most: answers, labels, reports."""
    answers = program.buffers[program.output].size
    labels = sum(
        b.size
        for b in program.in_space(Space.ARGUMENT)
        if b.name != program.input and b.name not in program.by_value
    )
    size = _REPORT + SCHEDULE.itemsize + answers + labels
    return size + -size % 8


def reserve(program: Program) -> int:
    """Bytes to keep free beside model and sample."""
    return STACK + max(CALLER, caller(program))


def stack(program: Program) -> int:
    """Bytes of stack that the emulated firmware has: what its own variables leave of the reserve."""
    return reserve(program) - caller(program)
