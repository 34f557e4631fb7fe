"""Kernels: C functions of the runtime, each with the Python reference it must equal to the last bit.

The C header states a kernel's parameters once; they are read from there, so that the two cannot drift apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FIRST_HEADER = "mcg_all.h"
"""Includes every other header of the runtime."""

_INCLUDE = re.compile(r'^#include "(mcg_\w+\.h)"$', re.MULTILINE)
_PROTOTYPE = re.compile(r"^(?:void|int32_t|bool|mcg_status_t) (mcg_\w+)\(([^)]*)\);", re.MULTILINE)
_PARAM = re.compile(r"^(const )?(\w+) (\*?)(\w+)$")


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


@dataclass(frozen=True)
class Kernel:
    """A C function of the runtime.

    Attributes:
        name: function name, also the name of its C file.
        reference: Python function with the same parameters in the same order; it writes into the NumPy
            arrays it is given where C writes through a pointer that is not const, and returns the status that C does,
            if that returns one.
    """

    name: str
    reference: Callable[..., int | None]

    @property
    def params(self) -> tuple[Param, ...]:
        """Parameters in order, as the C header declares them."""
        return prototypes()[self.name]
