"""Drop unused buffers: those that no call touches and nobody reads afterwards."""

from __future__ import annotations

from dataclasses import replace

from mcugrad.program import Program
from mcugrad.program.call import used_buffers


def drop_unused(program: Program) -> Program:
    """The program with the buffers that it needs."""
    read = {name for entry in program.entries.values() for name in entry.reads}
    named = {program.input, program.output, program.output_scale}
    when = {segment.when for segment in program.segments.values()}
    used = used_buffers(program.calls) | read | named | when
    return replace(program, buffers={name: b for name, b in program.buffers.items() if name in used})
