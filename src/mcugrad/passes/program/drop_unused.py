"""Drop unused buffers: those that no call touches and nobody reads afterwards."""

from __future__ import annotations

from dataclasses import replace

from mcugrad.program import Program


def drop_unused(program: Program) -> Program:
    """The program with the buffers that it needs."""
    used = program.used
    return replace(program, buffers={name: b for name, b in program.buffers.items() if name in used})
