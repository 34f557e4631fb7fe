"""Whatever flags a build system has: the generated C gives the twin's bytes, or does not compile."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import capstone
import cffi
import numpy as np
import pytest
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

import mcugrad as mg
from mcugrad import targets, toolchain
from mcugrad.errors import ToolError
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin
from mcugrad.trainer import Trainer
from networks import Conv, Dense, Pool, model, samples
from thoroughness import LONG

CONV = Conv(8, (3, 3), (2, 2), (1, 1, 1, 1), "relu")
POINTWISE = (CONV, Conv(14, (1, 1), act="relu"), Pool(), Dense(4))
LAYERS = {"eight": (CONV, Dense(4))}
"""What is compiled by all build systems is small, and has no features: most of its code are floats of updates."""
OPTIONS = {
    "eight": {"rule": "sr12", "features": "none"},
    "kept": {"rule": mg.Update("sr16", momentum=0.9, batch=4, clip=0.1)},
    "mixed": {"precision": "mixed", "train": "last:2"},
    "real": {"precision": "float32"},
}
STEPS = 40
CONTRACTING = "#pragma GCC optimize", "#pragma STDC FP_CONTRACT OFF"
FUSED = re.compile(r"vfn?m(add|sub)\w*|vfn?m[as]\b.*")


@cache
def built(name: str) -> Trainer:
    net = model((1, 10, 10), LAYERS.get(name, POINTWISE), name=name)
    return mg.compile(net, calibration=samples(net, 32)[0], **OPTIONS[name])


def folder(name: str) -> Path:
    return built(name).build.compiled.folder()


def unprotected(name: str, where: Path) -> Path:
    """The model without the line that keeps compilers from contracting."""
    text = (folder(name) / f"{name}.c").read_text()
    for line in CONTRACTING:
        assert line in text
        text = text.replace(line, f"// {line}")
    path = where / f"{name}.c"
    path.write_text(text)
    shutil.copy(folder(name) / f"{name}.h", where)
    return path


def fused(path: Path) -> list[str]:
    """The instructions of an x86-64 object or library that multiply and add with one rounding."""
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.skipdata = True
    with path.open("rb") as file:
        code = [s.data() for s in ELFFile(file).iter_sections() if s["sh_flags"] & SH_FLAGS.SHF_EXECINSTR]
    found = {m for data in code for _, _, m, _ in decoder.disasm_lite(data, 0)}
    return sorted(m for m in found if FUSED.fullmatch(m))


BUILDS = {
    "gcc": ("gcc", "-std=gnu11", "-O2", "-mavx2", "-mfma"),
    "gcc, the processor": ("gcc", "-O3", "-march=haswell"),
    "gcc, small": ("gcc", "-std=gnu11", "-Os", "-mfma"),
    "gcc, linked": ("gcc", "-O2", "-march=haswell", "-flto"),
    "g++": ("g++", "-x", "c++", "-std=gnu++17", "-O2", "-march=haswell"),
    "g++, strict": ("g++", "-x", "c++", "-std=c++17", "-O3", "-march=haswell"),
    "zig": ("zig", "-std=gnu11", "-O2", "-mcpu=haswell"),
    "zig, as C++": ("zig", "-x", "c++", "-std=c++17", "-O2", "-mcpu=haswell"),
    "gcc, its fastest that is exact": ("gcc", "-O3", "-mfma", "-ffp-contract=fast", "-fno-math-errno",
                                       "-fno-trapping-math", "-fsingle-precision-constant"),
    "zig, as far as it has no macro": ("zig", "-O2", "-mcpu=haswell", "-freciprocal-math",
                                       "-fassociative-math"),
}  # fmt: skip


SIMILAR = ("gcc, the processor", "g++", "zig", "STM32Cube, release", "as it comes")
"""Of a compiler that is tried with similar flags, too: for a long test."""


def some(builds: Iterable[str]) -> list[str]:
    return [build for build in builds if LONG or build not in SIMILAR]


def of_builds(build: str) -> tuple[str]:
    """Which of the two models is built so: each by either compiler."""
    return ("mixed",) if build in ("zig, as C++", "gcc, linked", "linked") else ("eight",)


def library(source: Path, build: str, where: Path) -> Path:
    """A shared library as a build system would make it, with no flag of ours; skips without the compiler."""
    tool, *flags = BUILDS[build]
    command = [*toolchain.find_compiler("zig").command, "cc"] if tool == "zig" else [tool]
    if tool == "zig":
        flags += ["-target", "x86_64-linux-gnu", "-fno-sanitize=all", "-nostdlib"]
    elif shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    out = where / f"{source.stem}.so"
    command += [*flags, "-fPIC", "-shared", str(source), "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def steps(name: str, path: Path) -> tuple[bytes, bytes]:
    """Learned state and logits after some steps of the library."""
    compiled = built(name).build.compiled
    ffi = cffi.FFI()
    ffi.cdef(
        f"int {name}_init(void *m); int {name}_predict(void *m, const int8_t *x, void *y);"
        f"int {name}_train_step(void *m, const int8_t *x, uint32_t label, void *step);"
    )
    loaded = ffi.dlopen(str(path))
    memory = ffi.new("uint64_t[]", -(-compiled.layout.size // 8))
    y = ffi.new("float[]", compiled.program.classes)
    status = getattr(loaded, f"{name}_init")(memory)
    for index, x in enumerate(inputs(name)):
        status |= getattr(loaded, f"{name}_train_step")(memory, x.tobytes(), index % 4, ffi.NULL)
    status |= getattr(loaded, f"{name}_predict")(memory, inputs(name)[0].tobytes(), y)
    assert status == 0
    size = compiled.program.buffers[compiled.program.output].size
    return bytes(ffi.buffer(memory))[4 : 4 + compiled.layout.params_size], bytes(ffi.buffer(y))[:size]


@cache
def inputs(name: str) -> np.ndarray:
    return built(name).quantize(samples(built(name).model, STEPS)[0])


@cache
def expected(name: str) -> tuple[bytes, bytes]:
    """The same by the twin."""
    twin = HostTwin(built(name).build.compiled)
    twin.train(inputs(name), np.arange(STEPS) % 4, np.arange(STEPS, dtype=np.uint32))
    state = twin.state()
    params = b"".join(np.asarray(state[b.name]).tobytes() for b in built(name).build.compiled.layout.params)
    return params.ljust(built(name).build.compiled.layout.params_size, b"\0"), twin.predict(
        inputs(name)[:1]
    ).tobytes()


def test_the_host_contracts_unless_told_not_to(tmp_path: Path) -> None:
    """So that the test below can fail: without its own protection the code is contracted by default."""
    for build in ("gcc", "g++", "zig") if LONG else ("g++", "zig"):
        assert fused(library(unprotected("eight", tmp_path), build, tmp_path)), build


@pytest.mark.parametrize(
    ("name", "build"),
    [(name, build) for build in some(BUILDS) for name in (("eight", "mixed") if LONG else of_builds(build))],
)
def test_host_build_has_the_twins_bytes(name: str, build: str, tmp_path: Path) -> None:
    path = library(folder(name) / f"{name}.c", build, tmp_path)
    assert fused(path) == []
    if runs_here():
        assert steps(name, path) == expected(name)


def runs_here() -> bool:
    cpu = Path("/proc/cpuinfo")
    return cpu.is_file() and {"fma", "avx2", "bmi2"} <= set(cpu.read_text().split())


def test_the_rest_of_a_source_is_not_changed(tmp_path: Path) -> None:
    """Who includes the model in a larger source, as sketches do, keeps his own flags behind it."""
    source = tmp_path / "sketch.c"
    source.write_text(f'#include "{folder("eight")}/eight.c"\nfloat f(float a, float b, float c);\n'
                      "float f(float a, float b, float c) { return a * b + c; }\n")  # fmt: skip
    assert fused(library(source, "gcc", tmp_path)) == ["vfmadd132ss"]


# --- on cores ---------------------------------------------------------------------------------------------------

CORES = ("cortex-m4f", "cortex-m7", "cortex-m33")
FIRMWARE = {
    "STM32Cube, debug": ("-O0", "-std=gnu11", "-g3", "-fstack-usage"),
    "STM32Cube, release": ("-Os", "-std=gnu11", "-g0", "-Wall"),
    "PlatformIO": ("-Os", "-std=gnu11", "-fno-common", "-fsingle-precision-constant"),
    "CMake": ("-O3", "-std=gnu11", "-DNDEBUG"),
    "linked": ("-O2", "-std=gnu11", "-flto"),
    "as it comes": ("-O2", "-std=gnu17"),
}


def assert_on_core(name: str, core: str, compiler: str, opt: str, flags: tuple[str, ...]) -> None:
    compiled = built(name).build.compiled
    device = EmulatedDevice(compiled, targets.load(core), compiler=compiler, opt=opt, flags=flags)
    count = 12
    order = np.arange(count, dtype=np.uint32)
    twin = HostTwin(compiled)
    for runner in (device, twin):
        runner.train(inputs(name), np.arange(STEPS) % 4, order)
    assert device.predict(inputs(name)[:2]).tobytes() == twin.predict(inputs(name)[:2]).tobytes()
    for key, value in twin.state().items():
        assert np.asarray(value).tobytes() == np.asarray(device.state()[key]).tobytes(), key


@pytest.mark.mcu
@pytest.mark.parametrize(
    ("name", "core"), [*(("eight", core) for core in CORES if LONG), ("mixed", "cortex-m7")]
)
def test_clang_firmware_has_the_twins_bytes(name: str, core: str) -> None:
    assert_on_core(name, core, "zig", "-O2", ("-std=gnu11",))


@pytest.mark.mcu
@pytest.mark.parametrize(
    ("name", "build"),
    [
        (name, build)
        for build in some(FIRMWARE)
        for name in (("eight", "mixed") if LONG else of_builds(build))
    ],
)
def test_gcc_firmware_has_the_twins_bytes(name: str, build: str) -> None:
    """Fused instructions are refused before anything runs, see the next test."""
    need_arm_gcc()
    opt, *flags = FIRMWARE[build]
    assert_on_core(name, CORES[len(build) % 3], "arm-none-eabi-gcc", opt, tuple(flags))


@pytest.mark.mcu
def test_contracted_firmware_is_refused(tmp_path: Path) -> None:
    need_arm_gcc()
    unprotected("eight", tmp_path)
    wrong = replace(built("eight").build.compiled)
    vars(wrong)["files"] = {**wrong.files, "eight.c": (tmp_path / "eight.c").read_text()}
    with pytest.raises(ToolError, match=r"vfma.*: one rounding where two are meant"):
        EmulatedDevice(
            wrong, targets.load("cortex-m4f"), compiler="arm-none-eabi-gcc", opt="-O2", flags=("-std=gnu11",)
        )


def need_arm_gcc() -> None:
    if "arm-none-eabi-gcc" not in toolchain.firmware_compilers():
        pytest.skip("arm-none-eabi-gcc is not installed")


# --- what cannot be undone is refused ---------------------------------------------------------------------------

REFUSED = [
    *[("gcc", (flag,), "fast-math") for flag in ("-ffast-math", "-Ofast", "-funsafe-math-optimizations")],
    *[("gcc", (flag,), "fast-math") for flag in ("-ffinite-math-only", "-freciprocal-math")],
    ("gcc", ("-fno-signed-zeros",), "fast-math"),
    ("gcc", ("-m32", "-mfpmath=387"), "more than 32 bits"),
    ("zig", ("-ffast-math",), "fast-math"),
    ("zig", ("-ffinite-math-only",), "fast-math"),
    ("zig", ("-target", "armeb-freestanding-eabi"), "little-endian"),
    ("arm-none-eabi-gcc", ("-mcpu=cortex-m4", "-mbig-endian"), "little-endian"),
]


@pytest.mark.parametrize(("tool", "flags", "said"), REFUSED)
def test_refused_with_what_to_do(tool: str, flags: tuple[str, ...], said: str) -> None:
    if tool == "zig":
        command = [*toolchain.find_compiler("zig").command, "cc"]
    elif shutil.which(tool):
        command = [tool]
    else:
        pytest.skip(f"{tool} is not installed")
    command += [*flags, "-ffreestanding", "-E", "-o", os.devnull, str(folder("eight") / "eight.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    assert len(errors) == 1
    assert said in errors[0]
    assert "compile" in errors[0]


# --- no warning at any level ------------------------------------------------------------------------------------


def warnings_of(tool: str, sources: list[Path], flags: tuple[str, ...], where: Path) -> Iterator[str]:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    for source in sources:
        command = [tool, *flags, "-Wall", "-Wextra", "-c", str(source), "-o", str(where / "out.o")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        if done.stderr:
            yield f"{source.name} {' '.join(flags)}: {done.stderr}"


ALL = tuple(OPTIONS)


@pytest.mark.parametrize(
    ("level", "names"),
    [
        ("-O0", ALL if LONG else ("mixed",)),
        ("-O1", ALL if LONG else ("real",)),
        ("-O2", ALL if LONG else ("mixed",)),
        ("-O3", ALL if LONG else ("eight",)),
        ("-Os", ALL if LONG else ("kept",)),
    ],
)
def test_no_warning_at_any_level(level: str, names: tuple[str, ...], tmp_path: Path) -> None:
    sources = [folder(name) / f"{name}.c" for name in names]
    assert list(warnings_of("gcc", sources, ("-std=gnu11", level), tmp_path)) == []


def test_no_warning_as_cpp(tmp_path: Path) -> None:
    """Of what C++ alone warns of: it is seen before anything is optimised."""
    sources = [folder(name) / f"{name}.c" for name in OPTIONS]
    flags = ("-x", "c++", "-std=c++17", "-Wpedantic", "-O2" if LONG else "-fsyntax-only")
    assert list(warnings_of("g++", sources, flags, tmp_path)) == []


def test_no_warning_of_gcc_for_a_core(tmp_path: Path) -> None:
    sources = [folder(name) / f"{name}.c" for name in (ALL if LONG else ("mixed",))]
    flags = ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-std=gnu11", "-O2")
    assert list(warnings_of("arm-none-eabi-gcc", sources, flags, tmp_path)) == []
