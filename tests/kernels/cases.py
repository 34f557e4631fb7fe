"""Cases of a family's kernels: those of its file here, and of files whose names go on behind an underscore."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any


def cases(room: str, table: str = "CASES") -> dict[str, Any]:
    """What the files of a family have in a table of this name, by kernel."""
    files = sorted(path.stem for path in Path(__file__).parent.glob("*.py"))
    names = [name for name in files if name == room or name.startswith(f"{room}_")]
    tables = (getattr(import_module(f"kernels.{name}"), table, {}) for name in names)
    return {kernel: case for each in tables for kernel, case in each.items()}
