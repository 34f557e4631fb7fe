"""Timing of the cores, from Arm's public manuals, for memories without wait states.

`SingleIssue` adds up a table; `DualIssue` lets instructions of one straight run flow into two slots in order.
Divides take a middle value of their data-dependent range.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mcugrad.measure.decode import Instruction, Kind


class Pipeline(Protocol):
    """What a timing model offers; everything in cycles."""

    @property
    def refill(self) -> float:
        """More for every jump taken."""

    @property
    def unaligned_target(self) -> float:
        """More for every jump to a 32-bit instruction that is not at a multiple of 4."""

    @property
    def band_percent(self) -> float:
        """How far an estimate of a whole program may be off."""

    @property
    def source(self) -> str:
        """The manual."""

    def run(self, instructions: Sequence[Instruction]) -> float:
        """Cycles of one execution of a straight run, the jump at its end not taken."""


@dataclass(frozen=True)
class SingleIssue:
    """One instruction after the other, each with its number of cycles.

    Attributes:
        load: a single load; one right behind another load or store takes 1 when `pipelined`.
        call, return_: more for BL, and for POP with the program counter.
    """

    source: str
    band_percent: float
    refill: float
    unaligned_target: float
    load: float = 2
    store: float = 1
    pipelined: bool = True
    call: float = 0
    return_: float = 0
    cycles: Mapping[Kind, float] = field(default_factory=dict)

    def _one(self, now: Instruction, before: Instruction | None) -> float:
        single_before = before is not None and before.words > 0 and not before.multiple
        if now.multiple:
            return 1 + now.words + (self.return_ if now.jumps else 0)
        if now.kind is Kind.LOAD:
            waits = before is not None and bool(now.base & before.writes)
            first = 1 if self.pipelined and single_before and not waits else self.load
            return first + now.words - 1
        if now.kind is Kind.STORE:
            return self.store + (now.words - 1 if not now.name.startswith("v") else now.words)
        if now.name in ("tbb", "tbh"):
            return 2
        cycles = self.cycles.get(now.kind, 1)
        if now.name == "bl":
            cycles += self.call
        if now.kind is Kind.FP_MOVE and len(now.writes) == 2:
            cycles += 1
        if now.kind in (Kind.FP, Kind.FP_MLA, Kind.FP_DIV) and before is not None:
            cycles += before.kind in (Kind.FP, Kind.FP_MLA) and bool(now.reads & before.writes)
        return cycles

    def run(self, instructions: Sequence[Instruction]) -> float:
        """See Pipeline."""
        return sum(map(self._one, instructions, [None, *instructions[:-1]]))


@dataclass(frozen=True)
class DualIssue:
    """Two instructions a cycle, in order; one of them may go to memory, one to the multiplier, one to the float unit.

    What is known of the Cortex-M7 without a table: it issues two instructions a cycle in order, has one multiplier
    that takes a product each cycle and forwards sums to the next one, and what is loaded can be used two cycles later.
    Memory moves one word a cycle here. The core moves two, where both are aligned: what LDRD, LDM and STM take is an
    upper bound. A register that is still to be read may be written in the same cycle. Each run of instructions between
    jumps begins with nothing on its way; jumps are predicted and cost `refill`. Caches and wait states are left out.
    """

    source: str
    band_percent: float
    refill: float
    unaligned_target: float = 0
    load_use: int = 2
    latency: Mapping[Kind, int] = field(default_factory=dict)
    blocking: Mapping[Kind, int] = field(default_factory=dict)

    def run(self, instructions: Sequence[Instruction]) -> float:
        """See Pipeline. A run that jumps to its own start is timed as a loop in its steady state."""
        loops = bool(instructions) and instructions[-1].loop == instructions[0].address
        if not loops:
            return self._flow(instructions, 1)
        return (self._flow(instructions, 8) - self._flow(instructions, 4)) / 4

    def _flow(self, instructions: Sequence[Instruction], times: int) -> int:
        ready: dict[str, int] = defaultdict(int)  # cycle in which a register can be read
        sums: dict[str, int] = defaultdict(int)  # the same, to be added to: the multiplier forwards it
        free: dict[str, int] = defaultdict(int)  # cycle in which a unit takes the next
        cycle = slots = 0
        for now in [*instructions] * times:
            unit = self._unit(now)
            wanted = [ready[r] for r in now.reads - now.accumulator] + [sums[r] for r in now.accumulator]
            start = max([cycle, free[unit], *wanted])
            if start == cycle and slots == 2:
                start = max(cycle + 1, free[unit])
            slots = slots + 1 if start == cycle else 1
            cycle = start
            busy = max(now.words, self.blocking.get(now.kind, 1))
            if unit:
                free[unit] = start + busy
            delay = self.load_use + now.words - 1 if now.kind is Kind.LOAD else self.latency.get(now.kind, 1)
            for register in now.writes:
                # An updated address is ready at once; what was loaded through it is not.
                ready[register] = start + (1 if register in now.updated else delay)
                sums[register] = ready[register]
            if now.accumulator:
                for register in now.writes:
                    sums[register] = start + 1
        return cycle + 1

    @staticmethod
    def _unit(now: Instruction) -> str:
        if now.words:
            return "memory"
        if now.kind in (Kind.MUL, Kind.MLA, Kind.LONG_MUL, Kind.LONG_MLA, Kind.DSP_MUL):
            return "multiplier"
        if now.kind in (Kind.FP, Kind.FP_MLA, Kind.FP_DIV):
            return "float"
        return {Kind.DIV: "divider", Kind.BRANCH: "branch"}.get(now.kind, "")


_M4 = {Kind.DIV: 7, Kind.FP_MLA: 3, Kind.FP_DIV: 14, Kind.SYSTEM: 2}
PIPELINES: dict[str, Pipeline] = {
    "m0plus": SingleIssue(
        "Arm DDI0484, Cortex-M0+ TRM, instruction set summary (single-cycle multiplier)",
        band_percent=10,
        refill=1,
        unaligned_target=0,
        store=2,
        pipelined=False,
        call=1,
        return_=1,
        cycles={Kind.SYSTEM: 3},
    ),
    "m3": SingleIssue(
        "Arm DDI0337, Cortex-M3 TRM, instruction set summary",
        band_percent=10,
        refill=1,
        unaligned_target=1,
        cycles={Kind.MLA: 2, Kind.LONG_MUL: 4, Kind.LONG_MLA: 5, Kind.DIV: 7, Kind.SYSTEM: 2},
    ),
    "m4": SingleIssue(
        "Arm DDI0439 and 100166, Cortex-M4 TRM, instruction set and FPU instruction set tables",
        band_percent=10,
        refill=1,
        unaligned_target=1,
        cycles=_M4,
    ),
    "m7": DualIssue(
        "no public table; in-order dual issue as in Arm DDI0489, Cortex-M7 TRM",
        band_percent=20,
        refill=1,
        latency={
            Kind.MUL: 2,
            Kind.MLA: 2,
            Kind.LONG_MUL: 2,
            Kind.LONG_MLA: 2,
            Kind.DSP_MUL: 2,
            Kind.DIV: 7,
            Kind.FP: 3,
            Kind.FP_MLA: 5,
            Kind.FP_DIV: 14,
        },
        blocking={Kind.DIV: 7, Kind.FP_DIV: 14},
    ),
    "m33": SingleIssue(
        "no public table; the Cortex-M4's is used",
        band_percent=25,
        refill=1,
        unaligned_target=1,
        cycles=_M4,
    ),
}
"""Timing model by the name a core's TOML file gives."""
