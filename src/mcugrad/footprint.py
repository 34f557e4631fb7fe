"""Memory that firmware takes."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.emit import Layout
from mcugrad.program import Program, Space
from mcugrad.program.reserve import reserve
from mcugrad.targets import Target


@dataclass(frozen=True)
class Footprint:
    """Memory that a program takes.

    Attributes:
        ram: bytes of RAM that the firmware must have: model and sample; stack aside.
        constants: bytes of flash for constants, initial state included; code comes on top.
        reserve: bytes of RAM that are kept for the stack and for what calls the model.
    """

    ram: int
    constants: int
    reserve: int

    @classmethod
    def of(cls, program: Program, place: Layout) -> Footprint:
        """That of a program which lies in memory like this."""
        fixed = (b.size for s in (Space.CONST, Space.STATE) for b in program.in_space(s))
        return cls(place.size + program.buffers[program.input].count, sum(fixed), reserve(program))

    @property
    def need(self) -> int:
        """Bytes of RAM that a target must have."""
        return self.ram + self.reserve

    def fits(self, target: Target) -> bool:
        """Whether a target has so much."""
        return self.need <= target.ram.bytes and self.constants <= target.flash.bytes


def kib(size: int) -> str:
    """`24.7 KiB`."""
    return f"{size / 1024:.1f} KiB"
