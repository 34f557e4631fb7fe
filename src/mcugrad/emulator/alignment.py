"""Finds unaligned accesses that the chip refuses and unicorn lets pass: by LDRD, LDM, VLDR and their like.

On ARMv6-M, where every unaligned access faults, unicorn is right by itself. Makes emulation ten times slower.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugrad.emulator import HOST_ALIGNMENT, binding, source
from mcugrad.targets import Target


class _State(ctypes.Structure):
    _fields_ = [
        ("code_address", ctypes.c_uint64),
        ("code_bytes", ctypes.c_uint64),
        ("code", ctypes.c_void_p),
        ("stop", ctypes.c_void_p),
        ("read_register", ctypes.c_void_p),
        ("bad_address", ctypes.c_uint64),
        ("bad_bytes", ctypes.c_uint32),
        ("bad_pc", ctypes.c_uint32),
        ("pc_name", ctypes.c_int32),
        ("reserved", ctypes.c_uint32),
    ]


class AlignmentCheck:
    """A hook on every access of data. Raises ToolError when there is no compiler to build it with."""

    def __init__(self, engine: Any, target: Target, flash: npt.NDArray[np.uint8]) -> None:
        unicorn = binding.unicorn()
        library = binding.functions().uclib
        self._state = _State(
            code_address=target.flash.address,
            code_bytes=flash.size,
            code=flash.ctypes.data,
            stop=ctypes.cast(library.uc_emu_stop, ctypes.c_void_p),
            read_register=ctypes.cast(library.uc_reg_read, ctypes.c_void_p),
            pc_name=unicorn.arm_const.UC_ARM_REG_PC,
        )
        self._flash = flash
        self._library = binding.add_native_hook(
            engine,
            unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE,
            source(HOST_ALIGNMENT),
            "mcg_host_check_alignment",
            self._state,
        )

    def clear(self) -> None:
        """Forgets what was found."""
        self._state.bad_bytes = 0

    @property
    def found(self) -> tuple[int, int, int] | None:
        """Address, bytes and program counter of the first refused access since `clear`."""
        state = self._state
        return (int(state.bad_address), int(state.bad_bytes), int(state.bad_pc)) if state.bad_bytes else None
