"""Files that comments, docstrings and documents name are there: who reads them must not look for a room that moved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("src", "tests", "benchmarks", "examples", "docs")
TEXTS = (".py", ".c", ".h", ".j2", ".md")
NAMED = re.compile(r"(?<![\w./<{-])((?:[\w-]+/)+[\w-]+\.(?:py|c|h)|[\w-]+\.py|mcg_\w+\.[ch])(?![\w/]|\.\w)")
"""A path of source or header, the name of a Python file, or of a file of the runtime."""


def files() -> Iterator[Path]:
    for room in ROOMS:
        found = (path for path in (ROOT / room).rglob("*") if path.is_file())
        yield from (path for path in found if "__pycache__" not in path.parts)


ENDS = {"/".join(path.parts[-count:]) for path in files() for count in range(1, len(path.parts))}
"""All that a path may be called by: its name, with any of the folders above it."""


def named_and_absent(text: str) -> set[str]:
    """Those that no file has; `_s8.py` is what names end with."""
    found = set(NAMED.findall(text)) - ENDS
    return {name for name in found if not (name[0] == "_" and any(end.endswith(name) for end in ENDS))}


@pytest.mark.parametrize("room", ["src", "benchmarks", "docs"])
def test_files_that_are_named_are_there(room: str) -> None:
    texts = [path for path in files() if path.suffix in TEXTS and path.is_relative_to(ROOT / room)]
    texts += [ROOT / "CONTRIBUTING.md"]
    assert len(texts) > 5
    wrong = {}
    for path in texts:
        if absent := named_and_absent(path.read_text(encoding="utf-8")):
            wrong[str(path.relative_to(ROOT))] = sorted(absent)
    assert wrong == {}


def test_a_room_that_moved_is_found() -> None:
    assert named_and_absent("/* ops/activation.py says so; hooks.py, too */") == {
        "ops/activation.py",
        "hooks.py",
    }
    assert named_and_absent("see ops/activation/activation.py and mcg_structs.h") == set()
