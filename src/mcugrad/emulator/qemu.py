"""Functions in QEMU, where that is installed: another emulator, and the only one of a Cortex-M55.

A machine goes on from call to call: by pipes it reads what memory holds before one, and writes what it holds then.
Instructions are counted by a timer under `-icount`, to within a few.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import toolchain
from mcugrad.emit.amalgamate import RUNTIME, included
from mcugrad.emulator import source
from mcugrad.emulator.arguments import Placed
from mcugrad.emulator.kernels import called
from mcugrad.errors import DeviceError, ToolError
from mcugrad.program import Kernel
from mcugrad.program.reserve import STACK
from mcugrad.targets import Region, Target
from mcugrad.toolchain import compilers
from mcugrad.toolchain.elf import Image

PROGRAM = "qemu-system-arm"
INSTALL = compilers.INSTALL[PROGRAM]
MAIN = "mcg_qemu_main.c"
_LOOP = 2 << 20
"""Instructions of its loop of known length."""
_JOB, _ARGUMENTS = 128, 6
"""Bytes of a job, which are before those that are shared, and the word that its arguments begin at."""
_ROOM = 1 << 18
"""Bytes for the arguments of kernels."""
_SECONDS = 120


@dataclass(frozen=True)
class Machine:
    """One of QEMU's: its name, and where code and data go."""

    name: str
    flash: Region
    ram: Region


_MPS2 = Region(0x0000_0000, 4 << 20), Region(0x2000_0000, 4 << 20)
_MPS3 = Region(0x1000_0000, 512 << 10), Region(0x2100_0000, 4 << 20)
MACHINES = {
    "cortex-m3": Machine("mps2-an385", *_MPS2),
    "cortex-m4f": Machine("mps2-an386", *_MPS2),
    "cortex-m7": Machine("mps2-an500", *_MPS2),
    "cortex-m55": Machine("mps3-an547", *_MPS3),
}
"""By core. Cores begin in secure state where there is one, with their vectors at a secure address."""


def is_installed() -> bool:
    """Whether there is a QEMU for these machines."""
    return shutil.which(PROGRAM) is not None


