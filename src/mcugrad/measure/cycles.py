"""Cycles, estimated: executed instructions, counted exactly, times public instruction timings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from mcugrad.emulator.counter import BlockCount
from mcugrad.errors import UsageError
from mcugrad.measure.decode import Instruction, decode
from mcugrad.measure.pipelines import PIPELINES
from mcugrad.targets import Core
from mcugrad.toolchain.elf import Image

HOW = "estimated, zero wait states"


@dataclass(frozen=True)
class CycleEstimate:
    """Cycles, and how far off they may be.

    Attributes:
        cycles: the estimate.
        band_percent: the true figure is expected within this many percent.
        how: how the number was got.
        source: where the timings come from.
    """

    cycles: int
    band_percent: float
    how: str
    source: str

    @property
    def low(self) -> float:
        """Lower end of the band, cycles."""
        return self.cycles * (1 - self.band_percent / 100)

    @property
    def high(self) -> float:
        """Upper end of the band, cycles."""
        return self.cycles * (1 + self.band_percent / 100)

    def seconds(self, clock_hz: float) -> float:
        """Time at `clock_hz`, for the estimate itself."""
        return self.cycles / clock_hz

    def __str__(self) -> str:
        return f"{self.cycles} cycles +-{self.band_percent:g} % ({self.how})"


@dataclass(frozen=True)
class FunctionCost:
    """What one function cost by itself, callees not included: instructions counted, cycles estimated."""

    name: str
    instructions: int
    cycles: float


class CycleModel:
    """Estimates for one firmware on one core; remembers the blocks it has decoded."""

    def __init__(self, image: Image, core: Core) -> None:
        if core.timing not in PIPELINES:
            raise UsageError(f"no timings for {core.timing!r}", hint="one of " + ", ".join(PIPELINES))
        self._image = image
        self._pipeline = PIPELINES[core.timing]
        self._known: dict[tuple[int, int], tuple[float, float, float]] = {}

    def _timing(self, block: BlockCount) -> tuple[float, float, float]:
        """Cycles of an execution, more when it is left by a jump, more when it is entered by one."""
        key = (block.address, block.bytes)
        if key not in self._known:
            code = self._image.content(block.address, block.bytes)
            instructions: list[Instruction] = list(decode(code, block.address))
            decoded = sum(i.bytes for i in instructions)
            # What capstone does not know counts as one cycle each.
            unknown = block.instructions - len(instructions) if decoded < block.bytes else 0
            jumps = bool(instructions) and instructions[-1].jumps
            wide_first = bool(instructions) and instructions[0].bytes == 4 and block.address % 4 == 2
            self._known[key] = (
                self._pipeline.run(instructions) + unknown,
                self._pipeline.refill if jumps else 0,
                self._pipeline.unaligned_target if wide_first else 0,
            )
        return self._known[key]

    def _cycles(self, block: BlockCount) -> float:
        once, leaving, entering = self._timing(block)
        return block.executions * once + block.leaves * leaving + block.enters * entering

    def estimate(self, blocks: Iterable[BlockCount]) -> CycleEstimate:
        """Cycles of all `blocks`, as counted by `DeviceModel.blocks` or `Emulator.blocks`."""
        total = sum(map(self._cycles, blocks))
        return CycleEstimate(round(total), self._pipeline.band_percent, HOW, self._pipeline.source)

    def by_function(self, blocks: Iterable[BlockCount]) -> list[FunctionCost]:
        """Instructions and cycles of each function, most cycles first."""
        costs: dict[str, tuple[int, float]] = {}
        for block in blocks:
            symbol = self._image.symbol_at(block.address)
            name = symbol.name if symbol else f"{block.address:#010x}"
            instructions, cycles = costs.get(name, (0, 0.0))
            costs[name] = (
                instructions + block.executions * block.instructions,
                cycles + self._cycles(block),
            )
        found = (FunctionCost(name, *cost) for name, cost in costs.items())
        return sorted(found, key=lambda cost: (-cost.cycles, cost.name))


def estimate(blocks: Iterable[BlockCount], image: Image, core: Core) -> CycleEstimate:
    """Cycles of executed `blocks` of the firmware `image` on `core`.

    Raises:
        ToolError: capstone is not installed.
    """
    return _model(image, core).estimate(blocks)


@lru_cache(maxsize=1)  # predictions and steps of a firmware have most of their blocks in common
def _model(image: Image, core: Core) -> CycleModel:
    return CycleModel(image, core)
