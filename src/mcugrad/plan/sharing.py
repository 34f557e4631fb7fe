"""Sharing: which buffers may begin where one lies that ends in the same call, because the kernel says that it may."""

from __future__ import annotations

from collections.abc import Sequence

from mcugrad.plan.lifetimes import Lifetime
from mcugrad.program import Program


def sharing(program: Program, lives: Sequence[Lifetime]) -> dict[str, tuple[str, ...]]:
    """By buffer the others in whose place it may be, from their first byte on.

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
        (old, new): time
        for time, call in calls
        for old, new in call.shared
        if old in known and new in known and known[old].last == time == known[new].first
        if known[new].size <= known[old].size
    }
    times = set(wanted.values())
    found: dict[str, list[str]] = {}
    for pair in wanted.keys() - {
        pair
        for time, call in calls
        if time in times
        for pair in wanted.keys() - set(call.shared)
        if set(pair) <= set(call.buffers)
    }:
        found.setdefault(pair[1], []).append(pair[0])
    return {new: tuple(sorted(olds)) for new, olds in found.items()}
