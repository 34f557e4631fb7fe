"""Recompute: less working memory for more instructions, call by call of the forward pass that runs again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mcugrad.passes.program.run_again import Again, chances, run_again
from mcugrad.plan.bound import needed_of
from mcugrad.plan.lifetimes import Lifetime, lifetimes
from mcugrad.plan.place import aligned
from mcugrad.plan.plan import RunsAgain
from mcugrad.plan.sharing import sharing
from mcugrad.program import TRAIN_STEP, Call, Program

TRIED = 8
"""Chances that are looked at more closely before it is given up."""
WORTH = 512
"""One part in so many of the bytes at the fullest moment is the least that is saved at once."""
BY_BYTE = 2
"""Instructions that a byte of what a call touches counts where its kernel has no price, to compare chances."""


@dataclass(frozen=True, eq=False)
class Less:
    """A program with less working memory.

    Attributes:
        program: the calls.
        instructions: of a training step without scratch, estimated, of calls whose kernel has a price.
        again: what runs again, and what that takes without scratch.
        lives: of its arena buffers.
        needed: bytes that are needed at least, by number of the call.
    """

    program: Program
    instructions: float
    again: RunsAgain
    lives: tuple[Lifetime, ...]
    needed: NDArray[np.int64]

    @classmethod
    def of(cls, program: Program, instructions: float, again: RunsAgain) -> Less:
        """With what is asked of it more than once."""
        lives = lifetimes(program)
        return cls(program, instructions, again, lives, needed_of(lives, sharing(program, lives)))

    @property
    def bound(self) -> int:
        """Bytes that are needed at the fullest moment."""
        return int(self.needed.max(initial=0))


def recomputed(program: Program, core: str) -> tuple[Less, ...]:
    """The program, then such with ever less working memory; each computes the same bytes.

    What is there at the fullest moment, and is made again behind it, goes, first what saves most for its instructions;
    as long as that moment gets less full.

    Args:
        program: whose calls have no scratch so far.
        core: whose instructions count.
    """
    whole = sum(instructions(call, core) for call in program.calls_of(TRAIN_STEP)) if program.trains else 0.0
    found = [Less.of(program, whole, RunsAgain(0, 0.0, 0.0))]
    while (less := _next(found[-1], core)) is not None:
        found.append(less)
    return tuple(found)


def instructions(call: Call, core: str) -> float:
    """What a call takes without scratch, estimated; 0 where nobody counted its kernel."""
    if not call.kernel.is_priced or call.struct is None:
        return 0.0
    return call.kernel.instructions(core, call.struct.rangeless(), 0)


def step_instructions(program: Program, core: str) -> float:
    """What a training step takes with the scratch that it has, estimated, of calls whose kernel has a price."""
    return sum(taken(call, core) for call in program.calls_of(TRAIN_STEP))


def more_than(kept: Program, program: Program, again: RunsAgain, core: str) -> RunsAgain:
    """What runs again in a program, and what its step takes more than where all is kept, each with its scratch."""
    whole = step_instructions(kept, core)
    more = step_instructions(program, core) - whole
    return RunsAgain(again.calls, more, more / whole if whole else 0.0)


def taken(call: Call, core: str) -> float:
    """What a call takes with the scratch that it has, estimated; 0 where nobody counted its kernel."""
    if not call.kernel.is_priced:
        return 0.0
    return call.kernel.instructions(core, call.struct, call.room)


def _next(before: Less, core: str) -> Less | None:
    """The next one; None where it gets no less."""
    program, lives, needed = before.program, before.lives, before.needed
    time = int(needed.argmax())
    most = before.bound - before.bound // WORTH - 1
    whole = before.instructions - before.again.more
    known = {life.name: life for life in lives}
    there = _there(lives)
    ranked = []
    for again in chances(program, time):
        peak = _peak(again, known, needed, there)
        if peak <= most:
            weight = sum(_weight(call, program, core) for call in again.calls) + whole / 500
            ranked.append(((before.bound - peak) / max(weight, 1.0), again))
    ranked.sort(key=lambda each: (-each[0], each[1].wanted))
    for _, again in islice(ranked, TRIED):
        more = before.again.more + sum(instructions(call, core) for call in again.calls)
        runs = RunsAgain(before.again.calls + len(again.calls), more, more / whole if whole else 0.0)
        less = Less.of(run_again(program, again), whole + more, runs)
        if less.bound <= most:
            return less
    return None


def _weight(call: Call, program: Program, core: str) -> float:
    return instructions(call, core) or BY_BYTE * sum(program.buffers[name].size for name in call.buffers)


def _there(lives: Sequence[Lifetime]) -> NDArray[np.int64]:
    """Bytes that are there between two calls, by the number of the second."""
    there = np.zeros(max((life.last for life in lives), default=0) + 2, np.int64)
    for life in lives:
        there[life.first + 1] += aligned(life.size)
        there[life.last + 1] -= aligned(life.size)
    return np.cumsum(there)


def _peak(
    again: Again, known: dict[str, Lifetime], needed: NDArray[np.int64], there: NDArray[np.int64]
) -> int:
    """Bytes at the fullest moment if these calls run again, but for what could be shared otherwise then."""
    less = aligned(known[again.wanted].size)
    gap = slice(again.gone + 1, again.at)
    rest = max(needed[: again.gone + 1].max(initial=0), needed[again.at :].max(initial=0))
    between = there[again.at] - less
    return int(max(rest, needed[gap].max(initial=0) - less, between + _fullest(again, known)))


def _fullest(again: Again, known: dict[str, Lifetime]) -> int:
    """Bytes of what these calls make, at the fullest moment among them."""
    last = {name: number for number, call in enumerate(again.calls) for name in call.buffers}
    last[again.wanted] = len(again.calls)
    fullest, there = 0, dict[str, int]()
    for number, call in enumerate(again.calls):
        there |= {name: aligned(known[name].size) for name in call.written}
        fullest = max(fullest, sum(there.values()))
        there = {name: size for name, size in there.items() if last[name] > number}
    return fullest
