"""Tables of memory for people: its parts, and what takes most of the flash."""

from __future__ import annotations

from collections.abc import Iterable

from mcugrad.measure.memory import Memory, Part, total

COLUMNS = ("", "bytes", "how it was got")
MOST = 12
"""Functions and constants that are shown."""
_KINDS = {"frozen": "weights", "initial": "initial state", "constants": "constant", "unnamed": "no name"}

Row = tuple[str, str, str]


def ram_rows(memory: Memory) -> list[Row]:
    """RAM by what is in it, and the sum."""
    return _rows(memory.ram, "RAM, all that is linked")


def flash_rows(memory: Memory) -> list[Row]:
    """Flash by what is in it, and the sum."""
    return _rows(memory.flash, "flash, all that is linked")


def _rows(parts: Iterable[Part], whole: str) -> list[Row]:
    found = [part for part in parts if part.bytes]
    rows = [("  " * bool(part.of) + part.label, f"{part.bytes:,}", part.how) for part in found]
    return [*rows, (whole, f"{total(found):,}", "sum of the lines that are not indented")]


def piece_rows(memory: Memory) -> list[Row]:
    """What takes most flash: name, bytes, and what it is."""
    named = [piece for piece in memory.pieces if piece.name]
    rows = [
        (piece.name, f"{piece.bytes:,}", piece.what or _KINDS.get(piece.kind, "code"))
        for piece in named[:MOST]
    ]
    rest = sum(piece.bytes for piece in named[MOST:])
    return [*rows, (f"{len(named) - MOST} more", f"{rest:,}", "")] if rest else rows
