"""Reorder: calls of a training step in an order in which fewer bytes are needed at the fullest moment.

1. Two calls keep their order where one writes what the other touches, so every call sees the bytes that it saw.
2. What a prediction runs stays as it is, and no call goes to another segment.
3. While it helps, a call near the fullest moment goes to right before it, or right behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf

from mcugrad.plan.lifetimes import Lifetime, lifetimes
from mcugrad.plan.place import aligned, saved
from mcugrad.program import PREDICT, Call, Program

NEAR, MOVES = 24, 64
"""Calls before and behind the fullest moment that are tried, and how often one is moved at most."""


def reordered(program: Program) -> Program:
    """The program in such an order, or as it is where none is found; it computes the same bytes."""
    lives = lifetimes(program)
    for name, segment in program.segments.items():
        if name not in program.entries[PREDICT].segments and segment.calls:
            calls = _ordered(_Calls.of(program, name, lives)).calls
            if calls != segment.calls:
                program = replace(program, segments={**program.segments, name: replace(segment, calls=calls)})
                lives = lifetimes(program)
    return program


@dataclass(frozen=True)
class _Calls:
    """Calls of a segment, and what has to be known to say what another order of them needs.

    Attributes:
        calls: in their order.
        sizes: aligned bytes of each buffer of the arena that they touch.
        before: buffers that are there when they begin.
        after: buffers that are read when they are over.
        base: bytes of others, that are there all the time, by call.
        shares: by call what is read, what may be written over it, and the bytes that saves.
        touched: by call, those of the buffers that it touches.
    """

    calls: tuple[Call, ...]
    sizes: dict[str, int]
    before: frozenset[str]
    after: frozenset[str]
    base: int
    shares: tuple[tuple[tuple[str, str, int], ...], ...]
    touched: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, program: Program, name: str, lives: Sequence[Lifetime]) -> _Calls:
        """Those of a segment of a program."""
        calls = program.segments[name].calls
        begin = program.begins[name]
        end = begin + len(calls) - 1
        known = {life.name: life for life in lives}
        touched = {buffer for call in calls for buffer in call.buffers if buffer in known}
        return cls(
            calls,
            {buffer: aligned(known[buffer].size) for buffer in touched},
            frozenset(buffer for buffer in touched if known[buffer].first < begin),
            frozenset(buffer for buffer in touched if known[buffer].last > end),
            sum(
                aligned(life.size)
                for life in lives
                if life.name not in touched and life.first < begin and life.last > end
            ),
            tuple(
                tuple(
                    (old, new, saved(known[new], known[old], lead))
                    for old, new, lead in call.shared
                    if old in known and new in known and (lead or known[new].size <= known[old].size)
                )
                for call in calls
            ),
            tuple(tuple(buffer for buffer in call.buffers if buffer in known) for call in calls),
        )

    def moved(self, order: Sequence[int]) -> _Calls:
        """The calls in another order."""
        return replace(
            self,
            calls=tuple(self.calls[number] for number in order),
            shares=tuple(self.shares[number] for number in order),
            touched=tuple(self.touched[number] for number in order),
        )

    def part(self, begin: int, end: int) -> _Calls:
        """Some of the calls: what is there when the first of them begins, and is read when the last one is over."""
        earlier, within, later = (
            set().union(*touched)
            for touched in (self.touched[:begin], self.touched[begin:end], self.touched[end:])
        )
        before, after = self.before | earlier, self.after | later
        return _Calls(
            self.calls[begin:end],
            {name: self.sizes[name] for name in within},
            before & within,
            after & within,
            self.base + sum(self.sizes[name] for name in (before & after) - within),
            self.shares[begin:end],
            self.touched[begin:end],
        )

    def needs(self, order: Sequence[int], most: float = inf) -> tuple[float, int]:
        """Bytes at the fullest moment of an order, and its place; infinitely many where it needs `most` or more."""
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        for place, number in enumerate(order):
            last.update(dict.fromkeys(self.touched[number], place))
        for place, number in zip(range(len(order) - 1, -1, -1), reversed(order), strict=True):
            first.update(dict.fromkeys(self.touched[number], place))
        first.update(dict.fromkeys(self.before, 0))
        changes = [0] * (len(order) + 1)
        for buffer, size in self.sizes.items():
            changes[first[buffer]] += size
            if buffer not in self.after:
                changes[last[buffer] + 1] -= size
        held, fullest, where = self.base, -1, 0
        for place, number in enumerate(order):
            held += changes[place]
            if held <= fullest:
                continue
            less = [
                each
                for old, new, each in self.shares[number]
                if last[old] == place == first[new] and old not in self.after and new not in self.before
            ]
            needed = held - max(less, default=0)
            if needed >= most:
                return inf, place
            if needed > fullest:
                fullest, where = needed, place
        return fullest, where


def _ordered(what: _Calls) -> _Calls:
    """The calls in the best order that is found."""
    for _ in range(MOVES):
        _, place = what.needs(range(len(what.calls)))
        begin, end = max(place - NEAR, 0), min(place + NEAR + 1, len(what.calls))
        near = what.part(begin, end)
        least, place = near.needs(range(len(near.calls)))
        better: list[int] = []
        for other in _others(near.calls, place):
            needed, _ = near.needs(other, least)
            if needed < least:
                least, better = needed, other
        if not better:
            break
        what = what.moved([*range(begin), *(begin + i for i in better), *range(end, len(what.calls))])
    return what


def _others(calls: Sequence[Call], place: int) -> Iterator[list[int]]:
    """Orders in which a call is right before that of a place, or right behind it, or that one is elsewhere."""
    touched = [frozenset(call.buffers) for call in calls]
    written = [frozenset(call.written) for call in calls]

    def follows(one: int, other: int) -> bool:
        """Whether two calls have to keep their order."""
        return not (written[one].isdisjoint(touched[other]) and written[other].isdisjoint(touched[one]))

    for start, goal in dict.fromkeys(
        pair
        for at in range(len(calls))
        for pair in ((at, place), (at, place - 1), (at, place + 1), (place, at))
    ):
        if start == goal or not 0 <= goal < len(calls):
            continue
        passed = range(goal, start) if goal < start else range(start + 1, goal + 1)
        if not any(follows(start, call) for call in passed):
            other = list(range(len(calls)))
            other.insert(goal, other.pop(start))
            yield other