class QemuCore:
    """A core in QEMU, and functions in its memory that can be called.

    Args:
        sources: C files without a main.
        functions: names of those that are called.
        target: whose core it is; memories are those of QEMU's machine.
        room: bytes of memory that calls share with whoever calls.
        shift: an instruction takes 2**shift ns: with 5, counts are exact to within ten up to some 16 million
            instructions, with 0 to within some 40 up to 500 million.
        compiler, opt, include_dirs, stack_bytes: as for `toolchain.build_firmware`.

    Attributes:
        address: of the first of these bytes.
        memory: these bytes, before a call and after it.
        target: core, and memories of the machine.

    Raises:
        ToolError: no compiler, no QEMU, or none with such a core.
        FitError: it does not fit into the machine.
    """

    def __init__(
        self,
        sources: Sequence[Path],
        functions: Sequence[str],
        target: Target,
        room: int,
        *,
        shift: int = 5,
        compiler: str = "zig",
        opt: str = "-O3",
        include_dirs: Sequence[Path] = (),
        stack_bytes: int = STACK,
    ) -> None:
        if target.core.name not in MACHINES:
            raise ToolError(
                f"QEMU has no machine here with a {target.core.name}", hint=f"one of {', '.join(MACHINES)}"
            )
        program = shutil.which(PROGRAM)
        if program is None:
            raise ToolError(f"{PROGRAM} is not installed", hint=INSTALL)
        machine = MACHINES[target.core.name]
        self._program = program
        self.memory = np.zeros((room + 7) & ~7, np.uint8)
        self._job = machine.ram.end - _JOB - self.memory.size
        self.address = self._job + _JOB
        page = machine.ram.end - self._job + 4095 & ~4095
        ram = Region(machine.ram.address, max(machine.ram.bytes - page, 4096))
        self.target = replace(target, name=f"{machine.name} of QEMU", flash=machine.flash, ram=ram)
        self._machine, self._shift = machine, shift
        self._firmware = toolchain.build_firmware(
            [*sources, source(MAIN)],
            self.target,
            compiler=compiler,
            opt=opt,
            include_dirs=include_dirs,
            defines={"MCG_JOB": f"{self._job:#x}U", "MCG_JOB_BYTES": f"{_JOB + self.memory.size}U"},
            keep=functions,
            stack_bytes=stack_bytes,
        )
        self._image = Image(self._firmware.elf)
        self._running: _Running | None = None

    def symbol(self, name: str) -> int:
        """Address of a symbol."""
        return self._image.symbol(name).address

    def call(self, function: str, *arguments: int) -> tuple[int, int]:
        """Calls a function with up to 20 integers or pointers; it finds `memory`, and leaves its own there.

        Returns:
            What it returned, and its instructions.

        Raises:
            DeviceError: no end, or no answer.
        """
        job = np.zeros(_JOB // 4, "<u4")
        job[0] = self.symbol(function) | 1
        job[_ARGUMENTS : _ARGUMENTS + len(arguments)] = [word & 0xFFFF_FFFF for word in arguments]
        after = self._run(job.tobytes() + self.memory.tobytes(), function)
        self.memory[:] = after[_JOB:]
        result, nothing, loop, ticks, wrapped = (int(word) for word in after[:_JOB].view("<u4")[1:_ARGUMENTS])
        if wrapped:
            raise DeviceError(
                f"{function} takes more instructions than QEMU's timer counts", hint="a smaller model"
            )
        return result, round(
            (ticks - nothing) * _LOOP / (loop - nothing)
        ) + 1  # the one that returns from nothing

    def _run(self, before: bytes, name: str) -> NDArray[np.uint8]:
        """What memory holds after a call. The machine is started where there is none, and ended where it is lost."""
        if self._running is None:
            self._running = _Running(self._program, self._machine.name, self._firmware.elf, self._shift)
        try:
            return np.frombuffer(self._running.answer(before, name), np.uint8)
        except DeviceError:
            self._running = None
            raise


class _Running:
    """A machine that runs; it ends with this object."""

    def __init__(self, program: str, machine: str, elf: Path, shift: int) -> None:
        nothing = ("-display", "none", "-monitor", "none", "-serial", "none")
        counted = ("-icount", f"shift={shift}", "-semihosting-config", "enable=on,target=native")
        self._said = TemporaryFile()  # noqa: SIM115 - it is open as long as the machine runs
        self._process = subprocess.Popen(
            [program, "-machine", machine, "-kernel", str(elf), *nothing, *counted],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._jobs, self._answers = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._jobs, False)
        self.end = weakref.finalize(self, _end, self._process, self._said)

    def answer(self, job: bytes, name: str) -> bytearray:
        """What is written for a job, of as many bytes. Raises DeviceError, and the machine has ended."""
        left, found, last = memoryview(job), bytearray(), time.monotonic() + _SECONDS
        ready = select.poll()
        ready.register(self._answers, select.POLLIN)
        ready.register(self._jobs, select.POLLOUT)
        while len(found) < len(job):
            now = dict(ready.poll(max(0.0, last - time.monotonic()) * 1000))
            if not now:
                self.end()
                raise DeviceError(f"{name} has not ended after {_SECONDS} s in QEMU")
            try:
                if self._jobs in now and left:
                    left = left[os.write(self._jobs, left) :]
                    if not left:
                        ready.unregister(self._jobs)
                piece = os.read(self._answers, 1 << 20) if self._answers in now else None
            except BrokenPipeError:
                piece = b""
            if piece == b"":
                self._process.wait()
                self._said.seek(0)
                said = self._said.read(200).decode(errors="replace").strip()
                self.end()
                raise DeviceError(f"QEMU ended without an answer: {said}", where=name)
            found += piece or b""
        return found


def _end(process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
    process.kill()
    process.communicate()
    said.close()


class KernelsInQemu:
    """Some kernels on a core in QEMU.

    Args:
        kernels: the kernels.
        target: whose core it is.
        compiler, opt: as for `toolchain.build_firmware`.

    Raises:
        ToolError: no compiler, no QEMU, or none with such a core.
    """

    def __init__(
        self, kernels: Sequence[Kernel], target: Target, *, compiler: str = "zig", opt: str = "-O3"
    ) -> None:
        names = called(kernels)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "kernels.c"
            path.write_text(included(names), encoding="utf-8")
            self._core = QemuCore(
                [path],
                names,
                target,
                _ROOM,
                compiler=compiler,
                opt=opt,
                include_dirs=[RUNTIME / "include", RUNTIME / "src"],
            )

    def run(self, kernel: Kernel, arguments: Mapping[str, Any], shift: int = 0) -> int:
        """Calls a kernel: as `KernelsOnCore.run`, the count to within a few instructions.

        Raises:
            DeviceError: no end, or a byte beside an array changed.
        """
        core = self._core
        placed = Placed(kernel, arguments, core.memory, core.address, core.symbol, shift)
        _, instructions = core.call(kernel.name, *placed.words)
        placed.take_back(core.target.name)
        return instructions
