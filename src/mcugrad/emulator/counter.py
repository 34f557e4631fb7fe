"""Counts executed instructions, exactly, with a hook that unicorn calls at the start of every block.

Two variants with equal results: `NativeCounter` (mcg_host_counter.c, hundreds of millions of instructions per
second) and `PythonCounter` (some ten million), for a computer without a compiler.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mcugrad.emulator import HOST_COUNTER, binding, source

LIMIT, FULL = 1, 2
"""Why a counter stopped the core: the instruction limit was reached, or its table of blocks is full."""

_SLOTS = 1 << 16  # blocks; a firmware of 1 MiB has about 30 000


@dataclass(frozen=True)
class BlockCount:
    """How often one straight run of instructions was executed.

    Attributes:
        address: of the first instruction.
        bytes: length of the run.
        instructions: in the run, including those that an IT instruction skips.
        executions: how often it ran.
        leaves: executions that ended in a jump (the next address executed is not the next in memory).
        enters: executions that were jumped to.
    """

    address: int
    bytes: int
    instructions: int
    executions: int
    leaves: int
    enters: int


class Counter(Protocol):
    """What both variants offer."""

    limit: int

    @property
    def instructions(self) -> int:
        """Executed so far."""

    @property
    def stopped(self) -> int:
        """Why the counter stopped the core: 0 (it did not), LIMIT or FULL. Setting `limit` clears it."""

    def forget_blocks(self) -> None:
        """Sets the executions of all blocks to 0; `instructions` runs on."""

    def blocks(self) -> list[BlockCount]:
        """The blocks executed since `forget_blocks`, by address."""


class _Block(ctypes.Structure):
    _fields_ = [
        ("address", ctypes.c_uint32),
        ("bytes", ctypes.c_uint32),
        ("instructions", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("executions", ctypes.c_uint64),
        ("leaves", ctypes.c_uint64),
        ("enters", ctypes.c_uint64),
    ]


class _State(ctypes.Structure):
    _fields_ = [
        ("instructions", ctypes.c_uint64),
        ("limit", ctypes.c_uint64),
        ("code_address", ctypes.c_uint64),
        ("code_bytes", ctypes.c_uint64),
        ("code", ctypes.c_void_p),
        ("slots", ctypes.c_void_p),
        ("previous", ctypes.c_void_p),
        ("stop", ctypes.c_void_p),
        ("slot_count", ctypes.c_uint32),
        ("used", ctypes.c_uint32),
        ("stopped", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]


class NativeCounter:
    """The counter in C. Raises ToolError when there is no compiler to build it with."""

    def __init__(self, engine: Any, code_address: int, code: npt.NDArray[np.uint8]) -> None:
        unicorn = binding.unicorn()
        self._slots = np.zeros(_SLOTS, dtype=np.dtype(_Block))
        self._code = code
        self._state = _State(
            limit=2**64 - 1,
            code_address=code_address,
            code_bytes=code.size,
            code=code.ctypes.data,
            slots=self._slots.ctypes.data,
            stop=ctypes.cast(binding.functions().uclib.uc_emu_stop, ctypes.c_void_p),
            slot_count=_SLOTS,
        )
        self._library = binding.add_native_hook(
            engine,
            unicorn.UC_HOOK_BLOCK,
            source(HOST_COUNTER),
            "mcg_host_count_block",
            self._state,
        )

    @property
    def instructions(self) -> int:
        """Executed so far."""
        return int(self._state.instructions)

    @property
    def limit(self) -> int:
        """The core stops when `instructions` exceeds this."""
        return int(self._state.limit)

    @limit.setter
    def limit(self, value: int) -> None:
        self._state.limit = value
        self._state.stopped = 0

    @property
    def stopped(self) -> int:
        """0, LIMIT or FULL."""
        return int(self._state.stopped)

    def forget_blocks(self) -> None:
        """See Counter."""
        for field in ("executions", "leaves", "enters"):
            self._slots[field] = 0
        self._state.previous = None

    def blocks(self) -> list[BlockCount]:
        """See Counter."""
        executed = self._slots[self._slots["executions"] > 0]
        executed = executed[np.lexsort((executed["bytes"], executed["address"]))]
        return [BlockCount(a, b, n, e, out, into) for a, b, n, _, e, out, into in executed.tolist()]


class PythonCounter:
    """The same counter without a compiler, about thirty times slower."""

    def __init__(self, engine: Any, code_address: int, code: npt.NDArray[np.uint8]) -> None:
        self.instructions = 0
        self.stopped = 0
        self._limit = 2**64 - 1
        self._table: dict[tuple[int, int], list[int]] = {}  # [address, bytes, instructions, executions, ...]
        self._previous: list[int] | None = None
        engine.hook_add(binding.unicorn().unicorn_const.UC_HOOK_BLOCK, self._callback(code_address, code))

    @property
    def limit(self) -> int:
        """The core stops when `instructions` exceeds this."""
        return self._limit

    @limit.setter
    def limit(self, value: int) -> None:
        self._limit = value
        self.stopped = 0

    def _callback(self, base: int, code: npt.NDArray[np.uint8]) -> Callable[..., None]:
        def count(address: int, size: int) -> int:
            at, instructions = address - base, 0
            end = at + size
            if at < 0 or end > code.size:
                return size // 2
            while at + 1 < end:
                at += 4 if code[at + 1] >> 3 >= 29 else 2
                instructions += 1
            return instructions

        def on_block(engine: Any, address: int, size: int, _: object) -> None:
            block = self._table.get((address, size))
            if block is None:
                block = [address, size, count(address, size), 0, 0, 0]
                self._table[address, size] = block
            block[3] += 1
            previous = self._previous
            if previous is not None and previous[0] + previous[1] != address:
                previous[4] += 1
                block[5] += 1
            self._previous = block
            self.instructions += block[2]
            if self.instructions > self._limit:
                self.stopped = LIMIT
                engine.emu_stop()

        return on_block

    def forget_blocks(self) -> None:
        """See Counter."""
        for block in self._table.values():
            block[3:] = [0, 0, 0]
        self._previous = None

    def blocks(self) -> list[BlockCount]:
        """See Counter."""
        return [BlockCount(*block) for _, block in sorted(self._table.items()) if block[3]]
