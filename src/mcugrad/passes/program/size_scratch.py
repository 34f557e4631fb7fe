"""Size scratch: give calls memory that their kernels can use and need not have.

1. A call gets a buffer of its own in the arena, touched by nobody else, and is told how many bytes it has.
2. Nothing else changes: no kernel computes anything else for having it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mcugrad.program import Argument, Buffer, Call, Program, Space, unused
from mcugrad.program.kernel import ROOM, SCRATCH

Place = tuple[str, int]
"""Of a call: its segment, and its number in it."""
_WORD = 4


def size_scratch(program: Program, rooms: Mapping[Place, int]) -> tuple[Program, dict[Place, str]]:
    """The program with scratch for some calls, which had none, and the names of their new buffers.

    Args:
        program: the program.
        rooms: bytes by call; 0 for none.
    """
    buffers, names = dict(program.buffers), {}
    segments = dict(program.segments)
    for (segment, number), room in rooms.items():
        if room:
            calls = list(segments[segment].calls)
            buffer = _buffer(calls[number], room, buffers)
            buffers[buffer.name] = buffer
            names[segment, number] = buffer.name
            calls[number] = _with(calls[number], buffer)
            segments[segment] = replace(segments[segment], calls=tuple(calls))
    return replace(program, buffers=buffers, segments=segments), names


def _buffer(call: Call, room: int, buffers: Mapping[str, Buffer]) -> Buffer:
    name = unused(f"{call.node}_scratch", buffers)
    return Buffer(name, "uint32_t", (-(-room // _WORD),), Space.ARENA, None, "room to be faster")


def _with(call: Call, buffer: Buffer) -> Call:
    given = {ROOM: Argument(value=buffer.size), SCRATCH: Argument(buffer=buffer.name)}
    names = (param.name for param in call.kernel.params)
    arguments = tuple(given.get(n, a) for n, a in zip(names, call.arguments, strict=True))
    return replace(call, arguments=arguments)
