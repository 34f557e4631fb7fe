"""Plan: where every buffer of the arena lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

import numpy as np

from mcugrad.plan.bound import bound_of
from mcugrad.plan.exact import place_exactly, solver
from mcugrad.plan.lifetimes import Lifetime, lifetimes
from mcugrad.plan.place import Unit, aligned, apart, placed, placed_within, united
from mcugrad.plan.sharing import Share, sharing
from mcugrad.program import Program

Planning = Literal["greedy", "exact"]
"""Whether a solver looks for a smaller plan than the greedy ones."""
TRIES, MOVED = 120, 48
"""Orders that are tried where none of the usual ones is as small as can be, and the largest units, which are moved."""


@dataclass(frozen=True)
class Least:
    """How near a plan came to what no plan can do without, before calls got scratch.

    Attributes:
        size: bytes of the arena then.
        bound: bytes that are needed at the fullest moment.
        proven: whether no plan of these calls takes less.
    """

    size: int
    bound: int
    proven: bool

    @property
    def text(self) -> str:
        """`7,076 B at the least, 0.5 % above what is needed at once; proven least`."""
        above = (
            f", {100 * (self.size / self.bound - 1):.2g} % above what is needed at once"
            if self.size > self.bound
            else ", all of it needed at once"
        )
        proof = "; proven least" if self.proven and self.size > self.bound else ""
        return f"{self.size:,} B at the least{above}{proof}"


@dataclass(frozen=True)
class RunsAgain:
    """Calls of the forward pass that run again in the backward pass, instead of what they made being kept.

    Attributes:
        calls: how many.
        more: instructions that a training step takes more than with all of it kept, estimated, of calls whose kernel
            has a price; scratch has less room then, too.
        part: of those that it takes with all of it kept; 0 where none has a price.
    """

    calls: int
    more: float
    part: float

    @property
    def text(self) -> str:
        """`6 calls run again in a training step, which takes 312,000 instructions more (4.1 %), estimated`."""
        times = "call runs" if self.calls == 1 else "calls run"
        return f"{self.calls} {times} again in a training step, which takes {self.cost}"

    @property
    def cost(self) -> str:
        """`312,000 instructions more (4.1 %), estimated`."""
        if not self.more:
            return "more instructions, which no price tells"
        less = "more" if self.more > 0 else "less"  # where it has more room for scratch
        return f"{abs(self.more):,.0f} instructions {less} ({100 * abs(self.part):.1f} %), estimated"


@dataclass(frozen=True)
class Plan:
    """Offsets into the arena.

    Attributes:
        offsets: first byte of every arena buffer.
        size: bytes of the arena.
        live: per call of the longest entry, bytes that are needed at that time.
        least: how small it could be without scratch; None where nobody looked.
        again: what runs again for it to be as small; None where nothing does.
    """

    offsets: Mapping[str, int]
    size: int
    live: tuple[int, ...]
    least: Least | None = None
    again: RunsAgain | None = None

    @property
    def peak(self) -> int:
        """Index of the call that needs most."""
        return max(range(len(self.live)), key=self.live.__getitem__, default=0)


ORDERS: tuple[Callable[[Unit], tuple[int, ...]], ...] = (
    lambda unit: (-unit.size, unit.span[0]),
    lambda unit: (-unit.size * (unit.span[1] - unit.span[0] + 1), unit.span[0]),
    lambda unit: (unit.span[0] - unit.span[1], -unit.size),
)
"""Of units: the largest first, those that are large and long first, those that live longest first."""


def best_plan(program: Program) -> Plan:
    """The smallest of some plans, each of which puts one buffer after the other where it can lie lowest.

    Orders are tried until the working memory is as small as what is needed at the fullest moment. Where none of the
    usual ones gets there, what lies highest is put earlier, again and again; the same program gets the same plan.

    Source: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, greedy by size.
    """
    lives = lifetimes(program)
    pairs = sharing(program, lives)
    least = bound_of(lives, pairs)
    ways = [united(lives, pairs), apart(lives)] if pairs else [apart(lives)]
    best: tuple[int, dict[str, int], list[Unit]] | None = None
    for units in ways:
        for key in ORDERS:
            order = ordered(units, key)
            offsets = placed(order)
            size = end_of(lives, offsets)
            if best is None or size < best[0]:
                best = size, offsets, order
            if size == least:
                break
        else:
            continue
        break
    assert best is not None
    size, offsets, order = best
    if size > least:
        order = _climbed(order, size, least)
        other = placed(order)
        if end_of(lives, other) < size:
            size, offsets = end_of(lives, other), other
    return Plan(
        {life.name: offsets[life.name] for life in lives},
        size,
        live_of(program, lives, pairs, offsets),
        Least(size, least, size == least),
    )


def exact_plan(program: Program, plan: Plan) -> Plan:
    """A smaller plan, or the same one, and whether it is proven that none takes less. Raises UsageError."""
    lives = lifetimes(program)
    pairs = sharing(program, lives)
    least = bound_of(lives, pairs)
    solver()
    if plan.size == least:
        return plan
    offsets, proven = place_exactly(lives, pairs, plan.offsets, plan.size, least)
    size = end_of(lives, offsets)
    live = live_of(program, lives, pairs, offsets)
    places = {life.name: offsets[life.name] for life in lives}
    return replace(plan, offsets=places, size=size, live=live, least=Least(size, least, proven))


def ordered(units: Sequence[Unit], key: Callable[[Unit], tuple[int, ...]]) -> list[Unit]:
    """Units in an order, those that it does not tell apart by name."""
    return sorted(units, key=lambda unit: (*key(unit), unit.name))


def end_of(lives: Sequence[Lifetime], offsets: Mapping[str, int]) -> int:
    """Bytes up to the end of the last buffer."""
    return max((offsets[life.name] + aligned(life.size) for life in lives if life.name in offsets), default=0)


def _climbed(order: Sequence[Unit], size: int, least: int) -> list[Unit]:
    """An order of which the large units take less: one of those that lie highest goes before one that came earlier."""
    large = sorted(sorted(order, key=lambda unit: -unit.size)[:MOVED], key=order.index)
    names = {unit.name for unit in large}
    rest = [unit for unit in order if unit.name not in names]
    lives = [life for unit in large for life, _ in unit.members]
    random = Random(0)
    offsets = placed(large)
    best = end_of(lives, offsets)
    top = _highest(large, offsets, best)
    for _ in range(TRIES):
        if best <= least:
            break
        which = top[int(random.random() * len(top))]  # no other numbers of it are the same in every Python
        goal = int(random.random() * (which + 1))
        tried = [*large]
        tried.insert(goal, tried.pop(which))
        if (found := placed_within(tried, best, goal, offsets)) is not None:
            large, offsets, best = tried, found, end_of(lives, found)
            top = _highest(large, offsets, best)
    return [*large, *rest]


def _highest(units: Sequence[Unit], offsets: Mapping[str, int], end: int) -> list[int]:
    """Numbers of the units that end there."""
    return [
        i
        for i, unit in enumerate(units)
        if any(offsets[life.name] + aligned(life.size) == end for life, _ in unit.members)
    ]


def live_of(
    program: Program,
    lives: Sequence[Lifetime],
    pairs: Mapping[str, Sequence[Share]],
    offsets: Mapping[str, int],
) -> tuple[int, ...]:
    """Bytes that each call needs; those that buffers share count once."""
    changes = np.zeros(program.length + 2, np.int64)
    for life in lives:
        changes[life.first] += aligned(life.size)
        changes[min(life.last, program.length) + 1] -= aligned(life.size)
    live = np.cumsum(changes)
    known = {life.name: life for life in lives}
    for new, shares in pairs.items():
        for share in shares:
            at, other = offsets[new], offsets[share.old]
            ends = at + aligned(known[new].size), other + aligned(known[share.old].size)
            live[known[new].first] -= max(0, min(ends) - max(at, other))
    return tuple(int(size) for size in live[: program.length])
