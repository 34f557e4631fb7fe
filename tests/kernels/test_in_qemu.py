"""Kernels in QEMU, where it is installed: the same bytes on a Cortex-M55, the same counts as by the other emulator."""

from __future__ import annotations

import gc
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import library
from kernels.cases import cases
from mcugrad import targets, toolchain
from mcugrad.emulator import qemu, source
from mcugrad.emulator.kernels import KernelsOnCore
from mcugrad.errors import DeviceError, ToolError
from mcugrad.ops.families import CORE, FAMILIES
from mcugrad.ops.linear.linear_s8 import LINEAR_S8, LinearStruct
from mcugrad.program.kernel import ROOM, SCRATCH
from thoroughness import LONG

pytestmark = [
    pytest.mark.mcu,
    pytest.mark.skipif(not qemu.is_installed(), reason=f"{qemu.PROGRAM} is not installed: {qemu.INSTALL}"),
]
ROOMS = (*(f.name for f in FAMILIES if f.kernels), CORE)
CASES = {name: case for room in ROOMS for name, case in cases(room).items() if name in library.with_bodies()}
EXTREMES = {name: case for room in ROOMS for name, case in cases(room, "EXTREMES").items()}
KERNELS = {kernel.name: kernel for kernel in library.every_kernel() if kernel.name in CASES}
FEW = 8 if LONG else 4
"""Extremes of a kernel that are tried, spread over all, others by each compiler, and drawn cases: each is a machine
from reset to its end."""
COMPILERS = ("zig", "arm-none-eabi-gcc")


@cache
def in_qemu(core: str, compiler: str) -> qemu.KernelsInQemu:
    if compiler not in toolchain.firmware_compilers():
        pytest.skip(f"{compiler} is not installed")
    return qemu.KernelsInQemu(
        [KERNELS[name] for name in sorted(KERNELS)], targets.load(core), compiler=compiler
    )


@lru_cache(maxsize=1)
def extremes_of(name: str) -> list[dict[str, Any]]:
    """They are made once for both compilers: that takes longer than the calls of some."""
    return list(EXTREMES[name]())


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", sorted(CASES))
def test_a_cortex_m55_equals_the_reference(name: str, compiler: str) -> None:
    on, kernel = in_qemu("cortex-m55", compiler), KERNELS[name]

    def check(arguments: dict[str, Any], number: int) -> None:
        wanted, _ = library.expected(kernel, arguments)
        ways = library.with_scratch(kernel, arguments)
        for way in ways if LONG else [ways[number % len(ways)]]:
            got = library.copied(way)
            assert on.run(kernel, got, number % 4) > 0
            assert not library.different(got, wanted), f"{number % 4} B off, {way.get(ROOM, 0)} B of scratch"

    @given(CASES[name], st.integers(0, 19))
    @settings(max_examples=FEW)
    def run(arguments: dict[str, Any], number: int) -> None:
        check(arguments, number)

    run()
    extremes = extremes_of(name)
    step = 1 if LONG else max(1, len(extremes) // FEW)
    start = COMPILERS.index(compiler) * step // len(COMPILERS)
    for i, arguments in enumerate(extremes[start::step]):
        check(arguments, i)


def linear(inputs: int, out: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {
        "g": LinearStruct(inputs, out, inputs, -128, 3),
        "x": random.integers(-128, 128, inputs).astype(np.int8),
        "w": random.integers(-127, 128, inputs * out).astype(np.int8),
        "w_zero": None,
        "bias": random.integers(-2000, 2000, out).astype(np.int32),
        "scale": np.full(out, 0.0004, np.float32),
        "clip": np.asarray([-131, 124], np.int32),
        "y": np.zeros(out, np.int8),
        "peak": np.zeros(1, np.int32),
        ROOM: 0,
        SCRATCH: None,
    }


@pytest.mark.parametrize("core", sorted(set(qemu.MACHINES) & set(targets.emulated())))
def test_two_emulators_count_the_same(core: str) -> None:
    """To within what its timer can tell."""
    target = targets.load(core)
    ours, theirs = KernelsOnCore([LINEAR_S8], target), qemu.KernelsInQemu([LINEAR_S8], target)
    for shape in ((512, 64), (31, 7), (1, 1)):
        a, b = linear(*shape), linear(*shape)
        assert theirs.run(LINEAR_S8, b) == pytest.approx(ours.run(LINEAR_S8, a), abs=10)
        assert (a["y"] == b["y"]).all()
        assert a["peak"] == b["peak"]


def test_what_is_written_beside_an_array_is_seen() -> None:
    on = qemu.KernelsInQemu([LINEAR_S8], targets.load("cortex-m4f"))
    short = {**linear(16, 8), "y": np.zeros(7, np.int8)}
    with pytest.raises(DeviceError, match="mcg_linear_s8 wrote beside y on mps2-an386 of QEMU"):
        on.run(LINEAR_S8, short)


def test_what_faults_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is lost; another one takes its place."""
    on = qemu.KernelsInQemu([LINEAR_S8], targets.load("cortex-m4f"))
    before, after = linear(16, 8), linear(16, 8)
    count = on.run(LINEAR_S8, before)
    with monkeypatch.context() as patch:
        patch.setattr(qemu, "_SECONDS", 1)
        with pytest.raises(DeviceError, match=r"has not ended after 1 s|ended without an answer"):
            on.run(LINEAR_S8, {**linear(16, 8), "x": None, "w": 0xFFFF_FF00})
    assert on.run(LINEAR_S8, after) == pytest.approx(count, abs=10)
    assert (after["y"] == before["y"]).all()


def test_a_machine_that_ends_says_why() -> None:
    on = qemu.KernelsInQemu([LINEAR_S8], targets.load("cortex-m4f"))
    on._core._machine = replace(on._core._machine, name="no machine")
    with pytest.raises(DeviceError, match=r"QEMU ended without an answer: .*unsupported machine type"):
        on.run(LINEAR_S8, linear(16, 8))


def test_no_machine_outlives_who_calls_it() -> None:
    on = qemu.KernelsInQemu([LINEAR_S8], targets.load("cortex-m4f"))
    on.run(LINEAR_S8, linear(16, 8))
    assert on._core._running is not None
    process = on._core._running._process
    assert process.poll() is None
    del on
    gc.collect()
    assert process.poll() is not None


@pytest.mark.parametrize("compiler", toolchain.firmware_compilers())
@pytest.mark.parametrize("core", sorted(qemu.MACHINES))
def test_its_main_program_has_no_warnings(core: str, compiler: str) -> None:
    toolchain.check_warnings(
        [source(qemu.MAIN)],
        compiler=compiler,
        target=targets.load(core),
        defines={"MCG_JOB": "0x20040000U", "MCG_JOB_BYTES": "64U"},
    )


def test_there_is_no_machine_for_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ToolError, match="no machine here with a cortex-m0plus"):
        qemu.KernelsInQemu([LINEAR_S8], targets.load("cortex-m0plus"))
    monkeypatch.setattr(qemu.shutil, "which", lambda _: None)
    with pytest.raises(ToolError, match="qemu-system-arm is not installed") as caught:
        qemu.KernelsInQemu([LINEAR_S8], targets.load("cortex-m55"))
    assert caught.value.hint == qemu.INSTALL
