"""Place: offsets of buffers, or of several that share bytes, one after the other, each as low as it can lie."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np

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


def placed_within(
    units: Sequence[Unit], most: int | None, begun: int = 0, known: Mapping[str, int] = MappingProxyType({})
) -> dict[str, int] | None:
    """The same, or None as soon as a buffer ends behind the first `most` bytes.

    Args:
        units: in the order in which they get their places.
        most: bytes; None for as many as it takes.
        begun: so many of them have places already.
        known: what they are.
    """
    count = sum(len(unit.members) for unit in units)
    blocks: Few | Many = Few() if count <= FEW else Many(count)
    offsets: dict[str, int] = {}
    for number, unit in enumerate(units):
        base = known[unit.name] - unit.members[0][1] if number < begun else blocks.lowest(unit)
        if most is not None and base + unit.size > most:
            return None
        for life, at in unit.members:
            offsets[life.name] = base + at
            blocks.add(life, base + at)
    return offsets


FEW = 300
"""Buffers up to which a loop over them is faster than NumPy is, four times with fifty of them."""


class Few:
    """Buffers that have their places: as tuples in ascending order, so that none behind a gap is looked at."""

    def __init__(self) -> None:
        self._blocks: list[tuple[int, int, int, int]] = []

    def add(self, life: Lifetime, at: int) -> None:
        """Puts a buffer there."""
        insort(self._blocks, (at, at + aligned(life.size), life.first, life.last))

    def lowest(self, unit: Unit) -> int:
        """The lowest offset at which a unit lies beside all that is needed when one of its members is."""
        base = 0
        if len(unit.members) == 1:
            life, size = unit.members[0][0], unit.size
            first, last = life.first, life.last
            for start, end, begins, ends in self._blocks:
                if end > base and begins <= last and ends >= first:
                    if base + size <= start:
                        break
                    base = end
            return base
        blocked = sorted(
            (start - at - aligned(life.size), end - at)
            for life, at in unit.members
            for start, end, begins, ends in self._blocks
            if begins <= life.last and ends >= life.first
        )
        for start, end in blocked:
            if base <= start:
                break
            base = max(base, end)
        return base


class Many:
    """The same in arrays, in ascending order as well."""

    def __init__(self, count: int) -> None:
        self._start, self._end, self._first, self._last = (np.zeros(count, np.int64) for _ in range(4))
        self._count = 0

    def add(self, life: Lifetime, at: int) -> None:
        """As of few."""
        place = int(self._start[: self._count].searchsorted(at))
        row = at, at + aligned(life.size), life.first, life.last
        for array, value in zip((self._start, self._end, self._first, self._last), row, strict=True):
            array[place + 1 : self._count + 1] = array[place : self._count]
            array[place] = value
        self._count += 1

    def lowest(self, unit: Unit) -> int:
        """As of few."""
        starts, ends = [], []
        here = slice(0, self._count)
        for life, at in unit.members:
            together = ((self._first[here] <= life.last) & (self._last[here] >= life.first)).nonzero()[0]
            starts.append(self._start[together] - (at + aligned(life.size)))
            ends.append(self._end[together] - at)
        blocked, end = starts[0], ends[0]
        if len(unit.members) > 1:
            order = np.concatenate(starts).argsort(kind="stable")
            blocked, end = np.concatenate(starts)[order], np.concatenate(ends)[order]
        free = np.zeros(len(end) + 1, np.int64)
        np.maximum.accumulate(end, out=free[1:])
        np.maximum(free, 0, out=free)
        fits = free[:-1] <= blocked
        return int(free[fits.argmax() if fits.any() else -1])
