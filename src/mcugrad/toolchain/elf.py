"""What is inside a firmware's ELF file: bytes to load, symbols, and where the code is."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from elftools.elf.elffile import ELFFile

from mcugrad.errors import ToolError
from mcugrad.toolchain.size import entries, open_elf, symbols


@dataclass(frozen=True)
class Symbol:
    """A function or object: first address (without the Thumb bit) and size in bytes."""

    name: str
    address: int
    bytes: int


class Image:
    """A firmware file, read once.

    Attributes:
        path: the ELF file.
        segments: (address in flash, content) of everything to load.
        code: (address, content) of every stretch of instructions, literal pools left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.segments: list[tuple[int, bytes]] = []
        self.code: list[tuple[int, bytes]] = []
        with open_elf(path) as elf:
            for segment in elf.iter_segments():
                if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
                    self.segments.append((int(segment["p_paddr"]), segment.data()))
            marks = _mapping_symbols(elf)
            for section in elf.iter_sections():
                if section["sh_flags"] & 4 and section["sh_size"]:  # SHF_EXECINSTR
                    self.code.extend(_code_ranges(int(section["sh_addr"]), section.data(), marks))
        self._symbols = {s.name: Symbol(s.name, s.address, s.bytes) for s in reversed(symbols(path))}

    def symbol(self, name: str) -> Symbol:
        """The function or object called `name`. Raises ToolError when it is not linked."""
        try:
            return self._symbols[name]
        except KeyError:
            raise ToolError(
                f"the firmware has no symbol {name}", where=str(self.path), hint="keep=[...] when building"
            ) from None

    def __contains__(self, name: str) -> bool:
        return name in self._symbols

    @cached_property
    def _by_address(self) -> tuple[list[int], list[Symbol]]:
        ordered = sorted(self._symbols.values(), key=lambda symbol: symbol.address)
        return [symbol.address for symbol in ordered], ordered

    def symbol_at(self, address: int) -> Symbol | None:
        """The function or object that `address` lies in."""
        starts, ordered = self._by_address
        at = bisect_right(starts, address) - 1
        inside = at >= 0 and address < ordered[at].address + max(ordered[at].bytes, 1)
        return ordered[at] if inside else None

    def describe(self, address: int) -> str:
        """`address` as text, with the symbol it lies in: `0x000001a2 (kws_predict+0x12)`."""
        symbol = self.symbol_at(address)
        return f"{address:#010x}" + (f" ({symbol.name}+{address - symbol.address:#x})" if symbol else "")

    def content(self, address: int, count: int) -> bytes:
        """`count` bytes of flash as loaded; shorter where the firmware ends."""
        for start, data in self.segments:
            if start <= address < start + len(data):
                return data[address - start : address - start + count]
        return b""


def _mapping_symbols(elf: ELFFile) -> list[tuple[int, bool]]:
    """Address and "code starts here" of the `$t` and `$d` symbols: literal pools lie between instructions."""
    return sorted(
        (each.value, each.name.startswith("$t"))
        for each in entries(elf) or ()
        if each.name.split(".")[0] in ("$t", "$d")
    )


def _code_ranges(start: int, data: bytes, marks: list[tuple[int, bool]]) -> list[tuple[int, bytes]]:
    """Splits a section into its ranges of Thumb code: (address, bytes)."""
    end = start + len(data)
    inside = [mark for mark in marks if start <= mark[0] < end]
    ranges = []
    for (address, is_code), following in zip(inside, [*(m[0] for m in inside[1:]), end], strict=True):
        if is_code and following > address:
            ranges.append((address, data[address - start : following - start]))
    return ranges
