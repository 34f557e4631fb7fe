"""The bare emulated core: registers, memory, markers, counts.

It has exactly the target's flash and RAM; an access outside them faults as on the chip. Instructions are
counted exactly; stack is measured by painting it and looking how far down it was overwritten. Not modelled:
caches, wait states, peripherals, interrupts.
"""

from __future__ import annotations

import mmap
import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mcugrad.emulator import binding, faults
from mcugrad.emulator.alignment import AlignmentCheck
from mcugrad.emulator.counter import FULL, BlockCount, Counter, NativeCounter, PythonCounter
from mcugrad.emulator.interrupt import after_callbacks
from mcugrad.errors import DeviceError, ToolError, UsageError
from mcugrad.targets import Target
from mcugrad.toolchain import size
from mcugrad.toolchain.elf import Image, Symbol

Hook = Literal["auto", "native", "python"]

IDLE, BEFORE_CALL, AFTER_CALL, END = 0, 1, 2, 250
"""Markers (operands of `bkpt`) in the device code; a program may use others."""

DEFAULT_BUDGET = 4_000_000_000
"""Instructions after which a program counts as endless: some fifteen seconds of emulation."""

_BREAKPOINT = 7  # unicorn's number of the exception that bkpt takes
_RAM_FILL = 0xC5  # what RAM holds at reset: not 0, so that reading what was never written shows
_STACK_PAINT = 0x5AC3_5AC3
_NOWHERE = 0xFFFF_FFFE  # never reached: the core runs until a marker stops it
_SYSTEM_REGISTERS = 0xE000_E000, 0x1000


def demanded(target: Target) -> Any:
    """The module `unicorn`. Raises ToolError where it is not installed or has no such core."""
    if not target.core.is_emulated:
        core = target.core.title.partition(" with ")[0]
        raise ToolError(
            f"unicorn has no {core}: nothing of its firmware is counted here but whole steps, in QEMU",
            where=target.name,
            hint=f"target {target.core.priced_as}, whose counts are without Helium;  or mcugrad run --on "
            f"{target.core.name}, with qemu-system-arm installed",
        )
    return binding.unicorn()


@cache
def _pattern(count: int) -> int:
    """Descriptor of a file of `count` bytes as RAM holds them at reset, open as long as there may be cores."""
    with TemporaryFile() as file:
        file.write(bytes([_RAM_FILL]) * count)
        file.flush()
        return os.dup(file.fileno())


def _fresh_ram(count: int) -> npt.NDArray[np.uint8]:
    """RAM at reset. A page of the pattern is copied when it is written: to fill 16 MiB takes longer than many calls."""
    try:
        pages = mmap.mmap(_pattern(count), count, access=mmap.ACCESS_COPY)
    except OSError:  # no folder for it, or a full one
        pages = mmap.mmap(-1, count)
        pages.write(bytes([_RAM_FILL]) * count)
    return np.frombuffer(pages, dtype=np.uint8)


def _watch(engine: Any, trouble: faults.Trouble) -> None:
    """Records exceptions and refused accesses in `trouble`, and stops the core at each."""
    uc = binding.unicorn().unicorn_const

    def on_interrupt(core: Any, number: int, _: object) -> None:
        trouble.interrupt = number
        core.emu_stop()

    def on_bad_access(_core: Any, _kind: int, address: int, count: int, _value: int, _: object) -> bool:
        trouble.address, trouble.bytes = address, count
        return False

    engine.hook_add(uc.UC_HOOK_INTR, on_interrupt)
    engine.hook_add(uc.UC_HOOK_MEM_INVALID, on_bad_access)


def _counter(hook: Hook, engine: Any, target: Target, flash: npt.NDArray[np.uint8]) -> Counter:
    if hook not in ("auto", "native", "python"):
        raise UsageError(f"unknown hook {hook!r}", hint="auto, native or python")
    if hook != "python":
        try:
            return NativeCounter(engine, target.flash.address, flash)
        except ToolError:
            if hook == "native":
                raise
    return PythonCounter(engine, target.flash.address, flash)


