"""Plan: where every buffer of the arena lies."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mcugrad.plan.lifetimes import Lifetime, lifetimes
from mcugrad.plan.sharing import sharing
from mcugrad.program import Program

ALIGNMENT = 4
"""Of every buffer, bytes."""


@dataclass(frozen=True)
class Plan:
    """Offsets into the arena.

    Attributes:
        offsets: first byte of every arena buffer.
        size: bytes of the arena.
        live: per call of the longest entry, bytes that are needed at that time.
    """

    offsets: Mapping[str, int]
    size: int
    live: tuple[int, ...]

    @property
    def peak(self) -> int:
        """Index of the call that needs most."""
        return max(range(len(self.live)), key=self.live.__getitem__, default=0)


def aligned(size: int) -> int:
    """`size` rounded up to the alignment."""
    return (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def greedy_by_size(program: Program) -> Plan:
    """Place the largest buffer first, each at the lowest offset that is free during its life.

    What may lie where another buffer ends is placed there, if the arena gets smaller by it.

    Source: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, greedy by size.
    """
    lives = lifetimes(program)
    order = sorted(lives, key=lambda item: (-item.size, item.first, item.name))
    pairs = sharing(program, lives)
    plans = [_placed(order, {}, program.length)]
    if pairs:
        plans += [_placed(each, pairs, program.length) for each in (order, _in_families(order, pairs))]
    best = min(plans, key=lambda plan: plan.size)
    return replace(best, offsets={life.name: best.offsets[life.name] for life in lives})


def _in_families(order: Sequence[Lifetime], pairs: Mapping[str, Sequence[str]]) -> list[Lifetime]:
    """The same order, but that what may be in the place of another follows it at once, before that place is taken."""
    after: dict[str, list[Lifetime]] = {}
    for life in order:
        after.setdefault(pairs[life.name][0] if life.name in pairs else "", []).append(life)
    found, waiting = [], after[""][::-1]
    while waiting:
        life = waiting.pop()
        found.append(life)
        waiting += after.get(life.name, [])[::-1]
    return found


def _placed(order: Sequence[Lifetime], pairs: Mapping[str, Sequence[str]], calls: int) -> Plan:
    """A plan in which buffers may be in the place of others that end when they begin.

    Args:
        order: in which they get their places; what lies in the place of another comes after that.
        pairs: by buffer those others.
        calls: that the longest entry makes.
    """
    number = {life.name: i for i, life in enumerate(order)}
    first, last, start, end, who = (
        np.zeros(len(order), np.int64) for _ in range(5)
    )  # of those placed, by offset
    offsets: dict[str, int] = {}
    shared: set[str] = set()
    for count, life in enumerate(order):
        together = np.flatnonzero((first[:count] <= life.last) & (last[:count] >= life.first))
        offset = lowest(start[together], end[together], life.size)
        for old in pairs.get(life.name, ()):
            if old not in offsets:
                continue
            place = offsets[old]
            others = together[who[together] != number[old]]
            if not ((start[others] < place + aligned(life.size)) & (end[others] > place)).any():
                offset = place
                shared.add(life.name)
                break
        offsets[life.name] = offset
        place = int(np.searchsorted(start[:count], offset))
        row = (life.first, life.last, offset, offset + aligned(life.size), count)
        for column, value in zip((first, last, start, end, who), row, strict=True):
            column[place + 1 : count + 1] = column[place:count].copy()
            column[place] = value
    size = int(end.max(initial=0))
    return Plan(offsets, size, _live(order, shared, calls))


def lowest(start: NDArray[np.int64], end: NDArray[np.int64], size: int) -> int:
    """The lowest offset at which so many bytes are free, between blocks in ascending order that may overlap."""
    free = np.maximum.accumulate(np.concatenate([[0], end]))
    gaps = np.flatnonzero(free[:-1] + size <= start)
    return int(free[gaps[0]] if gaps.size else free[-1])


def _live(lives: Sequence[Lifetime], shared: Container[str], calls: int) -> tuple[int, ...]:
    """Bytes that each call needs; what lies where another buffer ends is needed one call later."""
    changes = np.zeros(calls + 2, np.int64)
    for life in lives:
        changes[life.first + (life.name in shared)] += aligned(life.size)
        changes[min(life.last, calls) + 1] -= aligned(life.size)
    return tuple(int(size) for size in np.cumsum(changes)[:calls])
