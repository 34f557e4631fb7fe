"""Wrap: calls and declarations in lines of the usual width."""

from __future__ import annotations

from collections.abc import Sequence

from mcugrad.emit.literals import WIDTH


def wrap_call(head: str, arguments: Sequence[str], end: str = ");") -> list[str]:
    """A head that ends with a bracket, and what stands in it, as many to a line as there is room for."""
    lines: list[str] = []
    line = head
    indent = " " * len(head)
    for i, argument in enumerate(arguments):
        piece = argument + (end if i == len(arguments) - 1 else ",")
        if len(line) + len(piece) + 1 > WIDTH and line.strip() and line != head:
            lines.append(line.rstrip())
            line = indent
        line += piece if line in (head, indent) else " " + piece
    return [*lines, line]
