"""The step counter, in any precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.program import Kernel, segment


@dataclass(frozen=True, kw_only=True)
class NextStep(BackwardNode):
    """Count the step, so that the next one draws other random numbers."""

    INPUTS = ()
    OUTPUTS = ()
    CHANGES_STATE = True

    def lower(self, to: ProgramBuilder) -> None:
        to.enter(segment.FINISH)
        to.call(NEXT_STEP, note="count the step", step=to.step())


def next_step(step: NDArray[Any]) -> None:
    """step += 1, modulo 2^32."""
    step[0] = (int(step[0]) + 1) & 0xFFFFFFFF


NEXT_STEP = Kernel("mcg_next_step", next_step)
