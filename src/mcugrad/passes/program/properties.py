"""What can be said of a program between the stages of its way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from mcugrad.passes.program.fold_constants import is_constant, writers_of
from mcugrad.passes.stage import Property
from mcugrad.program import Program
from mcugrad.program.segment import FORWARD


def _constant_calls(program: Program) -> Iterator[str]:
    writers = writers_of(program)
    for call in program.calls:
        if is_constant(call, program.buffers, writers):
            yield f"{call.kernel.name} of {call.node}"


def _unused_buffers(program: Program) -> Iterator[str]:
    used = program.used
    yield from (name for name in program.buffers if name not in used)


def _frozen_calls(program: Program) -> Iterator[str]:
    if program.trains and FORWARD in program.segments:
        calls = takewhile(program.follows_from_sample, program.segments[FORWARD].calls)
        yield from (f"{call.kernel.name} of {call.node}" for call in calls)


SETTLED = Property("no call depends on constants alone", _constant_calls)
USED = Property("every buffer is used", _unused_buffers)
APART = Property("no call at the beginning of what learns depends on the sample alone", _frozen_calls)
