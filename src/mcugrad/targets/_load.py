"""Reads the TOML files of this package, and a user's own."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from mcugrad.errors import UsageError
from mcugrad.files import read_file, shown
from mcugrad.targets._model import Core, EnergyPerCycle, Region, Target

_FILE_LIMIT = 1 << 16
"""Bytes that a board file may have."""
_MOST_DOTS = 256
"""Dots in a line of it: what tomllib takes for a key grows with the square of its depth."""
_LONGEST = 400
"""Characters of a text in it."""
_LARGEST = 1 << 40
_Keys = dict[str, tuple[Any, bool]]

_PLAIN_FLASH = Region(0x0000_0000, 16 << 20)
_PLAIN_RAM = Region(0x2000_0000, 16 << 20)


def _stems(folder: str) -> tuple[str, ...]:
    files = resources.files(__package__).joinpath(folder).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def _packaged(folder: str, name: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath(folder, f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def cores() -> tuple[str, ...]:
    """Names of all cores, sorted."""
    return _stems("cores")


def emulated() -> tuple[str, ...]:
    """Names of the cores whose firmware runs on this computer, sorted."""
    return tuple(name for name in cores() if _core(name).is_emulated)


def names() -> tuple[str, ...]:
    """Names of all targets: boards first, then plain cores; each sorted."""
    return _stems("boards") + cores()


@cache
def _core(name: str) -> Core:
    data = _packaged("cores", name)
    lists = {key: tuple(value) for key, value in data.items() if isinstance(value, list)}
    return Core(name=name, **{**data, **lists})


_REQUIRED, _OPTIONAL = True, False
_MEMORY: _Keys = {"address": (int, _REQUIRED), "bytes": (int, _REQUIRED)}
_ENERGY: _Keys = {
    "picojoules_per_cycle": (float, _REQUIRED),
    "band_percent": (float, _REQUIRED),
    "source": (str, _REQUIRED),
}
_BOARD: _Keys = {
    "core": (str, _REQUIRED),
    "flash": (_MEMORY, _REQUIRED),
    "ram": (_MEMORY, _REQUIRED),
    "title": (str, _OPTIONAL),
    "clock_hz": (int, _OPTIONAL),
    "sources": (list, _OPTIONAL),
    "energy": (_ENERGY, _OPTIONAL),
}
"""What a board file may have: each key with its type, or the keys of a table, and whether it has to be there."""


def _board(name: str, data: dict[str, Any], where: str) -> Target:
    """A board from parsed TOML. Raises UsageError naming every missing, unknown or mistyped key."""
    problems = _problems("", data, _BOARD)
    if problems:
        raise UsageError(
            f"the board file has {len(problems)} {'fault' if len(problems) == 1 else 'faults'}: "
            + "; ".join(problems[:8]),
            where=where,
            hint="core, [flash] and [ram] with address and bytes; perhaps title, clock_hz, sources, [energy]",
        )
    core, energy = data["core"], data.get("energy")
    if core not in cores():
        raise UsageError(f"unknown core {core[:40]!r}", where=where, hint="one of " + ", ".join(cores()))
    try:
        return Target(
            name=name,
            core=_core(core),
            flash=Region(**data["flash"]),
            ram=Region(**data["ram"]),
            title=data.get("title", name),
            clock_hz=data.get("clock_hz"),
            energy=None
            if energy is None
            else EnergyPerCycle(energy["picojoules_per_cycle"], energy["band_percent"], energy["source"]),
            sources=tuple(data.get("sources", ())),
        )
    except UsageError as error:
        raise UsageError(error.what, where=where, hint=error.hint) from None


def _problems(path: str, data: dict[str, Any], keys: _Keys) -> list[str]:
    """What is wrong with a table."""
    problems = [
        f"it lacks the key {path}{key}" for key, (_, needed) in keys.items() if needed and key not in data
    ]
    for key, value in data.items():
        name = path + key
        if key not in keys:
            problems.append(f"the key {_short(name)} is not known")
            continue
        kind, _ = keys[key]
        if isinstance(kind, dict):
            if isinstance(value, dict):
                problems += _problems(f"{name}.", value, kind)
            else:
                problems.append(f"{name} is {_named(value)}, not a table: [{name}]")
        elif (problem := _problem(value, kind)) != "":
            problems.append(f"{name} is {problem}")
    return problems


def _problem(value: Any, kind: type) -> str:
    """What a value is, where it cannot be used; "" where it can."""
    if kind is list:
        fine = isinstance(value, list) and all(isinstance(each, str) for each in value)
        return "" if fine else f"{_named(value)}, not a list of texts"
    if kind is str:
        if not isinstance(value, str):
            return f"{_named(value)}, not a text"
        return "" if value.isprintable() and len(value) <= _LONGEST else "no text of one short line"
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        return f"{_named(value)}, not a{'n integer' if kind is int else ' number'}"
    return "" if abs(value) < _LARGEST else "beyond what any board has"  # NaN, too


def _named(value: Any) -> str:
    kinds: tuple[tuple[Any, str], ...] = (
        (bool, "true or false"),
        (int | float, "a number"),
        (str, "a text"),
        (dict, "a table"),
        (list, "a list"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "a date")


def _short(text: str) -> str:
    return repr(text[:40])


@cache
def _known(name: str) -> Target:
    if name in cores():
        core = _core(name)
        return Target(name=name, title=core.title, core=core, flash=_PLAIN_FLASH, ram=_PLAIN_RAM)
    return _board(name, _packaged("boards", name), f"targets/boards/{name}.toml")


def load(name: str) -> Target:
    """The target called `name`, or described by the file `name` when that ends in `.toml`.

    A board file has `core`, `[flash]` and `[ram]` with `address` and `bytes`, and may have `title`,
    `clock_hz`, `sources` and `[energy]` with `picojoules_per_cycle`, `band_percent` and `source`.

    Raises:
        UsageError: no such target (lists the known ones), unreadable file, or an impossible combination.
    """
    if name.endswith(".toml"):
        path = Path(name)
        text = read_file(path, _FILE_LIMIT, what="the board file", error=UsageError)
        try:
            if max(line.count(b".") for line in text.split(b"\n")) > _MOST_DOTS:
                raise RecursionError
            data = tomllib.loads(text.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
            raise UsageError(f"the board file is not valid TOML: {reason}", where=shown(path)) from None
        return _board(Path(shown(path)).stem, data, shown(path))
    if name not in names():
        raise UsageError(
            f"unknown target {name!r}",
            hint="one of " + ", ".join(names()) + "; or the path of a board's .toml file",
        )
    return _known(name)
