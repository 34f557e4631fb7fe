"""Kernels by themselves on an emulated core: the bytes they write, and the instructions they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import toolchain
from mcugrad.emit.amalgamate import RUNTIME, included
from mcugrad.emulator.cpu import Emulator
from mcugrad.errors import DeviceError
from mcugrad.program import Kernel, Struct
from mcugrad.targets import Target
from mcugrad.toolchain import lint, startup
from mcugrad.toolchain.cache import Defines
from mcugrad.training.rules import IN_PLACE, InPlace

GUARD = 16
"""Bytes before and behind every array that a kernel must leave alone."""
_FILL = 0xA5


class KernelsOnCore:
    """Some kernels on a core.

    Args:
        kernels: the kernels.
        target: a plain core: the upper half of its RAM holds arguments.
        more: C files with more functions to call, and the functions' names.
        compiler, opt, defines: as for `toolchain.build_firmware`.
        check_alignment: as for `Emulator`.

    Raises:
        ToolError: no compiler or emulator, or the code has instructions that the core lacks.
    """

    def __init__(
        self,
        kernels: Sequence[Kernel],
        target: Target,
        *,
        more: tuple[Sequence[Path], Sequence[str]] = ((), ()),
        compiler: str = "zig",
        opt: str = "-O3",
        defines: Defines | None = None,
        check_alignment: bool = False,
    ) -> None:
        names = [kernel.name for kernel in kernels]
        taken = {p.ctype for kernel in kernels for p in kernel.params}
        names += [f"mcg_rule_{name}" for name in IN_PLACE if "mcg_rule_t" in taken]
        with TemporaryDirectory() as folder:
            path = Path(folder) / "kernels.c"
            path.write_text(included(names), encoding="utf-8")
            firmware = toolchain.build_firmware(
                [path, *more[0], startup.source(startup.IDLE_MAIN)],
                target,
                compiler=compiler,
                opt=opt,
                include_dirs=[RUNTIME / "include", RUNTIME / "src"],
                defines=defines,
                keep=[*names, *more[1]],
            )
        self.emulator = Emulator(firmware.elf, target, check_alignment=check_alignment)
        lint.check(self.emulator.image, target.core)
        self.emulator.run()
        self._start = target.ram.address + target.ram.bytes // 2
        self._next = self._start

    def run(self, kernel: Kernel, arguments: Mapping[str, Any], shift: int = 0) -> int:
        """Calls a kernel, whose parameters are no floats by value; arrays are written in place, None is a null pointer.

        Args:
            kernel: one of those that were built.
            arguments: by name.
            shift: bytes by which arrays of bytes lie behind a multiple of 4.

        Returns:
            Instructions that it took.

        Raises:
            DeviceError: a fault, or a byte beside an array changed.
        """
        self._next = self._start
        placed: list[tuple[str, NDArray[Any], int]] = []
        words: list[int] = []
        for param in kernel.params:
            value = arguments[param.name]
            if isinstance(value, Struct):
                words.append(self._place(np.asarray(value.values(), np.int32), 0))
            elif isinstance(value, InPlace):
                words.append(self.emulator.image.symbol(f"mcg_rule_{value.name}").address)
            elif isinstance(value, np.ndarray):
                words.append(self._place(value, shift if value.itemsize == 1 else 0))
                placed.append((param.name, value, words[-1]))
            else:
                words.append(0 if value is None else int(value))
        self.emulator.call(kernel.name, *words)
        for name, value, address in placed:
            whole = self.emulator.view(address - GUARD, value.nbytes + 2 * GUARD)
            inside = whole[GUARD : GUARD + value.nbytes]
            if not (whole[:GUARD] == _FILL).all() or not (whole[GUARD + value.nbytes :] == _FILL).all():
                raise DeviceError(f"{kernel.name} wrote beside {name} on {self.emulator.target.name}")
            value[...] = np.frombuffer(inside.tobytes(), value.dtype).reshape(value.shape)
        return self.emulator.last_instructions

    def _place(self, array: NDArray[Any], shift: int) -> int:
        """Address of a copy with room on both sides."""
        address = self._next + GUARD + shift
        whole = self.emulator.view(address - GUARD, array.nbytes + 2 * GUARD)
        whole[:] = _FILL
        whole[GUARD : GUARD + array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)
        self._next = (address + array.nbytes + GUARD + 7) & ~7
        return address
