"""Which compilers and other tools this computer has, and what is missing for what."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import metadata, util
from pathlib import Path

from mcugrad.errors import ToolError, UsageError

INSTALL = {
    "zig": "pip install ziglang",
    "gcc": "your system's C compiler package, or compiler='zig' (pip install ziglang)",
    "arm-none-eabi-gcc": "the gcc-arm-none-eabi package, or compiler='zig' (pip install ziglang)",
    "qemu-system-arm": "your system's qemu-system-arm package",
}
"""How to get a program."""
_COMPILERS = ("zig", "gcc", "arm-none-eabi-gcc")


@dataclass(frozen=True)
class Compiler:
    """A compiler that was found: the command to start it, and its version as one line."""

    name: str
    command: tuple[str, ...]
    version: str


def _zig_command() -> tuple[str, ...] | None:
    spec = util.find_spec("ziglang")
    if spec is not None and spec.origin:
        binary = Path(spec.origin).parent / ("zig.exe" if sys.platform == "win32" else "zig")
        # `python -m ziglang` starts this same file; starting it directly saves 20 ms per source file.
        return (str(binary),) if binary.is_file() else (sys.executable, "-m", "ziglang")
    found = shutil.which("zig")
    return (found,) if found else None


def _command(name: str) -> tuple[str, ...] | None:
    if name == "zig":
        return _zig_command()
    candidates = ("gcc", "cc") if name == "gcc" else (name,)
    found = next((path for candidate in candidates if (path := shutil.which(candidate))), None)
    return (found,) if found else None


@cache
def _version(command: tuple[str, ...], question: str) -> str:
    try:
        answer = subprocess.run([*command, question], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolError(f"{command[0]} does not start: {error}", hint="reinstall it") from None
    return answer.stdout.strip().splitlines()[0]


def find_compiler(name: str) -> Compiler:
    """The compiler `zig`, `gcc` (host) or `arm-none-eabi-gcc`. Raises ToolError saying what to install."""
    if name not in _COMPILERS:
        raise UsageError(f"unknown compiler {name!r}", hint="one of " + ", ".join(_COMPILERS))
    command = _command(name)
    if command is None:
        raise ToolError(f"the compiler {name} is not installed", hint=INSTALL[name])
    version = _version(command, "version" if name == "zig" else "--version")
    return Compiler(name, command, version)


def host_compilers() -> tuple[str, ...]:
    """Names of the compilers that can build host libraries here, preferred one first; may be empty."""
    return tuple(name for name in ("zig", "gcc") if _command(name) is not None)


def firmware_compilers() -> tuple[str, ...]:
    """Names of the compilers that can build firmware here, preferred one first; may be empty."""
    return tuple(name for name in ("zig", "arm-none-eabi-gcc") if _command(name) is not None)


@dataclass(frozen=True)
class Tool:
    """One line of `doctor`: what was looked for, whether it is there, and what it is good for.

    Attributes:
        name: of the program or package.
        found: whether it is there and can be used.
        version: of what is there.
        unlocks: what it is good for.
        install: how to get it, or how to repair it.
        problem: why what is there cannot be used; empty otherwise.
    """

    name: str
    found: bool
    version: str
    unlocks: str
    install: str
    problem: str = ""


_PACKAGES = (  # name on PyPI, what is imported of it, what it unlocks, how to get it
    ("unicorn", "unicorn.arm_const", "running firmware on an emulated core", "pip install unicorn"),
    (
        "capstone",
        "capstone",
        "checking firmware for instructions the core lacks; cycle estimates",
        "pip install capstone",
    ),
    ("pyelftools", "elftools.elf.elffile", "reading firmware: sizes, symbols", "pip install pyelftools"),
    ("torch", "torch", "loading nn.Module", "pip install 'mcugrad[torch]'"),
    ("tflite", "tflite", "loading TFLite files", "pip install 'mcugrad[tflite]'"),
    (
        "ortools",
        "ortools.sat.python.cp_model",
        "plan='exact': proven plans of memory",
        "pip install 'mcugrad[plan]'",
    ),
    ("onnxruntime", "onnxruntime", "checking against ONNX Runtime", "pip install onnxruntime"),
)
_PROGRAMS = (
    ("zig", "building for this computer and for every core", "version"),
    ("gcc", "building for this computer with a second compiler", "--version"),
    ("arm-none-eabi-gcc", "building for every core with a second compiler", "--version"),
    ("qemu-system-arm", "running models on a Cortex-M55", "--version"),
)


def doctor() -> list[Tool]:
    """Every tool this project can use, found or not: each program is asked for its version, each package imported."""
    with ThreadPoolExecutor() as pool:
        return [*pool.map(_program, _PROGRAMS), *pool.map(_package, _PACKAGES)]


def _program(row: tuple[str, str, str]) -> Tool:
    name, unlocks, question = row
    command, version, problem = _command(name), "", ""
    if command is not None:
        try:
            version = _version(command, question)
        except ToolError as error:
            problem = error.what
    return Tool(name, bool(version), version, unlocks, INSTALL[name], problem)


def _package(row: tuple[str, str, str, str]) -> Tool:
    name, module, unlocks, install = row
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Tool(name, False, "", unlocks, install)
    problem = _importing(module)
    if problem:
        install = f"pip install --force-reinstall {name}"
    return Tool(name, not problem, version, unlocks, install, problem)


def _importing(module: str) -> str:
    """What goes wrong where a module is imported, in a process of its own: a broken library may end it."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", f"import {module}"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if done.returncode < 0:
        return f"importing it ends Python by signal {-done.returncode}"
    lines = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else lines[-1] if lines else f"importing it ends with {done.returncode}"
