"""Place: offsets of buffers, or of several that share bytes, one after the other, each as low as it can lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mcugrad.plan.lifetimes import Lifetime
from mcugrad.plan.sharing import Share

ALIGNMENT = 4
"""Of every buffer, bytes."""


def aligned(size: int) -> int:
    """`size` rounded up to the alignment."""
    return (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


@dataclass(frozen=True)
class Unit:
    """Buffers whose distances are fixed: one alone, or a row of them, each in the place of the one before.

    Attributes:
        members: lifetimes, and where each begins, from the lowest of them on.
    """

    members: tuple[tuple[Lifetime, int], ...]

    @cached_property
    def size(self) -> int:
        """Bytes from the lowest to the highest."""
        return max(at + aligned(life.size) for life, at in self.members)

    @cached_property
    def span(self) -> tuple[int, int]:
        """Indices of the first and the last call that touches one of them."""
        return min(life.first for life, _ in self.members), max(life.last for life, _ in self.members)

    @property
    def name(self) -> str:
        """Of its first member, to break ties."""
        return self.members[0][0].name


def apart(lives: Iterable[Lifetime]) -> list[Unit]:
    """Each buffer in a place of its own."""
    return [Unit(((life, 0),)) for life in lives]


def united(lives: Sequence[Lifetime], pairs: Mapping[str, Sequence[Share]]) -> list[Unit]:
    """Each buffer in the place of another where it may be, those first that save most; of a row of them, a unit.

    Args:
        lives: all of them.
        pairs: by buffer those in whose place it may be.
    """
    known = {life.name: life for life in lives}
    wanted = sorted(
        (
            (-saved(known[new], known[share.old], share.lead), new, share)
            for new in pairs
            for share in pairs[new]
        ),
        key=lambda each: (each[0], each[1], each[2].old),
    )
    before: dict[str, Share] = {}
    after: dict[str, str] = {}
    for less, new, share in wanted:
        if less < 0 and new not in before and share.old not in after:
            before[new], after[share.old] = share, new
    units = []
    for life in lives:
        if life.name in before:
            continue
        row, name, at = [(life, 0)], life.name, 0
        while name in after:
            name = after[name]
            at -= before[name].lead
            row.append((known[name], at))
        lowest_of = min(at for _, at in row)
        units.append(Unit(tuple((each, at - lowest_of) for each, at in row)))
    return units


def saved(new: Lifetime, old: Lifetime, lead: int) -> int:
    """Bytes that two buffers take less for sharing, where one begins so many bytes before the other."""
    first, second = aligned(new.size), aligned(old.size)
    return first + second - max(first, lead + second)


def placed(units: Sequence[Unit]) -> dict[str, int]:
    """First byte of every buffer; units get their places in this order."""
    offsets = placed_within(units, None)
    assert offsets is not None
    return offsets


def placed_within(units: Sequence[Unit], most: int | None) -> dict[str, int] | None:
    """The same, or None as soon as a buffer ends behind the first `most` bytes."""
    first, last, start, end = (np.zeros(sum(len(unit.members) for unit in units), np.int64) for _ in range(4))
    offsets: dict[str, int] = {}
    count = 0
    for unit in units:
        starts, ends = [], []
        for life, at in unit.members:
            together = ((first[:count] <= life.last) & (last[:count] >= life.first)).nonzero()[0]
            starts.append(start[together] - (at + aligned(life.size)))
            ends.append(end[together] - at)
        blocked, free = (starts[0], ends[0]) if len(starts) == 1 else map(np.concatenate, (starts, ends))
        order = blocked.argsort(kind="stable")
        base = lowest(blocked[order], free[order], 0)
        if most is not None and base + unit.size > most:
            return None
        for life, at in unit.members:
            offsets[life.name] = base + at
            first[count], last[count] = life.first, life.last
            start[count], end[count] = base + at, base + at + aligned(life.size)
            count += 1
    return offsets


def lowest(start: NDArray[np.int64], end: NDArray[np.int64], size: int) -> int:
    """The lowest offset at which so many bytes are free, between blocks in ascending order that may overlap."""
    if not len(end):
        return 0
    free = np.zeros(len(end) + 1, np.int64)
    free[1:] = end
    np.maximum.accumulate(free, out=free)
    fits = free[:-1] + size <= start
    at = int(fits.argmax())
    return int(free[at] if fits[at] else free[-1])
