"""Puts what went wrong on the emulated core into words."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.emulator.binding import unicorn
from mcugrad.errors import DeviceError
from mcugrad.targets import Target
from mcugrad.toolchain.elf import Image, Symbol

_OVERFLOW_REACH = 64 * 1024  # bytes below the stack; an access there is a frame that grew too far


@dataclass
class Trouble:
    """What the hooks saw before the core stopped; filled in by the emulator.

    Attributes:
        interrupt: number of the exception the core took, or None.
        address: of the refused memory access, or None.
        bytes: of that access.
    """

    interrupt: int | None = None
    address: int | None = None
    bytes: int = 0

    def clear(self) -> None:
        """Forgets everything."""
        self.interrupt = self.address = None
        self.bytes = 0


@dataclass(frozen=True)
class Place:
    """Where the core stood: program counter, link register, stack pointer."""

    pc: int
    lr: int
    sp: int


_EXCEPTIONS = {
    1: "undefined instruction",
    2: "supervisor call, which nothing here serves",
    3: "a jump to where no code is",
    4: "an unaligned or refused access to memory",
}


def _memory(address: int, target: Target) -> str:
    if target.flash.address <= address < target.flash.end:
        return "flash, which is read-only"
    if target.ram.address <= address < target.ram.end:
        return "RAM"
    return f"nothing: {target.name} has no memory there"


def _at(place: Place, image: Image) -> str:
    return f"pc {image.describe(place.pc)}, lr {image.describe(place.lr & ~1)}"


def _sentence(code: int, trouble: Trouble, place: Place, instruction: bytes, target: Target) -> str:
    uc = unicorn().unicorn_const

    address = place.pc if trouble.address is None else trouble.address
    access = f"{trouble.bytes} B at {address:#010x}, {_memory(address, target)}"
    if code in (uc.UC_ERR_READ_UNMAPPED, uc.UC_ERR_READ_PROT):
        return f"the core read {access}"
    if code in (uc.UC_ERR_WRITE_UNMAPPED, uc.UC_ERR_WRITE_PROT):
        return f"the core wrote {access}"
    if code in (uc.UC_ERR_FETCH_UNMAPPED, uc.UC_ERR_FETCH_PROT):
        return f"the core jumped to {address:#010x}, where no code is"
    if code == uc.UC_ERR_INSN_INVALID:
        return f"the core met the undefined instruction {instruction.hex()}"
    return f"the core stopped with unicorn's error {code}"


def fault(
    code: int, trouble: Trouble, stack: Symbol, instruction: bytes, place: Place, image: Image, target: Target
) -> DeviceError:
    """The error for unicorn's error `code`."""
    where = f"{_at(place, image)}, sp {place.sp:#010x}, {target.name}"
    bottom = stack.address
    if trouble.address is not None and bottom - _OVERFLOW_REACH <= trouble.address < bottom:
        return DeviceError(
            f"stack overflow: {stack.bytes} B are reserved and the program went "
            f"{bottom - trouble.address} B below them",
            where=where,
            hint=f"stack_bytes={2 * stack.bytes}, or smaller local variables",
        )
    return DeviceError(_sentence(code, trouble, place, instruction, target), where=where)


def unaligned(address: int, count: int, pc: int, image: Image, target: Target) -> DeviceError:
    """The error for an access of `count` bytes that the chip refuses because of its alignment."""
    return DeviceError(
        f"an instruction at an unaligned address: {count} B at {address:#010x} fault on {target.core.name}",
        where=f"pc {image.describe(pc)}, {target.name}",
        hint="align the buffer to 4 B, or read it byte by byte",
    )


def exception(number: int, place: Place, image: Image, target: Target) -> DeviceError:
    """The error for an exception other than a marker."""
    return DeviceError(
        f"the core faulted: {_EXCEPTIONS.get(number, f'exception {number}')}",
        where=f"{_at(place, image)}, {target.name}",
    )


def endless(budget: int, place: Place, image: Image, target: Target) -> DeviceError:
    """The error for a program that does not come to its next marker."""
    return DeviceError(
        f"the program did not end within {budget} instructions",
        where=f"{_at(place, image)}, {target.name}",
        hint="an endless loop, or a larger budget=",
    )
