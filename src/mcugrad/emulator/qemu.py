"""Kernels by themselves in QEMU, where that is installed: another emulator, and the only one of a Cortex-M55.

QEMU runs a machine from reset to its end, so a call is a run of it: firmware, a file with the arguments for memory, and
a file with what memory holds afterwards. Instructions are counted by a timer under `-icount`, to within a few.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mcugrad import toolchain
from mcugrad.emit.amalgamate import RUNTIME, included
from mcugrad.emulator import source
from mcugrad.emulator.arguments import Placed
from mcugrad.emulator.kernels import called
from mcugrad.errors import DeviceError, ToolError
from mcugrad.program import Kernel
from mcugrad.targets import Region, Target
from mcugrad.toolchain import compilers
from mcugrad.toolchain.elf import Image

PROGRAM = "qemu-system-arm"
INSTALL = compilers.INSTALL[PROGRAM]
MAIN = "mcg_qemu_main.c"
_LOOP = 2 << 20
"""Instructions of its loop of known length."""
_JOB = 128
"""Bytes before the arguments: what is called, with what, and what was counted."""
_ROOM = 1 << 18
"""Bytes of a job with its arguments, at the end of RAM."""
_SECONDS = 120


@dataclass(frozen=True)
class Machine:
    """One of QEMU's: its name, and where code and data go."""

    name: str
    flash: Region
    ram: Region


_SIZE = 512 * 1024
_MPS2 = Region(0x0000_0000, _SIZE), Region(0x2000_0000, _SIZE)
_MPS3 = Region(0x1000_0000, _SIZE), Region(0x3000_0000, _SIZE)
MACHINES = {
    "cortex-m3": Machine("mps2-an385", *_MPS2),
    "cortex-m4f": Machine("mps2-an386", *_MPS2),
    "cortex-m7": Machine("mps2-an500", *_MPS2),
    "cortex-m55": Machine("mps3-an547", *_MPS3),
}
"""By core; those that begin in secure state have their memories at secure addresses."""


def is_installed() -> bool:
    """Whether there is a QEMU for these machines."""
    return shutil.which(PROGRAM) is not None


class KernelsInQemu:
    """Some kernels on a core in QEMU.

    Args:
        kernels: the kernels.
        target: a plain core that there is a machine for.
        compiler, opt: as for `toolchain.build_firmware`.

    Raises:
        ToolError: no compiler, no QEMU, or none with such a core.
    """

    def __init__(
        self, kernels: Sequence[Kernel], target: Target, *, compiler: str = "zig", opt: str = "-O3"
    ) -> None:
        if target.core.name not in MACHINES:
            raise ToolError(
                f"QEMU has no machine here with a {target.core.name}", hint=f"one of {', '.join(MACHINES)}"
            )
        program = shutil.which(PROGRAM)
        if program is None:
            raise ToolError(f"{PROGRAM} is not installed", hint=INSTALL)
        self._program = program
        self._machine = MACHINES[target.core.name]
        self._address = self._machine.ram.end - _ROOM
        names = called(kernels)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "kernels.c"
            path.write_text(included(names), encoding="utf-8")
            self._firmware = toolchain.build_firmware(
                [path, source(MAIN)],
                replace(target, flash=self._machine.flash, ram=self._machine.ram),
                compiler=compiler,
                opt=opt,
                include_dirs=[RUNTIME / "include", RUNTIME / "src"],
                defines={"MCG_JOB": f"{self._address:#x}U", "MCG_JOB_BYTES": f"{_ROOM}U"},
                keep=names,
            )
        self._image = Image(self._firmware.elf)

    def run(self, kernel: Kernel, arguments: Mapping[str, Any], shift: int = 0) -> int:
        """Calls a kernel: as `KernelsOnCore.run`, the count to within a few instructions.

        Raises:
            DeviceError: no end, or a byte beside an array changed.
        """
        memory = np.zeros(_ROOM, np.uint8)
        place = self._address + _JOB
        placed = Placed(
            kernel, arguments, memory[_JOB:], place, lambda name: self._image.symbol(name).address, shift
        )
        job = memory[:_JOB].view("<u4")
        job[0] = self._image.symbol(kernel.name).address | 1
        job[5 : 5 + len(placed.words)] = placed.words
        memory[:] = self._after(memory.tobytes(), kernel.name)
        nothing, loop, ticks, wrapped = (int(word) for word in job[1:5])
        if wrapped:
            raise DeviceError(
                f"{kernel.name} takes more instructions than QEMU's timer counts, some 16 million"
            )
        placed.take_back(f"{self._machine.name} of QEMU")
        return round((ticks - nothing) * _LOOP / (loop - nothing)) + 1  # the one that returns from nothing

    def _after(self, before: bytes, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """What memory holds after a run."""
        with TemporaryDirectory() as folder:
            begin, end = Path(folder) / "before.bin", Path(folder) / "after.bin"
            begin.write_bytes(before)
            command = [
                *(self._program, "-machine", self._machine.name, "-kernel", str(self._firmware.elf)),
                *("-device", f"loader,file={begin},addr={self._address:#x},force-raw=on"),
                *("-icount", "shift=5", "-display", "none", "-monitor", "none", "-serial", "none"),
                *("-semihosting-config", "enable=on,target=native"),
            ]
            try:
                done = subprocess.run(
                    command,
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise DeviceError(f"{name} has not ended after {_SECONDS} s in QEMU") from None
            if not end.is_file() or end.stat().st_size != len(before):
                raise DeviceError(f"QEMU ended without an answer: {done.stderr.strip()[:200]}", where=name)
            return np.frombuffer(end.read_bytes(), np.uint8)
