"""Verify a plan with code that did not make it: play a step through, byte by byte."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcugrad.plan.plan import ALIGNMENT, Plan
from mcugrad.program import Call, Program, Space


class PlanError(AssertionError):
    """A plan is wrong: a defect of the planner, never of the user's model."""


def verify(program: Program, plan: Plan) -> None:
    """Check that no buffer is overwritten while somebody still wants to read it, in any kind of step.

    Every byte of the arena remembers which buffer wrote it last. A buffer claims its bytes when a call touches it
    for the first time; whenever a later call, or the caller, touches it again, all of them must still be its own.

    Raises:
        PlanError: two buffers that live at the same time share a byte, or one lies outside or is misaligned.
    """
    _play(program, program.calls, plan)
    if program.soft:
        _play(program, program.soft_calls, plan)
    if program.taken:
        _play(program, program.skipping_calls, plan)


def _play(program: Program, calls: Sequence[Call], plan: Plan) -> None:
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

    for buffer in arena:
        offset = plan.offsets[buffer.name]
        if offset < 0 or offset % ALIGNMENT or offset + buffer.size > plan.size:
            raise PlanError(
                f"{buffer.name} at {offset} + {buffer.size} is outside {plan.size} bytes or misaligned"
            )
    for index, call in enumerate(calls):
        # All of a call's buffers must coexist, so look at each a second time after all have claimed their place.
        names = [n for n in call.buffers if n in number]
        for name in names + names:
            touch(name, f"call {index}, {call.kernel.name} of {call.node},")
        if index == len(program.forward) - 1 and program.output in number:
            touch(program.output, "the caller, after the forward pass,")
    for name in program.results:
        touch(name, "the caller, after the step,")
