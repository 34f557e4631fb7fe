"""Scratch: which calls get memory that they could do without, and where it lies.

What is free in the arena while a call runs costs nothing, so the call gets as much of it as makes it faster. While the
arena may grow, the call grows that saves the most instructions for each byte; what it adds serves others as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from mcugrad.passes.program.size_scratch import Place, size_scratch
from mcugrad.plan.lifetimes import Lifetime, lifetimes
from mcugrad.plan.place import aligned, lowest
from mcugrad.plan.plan import Plan
from mcugrad.program import Call, Program


@dataclass(frozen=True)
class _Way:
    """A call with some scratch: bytes, where they begin, and instructions that it then takes."""

    room: int
    offset: int
    price: float

    @property
    def end(self) -> int:
        return self.offset + aligned(self.room)


def with_scratch(program: Program, plan: Plan, core: str, most: float) -> tuple[Program, Plan]:
    """A program whose calls have scratch, and where everything lies; what had a place keeps it.

    Args:
        program: whose calls have none so far.
        plan: of it.
        core: whose instructions count.
        most: bytes that the arena may have; where it has as many, or more, it does not grow.
    """
    calls = _calls(program)
    if not calls:
        return program, plan
    lives = lifetimes(program)
    ways = {place: _ways(call, time, lives, plan, core) for place, (call, time) in calls.items()}
    taken = {place: found[0] for place, found in ways.items()}
    size = plan.size
    while better := [
        (_worth(taken[place], way, size), place, way)
        for place, found in ways.items()
        for way in found
        if way.price < taken[place].price and (way.end <= size or way.end <= most)
    ]:
        _, place, way = max(better, key=lambda each: each[0])
        taken[place], size = way, max(size, way.end)
    program, names = size_scratch(program, {place: way.room for place, way in taken.items()})
    live = list(plan.live)
    for place in names:
        time = calls[place][1]
        live[time] = max(live[time], plan.live[time] + aligned(taken[place].room))
    offsets = {**plan.offsets, **{name: taken[place].offset for place, name in names.items()}}
    return program, replace(plan, offsets=offsets, size=size, live=tuple(live))


def _worth(now: _Way, then: _Way, size: int) -> tuple[float, float]:
    """Instructions saved for each byte by which the arena grows, and all that are saved."""
    saved, grown = now.price - then.price, then.end - size
    return saved / grown if grown > 0 else inf, saved


def _calls(program: Program) -> dict[Place, tuple[Call, int]]:
    """Calls that could have scratch, and when they happen."""
    return {
        (name, i): (call, program.begins[name] + i)
        for name, segment in program.segments.items()
        for i, call in enumerate(segment.calls)
        if call.kernel.scratch is not None
    }


def _ways(call: Call, time: int, lives: Sequence[Lifetime], plan: Plan, core: str) -> list[_Way]:
    """What a call could have; first what it needs."""
    kernel, struct = call.kernel, call.struct
    assert kernel.scratch is not None and struct is not None, kernel.name  # noqa: PT018
    blocks = sorted(
        (plan.offsets[b.name], plan.offsets[b.name] + aligned(b.size))
        for b in lives
        if b.first <= time <= b.last
    )
    start, end = np.asarray(blocks, np.int64).reshape(-1, 2).T
    return [
        _Way(room, lowest(start, end, room), kernel.instructions(core, struct, room))
        for room in kernel.scratch.sizes(struct)
    ]
