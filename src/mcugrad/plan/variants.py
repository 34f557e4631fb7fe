"""Variants: programs that compute the same bytes, and what they take with more or less memory, as one curve.

A program that needs fewer bytes may take more instructions: a convolution that is pooled at once packs its weights for
each band of rows. So neither is better, and both are on the curve, of which what the user prefers picks a point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mcugrad.passes.program.keep_winners import keep_winners
from mcugrad.passes.program.pool_at_once import pool_at_once
from mcugrad.plan.plan import Plan, Planning, best_plan, exact_plan
from mcugrad.plan.recompute import recomputed
from mcugrad.plan.reorder import reordered
from mcugrad.plan.scratch import Offers, Point, offers
from mcugrad.program import Program

Planned = tuple[Program, Plan]
"""A program whose calls have no scratch, and its plan."""
LINES = (1, 4)
"""Rows of windows that are pooled at a time where a convolution is pooled at once."""
STEPS = 8
"""Programs in which ever more calls run again, of all there are: as many are looked at with scratch."""


@dataclass(frozen=True)
class Curve:
    """What a model takes, by bytes of arena.

    Attributes:
        points: the smallest arena, then each that saves something over the one before.
        usual: bytes of the smallest arena of a program whose maps are whole, and whose kernels have no scratch.
    """

    points: tuple[Point, ...]
    usual: int


@dataclass(frozen=True, eq=False)
class Choices:
    """Programs that compute the same bytes.

    Attributes:
        curve: what they take together.
    """

    curve: Curve
    _of: tuple[Offers, ...]

    def of(self, point: Point) -> Offers:
        """The program that takes as much, without scratch, and what it takes with some."""
        return self._of[self.curve.points.index(point)]


def planned(program: Program, how: Planning = "greedy", again: str = "") -> tuple[Planned, ...]:
    """Programs that compute the same bytes as one that was lowered, the smallest first, with their plans.

    Calls are kept in an order that takes the smallest working memory, and what takes no less stays as it was.

    Args:
        program: the calls.
        how: `exact` to look for less with a solver where a plan takes more than is needed at once. Calls do not
            depend on it, so neither does a fingerprint.
        again: core whose instructions count where calls of the forward pass may run again; empty where none may.

    Raises:
        UsageError: the solver is not installed.
    """
    kept = keep_winners(program)
    orders = dict.fromkeys((program, kept))  # one where there is nothing to keep
    found = [_smallest(*(each for order in orders for each in (order, reordered(order))))]
    whole, usual = found[0]
    for lines in LINES:
        if (other := pool_at_once(kept, lines)) is not kept:
            other = replace(other, same_as=whole)
            banded = _smallest(other, reordered(other))
            if banded[1].size < usual.size:  # else it takes more instructions for nothing
                found.append(banded)
    if again and program.trains:
        found += [
            other_less for other, _ in found for other_less in _less(replace(other, same_as=whole), again)
        ]
    if how == "exact":
        found = [(other, exact_plan(other, plan)) for other, plan in found]
    return tuple(sorted(found, key=lambda each: each[1].size))


def choices(programs: Sequence[Planned], core: str) -> Choices:
    """What they take together: of all points those that no other one beats.

    Args:
        programs: from `planned`.
        core: whose instructions count.
    """
    each = [(point, found) for found in (offers(*one, core) for one in programs) for point in found.points]
    points: list[Point] = []
    of: list[Offers] = []
    for point, found in sorted(each, key=lambda pair: pair[0]):
        if not points or point.instructions < points[-1].instructions:
            points.append(point)
            of.append(found)
    return Choices(Curve(tuple(points), max(plan.size for _, plan in programs)), tuple(of))


def _less(program: Program, core: str) -> Iterator[Planned]:
    """Programs with ever less working memory, in which calls run again, and their plans."""
    steps = recomputed(program, core)[1:]
    count = min(len(steps), STEPS)
    for number in range(1, count + 1):
        less = steps[number * len(steps) // count - 1]
        yield less.program, replace(best_plan(less.program), again=less.again)


def _smallest(*programs: Program) -> Planned:
    """The first of those whose plans are smallest."""
    plans = {id(program): (program, best_plan(program)) for program in programs}
    return min(plans.values(), key=lambda pair: pair[1].size)
