"""What tests of benchmarks share: their modules, imported anew for each test, and their command lines."""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from command_line import Result

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


@pytest.fixture
def script(
    benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Runs a benchmark as a user does, but in this process: its name without a folder, and what it is told.

    `benchmark` takes back what it imports.
    """

    def run(name: str, *words: str) -> Result:
        path = str(FOLDERS[0] / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [path, *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(path, run_name="__main__")
        assert ended.value.code is None or isinstance(ended.value.code, int), ended.value.code
        return Result(ended.value.code or 0, *capsys.readouterr())

    return run
