"""`mcugrad doctor`, and what is said where a tool is missing or broken."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from command_line import COMPILE, TRAIN, Cli
from mcugrad.emulator import binding
from mcugrad.errors import ToolError
from mcugrad.toolchain import compilers


def test_doctor(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = [row for row in compilers._PACKAGES if row[0] != "torch"]  # a second and a half to import
    monkeypatch.setattr(compilers, "_PACKAGES", tuple(quick))
    result = cli("doctor")
    assert result.code == 0
    assert re.search(r"^  found +zig ", result.out, re.MULTILINE)
    assert result.out.endswith("mcugrad demo can run\n")
    monkeypatch.setattr(compilers, "_PACKAGES", tuple(quick[:3]))
    facts = cli("doctor", "--json").facts
    assert facts["demo"] is True
    assert {"zig", "unicorn", "digits"} <= {tool["name"] for tool in facts["tools"] if tool["found"]}


def test_no_compiler(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilers, "_command", lambda name: None)
    result = cli(*TRAIN, "--epochs", "1")
    assert result.code == 2
    assert "error: the compiler zig is not installed\n  try    pip install ziglang" in result.err
    assert cli(*COMPILE).code == 0
    monkeypatch.setattr(compilers, "_PACKAGES", compilers._PACKAGES[:1])
    doctor = cli("doctor")
    assert doctor.code == 1
    assert "mcugrad demo cannot run without zig" in doctor.out
    assert cli("doctor", "--json").facts["demo"] is False


def test_no_emulator(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise ToolError("the emulator unicorn cannot be loaded", hint="pip install unicorn")

    monkeypatch.setattr(binding, "unicorn", absent)
    for verb, otherwise in (
        (("run", "digits_cnn", "--data", "digits"), ";  or --on reference, which is NumPy"),
        (
            COMPILE[:-1] if COMPILE[-1] == "--no-measure" else COMPILE,
            ";  or --no-measure, which runs nothing",
        ),
        (("demo", "--steps", "10"), ""),
    ):
        result = cli(*verb)
        assert result.code == 2
        wanted = f"error: the emulator unicorn cannot be loaded\n  try    pip install unicorn{otherwise}\n"
        assert result.err == wanted


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("raise ImportError('no library for this processor')", "ImportError: no library for this processor"),
        ("import os; os.abort()", "importing it ends Python by signal 6"),
        ("import sys; sys.exit(3)", "importing it ends with 3"),
    ],
)
def test_a_package_that_is_there_but_broken(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, problem: str
) -> None:
    """Its metadata say that it is there."""
    monkeypatch.setattr(compilers, "_PACKAGES", compilers._PACKAGES[:1])
    (tmp_path / "unicorn").mkdir()
    (tmp_path / "unicorn/__init__.py").write_text(content)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    result = cli("doctor")
    assert result.code == 1
    assert re.search(rf"^  broken +unicorn +{problem} ", result.out, re.MULTILINE)
    assert re.search("repair.*\n +unicorn +pip install --force-reinstall unicorn", result.out)
    assert result.out.endswith("mcugrad demo cannot run without unicorn\n")
    (tool,) = (each for each in cli("doctor", "--json").facts["tools"] if each["name"] == "unicorn")
    assert tool["found"] is False
    assert tool["problem"] == problem
    assert tool["version"]


def test_a_program_that_does_not_start_is_not_found(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "zig"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(compilers, "_command", lambda name: (str(broken),))
    monkeypatch.setattr(compilers, "_PACKAGES", compilers._PACKAGES[:1])
    result = cli("doctor")
    assert result.code == 1
    assert re.search(rf"^  broken +zig +{broken} does not start", result.out, re.MULTILINE)
