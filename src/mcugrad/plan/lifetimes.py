"""Lifetimes: from the first to the last call that touches a buffer."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.program import Program, Space


@dataclass(frozen=True)
class Lifetime:
    """A buffer in the arena.

    Attributes:
        name: the buffer.
        size: bytes.
        first: index of the first call that touches it, in any entry; calls of segments that stand in for each other
            have the same ones.
        last: index of the last one; one past the end of an entry after which it is read.
    """

    name: str
    size: int
    first: int
    last: int


def lifetimes(program: Program) -> tuple[Lifetime, ...]:
    """Lifetimes of all arena buffers, in order of definition."""
    touched: dict[str, list[int]] = {}
    for name, segment in program.segments.items():
        begin = program.begins[name]
        if segment.when:
            touched.setdefault(segment.when, []).append(begin - 1)  # looked at before its first call
        for index, call in enumerate(segment.calls, begin):
            for buffer in call.buffers:
                touched.setdefault(buffer, []).append(index)
    for name, entry in program.entries.items():
        for buffer in entry.reads:
            touched.setdefault(buffer, []).append(program.end(name))
    return tuple(
        Lifetime(b.name, b.size, min(touched[b.name]), max(touched[b.name]))
        for b in program.in_space(Space.ARENA)
    )
