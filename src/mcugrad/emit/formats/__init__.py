"""Formats that firmware can be exported in. Each is a module here: the list of files is the table."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from mcugrad.emit.format import Format
from mcugrad.errors import UsageError
from mcugrad.given import shown

USUAL = "c"
"""The one that is written where nobody asks for another."""


def _found() -> dict[str, Format]:
    modules = [import_module(f"{__name__}.{each.name}") for each in iter_modules(__path__)]
    found = {module.FORMAT.name: module.FORMAT for module in modules}
    return {name: found[name] for name in sorted(found, key=lambda name: (name != USUAL, name))}


FORMATS: Mapping[str, Format] = _found()
"""All of them by name, the usual one first."""


def named(name: Any) -> Format:
    """The format of a name. Raises UsageError where there is none, with all that there are."""
    if isinstance(name, str) and name in FORMATS:
        return FORMATS[name]
    raise UsageError(
        f"there is no format {shown(name)}",
        where="format",
        hint=";  ".join(f"{each.name}: {each.help}" for each in FORMATS.values()),
    )


def demand_alone(folder: str | Path, wanted: Format, name: str) -> None:
    """Refuse a folder that has a model's code where another format has it. Raises UsageError.

    A build that takes in the folder would find the model twice, one of them of another day.
    """
    here = wanted.code_paths(name, with_selftest=True)
    others = (path for each in FORMATS.values() for path in each.code_paths(name, with_selftest=True))
    found = sorted({path for path in others if path not in here and os.path.lexists(Path(folder) / path)})
    if found:
        one = len(found) == 1
        raise UsageError(
            f"{', '.join(found)} {'is' if one else 'are'} there, of another format than {wanted.name}: what builds the "
            "folder would find the model twice",
            where=str(folder),
            hint=f"remove {'it' if one else 'them'}, or another folder",
        )
