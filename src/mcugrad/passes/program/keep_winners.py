"""Keep winners: where a pool hands errors back, which input of each window won, instead of all inputs.

1. No input is in two windows, so that each place is told in a few bits.
2. The forward call keeps the places, and the call that hands errors back reads them; it no longer reads the input.
3. All else stays: the same errors go to the same inputs.
"""

from __future__ import annotations

from dataclasses import replace

from mcugrad.ops.pooling.maxpool2d_kept_s8 import (
    MAXPOOL2D_GRAD_KEPT_S8,
    MAXPOOL2D_KEEP_S8,
    are_apart,
    size_of,
)
from mcugrad.ops.pooling.maxpool2d_s8 import MAXPOOL2D_GRAD_INPUT_S8, MAXPOOL2D_S8
from mcugrad.ops.pooling.struct import Pool2dStruct
from mcugrad.program import Argument, Buffer, Call, Program, Space, unused


def keep_winners(program: Program) -> Program:
    """The program with such calls, or as it is where there are none."""
    pools = {
        _key(call): unused(f"{call.node}_won", program.buffers)
        for call in program.calls
        if call.kernel is MAXPOOL2D_S8
    }
    wanted = {
        key: pools[key]
        for call in program.calls
        if call.kernel is MAXPOOL2D_GRAD_INPUT_S8
        and (key := _key(call)) in pools
        and are_apart(key[0])
        and program.buffers[key[1]].space is Space.ARENA
    }
    if not wanted:
        return program
    made = {
        name: Buffer(name, "uint8_t", (size_of(g),), Space.ARENA, None, "which input of each window won")
        for (g, _), name in wanted.items()
    }
    segments = {
        name: replace(segment, calls=tuple(_changed(call, wanted) for call in segment.calls))
        for name, segment in program.segments.items()
    }
    return replace(program, buffers={**program.buffers, **made}, segments=segments)


def _key(call: Call) -> tuple[Pool2dStruct, str]:
    """Constants of a pool, and its input."""
    assert isinstance(call.struct, Pool2dStruct)
    return call.struct, call.given["x"].buffer


def _changed(call: Call, wanted: dict[tuple[Pool2dStruct, str], str]) -> Call:
    if call.kernel not in (MAXPOOL2D_S8, MAXPOOL2D_GRAD_INPUT_S8) or _key(call) not in wanted:
        return call
    kept = Argument(buffer=wanted[_key(call)])
    g, first, second, *last = call.arguments
    if call.kernel is MAXPOOL2D_S8:
        return replace(call, kernel=MAXPOOL2D_KEEP_S8, arguments=(g, first, second, kept))
    return replace(call, kernel=MAXPOOL2D_GRAD_KEPT_S8, arguments=(g, first, kept, *last))
