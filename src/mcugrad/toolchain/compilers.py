"""Which compilers and other tools this computer has, and what is missing for what."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib import metadata, util
from pathlib import Path

from mcugrad.errors import ToolError, UsageError

_INSTALL = {
    "zig": "pip install ziglang",
    "gcc": "your system's C compiler package, or compiler='zig' (pip install ziglang)",
    "arm-none-eabi-gcc": "the gcc-arm-none-eabi package, or compiler='zig' (pip install ziglang)",
}
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
        raise ToolError(f"the compiler {name} is not installed", hint=_INSTALL[name])
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
    """One line of `doctor`: what was looked for, whether it is there, and what it is good for."""

    name: str
    found: bool
    version: str
    unlocks: str
    install: str


_PACKAGES = (  # name on PyPI, what it unlocks, how to get it
    ("unicorn", "running firmware on an emulated core", "pip install unicorn"),
    (
        "capstone",
        "checking firmware for instructions the core lacks; cycle estimates",
        "pip install capstone",
    ),
    ("pyelftools", "reading firmware: sizes, symbols", "pip install pyelftools"),
    ("torch", "loading nn.Module", "pip install 'mcugrad[torch]'"),
    ("onnxruntime", "checking against ONNX Runtime", "pip install onnxruntime"),
)
_PROGRAMS = (
    ("zig", "building for this computer and for every core", "version"),
    ("gcc", "building for this computer with a second compiler", "--version"),
    ("arm-none-eabi-gcc", "building for every core with a second compiler", "--version"),
)


def doctor() -> list[Tool]:
    """Every tool this project can use, found or not; starts each program once to ask its version."""
    tools = []
    for name, unlocks, question in _PROGRAMS:
        command = _command(name)
        version = ""
        if command is not None:
            try:
                version = _version(command, question)
            except ToolError as error:
                version = error.what
        tools.append(Tool(name, command is not None, version, unlocks, _INSTALL[name]))
    for name, unlocks, install in _PACKAGES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = ""
        tools.append(Tool(name, bool(version), version, unlocks, install))
    return tools
