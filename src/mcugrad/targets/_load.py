"""Reads the TOML files of this package, and a user's own."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from mcugrad.errors import UsageError
from mcugrad.targets._model import Core, EnergyPerCycle, Region, Target

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


def names() -> tuple[str, ...]:
    """Names of all targets: boards first, then plain cores; each sorted."""
    return _stems("boards") + cores()


@cache
def _core(name: str) -> Core:
    data = _packaged("cores", name)
    return Core(name=name, **{**data, "gcc_flags": tuple(data["gcc_flags"])})


def _board(name: str, data: dict[str, Any], where: str) -> Target:
    """A board from parsed TOML. Raises UsageError naming the missing, unknown or mistyped key."""
    try:
        core, energy = data.pop("core"), data.pop("energy", None)
        if core not in cores():
            raise UsageError(f"unknown core {core!r}", where=where, hint="one of " + ", ".join(cores()))
        return Target(
            name=name,
            core=_core(core),
            flash=Region(**data.pop("flash")),
            ram=Region(**data.pop("ram")),
            title=data.pop("title", name),
            clock_hz=data.pop("clock_hz", None),
            energy=None
            if energy is None
            else EnergyPerCycle(energy["picojoules_per_cycle"], energy["band_percent"], energy["source"]),
            sources=tuple(data.pop("sources", ())),
            **data,
        )
    except KeyError as error:
        raise UsageError(f"board {name} lacks the key {error}", where=where) from None
    except TypeError as error:
        raise UsageError(
            f"board {name} has a key or value that is not understood: {error}", where=where
        ) from None


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
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"cannot read the board file {path}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"the board file is not valid TOML: {error}", where=str(path)) from None
        return _board(path.stem, data, str(path))
    if name not in names():
        raise UsageError(
            f"unknown target {name!r}",
            hint="one of " + ", ".join(names()) + "; or the path of a board's .toml file",
        )
    return _known(name)
