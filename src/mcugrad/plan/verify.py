"""Verify a plan with code that did not make it: play every entry through, byte by byte."""

from __future__ import annotations

import numpy as np

from mcugrad.plan.place import ALIGNMENT
from mcugrad.plan.plan import Plan
from mcugrad.program import Program, Space


class PlanError(AssertionError):
    """A plan is wrong: a defect of the planner, never of the user's model.

    Attributes:
        plan: that is wrong.
    """

    plan: Plan | None = None


def verify(program: Program, plan: Plan) -> None:
    """Check that no buffer is overwritten while somebody still wants to read it, however the program is run.

    Every byte of the arena remembers which buffer wrote it last. A buffer claims its bytes when a call touches it
    for the first time; whenever a later call, or the caller, touches it again, all of them must still be its own.
    In one call two buffers may share bytes where its kernel allows it: what is written begins as many bytes before
    what is read as the kernel says, and no other number.

    Raises:
        PlanError: two buffers that live at the same time share a byte, or one lies outside or is misaligned.
    """
    try:
        _verify(program, plan)
    except PlanError as error:
        error.plan = plan
        raise


def _verify(program: Program, plan: Plan) -> None:
    for buffer in program.in_space(Space.ARENA):
        offset = plan.offsets[buffer.name]
        if offset < 0 or offset % ALIGNMENT or offset + buffer.size > plan.size:
            raise PlanError(
                f"{buffer.name} at {offset} + {buffer.size} is outside {plan.size} bytes or misaligned"
            )
    for entry in program.entries:
        _play(program, entry, plan)


def _play(program: Program, entry: str, plan: Plan) -> None:
    """Play an entry with all of its segments. One that is left out touches less, the rest in the same order."""
    arena = program.in_space(Space.ARENA)
    number = {b.name: i for i, b in enumerate(arena)}
    owner = np.full(plan.size, -1, np.int64)
    claimed: set[str] = set()

    def touch(name: str, moment: str) -> None:
        start = plan.offsets[name]
        place = owner[start : start + program.buffers[name].size]
        if name not in claimed:
            claimed.add(name)
            place[:] = number[name]
        elif not (place == number[name]).all():
            thief = arena[int(place[place != number[name]][0])].name
            raise PlanError(f"{moment} touches {name}, but {thief} has overwritten a part of it")

    index = 0
    for name in program.entries[entry].segments:
        segment = program.segments[name]
        if segment.when in number:
            touch(segment.when, f"whether {name} runs")
        for call in segment.calls:
            # All of a call's buffers must coexist, so look at each a second time after all have claimed their place;
            # but for what is written over by a kernel that says it may be, from where it says. It is gone then.
            over = {
                old
                for old, new, lead in call.shared
                if new not in claimed
                and old in plan.offsets
                and plan.offsets.get(new) == plan.offsets[old] - lead
            }
            names = sorted((n for n in call.buffers if n in number), key=lambda name: name not in over)
            for buffer in names + [n for n in names if n not in over]:
                touch(buffer, f"call {index} of {entry}, {call.kernel.name} of {call.node},")
            index += 1
    for name in program.entries[entry].reads:
        if name in number:
            touch(name, f"the caller, after {entry},")
