"""Sharing: which buffers may lie over one that ends in the same call, because the kernel says that they may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mcugrad.plan.lifetimes import Lifetime
from mcugrad.program import Program


class Share(NamedTuple):
    """A buffer in whose place another may be, and how many bytes before it that one begins."""

    old: str
    lead: int


def sharing(program: Program, lives: Sequence[Lifetime]) -> dict[str, tuple[Share, ...]]:
    """By buffer the others over which it may lie.

    Each of them is read for the last time by the call that first writes the buffer. What other calls happen at that
    time, in segments that stand in for each other, have to allow it, too, if they touch both.

    Args:
        program: the calls.
        lives: of its arena buffers.
    """
    flags = {segment.when for segment in program.segments.values()}
    known = {life.name: life for life in lives if life.name not in flags}
    calls = [
        (time, call)
        for name, segment in program.segments.items()
        for time, call in enumerate(segment.calls, program.begins[name])
    ]
    wanted = {
        (old, new, lead): time
        for time, call in calls
        for old, new, lead in call.shared
        if old in known and new in known and known[old].last == time == known[new].first
        if lead or known[new].size <= known[old].size
    }
    times = set(wanted.values())
    found: dict[str, list[Share]] = {}
    for old, new, lead in wanted.keys() - {
        each
        for time, call in calls
        if time in times
        for each in wanted.keys() - set(call.shared)
        if set(each[:2]) <= set(call.buffers)
    }:
        found.setdefault(new, []).append(Share(old, lead))
    return {new: tuple(sorted(shares)) for new, shares in found.items()}
