"""Kernels with several bodies give the bytes of their reference on every core, whoever compiles them and however."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import count, islice, product
from math import gcd
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import library
from kernels.cases import cases
from kernels.convolution_extremes import LARGE, MANY_CHANNELS
from mcugrad import targets, toolchain
from mcugrad.emulator.kernels import KernelsOnCore
from mcugrad.errors import DeviceError
from mcugrad.ops.families import CORE, FAMILIES
from mcugrad.program import Kernel
from mcugrad.program.kernel import ROOM
from mcugrad.toolchain import lint
from thoroughness import LONG

pytestmark = pytest.mark.mcu

ROOMS = (*(f.name for f in FAMILIES if f.kernels), CORE)
CASES = {name: case for room in ROOMS for name, case in cases(room).items() if name in library.with_bodies()}
EXTREMES = {name: case for room in ROOMS for name, case in cases(room, "EXTREMES").items()}
KERNELS = {kernel.name: kernel for kernel in library.every_kernel() if kernel.name in CASES}
DSP = ("cortex-m4f", "cortex-m7", "cortex-m33")
BUILDS = [
    ("cortex-m0plus", "zig", "-O3"),
    ("cortex-m3", "zig", "-Os"),
    ("cortex-m4f", "zig", "-O3"),
    ("cortex-m7", "zig", "-O3"),
    ("cortex-m33", "zig", "-Os"),
    ("cortex-m4f", "zig", "-O0"),
    ("cortex-m4f", "arm-none-eabi-gcc", "-O3"),
    ("cortex-m0plus", "arm-none-eabi-gcc", "-Os"),
]
"""Every core, every body by both compilers, every level."""
if LONG:
    BUILDS += [
        *((core, "zig", "-O3") for core in ("cortex-m3", "cortex-m33")),
        ("cortex-m4f", "zig", "-Os"),
        *((core, "arm-none-eabi-gcc", opt) for core, opt in (("cortex-m7", "-O0"), ("cortex-m33", "-O2"))),
    ]


@cache
def kernels(core: str, compiler: str, opt: str, *defines: str, watched: bool = False) -> KernelsOnCore:
    """All kernels with bodies on a core; watched, it refuses unaligned accesses where the chip does."""
    pytest.importorskip("unicorn", reason="the emulator is not installed")
    if compiler not in toolchain.firmware_compilers():
        pytest.skip(f"{compiler} is not installed")
    if core == "cortex-m0plus":
        defines = (*defines, "MCG_PAIRS_ALWAYS")  # most of these maps are so small that pairs would not pay
    return KernelsOnCore(
        [KERNELS[name] for name in sorted(KERNELS)],
        targets.load(core),
        compiler=compiler,
        opt=opt,
        defines=dict.fromkeys(defines),
        check_alignment=watched,
    )


def tries(kernel: Kernel, arguments: dict[str, Any], number: int) -> list[tuple[int, dict[str, Any]]]:
    """Shifts, and arguments with a size of scratch: one of each by the number of a case; all if it is long."""
    ways = library.with_scratch(kernel, arguments)
    if LONG:
        return [*product(range(4), ways)]
    return [(number // len(ways) % 4, ways[number % len(ways)])]


def check(
    on: KernelsOnCore, kernel: Kernel, arguments: dict[str, Any], number: int, wanted: dict[str, Any]
) -> None:
    """A core and the reference agree on all that is written, wherever the arrays lie."""
    for shift, way in tries(kernel, arguments, number):
        got = library.copied(way)
        on.run(kernel, got, shift)
        what = f"{shift} B off, {way.get(ROOM, 0)} B of scratch: {kernel.name}"
        assert not library.different(got, wanted), what


def check_alignment(
    build: tuple[str, str, str], kernel: Kernel, arguments: dict[str, Any], number: int
) -> None:
    """Nothing is accessed where the chip would fault.

    That alone is looked at: while accesses are watched, the emulator loses its way behind some conditional stores, and
    comes by addresses where no array is, or to no end. So it has as many instructions as the call takes, and what it
    finds has to be found by a new one, too: where it goes then depends on the calls before.
    """
    for shift, way in tries(kernel, arguments, number):
        count = kernels(*build).run(kernel, library.copied(way), shift)
        if count > MOST_WATCHED:
            continue
        if unaligned(kernels(*build, watched=True), kernel, way, shift, count):
            new = kernels.__wrapped__(*build, watched=True)
            if error := unaligned(new, kernel, way, shift, count):
                raise error


def unaligned(
    on: KernelsOnCore, kernel: Kernel, arguments: dict[str, Any], shift: int, count: int
) -> DeviceError | None:
    """What a watched call finds in RAM."""
    try:
        on.run(kernel, library.copied(arguments), shift, budget=count + 1)  # and the marker behind it
    except DeviceError as error:
        on.emulator.reset()
        on.emulator.run()
        found = re.search(r"an unaligned address: \d+ B at (0x\w+)", str(error))
        return error if found and int(found[1], 16) >= on.emulator.target.ram.address else None
    return None


def first(core: str) -> tuple[str, str, str]:
    """The first build for a core."""
    return next(build for build in BUILDS if build[0] == core)


@pytest.mark.parametrize("core", targets.emulated())
def test_a_watched_call_comes_to_its_end_within_what_it_takes(core: str) -> None:
    """So that what is caught above is an emulator that lost its way, and no call that was cut short."""
    kernel = KERNELS["mcg_add_errors_s8"]
    for arguments in islice(EXTREMES[kernel.name](), 3):
        count = kernels(*first(core)).run(kernel, library.copied(arguments))
        watched = kernels(*first(core), watched=True)
        assert watched.run(kernel, library.copied(arguments), budget=count + 1) == count


def for_cores(name: str) -> Iterator[dict[str, Any]]:
    """Extremes of a kernel: what is large for the bodies of this computer alone takes millions of instructions."""
    for arguments in EXTREMES[name]():
        if LONG or library.shape(arguments.get("g")) not in (*LARGE, MANY_CHANNELS):
            yield arguments


PARTS = 1 if LONG else 5
"""Emulation is slow, and the host tries all extremes on every body: a build takes every fifth of them, another build
others, so that each is tried on a core with DSP instructions, and most by another build as well."""

SOME = 1 if LONG else 2
"""Every second build takes a case that was drawn, and every eighth watches it; the next case is for the others."""

WATCHED = 1 if LONG else 8
"""Of the first of each shape every build watches every eighth."""

OF_A_SHAPE = 8
"""Extremes of a shape that are tried on cores: what differs beyond is values, and the host tries all of them."""

ARRAYS = 12
"""A kernel has about as many, so a shape at the end of memory takes as many extremes, or twice as many calls where
each extreme is called with every size of scratch."""

MOST_WATCHED = 10**9 if LONG else 100_000
"""Instructions of a call that is watched, which takes ten times as long: more of them make the same accesses again."""


@cache
def builds() -> list[tuple[str, str, str]]:
    """Those whose compiler is installed."""
    pytest.importorskip("unicorn", reason="the emulator is not installed")
    return [build for build in BUILDS if build[1] in toolchain.firmware_compilers()]


@pytest.mark.parametrize("name", sorted(CASES))
def test_cores_equal_the_reference(name: str) -> None:
    kernel, drawn = KERNELS[name], count()

    @given(CASES[name], st.integers(0, 39))
    @settings(max_examples=settings().max_examples // (5 if LONG else 10))
    def run(arguments: dict[str, Any], number: int) -> None:
        wanted, this = library.expected(kernel, arguments)[0], next(drawn)
        for i, build in enumerate(builds()):
            if (i + this) % SOME == 0:
                check(kernels(*build), kernel, arguments, number + i, wanted)
            if (i + this) % SOME**3 == 0:
                check_alignment(build, kernel, arguments, number + i)

    run()
    for i, arguments in enumerate(of_every_shape(for_cores(name), lambda _: OF_A_SHAPE)):
        wanted = library.expected(kernel, arguments)[0]
        for build in builds()[i % PARTS :: PARTS]:
            check(kernels(*build), kernel, arguments, i // PARTS, wanted)
    for i, arguments in enumerate(of_every_shape(for_cores(name), lambda _: 1)):
        for build in builds()[i % WATCHED :: WATCHED]:  # where arrays begin at a word, rows may not
            check_alignment(build, kernel, arguments, 0)


AT_THE_END = ("cortex-m0plus", "cortex-m4f", "cortex-m7")


@pytest.mark.parametrize("name", sorted(CASES))
def test_nothing_behind_an_array_is_looked_at(name: str) -> None:
    """One array after the other ends where the RAM does: also what is read there and written back as it was faults."""
    kernel, tried = KERNELS[name], count()

    def run(arguments: dict[str, Any]) -> None:
        wanted = library.expected(kernel, arguments)[0]
        ways, case = library.with_scratch(kernel, arguments), next(tried)
        for i, way in enumerate(ways):
            arrays = [key for key, value in way.items() if isinstance(value, np.ndarray)]
            if LONG:
                tries = [(core, last) for core in AT_THE_END for last in arrays]
            else:  # with each size of scratch each array in turn, then each on the next core
                step = next(n for n in count(len(ways)) if gcd(n, len(arrays)) == 1)
                core = AT_THE_END[(case // len(arrays) + i) % len(AT_THE_END)]
                tries = [(core, arrays[(case * step + i) % len(arrays)])]
            for core, last in tries:
                at_the_end(core, way, last, wanted)

    def at_the_end(core: str, way: dict[str, Any], last: str, wanted: dict[str, Any]) -> None:
        on, got = kernels(core, "zig", "-O3"), library.copied(way)
        what = f"{name}, {core}, {way.get(ROOM, 0)} B of scratch, {last}"
        try:
            on.run(kernel, got, last=last)
        except DeviceError as error:  # no core to go on with, and hypothesis tries again
            on.emulator.reset()
            on.emulator.run()
            raise AssertionError(f"{what}: {error}") from error
        assert not library.different(got, wanted), what

    def most(arguments: dict[str, Any]) -> int:
        sizes = len(library.with_scratch(kernel, arguments))
        return ARRAYS if sizes == 1 else -(-2 * ARRAYS // sizes)

    given(CASES[name])(settings(max_examples=settings().max_examples * (4 if LONG else 1) // 10)(run))()
    for arguments in of_every_shape(for_cores(name), most):
        run(arguments)


def of_every_shape(
    extremes: Iterator[dict[str, Any]], most: Callable[[dict[str, Any]], int]
) -> Iterator[dict[str, Any]]:
    """Some arguments of each shape: what is read is a matter of that, and of few values. In a long test all.

    Every so many, an odd number: values alternate, and each of two is met.
    """
    shapes: dict[Any, list[dict[str, Any]]] = {}
    for arguments in extremes:
        key = tuple(value.size for value in arguments.values() if isinstance(value, np.ndarray))
        shapes.setdefault((library.shape(arguments.get("g")), key), []).append(arguments)
    for each in shapes.values():
        yield from each[:: 1 if LONG else -(-len(each) // most(each[0])) | 1]


@pytest.mark.parametrize("core", targets.emulated())
def test_products_in_pairs_are_where_the_core_has_them(core: str) -> None:
    """The linter refuses them elsewhere, in every build above."""
    found = {mnemonic for *_, mnemonic, _ in lint.disassemble(kernels(*first(core)).emulator.image)}
    assert ("smlad" in found) == (core in DSP)


@pytest.mark.parametrize("core", targets.emulated())
def test_two_products_by_one_multiplication_are_where_the_core_has_no_better(core: str) -> None:
    image = kernels(*first(core)).emulator.image
    assert ("mcg_pair_products" in image) == (core == "cortex-m0plus")


@pytest.mark.parametrize(
    ("core", "opt"),
    [(core, "-O3") for core in targets.emulated()]
    if LONG
    else [("cortex-m0plus", "-O0"), ("cortex-m4f", "-O3")],
)
def test_portable_bodies_have_no_products_of_a_core(core: str, opt: str) -> None:
    image = kernels(core, "zig", opt, "MCG_PORTABLE").emulator.image
    assert "smlad" not in {mnemonic for *_, mnemonic, _ in lint.disassemble(image)}
    assert "mcg_pair_products" not in image


def test_a_cortex_m7_loads_beside_its_products() -> None:
    """Word by word, where the target names it to the compiler; else as a Cortex-M4 does: the same bytes."""
    m7 = targets.load("cortex-m7")
    pairs = {}
    for target in (m7, replace(m7, core=replace(m7.core, defines=()))):
        on = KernelsOnCore([KERNELS["mcg_pointwise_s8"]], target)
        symbol = on.emulator.image.symbol("mcg_panel_products")
        pairs[target.core.defines] = sum(
            mnemonic == "ldrd" and symbol.address <= address < symbol.address + symbol.bytes
            for address, _, mnemonic, _ in lint.disassemble(on.emulator.image)
        )
        for arguments in islice(EXTREMES["mcg_pointwise_s8"](), 4):
            wanted, _ = library.expected(KERNELS["mcg_pointwise_s8"], arguments)
            check(on, KERNELS["mcg_pointwise_s8"], arguments, 4, wanted)
    assert pairs == {("MCG_CORTEX_M7",): 0, (): 24}
