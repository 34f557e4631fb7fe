"""The most stack that functions of a linked image can take, whatever their arguments: its calls, walked.

Of every function `toolchain.frames` says how deep it goes and whom it calls; the deepest path through these calls is a
bound, and that there is one at all proves that nothing calls itself. A function whose address is in a register can be
one that code chose, or, where it was read from memory, each one whose address a linked constant holds; which these are
say the object files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

from mcugrad.errors import ToolError
from mcugrad.toolchain import size
from mcugrad.toolchain.elf import Image, Symbol
from mcugrad.toolchain.frames import Frame, frame
from mcugrad.toolchain.lint import disassemble
from mcugrad.toolchain.size import open_elf

POINTERS = "pointers.txt"
"""Beside a firmware: a line for each function whose address a constant holds, `constant function`."""


@dataclass(frozen=True)
class Bound:
    """The most that a function takes.

    Attributes:
        bytes: of stack, its callees' included.
        path: the functions in use at that moment, the first one first.
        reaches: names of all functions that it can call, its own included.
    """

    bytes: int
    path: tuple[str, ...]
    reaches: frozenset[str]

    def __str__(self) -> str:
        return f"{self.bytes:,} B in {' > '.join(self.path)}"


class Calls:
    """The calls of a firmware.

    Args:
        elf: from `toolchain.build_firmware`.

    Attributes:
        image: the firmware.
        frames: functions that were walked so far, by name.
    """

    def __init__(self, elf: Path) -> None:
        self.image = Image(elf)
        self._listing = {
            address: (width, mnemonic.removesuffix(".w").removesuffix(".n"), operands)
            for address, width, mnemonic, operands in disassemble(self.image)
        }
        self.frames: dict[str, Frame] = {}
        self._bounds: dict[int, Bound] = {}
        self._active: list[int] = []
        self._kept = self._functions_kept(elf.with_name(POINTERS))

    def _functions_kept(self, listed: Path) -> tuple[Symbol, ...]:
        """Functions whose address something holds that is linked."""
        lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
        pairs = [line.split() for line in lines]
        names = {
            name for holder, name in pairs if (holder == "*" or holder in self.image) and name in self.image
        }
        return tuple(self.image.symbol(name) for name in sorted(names))

    def bound(self, function: str) -> Bound:
        """The most stack that a function takes.

        Raises:
            ToolError: it is not linked, calls itself, or one of its callees cannot be followed.
        """
        return self._bound(self.image.symbol(function).address)

    def _bound(self, address: int) -> Bound:
        if address in self._bounds:
            return self._bounds[address]
        if address in self._active:
            self._refuse(address)
        self._active.append(address)
        try:
            self._bounds[address] = self._deepest(address)
        finally:
            self._active.pop()
        return self._bounds[address]

    def _deepest(self, address: int) -> Bound:
        found = frame(self.image, self._listing, address)
        self.frames[found.name] = found
        deepest = Bound(found.own, (found.name,), frozenset((found.name,)))
        reaches = set(deepest.reaches)
        for call in found.calls:
            for to in self._targets(found, call.to):
                below = self._bound(to)
                reaches |= below.reaches
                if call.depth + below.bytes > deepest.bytes:
                    deepest = Bound(call.depth + below.bytes, (found.name, *below.path), frozenset())
        return Bound(deepest.bytes, deepest.path, frozenset(reaches))

    def _targets(self, caller: Frame, to: int | None) -> Sequence[int]:
        if to is not None:
            return (to,)
        if not self._kept:
            raise ToolError(
                f"the stack of {caller.name} cannot be bounded: it calls a function by its address, and no linked "
                "constant holds one",
                where=str(self.image.path),
            )
        return [symbol.address for symbol in self._kept]

    def _refuse(self, address: int) -> None:
        circle = [*self._active[self._active.index(address) :], address]
        symbols = (self.image.symbol_at(each) for each in circle)
        names = [f"{at:#x}" if s is None else s.name for at, s in zip(circle, symbols, strict=True)]
        raise ToolError(
            f"there is no most of stack: {' calls '.join(names)}",
            where=str(self.image.path),
            hint="no recursion, also not through pointers to functions",
        )


def functions(files: Iterable[Path], begin: str) -> tuple[str, ...]:
    """Functions that others may call and whose names begin so, of object files or of an image, by name."""
    found: set[str] = set()
    for path in files:
        with open_elf(path) as elf:
            found |= {
                each.name
                for each in size.entries(elf) or ()
                if (each.kind, each.bind) == (size.FUNC, size.GLOBAL) and each.name.startswith(begin)
            }
    return tuple(sorted(found))


def entries(image: Image, name: str) -> tuple[str, ...]:
    """Functions of a model's interface that are linked, such as `<name>_predict`, by name."""
    return functions([image.path], f"{name}_")


def pointers(objects: Iterable[Path]) -> str:
    """The text of `POINTERS` for object files; `*` stands for a constant without a name, which may always be linked."""
    found: dict[str, None] = {}
    for path in objects:
        with open_elf(path) as elf:
            for holder, function in _held(elf):
                found[f"{holder} {function}\n"] = None
    return "".join(found)


_RELOCATIONS = (4, 9)
"""Types of sections: SHT_RELA, SHT_REL."""


def _held(elf: ELFFile) -> Iterator[tuple[str, str]]:
    """Constants of an object file that hold the address of a function, and that function."""
    symbols = size.entries(elf)
    if symbols is None:
        return
    headers = size.headers(elf)
    objects: dict[int, list[size.Entry]] = {}
    for symbol in symbols:
        if symbol.kind == size.OBJECT:
            objects.setdefault(symbol.section, []).append(symbol)
    for index, header in enumerate(headers):
        number = header.info
        if header.type not in _RELOCATIONS or headers[number].flags & 6 != 2:
            continue  # SHF_ALLOC, and no SHF_EXECINSTR: code is read itself
        section = elf.get_section(index)
        assert isinstance(section, RelocationSection)
        holders = objects.get(number, ())
        for relocation in section.iter_relocations():
            function = symbols[relocation["r_info_sym"]]
            if function.kind == size.FUNC:
                at = int(relocation["r_offset"])
                names = [s.name for s in holders if 0 <= at - s.value < s.bytes]
                yield from ((name, function.name) for name in names or ["*"])
