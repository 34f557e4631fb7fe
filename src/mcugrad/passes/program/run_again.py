"""Run again: calls of the forward pass, right before the backward pass needs what they made, instead of keeping it.

Gradient checkpointing (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016).

1. Only what one call alone writes, into the arena, and none of whose inputs is written in between: it makes the same
   bytes again, since nothing that it reads has been learned, counted or drawn anew by then.
2. What it reads that is gone by then is made again first.
3. What it makes again has names of its own; what else it writes beside it, as a range, is not looked at.
4. A frozen call runs once for a sample, and what crosses from there stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from mcugrad.program import Call, Program, Space, unused
from mcugrad.program.segment import BACKWARD, FORWARD


@dataclass(frozen=True)
class Again:
    """Calls that would run again, and what for.

    Attributes:
        wanted: buffer that is made again.
        gone: number of the last call that needs what was there before.
        at: number of the call before which they run.
        calls: as they are in the forward pass, in order.
    """

    wanted: str
    gone: int
    at: int
    calls: tuple[Call, ...]

    @cached_property
    def made(self) -> tuple[str, ...]:
        """Buffers that they write."""
        return tuple(dict.fromkeys(name for call in self.calls for name in call.written))


@dataclass(frozen=True)
class _Known:
    """What is asked of a program again and again.

    Attributes:
        calls: of the forward pass, by number.
        makers: by buffer the number of the only call that writes it; of what calls make that can run again.
        uses: by buffer the numbers of the calls that touch it.
        written: by buffer the numbers of the calls that write it.
    """

    calls: Mapping[int, Call]
    makers: Mapping[str, int]
    uses: Mapping[str, Sequence[int]]
    written: Mapping[str, Sequence[int]]

    @classmethod
    def of(cls, program: Program) -> _Known:
        uses: dict[str, list[int]] = {}
        written: dict[str, list[int]] = {}
        for name, segment in program.segments.items():
            for number, call in enumerate(segment.calls, program.begins[name]):
                for buffer in call.buffers:
                    uses.setdefault(buffer, []).append(number)
                for buffer in call.written:
                    written.setdefault(buffer, []).append(number)
        calls = dict(enumerate(program.segments[FORWARD].calls, program.begins[FORWARD]))
        makers = {
            buffer: number
            for number, call in calls.items()
            for buffer in call.written
            if all(len(written[b]) == 1 and program.buffers[b].space is Space.ARENA for b in call.written)
        }
        return cls(calls, makers, uses, written)


def chances(program: Program, time: int) -> Iterator[Again]:
    """What need not be there while a call runs, as it can be made again behind it.

    Args:
        program: the calls.
        time: number of the call.
    """
    if BACKWARD not in program.segments or FORWARD not in program.segments:
        return
    known, begin = _Known.of(program), program.begins[BACKWARD]
    for buffer in known.makers:
        uses = known.uses[buffer]
        later = [use for use in uses if use > time]
        if time in uses or uses[0] > time or not later or later[0] < begin or buffer in program.looked_at:
            continue
        numbers: dict[int, None] = {}
        if _make(program, known, buffer, later[0], numbers):
            gone = max((use for use in uses if use < time), default=uses[0])
            yield Again(buffer, gone, later[0], tuple(known.calls[number] for number in numbers))


def _make(program: Program, known: _Known, buffer: str, at: int, numbers: dict[int, None]) -> bool:
    """Add the numbers of the calls that make a buffer again; False where that cannot be."""
    maker = known.makers.get(buffer)
    if maker is None:
        return False
    if maker in numbers:
        return True
    call = known.calls[maker]
    for name in call.buffers:
        if name in call.written:
            continue
        if program.buffers[name].space is Space.ARENA and known.uses[name][-1] < at:
            if not _make(program, known, name, at, numbers):
                return False
        elif any(maker < number < at for number in known.written.get(name, ())):
            return False
    numbers[maker] = None
    return True


def run_again(program: Program, again: Again) -> Program:
    """The program in which these calls run again, and those behind them take what they make; the same bytes."""
    names: dict[str, str] = {}
    buffers = dict(program.buffers)
    for name in again.made:
        fresh = unused(f"{name}_again", buffers)
        names[name], buffers[fresh] = fresh, replace(program.buffers[name], name=fresh)
    backward = program.segments[BACKWARD]
    place = again.at - program.begins[BACKWARD]
    made = {again.wanted: names[again.wanted]}
    calls = (
        *backward.calls[:place],
        *(call.renamed(names) for call in again.calls),
        *(call.renamed(made) for call in backward.calls[place:]),
    )
    segments = {**program.segments, BACKWARD: replace(backward, calls=calls)}
    return replace(program, buffers=buffers, segments=segments)
