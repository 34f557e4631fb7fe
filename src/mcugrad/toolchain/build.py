"""Building host libraries and firmware, and saying kindly what failed.

Everything built is kept in a cache by the hash of sources, headers, flags and compiler version
(`mcugrad.toolchain.cache`), so asking twice costs a few milliseconds.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mcugrad.errors import FitError, ToolError, UsageError
from mcugrad.program.reserve import STACK
from mcugrad.targets import Target
from mcugrad.toolchain import cache as builds
from mcugrad.toolchain import linker, processor, size, stack, startup
from mcugrad.toolchain.cache import Defines
from mcugrad.toolchain.compilers import Compiler, find_compiler

STRICT_WARNINGS = (
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Wundef",
    "-Wcast-qual",
    "-Wdouble-promotion",
    "-Wvla",
    "-Werror",
)
"""The warnings all C of this project is free of, with gcc and clang, on the host and on every core."""

_FIRMWARE_FLAGS = (
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    "-fomit-frame-pointer",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
)
_OVERFLOW = re.compile(r"region [`'](FLASH|RAM)'[^\n]*?overflowed by (\d+) bytes")

_LITTLE_ROOM = 16 << 20


@dataclass(frozen=True)
class Firmware:
    """A linked image: the ELF file, its sizes in bytes, and what it was built for and with."""

    elf: Path
    sizes: size.Sizes
    target: Target
    compiler: str
    opt: str


def _environment() -> dict[str, str]:
    """The environment for a compiler; gives zig a cache folder it can write."""
    environment = dict(os.environ)
    environment.setdefault("ZIG_GLOBAL_CACHE_DIR", str(builds.root() / "zig"))
    return environment


def _room() -> str:
    """What to try where the disk is full, which compilers do not always say; else nothing."""
    place = builds.root()
    free = shutil.disk_usage(place).free
    if free >= _LITTLE_ROOM:
        return ""
    return f"free some space: {place} has {free // 1024} KiB left;  or set MCUGRAD_CACHE to another folder"


def _run(command: Sequence[str], *, doing: str, folder: str | None = None) -> str:
    """Starts a compiler and returns what it wrote to stderr. Raises ToolError with its first error lines."""
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            env=_environment(),
            cwd=folder,
        )
    except OSError as error:
        raise ToolError(f"{command[0]} does not start: {error.strerror}", hint="mcugrad doctor") from None
    if done.returncode != 0:
        said = (done.stderr + done.stdout).splitlines()
        errors = [line for line in said if "error" in line or "undefined reference" in line] or said
        if sys.platform == "linux" and done.returncode < 0:
            errors.append(f"ended by signal {-done.returncode}")
        raise ToolError(
            f"{doing} failed:\n    " + "\n    ".join(errors[:8]),
            where=" ".join(command[:4]) + " ...",
            hint=_room(),
        )
    return done.stderr


@dataclass(frozen=True)
class _Job:
    """How the source files of one build are compiled; `salt` is what else must differ for another object."""

    compiler: Compiler
    flags: tuple[str, ...]
    include_dirs: tuple[Path, ...]
    defines: Defines
    salt: str

    def driver(self, language: str = "c") -> list[str]:
        if self.compiler.name == "zig":
            return [*self.compiler.command, "c++" if language == "c++" else "cc"]
        return [*self.compiler.command]

    def arguments(self, defines: Defines) -> list[str]:
        macros = [f"-D{name}" if value is None else f"-D{name}={value}" for name, value in defines.items()]
        return [*self.flags, *macros, *(f"-I{folder}" for folder in self.include_dirs)]

    def macros(self, source: Path) -> Defines:
        """Those that a source is compiled with.

        Assembler that includes nothing gets those that it names, so that it is compiled once for a core, not once for a
        model. C makes names of parts of names.
        """
        if source.suffix not in (".s", ".S"):
            return self.defines
        text = source.read_text(encoding="utf-8", errors="replace")
        if "include" in text or "##" in text:
            return self.defines
        named = " ".join((text, *map(str, self.defines.values())))  # a macro may stand for another
        return {name: value for name, value in self.defines.items() if name in named}

    def identity(self, source: Path) -> str:
        """What the object file of a source depends on."""
        try:
            digest = builds.source_digest(source, self.include_dirs, self.defines)
            defines = self.macros(source)
        except OSError as error:
            raise ToolError(f"cannot read the source {source}: {error.strerror}") from None
        macros = (f"{name}={value}" for name, value in defines.items())
        compiler = self.compiler
        return builds.key(
            "object", compiler.name, compiler.version, self.salt, source.name, digest, self.flags, macros
        )

    def compile(self, source: Path, identity: str) -> Path:
        """One object file from the cache or the compiler."""

        def make(path: Path) -> None:
            arguments = self.arguments(self.macros(source))
            command = [*self.driver(), *arguments, "-c", str(source), "-o", str(path)]
            _run(command, doing=f"compiling {source.name} with {self.compiler.name}")

        return builds.build(identity, f"{source.stem}.o", make)

    def compile_all(self, sources: Sequence[Path], identities: Sequence[str]) -> list[str]:
        """Paths of all object files."""
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            return [str(path) for path in pool.map(self.compile, sources, identities)]


def _check(opt: str, sources: Sequence[Path], compiler: str, allowed: Sequence[str], what: str) -> Compiler:
    if not re.fullmatch(r"-O[0123sz]", opt):
        raise UsageError(f"unknown optimisation level {opt!r}", hint="-O0, -O1, -O2, -O3, -Os or -Oz")
    if not sources:
        raise UsageError("there is no source file to build")
    if compiler not in allowed:
        raise UsageError(f"the compiler {compiler!r} does not build {what}", hint=" or ".join(allowed))
    return find_compiler(compiler)


def _plain(compiler: str, flags: Sequence[str]) -> list[str]:
    """Turns off what zig does of itself: UBSan traps, which change size and speed, unless sanitizers are asked for.

    zig lets `-fno-sanitize=all` win wherever it stands, so it cannot be a default to be overridden. What debuggers read
    changes no instruction, takes a fifth of the time, and most of an object file.
    """
    if compiler != "zig":
        return []
    wanted = any(flag.startswith("-fsanitize") for flag in flags)
    return ["-g0", *([] if wanted else ["-fno-sanitize=all"])]


def _host_flags(compiler: str, opt: str, native: bool, more: Sequence[str] = ()) -> tuple[str, ...]:
    # zig takes the machine it runs on unless told otherwise, gcc what it was configured for.
    plain = ["-mcpu=baseline"] if compiler == "zig" else processor.gcc_baseline()
    machine = ["-march=native"] if native else plain
    # What vectorizes outside of loops finds nothing in a list of calls, and takes time that grows with its square.
    flags = [
        "-std=c11",
        opt,
        "-fPIC",
        "-fno-slp-vectorize" if compiler == "zig" else "-fno-tree-slp-vectorize",
        *machine,
    ]
    return (*flags, *_plain(compiler, more), *more)


def build_shared(
    sources: Sequence[Path],
    include_dirs: Sequence[Path] = (),
    *,
    compiler: str = "zig",
    opt: str = "-O3",
    defines: Defines | None = None,
    native: bool = True,
    flags: Sequence[str] = (),
) -> Path:
    """Builds a shared library for this computer.

    Args:
        sources: C files (`.c`, `.s`, `.S`).
        include_dirs: folders for `#include`.
        compiler: `zig` or `gcc`.
        opt: `-O0` to `-O3`, `-Os`, `-Oz`.
        defines: macro name to value; None defines it without one.
        native: use all instructions of this computer's processor, unless `MCUGRAD_HOST_CPU=baseline`.
        flags: more flags, behind the others, when compiling and when linking (`-fsanitize=undefined`, ...);
            with zig on Linux the library is linked against libc only when there are some.

    Returns: path of the library in the cache; the same inputs give the same path.

    Raises:
        ToolError: the compiler is missing, or the build failed (with the compiler's first error lines).
    """
    found = _check(opt, sources, compiler, ("zig", "gcc"), "libraries for this computer")
    # A library for one processor must not be found by another one that shares the cache folder, or by this computer
    # under its old name once it has got another processor.
    native = native and processor.is_native()
    salt = builds.key(sys.platform, platform.machine(), processor.identity() if native else "")
    job = _Job(
        found, _host_flags(compiler, opt, native, flags), tuple(include_dirs), dict(defines or {}), salt
    )
    objects = [job.identity(source) for source in sources]
    identity = builds.key("shared library", found.version, salt, job.flags, objects)
    suffix = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")

    def make(path: Path) -> None:
        files = job.compile_all(sources, objects)
        # Freestanding code needs no libraries, and zig would build its own first, which takes five seconds.
        # What a compiler calls by itself (memcpy) is in the process that loads the library.
        bare = ["-nostdlib"] if compiler == "zig" and sys.platform == "linux" and not flags else []
        command = [*job.driver(), *job.flags, "-shared", *bare, *files, "-o", str(path)]
        _run(command, doing=f"linking with {compiler}")

    return builds.build(identity, f"model{suffix}", make)


def _core_flags(compiler: str, target: Target) -> list[str]:
    core = target.core
    own = [f"-D{name}" for name in core.defines]
    if compiler == "zig":
        return ["-target", core.zig_target, f"-mcpu={core.zig_cpu}", *own]
    return [*core.gcc_flags, *own]


def _firmware_job(
    found: Compiler,
    target: Target,
    opt: str,
    include_dirs: Sequence[Path],
    defines: Defines | None,
    more: Sequence[str] = (),
) -> _Job:
    flags = [*_core_flags(found.name, target), "-std=c11", opt, *_FIRMWARE_FLAGS]
    flags += [*_plain(found.name, more), *more]
    return _Job(found, tuple(flags), tuple(include_dirs), dict(defines or {}), salt="firmware")


def build_firmware(
    sources: Sequence[Path],
    target: Target,
    *,
    compiler: str = "zig",
    opt: str = "-O3",
    include_dirs: Sequence[Path] = (),
    defines: Defines | None = None,
    flags: Sequence[str] = (),
    keep: Sequence[str] = (),
    keep_all: str = "",
    stack_bytes: int = STACK,
) -> Firmware:
    """Builds and links firmware for `target`: the sources, our startup code, our linker script.

    One of the sources defines `void mcg_device_main(void)`, which does not return.

    Args:
        sources: C and assembler files.
        target: core and memories.
        compiler: `zig` or `arm-none-eabi-gcc`.
        opt: `-O0` to `-O3`, `-Os`, `-Oz`.
        include_dirs: folders for `#include`.
        defines: macro name to value; None defines it without one.
        flags: more flags for compiling.
        keep: functions to link although nothing calls them.
        keep_all: what the names of all such functions begin with; empty for no others.
        stack_bytes: reserved for the stack, a multiple of 8.

    Raises:
        ToolError: the compiler is missing, or the build failed (with its first error lines).
        FitError: the image is larger than the target's flash or RAM.
    """
    found = _check(opt, sources, compiler, ("zig", "arm-none-eabi-gcc"), "firmware")
    if stack_bytes < 256 or stack_bytes % 8:
        raise UsageError(f"a stack of {stack_bytes} B is not usable", hint="a multiple of 8, at least 256 B")
    core = target.core
    expected = {
        "MCG_EXPECT_FPU": int(core.has_fpu),
        "MCG_EXPECT_DSP": int(core.has_dsp),
        "MCG_EXPECT_MVE": int(core.has_mve),
    }
    own = [startup.source(startup.STARTUP)]
    if compiler == "arm-none-eabi-gcc":
        own.append(startup.source(startup.GCC_MEMORY))
    # Our own sources do not see the caller's macros: they are compiled once for a core, not once for a model.
    parts = [
        (_firmware_job(found, target, opt, include_dirs, expected, flags), own),
        (_firmware_job(found, target, opt, include_dirs, defines, flags), list(sources)),
    ]
    named = [(job, files, [job.identity(source) for source in files]) for job, files in parts]
    objects = [name for _, _, names in named for name in names]
    script = linker.script(target, stack_bytes)
    identity = builds.key(
        "firmware and what holds pointers",
        found.version,
        _core_flags(compiler, target),
        objects,
        script,
        keep,
        keep_all,
    )

    def make(path: Path) -> None:
        script_file = path.with_name("link.ld")
        script_file.write_text(script)
        link = [*_core_flags(compiler, target), "-O3", "-Wl,--gc-sections", "-Wl,-e,mcg_device_reset"]
        # zig must not get -nostdlib: that would also drop its compiler run-time (division, float, memcpy).
        closing = [] if compiler == "zig" else ["-nostdlib", "-lgcc"]
        built = [path for job, files, names in named for path in job.compile_all(files, names)]
        theirs = [Path(each) for each in built if not linker.is_own(each)]
        others = stack.functions(theirs, keep_all) if keep_all else ()
        link += [f"-Wl,-u,{symbol}" for symbol in (*keep, *others)]
        path.with_name(stack.POINTERS).write_text(stack.pointers(theirs))
        command = [*named[0][0].driver(), *link, *built, "-T", str(script_file), *closing, "-o", str(path)]
        try:
            _run(command, doing=f"linking for {target.name} with {compiler}")
        except ToolError as error:
            _raise_if_too_large(error, target, stack_bytes, opt)
            raise

    elf = builds.build(identity, "firmware.elf", make)
    return Firmware(elf, size.sizes(elf), target, compiler, opt)


def _raise_if_too_large(error: ToolError, target: Target, stack_bytes: int, opt: str) -> None:
    """Turns the linker's message about a full region into a FitError with the number of missing bytes."""
    short: dict[str, int] = {}
    for region, count in _OVERFLOW.findall(error.what):
        memory = {"FLASH": "flash"}.get(region, region)
        short[memory] = max(short.get(memory, 0), int(count))
    if short:
        there = {"RAM": target.ram.bytes, "flash": target.flash.bytes}
        texts = [target.shortage(there[memory] + count, memory) for memory, count in short.items()]
        raise FitError(
            "the firmware needs " + ", and ".join(texts),
            where=f"linked with {opt}, with {stack_bytes} B of stack and what calls the model",
            hint=f"less in it, or a target with more {' and '.join(short)}",
            short=short,
        ) from None


def check_warnings(
    sources: Sequence[Path],
    include_dirs: Sequence[Path] = (),
    *,
    compiler: str = "zig",
    target: Target | None = None,
    defines: Defines | None = None,
    opt: str = "-O2",
    language: str = "c",
    flags: Sequence[str] = (),
) -> None:
    """Compiles with `STRICT_WARNINGS` and throws the result away.

    Args:
        sources: C files and headers.
        include_dirs: folders for `#include`.
        compiler: `zig`, `gcc` (without a target) or `arm-none-eabi-gcc` (with one).
        target: None for this computer.
        defines: macro name to value.
        opt: some warnings of gcc only appear when optimising; those of zig's clang all come before it optimises,
            which is left out.
        language: `c` (C11) or `c++` (C++17; headers must be valid there too).
        flags: more flags, behind the others.

    Raises:
        ToolError: with the first warnings as the compiler wrote them.
    """
    if language not in ("c", "c++"):
        raise UsageError(f"unknown language {language!r}", hint="c or c++")
    allowed = ("zig", "gcc") if target is None else ("zig", "arm-none-eabi-gcc")
    found = _check(opt, sources, compiler, allowed, "for this computer" if target is None else "firmware")
    include = tuple(folder.resolve() for folder in include_dirs)
    if target is None:
        job = _Job(found, _host_flags(compiler, opt, False), include, dict(defines or {}), "")
    else:
        job = _firmware_job(found, target, opt, include, defines)
    short = ["-O0", "-emit-llvm"] if compiler == "zig" else []
    arguments = [*job.arguments(job.defines), *short, *STRICT_WARNINGS, "-ffreestanding", *flags]
    if language == "c++":
        arguments = ["-std=c++17" if flag == "-std=c11" else flag for flag in arguments]
    files = [
        str(source.resolve()) for source in sources
    ]  # each still alone, but one compiler is started for all
    command = [*job.driver(language), *arguments, "-x", language, "-c", *files]
    what = sources[0].name if len(sources) == 1 else f"{len(sources)} files"
    with tempfile.TemporaryDirectory() as folder:
        _run(command, doing=f"compiling {what} with {compiler} and strict warnings", folder=folder)
