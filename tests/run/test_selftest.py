"""The self-test: right builds pass on every core, and one wrong bit, flag or weight fails it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import pytest

import mcugrad as mg
from mcugrad import targets, toolchain
from mcugrad.emit.folder import RECORD
from mcugrad.emit.selftest import selftest
from mcugrad.emulator.cpu import Emulator
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.selftest import proof
from mcugrad.trainer import Trainer
from networks import Conv, Dense, Pool, model, samples
from thoroughness import LONG

LAYERS = (Conv(8, (3, 3), (2, 2), (1, 1, 1, 1), "relu"), Conv(14, (1, 1), act="relu"), Pool(), Dense(4))
WAYS: dict[str, dict[str, Any]] = {
    "bytes": {"rule": "sr12"},
    "trained": {"rule": mg.Update("sr16", momentum=0.9, batch=4), "features": "none"},
    "mixed": {"precision": "mixed", "train": "last:2", "features": "none"},
    "fixed": {"train": "none"},
    "bits": {"loss": "binary_cross_entropy", "features": "none"},
    "values": {"loss": "mse", "typical_labels": np.linspace(-1, 1, 8), "features": "none"},
}
OK, NULL, SELFTEST = 0, -1, -8


@cache
def made(name: str) -> Trainer:
    net = model((1, 10, 10), LAYERS, name=name)
    x, y = samples(net, 64)
    trainer = mg.compile(net, calibration=x, **WAYS[name])
    if name == "trained":
        trainer.fit(x, y % 4, epochs=1, rate=0.003)
    return trainer


@cache
def texts(name: str) -> dict[str, str]:
    return made(name).files(selftest=True)


def write(name: str, where: Path, replaced: dict[str, str] | None = None) -> list[Path]:
    files = {**texts(name), **(replaced or {})}
    for file in (f"{name}.c", f"{name}.h", f"{name}_selftest.c", f"{name}_selftest.h"):
        (where / file).write_text(files[file])
    return [where / f"{name}.c", where / f"{name}_selftest.c"]


def call(name: str, library: Path) -> tuple[int, int, bool]:
    """Status and hash, and whether the model is left as `init` leaves it."""
    layout = made(name).build.compiled.layout
    ffi = cffi.FFI()
    ffi.cdef(f"int {name}_selftest(void *m, int8_t *x, uint32_t *hash); int {name}_init(void *m);")
    c = ffi.dlopen(str(library))
    m, fresh = (ffi.new("uint64_t[]", -(-layout.size // 8)) for _ in range(2))
    x, found = ffi.new("int8_t[100]"), ffi.new("uint32_t *")
    selftest, init = getattr(c, f"{name}_selftest"), getattr(c, f"{name}_init")
    assert [selftest(ffi.NULL, x, found), selftest(m, ffi.NULL, found)] == [NULL, NULL]
    assert init(fresh) == OK
    status = selftest(m, x, found)
    assert selftest(m, x, ffi.NULL) == status
    end = 4 + layout.params_size
    return status, found[0], bytes(ffi.buffer(m))[:end] == bytes(ffi.buffer(fresh))[:end]


def expected(name: str) -> int:
    match = re.search(r"_SELFTEST_HASH 0x(\w{8})U", texts(name)[f"{name}_selftest.c"])
    assert match is not None
    return int(match[1], 16)


@pytest.mark.parametrize("name", [name for name in WAYS if LONG or name != "bits"])
def test_a_right_build_passes(name: str, tmp_path: Path) -> None:
    sources = write(name, tmp_path)
    library = toolchain.build_shared(sources, [tmp_path], opt="-O0")
    assert call(name, library) == (OK, expected(name), True)


@pytest.mark.parametrize("name", ["bytes", "mixed", "fixed", "values"])
def test_the_hash_is_that_of_the_reference(name: str) -> None:
    """What a device has to find does not come from compiled C alone."""
    compiled = made(name).build.compiled
    files = selftest(replace(compiled, proof=proof(compiled, runner=ReferenceRunner)))
    assert len(files) == 2
    assert files.items() <= texts(name).items()


def test_no_warning(tmp_path: Path) -> None:
    for name in WAYS:
        sources = write(name, tmp_path)
        toolchain.check_warnings(sources[1:], [tmp_path])
        if shutil.which("g++"):
            command = ["g++", "-x", "c++", "-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-c"]
            command += [str(sources[1]), "-o", str(tmp_path / "x.o")]
            subprocess.run(command, check=True)


# --- on cores ---------------------------------------------------------------------------------------------------

MAIN = """
#include "{name}_selftest.h"
extern volatile uint32_t outcome[3];
volatile uint32_t outcome[3];
static {name}_t m;
static int8_t x[100];
void mcg_device_main(void);
void mcg_device_main(void)
{{
    uint32_t hash = 0;
    outcome[0] = (uint32_t){name}_selftest(&m, x, &hash);
    outcome[1] = hash;
    for (;;) {{
        __asm__ volatile("bkpt #0" ::: "memory");
    }}
}}
"""


def on_core(name: str, core: str, where: Path, compiler: str = "zig", opt: str = "-O2") -> tuple[int, int]:
    sources = [*write(name, where), where / "main.c"]
    sources[-1].write_text(MAIN.format(name=name))
    target = targets.load(core)
    firmware = toolchain.build_firmware(
        sources, target, compiler=compiler, opt=opt, include_dirs=[where], flags=("-std=gnu11",)
    )
    emulator = Emulator(firmware.elf, target)
    assert emulator.run(50_000_000) == 0
    symbol = emulator.image.symbol("outcome")
    status, found = emulator.view(symbol.address, symbol.bytes).view(np.uint32)[:2]
    return int(np.int32(status)), int(found)


CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4f", "cortex-m7", "cortex-m33")


@pytest.mark.mcu
@pytest.mark.parametrize(
    ("name", "core"),
    [*product(WAYS, CORES)]
    if LONG
    else zip(("trained", "fixed", "mixed", "values", "trained"), CORES, strict=True),
)
def test_every_core_passes(name: str, core: str, tmp_path: Path) -> None:
    opt = "-O2" if LONG or core == "cortex-m4f" else "-O0"
    assert on_core(name, core, tmp_path, opt=opt) == (OK, expected(name))


@pytest.mark.mcu
def test_gcc_passes_with_its_defaults(tmp_path: Path) -> None:
    if "arm-none-eabi-gcc" not in toolchain.firmware_compilers():
        pytest.skip("arm-none-eabi-gcc is not installed")
    assert on_core("bits", "cortex-m4f", tmp_path, "arm-none-eabi-gcc", "-Os") == (OK, expected("bits"))


# --- what is wrong fails ----------------------------------------------------------------------------------------


def flipped(text: str, array: str) -> str:
    """One value of a constant array, one off."""
    start = text.index("{", text.index(array)) + 1
    match = re.compile(r"-?\d+").search(text, start)
    assert match is not None
    value = int(match[0])
    return f"{text[: match.start()]}{value - 1 if value > 0 else value + 1}{text[match.end() :]}"


@pytest.mark.parametrize(
    ("name", "array"), [("bytes", "/* conv2_w */"), ("trained", "/* fc1_w */"), ("fixed", "fixed_conv1_w[")]
)
def test_a_flipped_weight_fails(name: str, array: str, tmp_path: Path) -> None:
    text = texts(name)[f"{name}.c"]
    assert array in text
    sources = write(name, tmp_path, {f"{name}.c": flipped(text, array)})
    status, found, left = call(name, toolchain.build_shared(sources, [tmp_path], opt="-O0"))
    assert (status, left) == (SELFTEST, True)
    assert found != expected(name)


WRONG = {
    "a rounding": ("f + 0.5F", "f + 0.25F", "-O0"),
    "a product contracted": ("#pragma GCC optimize", "// #pragma GCC optimize", "-O2"),
}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("trained", "a rounding"),
        ("trained", "a product contracted"),
        *([("mixed", "a product contracted")] if LONG else ()),
    ],
)
def test_a_wrong_build_fails(name: str, wrong: str, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    cpu = Path("/proc/cpuinfo")
    if not cpu.is_file() or not {"fma", "avx2"} <= set(cpu.read_text().split()):
        pytest.skip("this processor has no fused multiply-add")
    text = texts(name)[f"{name}.c"]
    right, bad, opt = WRONG[wrong]
    assert right in text
    optimises = opt != "-O0"  # without, right builds are those above
    for content, status in (((text, OK),) if optimises else ()) + ((text.replace(right, bad), SELFTEST),):
        where = tmp_path / str(status)
        where.mkdir()
        sources = write(name, where, {f"{name}.c": content})
        out = where / "model.so"
        command = [
            "gcc",
            "-std=gnu11",
            opt,
            "-mfma",
            "-fPIC",
            "-shared",
            *map(str, sources),
            "-o",
            str(out),
        ]
        subprocess.run(command, check=True)
        assert call(name, out)[0] == status


# --- where it is had --------------------------------------------------------------------------------------------


def test_export_writes_it_when_asked(tmp_path: Path) -> None:
    trainer = made("trained")
    tests = {"trained_selftest.c", "trained_selftest.h"}
    for folder, wanted in (("with", True), ("without", False)):
        trainer.export(tmp_path / folder, selftest=wanted)
        assert (tests <= {path.name for path in (tmp_path / folder).iterdir()}) == wanted
    assert "trained_selftest.c" in (tmp_path / "with" / RECORD).read_text()


def test_inference_has_one_too(tmp_path: Path) -> None:
    folder = made("trained").export(tmp_path, inference=True, selftest=True)
    sources = [folder / "trained.c", folder / "trained_selftest.c"]
    library = toolchain.build_shared(sources, [folder], opt="-O0")
    ffi = cffi.FFI()
    ffi.cdef("int trained_selftest(void *m, int8_t *x, uint32_t *hash);")
    memory = ffi.new("uint64_t[1000]")
    assert ffi.dlopen(str(library)).trained_selftest(memory, ffi.new("int8_t[100]"), ffi.NULL) == OK


def test_what_is_not_finite_is_refused() -> None:
    net = model((1, 10, 10), LAYERS, name="huge")
    x, _ = samples(net, 16)
    trainer = mg.compile(net, calibration=x, precision="float32")
    state = {key: value.copy() for key, value in trainer.state.items()}
    state["fc1_w"][...] = np.nan
    with pytest.raises(mg.UsageError, match="not finite for random samples"):
        proof(trainer.build.compiled, state)
