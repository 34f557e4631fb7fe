"""Plan: where every buffer of the arena lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcugrad.plan.lifetimes import Lifetime, lifetimes
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

    Source: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, greedy by size.
    """
    lives = lifetimes(program)
    order = sorted(lives, key=lambda item: (-item.size, item.first, item.name))
    first, last, start, end = (np.zeros(len(order), np.int64) for _ in range(4))  # of those placed, by offset
    offsets: dict[str, int] = {}
    for count, life in enumerate(order):
        together = np.flatnonzero((first[:count] <= life.last) & (last[:count] >= life.first))
        offset = lowest(start[together], end[together], life.size)
        offsets[life.name] = offset
        place = int(np.searchsorted(start[:count], offset))
        row = (life.first, life.last, offset, offset + aligned(life.size))
        for column, value in zip((first, last, start, end), row, strict=True):
            column[place + 1 : count + 1] = column[place:count].copy()
            column[place] = value
    size = int(end.max(initial=0))
    return Plan({item.name: offsets[item.name] for item in lives}, size, _live(lives, program.length))


def lowest(start: NDArray[np.int64], end: NDArray[np.int64], size: int) -> int:
    """The lowest offset at which so many bytes are free, between blocks in ascending order that may overlap."""
    free = np.maximum.accumulate(np.concatenate([[0], end]))
    gaps = np.flatnonzero(free[:-1] + size <= start)
    return int(free[gaps[0]] if gaps.size else free[-1])


def _live(lives: Sequence[Lifetime], calls: int) -> tuple[int, ...]:
    """Bytes that each call needs."""
    changes = np.zeros(calls + 2, np.int64)
    for life in lives:
        changes[life.first] += aligned(life.size)
        changes[min(life.last, calls) + 1] -= aligned(life.size)
    return tuple(int(size) for size in np.cumsum(changes)[:calls])
