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
        first: index of the first call of a training step, towards a label or a distribution, that touches it.
        last: index of the last one; one past the end if it is read after the step.
    """

    name: str
    size: int
    first: int
    last: int


def lifetimes(program: Program) -> tuple[Lifetime, ...]:
    """Lifetimes of all arena buffers, in order of definition."""
    touched: dict[str, list[int]] = {}
    for index, call in enumerate(program.calls):
        for name in call.buffers:
            touched.setdefault(name, []).append(index)
    for index, call in enumerate(program.soft, len(program.forward)):
        for name in call.buffers:
            touched.setdefault(name, []).append(index)
    after = {program.output: len(program.forward), **dict.fromkeys(program.results, len(program.calls))}
    return tuple(
        Lifetime(b.name, b.size, min(touched[b.name]), max(*touched[b.name], after.get(b.name, 0)))
        for b in program.in_space(Space.ARENA)
    )
