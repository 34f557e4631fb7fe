"""Structs of the C headers as NumPy sees them, member by member."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np

from mcugrad.abi.headers import declarations

SCALARS: dict[str, np.dtype[Any]] = {
    "int8_t": np.dtype(np.int8),
    "uint8_t": np.dtype(np.uint8),
    "int16_t": np.dtype("<i2"),
    "uint16_t": np.dtype("<u2"),
    "int32_t": np.dtype("<i4"),
    "uint32_t": np.dtype("<u4"),
    "float": np.dtype("<f4"),
    "bool": np.dtype(np.uint8),
}
"""Types of C by name."""

_STRUCT = re.compile(r"^typedef struct \{\n((?:(?!^\}).)*)^\} (mcg_\w+);", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(r"(?:const )?(\w+) (\*?)(.*)", re.DOTALL)
_NAME = re.compile(r"(\w+)(?:\[(\d+)\])?")


@cache
def members(struct: str) -> tuple[tuple[str, str, int], ...]:
    """Name, type and number of elements, 1 where it is no array, of each member; pointers have the type `pointer`.

    Raises:
        ValueError: no header declares it.
    """
    for text, name in _STRUCT.findall(declarations()):
        if name == struct:
            return tuple(found for line in text.split(";")[:-1] for found in _members(" ".join(line.split())))
    raise ValueError(f"no header of the runtime declares the struct {struct}")


def _members(line: str) -> list[tuple[str, str, int]]:
    """Those of one declaration."""
    if "(*" in line:
        return [(line.split("(*")[1].split(")")[0], "pointer", 1)]
    match = _MEMBER.fullmatch(line)
    if match is None:
        raise ValueError(f"the headers of the runtime: cannot read the member {line!r}")
    ctype, star, names = match.groups()
    found = []
    for each in names.split(","):
        name = _NAME.fullmatch(each.strip())
        if name is None:
            raise ValueError(f"the headers of the runtime: cannot read the member {line!r}")
        found.append((name[1], "pointer" if star else ctype, int(name[2] or 1)))
    return found


def record(struct: str, *, elements: int | None = None) -> np.dtype[Any]:
    """NumPy's view of a struct, up to its first pointer, whose size differs between device and host.

    Args:
        struct: its name in C.
        elements: of its arrays, where a generated header gives them others.

    Raises:
        ValueError: no header declares it.
    """
    fields: list[Any] = []
    for name, ctype, count in members(struct):
        if ctype == "pointer":
            break
        kind = SCALARS[ctype] if ctype in SCALARS else record(ctype)
        fields.append((name, kind) if count == 1 else (name, kind, (elements or count,)))
    return np.dtype(fields)
