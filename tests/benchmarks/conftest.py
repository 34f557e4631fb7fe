"""What tests of benchmarks share: their modules, imported anew for each test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDERS = [Path(__file__).parents[2] / "benchmarks" / each for each in (".", "accuracy")]

Benchmark = Callable[[str], ModuleType]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[Benchmark]:
    """Imports a benchmark by name. What a test changes in it, or in what it imports, is gone afterwards.

    Names of benchmarks are those of modules of tests as well, which come back.
    """
    ours = [file.stem for folder in FOLDERS for file in folder.glob("*.py")]
    before = {name: sys.modules.pop(name, None) for name in ours}
    for folder in FOLDERS:
        monkeypatch.syspath_prepend(str(folder.resolve()))
    yield importlib.import_module
    for name, module in before.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module
