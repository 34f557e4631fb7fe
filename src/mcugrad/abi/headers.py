"""The runtime's C headers: what C and Python agree on is written there once, and read from there.

The emulator's harness has some of its own, see emulator/.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FIRST_HEADER = "mcg_all.h"
"""Includes every other header of the runtime."""

_INCLUDE = re.compile(r'^#include "(mcg_\w+\.h)"$', re.MULTILINE)
_PROTOTYPE = re.compile(r"^(?:void|int32_t|bool|mcg_status_t) (mcg_\w+)\(([^)]*)\);", re.MULTILINE)
_PARAM = re.compile(r"^(const )?(\w+) (\*?)(\w+)$")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Param:
    """One parameter of a kernel: `ctype` without `const` or `*`."""

    name: str
    ctype: str
    pointer: bool
    const: bool


@cache
def headers() -> dict[str, str]:
    """Text of the runtime's headers by file name, each after those that it includes."""
    folder = files("mcugrad") / "runtime/include/mcugrad"
    found: dict[str, str] = {}

    def visit(name: str) -> None:
        if name not in found:
            text = (folder / name).read_text(encoding="utf-8")
            for included in _INCLUDE.findall(text):
                visit(included)
            found[name] = text

    visit(FIRST_HEADER)
    return found


@cache
def declarations() -> str:
    """All headers, one after the other, without comments."""
    return without_comments("\n".join(headers().values()))


def without_comments(text: str) -> str:
    """C without its comments."""
    return _COMMENT.sub("", text)


@cache
def prototypes() -> dict[str, tuple[Param, ...]]:
    """Parameters of every function that the headers declare, by name."""
    text = "\n".join(headers().values())
    return {name: tuple(_param(p) for p in params.split(",")) for name, params in _PROTOTYPE.findall(text)}


def _param(text: str) -> Param:
    match = _PARAM.match(" ".join(text.split()))
    if match is None:
        raise ValueError(f"the headers of kernels: cannot read the parameter {text!r}")
    const, ctype, star, name = match.groups()
    return Param(name=name, ctype=ctype, pointer=bool(star), const=bool(const))
