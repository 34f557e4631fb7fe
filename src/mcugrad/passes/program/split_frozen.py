"""Split the frozen calls off: those at the beginning of a prediction whose results follow from the sample alone.

A segment of their own, so that whoever sees a sample again may put their results back instead of running them.

1. Only where something trains: else all calls are of this kind.
2. The first call that touches more than the sample, constants and the arena ends them, learned or passed beside it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

from mcugrad.program import Program, Segment
from mcugrad.program.segment import FORWARD, FROZEN, NOTES


def split_frozen(program: Program) -> Program:
    """The program with such calls in a segment before the forward pass."""
    if not program.trains:
        return program
    forward = program.segments[FORWARD]
    frozen = tuple(takewhile(program.follows_from_sample, forward.calls))
    if not frozen:
        return program
    parts = {
        FROZEN: Segment(frozen, note=NOTES[FROZEN]),
        FORWARD: replace(forward, calls=forward.calls[len(frozen) :], note="from there to the logits"),
    }
    segments = {name: part for name, part in {**parts, **_others(program)}.items() if part.calls}
    entries = {
        name: replace(entry, segments=tuple(s for s in (FROZEN, *entry.segments) if s in segments))
        for name, entry in program.entries.items()
    }
    return replace(program, segments=segments, entries=entries)


def _others(program: Program) -> dict[str, Segment]:
    return {name: segment for name, segment in program.segments.items() if name != FORWARD}
