"""Arguments of a kernel in the memory of a core: every array between bytes that the kernel must leave alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import DeviceError
from mcugrad.program import Kernel, Struct
from mcugrad.training.rules import InPlace

GUARD = 16
"""Bytes before and behind every array."""
_FILL = 0xA5
_BESIDE = bytes([_FILL]) * GUARD


class Placed:
    """Arguments of one call.

    Args:
        kernel: what is called; its parameters are no floats by value.
        arguments: by name; arrays are taken back in place, None is a null pointer.
        memory: where they go.
        address: of its first byte.
        symbol: address of a symbol of the firmware.
        shift: bytes by which arrays of bytes lie behind a multiple of 4.
        last: name of an array that ends where the memory does.

    Attributes:
        words: what the core's registers and stack have to hold.
    """

    def __init__(
        self,
        kernel: Kernel,
        arguments: Mapping[str, Any],
        memory: NDArray[np.uint8],
        address: int,
        symbol: Callable[[str], int],
        shift: int = 0,
        last: str | None = None,
    ) -> None:
        self._kernel = kernel
        self._memory, self._address = memory, address
        self._next = 0
        self._arrays: list[tuple[str, NDArray[Any], int]] = []
        self.words: list[int] = []
        for param in kernel.params:
            value = arguments[param.name]
            if isinstance(value, np.ndarray):
                at = self._place(value, shift if value.itemsize == 1 else 0, param.name == last)
                self._arrays.append((param.name, value, at))
                self.words.append(address + at)
            elif isinstance(value, Struct):
                self.words.append(address + self._place(np.asarray(value.words(), np.int32), 0))
            elif isinstance(value, InPlace):
                self.words.append(symbol(f"mcg_rule_{value.name}"))
            else:
                self.words.append(0 if value is None else int(value) & 0xFFFF_FFFF)

    @property
    def bytes(self) -> int:
        """How much of the memory they take."""
        return self._next

    def take_back(self, where: str) -> None:
        """Read the arrays. Raises DeviceError where a byte beside one has changed."""
        for name, value, at in self._arrays:
            before, behind = self._memory[at - GUARD : at], self._memory[at + value.nbytes :][:GUARD]
            if before.tobytes() != _BESIDE or not _BESIDE.startswith(
                behind.tobytes()
            ):  # none behind the last
                raise DeviceError(f"{self._kernel.name} wrote beside {name} on {where}")
            inside = self._memory[at : at + value.nbytes]
            value[...] = np.frombuffer(inside.tobytes(), value.dtype).reshape(value.shape)

    def _place(self, array: NDArray[Any], shift: int, at_end: bool = False) -> int:
        """Where a copy begins."""
        at = self._memory.size - array.nbytes if at_end else self._next + GUARD + shift
        self._memory[at - GUARD : at + array.nbytes + GUARD] = _FILL
        self._memory[at : at + array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)
        if not at_end:
            self._next = (at + array.nbytes + GUARD + 7) & ~7
        return at
