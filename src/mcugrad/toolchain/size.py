"""Bytes in flash and RAM, read from a linked ELF file. Counted, not estimated.

Harness and startup code have sections of their own (see `mcugrad.toolchain.linker`), so the sums here are
those of the model with the library functions it calls.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from mcugrad.errors import ToolError


@dataclass(frozen=True)
class Sizes:
    """Bytes by kind. `vectors`, `harness` (flash), `harness_ram` and `stack` (RAM) are not the model's.

    The model's struct itself is placed by whoever uses the model: in a measured build by the harness, so it
    is inside `harness_ram`.
    """

    text: int
    rodata: int
    data: int
    bss: int
    vectors: int
    harness: int
    harness_ram: int
    stack: int

    @property
    def flash(self) -> int:
        """Bytes of flash the model takes: code, constants, and the initial values of its variables."""
        return self.text + self.rodata + self.data

    @property
    def flash_image(self) -> int:
        """Bytes of flash of everything linked."""
        return self.flash + self.vectors + self.harness

    @property
    def ram_image(self) -> int:
        """Bytes of RAM of everything linked, the reserved stack included."""
        return self.data + self.bss + self.harness_ram + self.stack


@dataclass(frozen=True)
class SymbolSize:
    """One function or object: bytes, and the output section it lies in."""

    name: str
    section: str
    address: int
    bytes: int


_SECTIONS = {
    "text": ".text",
    "rodata": ".rodata",
    "data": ".data",
    "bss": ".bss",
    "vectors": ".mcg_vectors",
    "harness": ".mcg_harness",
    "harness_ram": ".mcg_harness_bss",
    "stack": ".mcg_stack",
}


def sizes(elf: Path) -> Sizes:
    """Sizes of a firmware built by `toolchain.build_firmware`. Raises ToolError for another file."""
    found = {name: address_size[1] for name, address_size in sections(elf).items()}
    return Sizes(**{field: found.get(name, 0) for field, name in _SECTIONS.items()})


def sections(elf: Path) -> dict[str, tuple[int, int]]:
    """Address and size in bytes of every section that takes memory, by name."""
    try:
        found = elf.stat()
    except OSError:
        return _sections(elf, 0, 0)  # says what is wrong
    return dict(_sections(elf, found.st_mtime_ns, found.st_size))


@lru_cache(maxsize=16)
def _sections(elf: Path, changed: int, size: int) -> dict[str, tuple[int, int]]:
    """The same of a file as it is now: what counts asks for each call of a network."""
    with open_elf(elf) as image:
        return {
            section.name: (int(section["sh_addr"]), int(section["sh_size"]))
            for section in image.iter_sections()
            if section["sh_flags"] & 2  # SHF_ALLOC
        }


def symbols(elf: Path) -> tuple[SymbolSize, ...]:
    """All functions and objects with a size, largest first; equal sizes by name."""
    found = []
    with open_elf(elf) as image:
        known = entries(image)
        if known is None:
            raise ToolError("the ELF file has no symbol table", where=str(elf), hint="link without --strip")
        names: dict[int, str] = {}
        for each in known:
            if 0 < each.section < _RESERVED and each.kind in (FUNC, OBJECT):
                if each.section not in names:
                    names[each.section] = image.get_section(each.section).name
                address = each.value & ~1 if each.kind == FUNC else each.value  # the Thumb bit
                found.append(SymbolSize(each.name, names[each.section], address, each.bytes))
    return tuple(sorted(found, key=lambda symbol: (-symbol.bytes, symbol.name)))


class Entry(NamedTuple):
    """A row of a symbol table: kind and bind as ELF numbers them, section by its index."""

    name: str
    value: int
    bytes: int
    kind: int
    bind: int
    section: int


class Header(NamedTuple):
    """Of a section: type and flags as ELF numbers them, and what else `sh_info` says, the section that is relocated."""

    type: int
    flags: int
    info: int


def headers(image: ELFFile) -> list[Header]:
    """Those of all sections, read at once as the symbols are: an object file has one for each function."""
    order, count = "<" if image.little_endian else ">", image.num_sections()
    form = struct.Struct(f"{order}{'10I' if image.elfclass == 32 else 'IIQQQQIIQQ'}")
    image.stream.seek(image["e_shoff"])
    rows = form.iter_unpack(image.stream.read(count * form.size))
    return [Header(row[1], row[2], row[7]) for row in rows]


OBJECT, FUNC, GLOBAL = 1, 2, 1
"""Kinds of symbols, and how those are bound that other files see."""
_SYMBOLS = 2
"""Type of a section: SHT_SYMTAB."""
_RESERVED = 0xFF00
"""Indices of sections from here on are none."""


def entries(image: ELFFile) -> list[Entry] | None:
    """The symbol table, in its order; None where there is none.

    It is read at once: symbol by symbol, pyelftools takes most of the time that starting an emulated core does.
    """
    index = next((i for i, header in enumerate(headers(image)) if header.type == _SYMBOLS), None)
    if index is None:
        return None
    table = image.get_section(index)  # by its name, pyelftools would look at all sections first
    assert isinstance(table, SymbolTableSection)
    names, order = table.stringtable.data(), "<" if image.little_endian else ">"
    found = []
    for row in struct.iter_unpack(f"{order}{'IIIBBH' if image.elfclass == 32 else 'IBBHQQ'}", table.data()):
        if image.elfclass == 32:
            at, value, size, info, _, section = row
        else:
            at, info, _, section, value, size = row
        name = names[at : names.index(0, at)].decode("utf-8", "replace")
        found.append(Entry(name, value, size, info & 15, info >> 4, section))
    return found


def placed(elf: Path) -> tuple[SymbolSize, ...]:
    """Every byte of every section that takes memory, once, by address: functions, objects, and what has no name.

    Of several names for the same bytes the shortest is kept. What has none, constants that compilers make and what
    alignment adds, comes as "" once for each section.
    """
    known = sorted(symbols(elf), key=lambda s: (s.address, -s.bytes, len(s.name), s.name))
    found = []
    for section, (start, count) in sections(elf).items():
        at, unnamed, end = start, 0, start + count
        for symbol in known:
            if symbol.section == section and symbol.address + symbol.bytes > at:
                begin = max(symbol.address, at)
                unnamed += begin - at
                at = min(symbol.address + symbol.bytes, end)
                found.append(SymbolSize(symbol.name, section, begin, at - begin))
        if unnamed + end - at:
            found.append(SymbolSize("", section, start, unnamed + end - at))
    return tuple(found)


def initial(elf: Path) -> tuple[tuple[int, int], ...]:
    """Address and bytes of what lies in flash until start-up copies it to where it is used."""
    with open_elf(elf) as image:
        return tuple(
            (int(segment["p_paddr"]), int(segment["p_filesz"]))
            for segment in image.iter_segments()
            if segment["p_type"] == "PT_LOAD"
            and segment["p_filesz"]
            and segment["p_paddr"] != segment["p_vaddr"]
        )


@contextmanager
def open_elf(path: Path) -> Iterator[ELFFile]:
    """The parsed ELF file while it is open. Raises ToolError when it is missing or of another kind."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ToolError(f"cannot read the firmware {path}: {error.strerror}") from None
    with file:
        try:
            image = ELFFile(file)
        except ELFError:
            raise ToolError(
                f"not an ELF file: {path}", hint="a file built by toolchain.build_firmware"
            ) from None
        yield image
