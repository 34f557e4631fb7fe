"""Bound: bytes of working memory that no plan can do without, to see how near a plan comes to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mcugrad.plan.lifetimes import Lifetime, lifetimes
from mcugrad.plan.plan import aligned
from mcugrad.plan.sharing import sharing
from mcugrad.program import Program


def bound(program: Program) -> int:
    """Bytes that are needed at the fullest moment, buffers that may be the same bytes counted once.

    It is a bound, not always what can be reached: a place that fits at one moment may be taken at another.
    """
    lives = lifetimes(program)
    needed = np.zeros(program.length + 2, np.int64)
    for life in lives:
        needed[life.first] += aligned(life.size)
        needed[life.last + 1] -= aligned(life.size)
    needed = np.cumsum(needed)
    for time, saved in _saved(lives, sharing(program, lives)):
        needed[time] -= saved
    return int(needed.max(initial=0))


def _saved(lives: Sequence[Lifetime], pairs: Mapping[str, Sequence[str]]) -> Iterable[tuple[int, int]]:
    """The most that sharing can save, by time: each buffer is in the place of one other, and that of no second one."""
    known = {life.name: life for life in lives}
    by_new: dict[int, dict[str, int]] = {}
    by_old: dict[int, dict[str, int]] = {}
    for new, olds in pairs.items():
        time = known[new].first
        for old in olds:
            saved = min(aligned(known[new].size), aligned(known[old].size))
            for found, name in ((by_new, new), (by_old, old)):
                most = found.setdefault(time, {})
                most[name] = max(most.get(name, 0), saved)
    return ((time, min(sum(by_new[time].values()), sum(by_old[time].values()))) for time in by_new)
