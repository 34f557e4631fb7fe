"""C literals that read back to the same bits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.records import ELEMENT_TYPES

WIDTH = 110
_SPELLING = {np.dtype("<f4"): "float", np.dtype("<u4"): "uint32_t"}
"""C types whose literals have a suffix."""


def number(value: Any, ctype: str) -> str:
    """One element as a C literal."""
    fields = ELEMENT_TYPES[ctype].fields if ctype in ELEMENT_TYPES else None
    if fields:
        parts = (number(value[name], _SPELLING.get(kind[0], "int32_t")) for name, kind in fields.items())
        return f"{{{', '.join(parts)}}}"
    if ctype == "float":
        return np.format_float_scientific(np.float32(value), unique=True, trim="0", exp_digits=2) + "F"
    if ctype == "uint32_t":
        return f"{int(value)}U"
    return str(int(value))


def initializer(values: NDArray[Any], ctype: str, indent: str = "") -> str:
    """An array's brace-enclosed initializer, wrapped; a scalar's plain literal."""
    flat = values.reshape(-1)
    if flat.size == 1:
        return number(flat[0], ctype)
    inner = indent + "    "
    return "{\n" + "\n".join(wrapped((number(v, ctype) for v in flat), inner)) + f"\n{indent}}}"


def wrapped(items: Iterable[str], indent: str) -> list[str]:
    """Comma-separated items in lines of at most `WIDTH` columns."""
    lines: list[str] = []
    line = ""
    for item in items:
        if line and len(indent) + len(line) + len(item) + 3 > WIDTH:
            lines.append(f"{indent}{line},")
            line = item
        else:
            line = f"{line}, {item}" if line else item
    return [*lines, indent + line]
