"""Scratch: memory that calls could do without, and what they take with more or less of it.

What is free in the arena while a call runs costs nothing, so the call gets as much of it as makes it faster. How
much of it lies side by side depends on where all else is: plans that are as small, or hardly larger, are tried as
well. What more bytes of arena would save is one curve, `Offers.points`; how many are worth it is for others to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcugrad.passes.program.size_scratch import Place, size_scratch
from mcugrad.plan.lifetimes import Lifetime, lifetimes
from mcugrad.plan.place import Unit, aligned, apart, placed, united
from mcugrad.plan.plan import ORDERS, Plan, end_of, live_of, ordered
from mcugrad.plan.sharing import sharing
from mcugrad.program import Program

GROWN = (0, 1024, 4096)
"""Bytes beyond the smallest arena with which other plans are tried."""
NEAR = 0.001
"""Part of the instructions by which calls may miss what free bytes would give them if they lay side by side."""
PLACED, LEAST = 6000, 4
"""Buffers that are placed for it in all, and plans that are tried however many buffers there are."""
_PARTS = 256
"""Of an instruction: prices are whole numbers of them, so that sums are exact in any order."""

Whole = NDArray[np.int64]


class Point(NamedTuple):
    """Bytes of arena, and instructions that all calls with a price then take."""

    size: int
    instructions: float


@dataclass(frozen=True)
class _Wish:
    """A call that could have scratch.

    Attributes:
        place: of the call.
        time: its number.
        rooms: bytes that make a difference, ascending, the first of them 0.
        prices: parts of an instruction that it then takes.
    """

    place: Place
    time: int
    rooms: Whole
    prices: Whole

    @cached_property
    def best(self) -> Whole:
        """What it takes with so much or less."""
        return np.minimum.accumulate(self.prices)


@dataclass(frozen=True)
class _Way:
    """Places of all buffers, and where the scratch of each wish would begin; for one after the other, by rooms."""

    offsets: Mapping[str, int]
    starts: tuple[Whole, ...]


@dataclass(frozen=True, eq=False)
class Offers:
    """What calls take with scratch, by bytes of arena.

    Attributes:
        program: whose calls have none so far.
        plan: of it, the smallest.
        points: the smallest arena, then each that saves something over the one before.
    """

    program: Program
    plan: Plan
    points: tuple[Point, ...]
    _wishes: tuple[_Wish, ...]
    _ways: tuple[_Way, ...]

    def taken(self, point: Point) -> tuple[Program, Plan]:
        """The program whose calls have scratch in such an arena, and where everything lies."""
        if not self._wishes:
            return self.program, self.plan
        at = self.points.index(point)
        way = self._ways[at]
        rooms: dict[Place, int] = {}
        starts: dict[Place, int] = {}
        for wish, start in zip(self._wishes, way.starts, strict=True):
            fits = int(np.searchsorted(start + _rounded(wish.rooms), point.size, "right"))
            chosen = int(wish.prices[:fits].argmin()) if fits else 0
            rooms[wish.place], starts[wish.place] = int(wish.rooms[chosen]), int(start[chosen])
        program, names = size_scratch(self.program, rooms)
        lives = lifetimes(self.program)
        live = list(live_of(self.program, lives, sharing(self.program, lives), way.offsets))
        before = tuple(live)
        times = {wish.place: wish.time for wish in self._wishes}
        for place in names:
            live[times[place]] = max(live[times[place]], before[times[place]] + aligned(rooms[place]))
        offsets = {**way.offsets, **{name: starts[place] for place, name in names.items()}}
        return program, replace(self.plan, offsets=offsets, size=point.size, live=tuple(live))


def offers(program: Program, plan: Plan, core: str) -> Offers:
    """What calls would take with more memory.

    Ranges do not count in it, as they do not count in any size: prices are those of layers whose zero points are 0.

    Args:
        program: whose calls have no scratch so far.
        plan: of it, the smallest.
        core: whose instructions count.
    """
    wishes, rest = _wishes(program, core)
    if not wishes:
        return Offers(program, plan, (Point(plan.size, rest / _PARTS),), (), ())
    lives = lifetimes(program)
    ideal = _curve(wishes, [np.full(len(w.rooms), plan.live[w.time], np.int64) for w in wishes], plan.size)
    ways: list[_Way] = []
    curves: list[tuple[Whole, Whole]] = []
    asked = plan.size + np.asarray(GROWN)
    least = np.full(len(asked), np.iinfo(np.int64).max)
    goal = _at(ideal, asked)
    for offsets in _layouts(program, plan, lives, wishes):
        way = _Way(offsets, _starts(offsets, lives, wishes))
        curve = _curve(wishes, way.starts, max(plan.size, end_of(lives, offsets)))
        ways.append(way)
        curves.append(curve)
        least = np.minimum(least, _at(curve, asked))
        if (least - goal <= NEAR * (goal + rest)).all():
            break
    sizes = np.unique(np.concatenate([sizes for sizes, _ in curves]))
    costs = np.stack([_at(curve, sizes) for curve in curves])
    which, cost = costs.argmin(0), costs.min(0)
    better = np.concatenate([[True], cost[1:] < np.minimum.accumulate(cost)[:-1]])
    points = tuple(
        Point(int(s), int(c + rest) / _PARTS) for s, c in zip(sizes[better], cost[better], strict=True)
    )
    return Offers(program, plan, points, wishes, tuple(ways[i] for i in which[better]))


def _wishes(program: Program, core: str) -> tuple[tuple[_Wish, ...], int]:
    """Calls that could have scratch, and parts of an instruction that all others with a price take."""
    found, rest = [], 0
    for name, segment in program.segments.items():
        for i, call in enumerate(segment.calls):
            if not call.kernel.is_priced or call.struct is None:
                continue
            struct = call.struct.rangeless()
            rooms = (0,) if call.kernel.scratch is None else call.kernel.scratch.sizes(struct)
            prices = [round(_PARTS * call.kernel.instructions(core, struct, room)) for room in rooms]
            if len(rooms) == 1:
                rest += prices[0]
            else:
                sizes = np.asarray(rooms, np.int64), np.asarray(prices, np.int64)
                found.append(_Wish((name, i), program.begins[name] + i, *sizes))
    return tuple(found), rest


def _rounded(rooms: Whole) -> Whole:
    return (rooms + 3) // 4 * 4


def _layouts(
    program: Program, plan: Plan, lives: Sequence[Lifetime], wishes: Sequence[_Wish]
) -> Iterator[Mapping[str, int]]:
    """Places of all buffers: the plan's, those by the usual orders, and by orders in which scratch has a place, too.

    Those come first that most often leave most bytes side by side: where there are many buffers, there are few tries.
    """
    yield plan.offsets
    pairs = sharing(program, lives)
    both = [united(lives, pairs), apart(lives)] if pairs else [apart(lives)]
    by_size, by_area, by_time = ORDERS
    tries = [
        (by_time, None),
        *((by_size, more) for more in GROWN),
        (by_area, None),
        *((by_area, more) for more in GROWN),
    ]
    for key, more in tries[: max(PLACED // len(lives), LEAST) // len(both)]:
        scratch = [] if more is None else _scratch(plan, wishes, plan.size + more)
        for units in both:
            found = placed(ordered([*units, *scratch], key))
            yield {life.name: found[life.name] for life in lives}


def _scratch(plan: Plan, wishes: Sequence[_Wish], size: int) -> Iterator[Unit]:
    """Scratch that calls would have if what is free lay side by side."""
    for number, wish in enumerate(wishes):
        fits = plan.live[wish.time] + _rounded(wish.rooms) <= size
        room = int(wish.rooms[int(np.where(fits, wish.prices, wish.prices.max() + 1).argmin())])
        if room:
            yield Unit(((Lifetime(f"{number} scratch", room, wish.time, wish.time), 0),))


def _starts(
    offsets: Mapping[str, int], lives: Sequence[Lifetime], wishes: Sequence[_Wish]
) -> tuple[Whole, ...]:
    """By wish and room the lowest place at which it is free while the call runs."""
    blocks = np.asarray(
        sorted((offsets[b.name], offsets[b.name] + aligned(b.size), b.first, b.last) for b in lives), np.int64
    ).reshape(-1, 4)
    start, end, first, last = blocks.T
    found = []
    for wish in wishes:
        now = (first <= wish.time) & (wish.time <= last)
        free = np.maximum.accumulate(np.concatenate([[0], end[now]]))
        widest = np.maximum.accumulate(start[now] - free[:-1])
        found.append(free[np.searchsorted(widest, wish.rooms)])
    return tuple(found)


def _curve(wishes: Sequence[_Wish], starts: Sequence[Whole], least: int) -> tuple[Whole, Whole]:
    """Sizes of the arena, the first of them `least`, and parts of an instruction that all wishes take with these."""
    ends, less, base = [], [], 0
    for wish, start in zip(wishes, starts, strict=True):
        end = start + _rounded(wish.rooms)
        fits = max(int(np.searchsorted(end, least, "right")), 1)
        base += int(wish.best[fits - 1])
        ends.append(end[fits:])
        less.append(np.diff(wish.best[fits - 1 :]))
    sizes, where = np.unique(np.concatenate(ends), return_inverse=True)
    saved = np.zeros(len(sizes), np.int64)
    np.add.at(saved, where, np.concatenate(less))
    return np.concatenate([[least], sizes]), base + np.concatenate([[0], np.cumsum(saved)])


def _at(curve: tuple[Whole, Whole], sizes: Whole) -> Whole:
    """What a curve says for some sizes; more than anything where it begins above them."""
    known, costs = curve
    place = np.searchsorted(known, sizes, "right") - 1
    return np.where(place < 0, np.iinfo(np.int64).max // 2, costs[np.maximum(place, 0)])