class Emulator:
    """One core, held at reset when constructed.

    Args:
        elf: firmware from `toolchain.build_firmware`.
        target: what it was built for.
        hook: how instructions are counted: `native` needs a compiler for this computer, `python` does not and
            is some thirty times slower, `auto` takes native when it can. The counts are equal.
        check_alignment: also fault on unaligned accesses that the chip refuses and unicorn lets pass (LDRD,
            LDM, VLDR and their like). Needs a compiler for this computer; ten times slower.

    Attributes:
        image: the firmware's symbols.
        stack: where the stack was reserved.
        counter: the running count of instructions, and of blocks.
        last_instructions, last_stack: of the last `call`; bytes of stack include what the callee pushed.

    Raises:
        ToolError: unicorn is not installed or has no such core, or `elf` cannot be read.
    """

    def __init__(
        self, elf: Path, target: Target, *, hook: Hook = "auto", check_alignment: bool = False
    ) -> None:
        unicorn = demanded(target)
        self.image = Image(elf)
        self.target = target
        self.last_instructions = 0
        self.last_stack = 0
        self._uc_error = unicorn.UcError
        self._names = unicorn.arm_const
        # UC_MODE_MCLASS would make every core a Cortex-M33; the model must be chosen before anything else.
        engine: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
        engine.ctl_set_cpu_model(getattr(unicorn.arm_const, target.core.unicorn_cpu))
        self._engine = engine
        self._flash = np.frombuffer(mmap.mmap(-1, target.flash.bytes), dtype=np.uint8)
        self._ram = _fresh_ram(target.ram.bytes)
        read, write, execute = unicorn.UC_PROT_READ, unicorn.UC_PROT_WRITE, unicorn.UC_PROT_EXEC
        for region, memory, rights in (
            (target.flash, self._flash, read | execute),
            (target.ram, self._ram, read | write),
        ):
            engine.mem_map_ptr(region.address, region.bytes, rights, memory.ctypes.data)
        engine.mem_map(*_SYSTEM_REGISTERS, read | write)
        for address, content in self.image.segments:
            self.view(address, len(content))[:] = np.frombuffer(content, dtype=np.uint8)
        self._trouble = faults.Trouble()
        _watch(engine, self._trouble)
        self.counter = _counter(hook, engine, target, self._flash)
        self._alignment = AlignmentCheck(engine, target, self._flash) if check_alignment else None
        stack_address, stack_bytes = size.sections(elf).get(".mcg_stack", (target.ram.address, 0))
        self.stack = Symbol("stack", stack_address, stack_bytes)
        self._painted_to = stack_address
        self._next = 0
        self._begin()

    def reset(self) -> None:
        """Fills RAM with a pattern and starts over at the reset vector; counts go on."""
        self._ram[:] = _RAM_FILL
        self._begin()

    def _begin(self) -> None:
        stack_pointer, start = self.view(self.target.flash.address, 8).view(np.uint32).tolist()
        self.set_register("sp", stack_pointer)
        self._next = start & ~1

    def register(self, name: str) -> int:
        """Value of a core register: `r0` ... `r12`, `sp`, `lr`, `pc`."""
        return int(self._engine.reg_read(self._register_id(name)))

    def set_register(self, name: str, value: int) -> None:
        """Sets a core register; setting `pc` says where the next `run` starts."""
        if name == "pc":
            self._next = value & ~1
        else:
            self._engine.reg_write(self._register_id(name), value & 0xFFFF_FFFF)

    def _register_id(self, name: str) -> int:
        number = getattr(self._names, f"UC_ARM_REG_{name.upper()}", None)
        if number is None:
            raise UsageError(f"unknown register {name!r}", hint="r0 to r12, sp, lr, pc")
        return int(number)

    def view(self, address: int, count: int) -> npt.NDArray[np.uint8]:
        """The device's memory itself, `count` bytes from `address` on: reading and writing it is free.

        Raises:
            UsageError: not all of it lies in flash or in RAM.
        """
        for region, memory in ((self.target.flash, self._flash), (self.target.ram, self._ram)):
            if region.address <= address and address + count <= region.end and count >= 0:
                return memory[address - region.address : address - region.address + count]
        raise UsageError(f"{self.target.name} has no memory of {count} B at {address:#010x}")

    def read(self, address: int, count: int) -> bytes:
        """A copy of `count` bytes of flash or RAM."""
        return self.view(address, count).tobytes()

    def write(self, address: int, content: bytes) -> None:
        """Writes flash (as a programmer does; the core itself cannot) or RAM."""
        self.view(address, len(content))[:] = np.frombuffer(content, dtype=np.uint8)

    @property
    def instructions(self) -> int:
        """Instructions executed since construction."""
        return self.counter.instructions

    def forget_blocks(self) -> None:
        """Starts a new profile."""
        self.counter.forget_blocks()

    def blocks(self) -> list[BlockCount]:
        """Which straight runs of instructions were executed how often since `forget_blocks`, by address."""
        return self.counter.blocks()

    def run(self, budget: int = DEFAULT_BUDGET) -> int:
        """Runs to the next marker and returns its number; the next `run` goes on behind it.

        Raises:
            DeviceError: a memory fault, an undefined instruction, or no marker within `budget` instructions.
            KeyboardInterrupt: Ctrl-C, once the core has stopped; `reset` is the only way on.
        """
        self._trouble.clear()
        if self._alignment is not None:
            self._alignment.clear()
        self.counter.limit = self.counter.instructions + budget
        failure = 0
        with after_callbacks():
            try:
                self._engine.emu_start(self._next | 1, _NOWHERE)
            except self._uc_error as error:
                failure = error.errno
        if self._alignment is not None and self._alignment.found is not None:
            raise faults.unaligned(*self._alignment.found, self.image, self.target)
        pc = self._engine.reg_read(self._names.UC_ARM_REG_PC)
        if failure or self._trouble.interrupt != _BREAKPOINT or self.counter.stopped:
            raise self._error(failure, pc, budget)
        self._next = pc + 2
        return int(self._flash[pc - self.target.flash.address])

    def _error(self, failure: int, pc: int, budget: int) -> DeviceError:
        place = faults.Place(pc, self.register("lr"), self.register("sp"))
        about = (place, self.image, self.target)
        if failure:
            at = pc - self.target.flash.address
            return faults.fault(
                failure, self._trouble, self.stack, self._flash[at : at + 4].tobytes(), *about
            )
        if self.counter.stopped == FULL:
            return DeviceError("the program has more basic blocks than can be counted (49152)")
        if self._trouble.interrupt is not None and self._trouble.interrupt != _BREAKPOINT:
            return faults.exception(self._trouble.interrupt, *about)
        return faults.endless(budget, *about)

    def number_behind(self) -> int:
        """The half-word behind the marker that the core stopped at; the next `run` goes on behind it."""
        number = int(self.view(self._next, 2).view("<u2")[0])
        self._next += 2
        return number

    def call(self, function: str, *arguments: int, budget: int = DEFAULT_BUDGET) -> int:
        """Calls a C function with integer or pointer arguments and returns r0, read as unsigned.

        The firmware must have started (`run` to its first marker). `last_instructions` counts from the
        function's first instruction to its return, both included.
        """
        saved_next, saved_sp = self._next, self.register("sp")
        on_stack = np.array([a & 0xFFFF_FFFF for a in arguments[4:]], dtype=np.uint32)
        sp = (saved_sp - on_stack.nbytes) & ~7
        if on_stack.size:
            self.write(sp, on_stack.tobytes())
        for number, value in enumerate(arguments[:4]):
            self.set_register(f"r{number}", value)
        end = self.image.symbol("mcg_device_fault").address
        self.set_register("sp", sp)
        self.set_register("lr", end | 1)
        self._next = self.image.symbol(function).address
        self.paint_stack()
        before = self.instructions
        marker = self.run(budget)
        if marker != END:
            raise DeviceError(f"{function} stopped at marker {marker} instead of returning")
        self.last_instructions = self.instructions - before - 1  # the marker itself
        self.last_stack = self.stack_used()
        self.set_register("sp", saved_sp)
        self._next = saved_next
        return self.register("r0")

    def paint_stack(self) -> None:
        """Fills the stack below the stack pointer with a pattern, for `stack_used`."""
        self._painted_to = self.register("sp")
        self._below().fill(_STACK_PAINT)

    def stack_used(self) -> int:
        """Bytes from the stack pointer at `paint_stack` down to the lowest word written since."""
        touched = self._below() != _STACK_PAINT
        lowest = int(touched.argmax())
        return 4 * (touched.size - lowest) if touched.size and touched[lowest] else 0

    def _below(self) -> npt.NDArray[np.uint32]:
        count = max(0, self._painted_to - self.stack.address) & ~3
        return self.view(self.stack.address, count).view(np.uint32)
