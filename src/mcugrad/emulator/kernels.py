"""Kernels by themselves on an emulated core: the bytes they write, and the instructions they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mcugrad import toolchain
from mcugrad.emit.amalgamate import RUNTIME, included
from mcugrad.emulator.arguments import Placed
from mcugrad.emulator.cpu import Emulator
from mcugrad.program import Kernel
from mcugrad.targets import Target
from mcugrad.toolchain import lint, startup
from mcugrad.toolchain.cache import Defines
from mcugrad.training.rules import IN_PLACE

BUDGET = 100_000_000
"""Instructions after which a kernel counts as endless: no case takes a tenth of it."""


def called(kernels: Sequence[Kernel]) -> list[str]:
    """Names of kernels, and of the rules that they may be given."""
    taken = {p.ctype for kernel in kernels for p in kernel.params}
    rules = [f"mcg_rule_{name}" for name in IN_PLACE if "mcg_rule_t" in taken]
    return [*(kernel.name for kernel in kernels), *rules]


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
        names = called(kernels)
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

    def run(
        self,
        kernel: Kernel,
        arguments: Mapping[str, Any],
        shift: int = 0,
        last: str | None = None,
        budget: int = BUDGET,
    ) -> int:
        """Calls a kernel, whose parameters are no floats by value; arrays are written in place, None is a null pointer.

        Args:
            kernel: one of those that were built.
            arguments: by name.
            shift: bytes by which arrays of bytes lie behind a multiple of 4.
            last: name of an array that ends where the RAM does: what is read behind it is a fault.
            budget: instructions after which it counts as endless.

        Returns:
            Instructions that it took.

        Raises:
            DeviceError: a fault, no end within `budget` instructions, or a byte beside an array changed.
        """
        memory = self.emulator.view(self._start, self.emulator.target.ram.end - self._start)
        placed = Placed(
            kernel,
            arguments,
            memory,
            self._start,
            lambda name: self.emulator.image.symbol(name).address,
            shift,
            last,
        )
        self.emulator.call(kernel.name, *placed.words, budget=budget)
        placed.take_back(self.emulator.target.name)
        return self.emulator.last_instructions
