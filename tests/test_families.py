"""One list of families: who opens a room of a new kind writes it into the list, or finds that it has a place."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from mcugrad.ops.families import CORE, FAMILIES

PACKAGE = Path(str(files("mcugrad")))
NAMES = [family.name for family in FAMILIES]


def folders(path: Path) -> set[str]:
    return {p.name for p in path.iterdir() if p.is_dir() and p.name != "__pycache__"}


def test_operators_lie_in_the_rooms_of_families() -> None:
    assert folders(PACKAGE / "ops") == {*NAMES, CORE}
    assert {p.name for p in (PACKAGE / "ops").glob("*.py")} == {"__init__.py", "families.py", "registry.py"}
