"""Plan: where every buffer of the arena lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcugrad.plan.lifetimes import Lifetime, lifetimes
from mcugrad.program import Program

ALIGNMENT = 4
"""Of every buffer, bytes."""


@dataclass(frozen=True)
class Plan:
    """Offsets into the arena.

    Attributes:
        offsets: first byte of every arena buffer.
        size: bytes of the arena.
        live: per call of a training step, bytes that are needed at that time.
    """

    offsets: Mapping[str, int]
    size: int
    live: tuple[int, ...]

    @property
    def peak(self) -> int:
        """Index of the call that needs most."""
        return max(range(len(self.live)), key=self.live.__getitem__, default=0)


def aligned(size: int) -> int:
    """`size` rounded up to the alignment."""
    return (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def greedy_by_size(program: Program) -> Plan:
    """Place the largest buffer first, each at the lowest offset that is free during its life.

    Source: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, greedy by size.
    """
    lives = lifetimes(program)
    placed: list[tuple[Lifetime, int]] = []
    for life in sorted(lives, key=lambda item: (-item.size, item.first, item.name)):
        busy = sorted((at, at + aligned(other.size)) for other, at in placed if other.overlaps(life))
        offset = 0
        for start, end in busy:
            if offset + life.size <= start:
                break
            offset = max(offset, end)
        placed.append((life, offset))
    offsets = {life.name: at for life, at in placed}
    live = tuple(
        sum(aligned(item.size) for item in lives if item.first <= i <= item.last)
        for i in range(len(program.calls))
    )
    size = max((at + aligned(life.size) for life, at in placed), default=0)
    return Plan({item.name: offsets[item.name] for item in lives}, size, live)
