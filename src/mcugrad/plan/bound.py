"""Bound: bytes of working memory that no plan can do without, to see how near a plan comes to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mcugrad.plan.lifetimes import Lifetime, lifetimes
from mcugrad.plan.place import aligned, saved
from mcugrad.plan.sharing import Share, sharing
from mcugrad.program import Program


def bound(program: Program) -> int:
    """Bytes that are needed at the fullest moment, those that buffers may share counted once.

    It is a bound, not always what can be reached: a place that fits at one moment may be taken at another.
    """
    lives = lifetimes(program)
    return bound_of(lives, sharing(program, lives))


def bound_of(lives: Sequence[Lifetime], pairs: Mapping[str, Sequence[Share]]) -> int:
    """The same of lifetimes, and by buffer those in whose place it may be."""
    return int(needed_of(lives, pairs).max(initial=0))


def needed_of(lives: Sequence[Lifetime], pairs: Mapping[str, Sequence[Share]]) -> NDArray[np.int64]:
    """Bytes that are needed at least, by number of the call."""
    needed = np.zeros(max((life.last for life in lives), default=0) + 2, np.int64)
    for life in lives:
        needed[life.first] += aligned(life.size)
        needed[life.last + 1] -= aligned(life.size)
    needed = np.cumsum(needed)
    for time, less in _saved(lives, pairs):
        needed[time] -= less
    return needed


def _saved(lives: Sequence[Lifetime], pairs: Mapping[str, Sequence[Share]]) -> Iterable[tuple[int, int]]:
    """The most that sharing can save, by time: at one distance, a buffer is over one other, and under one."""
    known = {life.name: life for life in lives}
    by_new: dict[int, dict[tuple[str, int], int]] = {}
    by_old: dict[int, dict[tuple[str, int], int]] = {}
    for new, shares in pairs.items():
        time = known[new].first
        for share in shares:
            less = saved(known[new], known[share.old], share.lead)
            for found, name in ((by_new, new), (by_old, share.old)):
                most = found.setdefault(time, {})
                most[name, share.lead] = max(most.get((name, share.lead), 0), less)
    return [(time, min(sum(by_new[time].values()), sum(by_old[time].values()))) for time in by_new]
