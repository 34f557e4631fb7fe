"""Numbers that the C headers give names to: macros and enumerations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from mcugrad.abi.headers import declarations

_MACRO = re.compile(r"^#define (MCG_\w+) (.+)$", re.MULTILINE)
_LISTED = re.compile(r"\bX\((MCG_\w+), (-?\d+),")
"""In a list of macros, from which an enumeration is made."""
_ENUM = re.compile(r"\benum \{(.*?)\}", re.DOTALL)
_NUMBER = re.compile(r"(-?(?:0x[0-9a-fA-F]+|\d+))U?")
_REAL = re.compile(r"(-?\d+\.\d+(?:e-?\d+)?)F")
_POWER = re.compile(r"\(\(int32_t\)1 << (\d+)\)")


def constant(name: str) -> int:
    """A whole number by its name in C. Raises ValueError if no header gives it one."""
    value = number(name)
    if not isinstance(value, int):
        raise ValueError(f"{name} is {value}, no whole number")
    return value


def number(name: str) -> int | float:
    """A number by its name in C. Raises ValueError if no header gives it one."""
    found = _numbers().get(name)
    if found is None:
        raise ValueError(f"no header of the runtime gives {name} a number")
    return found


@cache
def _numbers() -> Mapping[str, int | float]:
    return numbers(declarations())


def numbers(text: str) -> dict[str, int | float]:
    """All numbers that a text in C, without comments, names; macros that are none are left out."""
    found: dict[str, int | float] = {}
    for name, value in _MACRO.findall(text):
        if (whole := _NUMBER.fullmatch(value.strip())) is not None:
            found[name] = int(whole[1], 0)
        elif (real := _REAL.fullmatch(value.strip())) is not None:
            found[name] = float(real[1])
        elif (power := _POWER.fullmatch(value.strip())) is not None:
            found[name] = 1 << int(power[1])
    found |= {name: int(value) for name, value in _LISTED.findall(text)}
    for body in _ENUM.findall(text):
        if "(" in body:  # a list of macros
            continue
        following = 0
        for each in filter(None, (part.strip() for part in body.split(","))):
            name, _, value = (part.strip() for part in each.partition("="))
            following = int(value.rstrip("U"), 0) if value else following
            found[name] = following
            following += 1
    return found
