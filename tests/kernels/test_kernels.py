"""Every C kernel equals its NumPy reference to the last bit, whoever compiles it and however."""

from __future__ import annotations

import re
import signal
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from kernels import library
from kernels.cases import cases
from kernels.placed import Placed
from kernels.traps import ends_of
from mcugrad import arithmetic as ar
from mcugrad import targets
from mcugrad.abi.headers import headers
from mcugrad.abi.records import SCALE
from mcugrad.emit.amalgamate import bodies
from mcugrad.ops.families import CORE, FAMILIES
from mcugrad.ops.linear.linear_s8 import LinearStruct
from mcugrad.program import Kernel, Shared
from mcugrad.program.kernel import ROOM, prices
from mcugrad.toolchain import processor
from mcugrad.training.rules import IN_PLACE
from thoroughness import LONG

BUILDS, OF_BODIES = library.available(), library.available(library.BODIES)
TRAPS, TRAPS_IN_BODIES = library.available(library.TRAPS), library.available(library.TRAPS_IN_BODIES)

KERNELS = {kernel.name: kernel for kernel in library.every_kernel()}
ROOMS = (*(family.name for family in FAMILIES if family.kernels), CORE)
CASES = {name: case for room in ROOMS for name, case in cases(room).items()}
EXTREMES = {name: case for room in ROOMS for name, case in cases(room, "EXTREMES").items()}
OVER = {name: case for room in ROOMS for name, case in cases(room, "OVER").items()}


def check(kernel: Kernel, arguments: dict[str, Any], every_size: bool = True) -> list[Callable[[], None]]:
    """Reference and every build agree on all that is written and returned, and leave the rest alone.

    Args:
        kernel: the kernel.
        arguments: by name.
        every_size: with every size of scratch; else with one of them, which looks as if it was drawn.

    Returns:
        Calls that check the same of builds that end the process where something is undefined.
    """
    wanted, returned = library.expected(kernel, arguments)
    has_bodies = kernel.name in library.with_bodies()

    def agree(way: dict[str, Any], shift: int, builds: list[library.Build]) -> None:
        placed = Placed(kernel, way, library.ffi(), shift, wanted=wanted)
        for build in builds:
            if placed.call(library.library(build).lib) == returned and not library.wrong(placed, way, wanted):
                continue
            pytest.fail(f"{build}, {shift} B off, {way.get(ROOM, 0)} B of scratch: {kernel.name}")

    ways = library.with_scratch(kernel, arguments)
    first = sum(zlib.crc32(value.tobytes()) for value in arguments.values() if isinstance(value, np.ndarray))
    if not every_size:
        ways = [ways[first // 8 % len(ways)]]
    builds, traps = ([*BUILDS, *OF_BODIES], [*TRAPS, *TRAPS_IN_BODIES]) if has_bodies else (BUILDS, TRAPS)
    calls: list[Callable[[], None]] = []
    for i, way in enumerate(ways, first):
        if LONG:
            for shift in range(4) if has_bodies else (0,):
                agree(way, shift, builds)
                calls.append(partial(agree, way, shift, traps))
            continue
        # Bodies ask whether words are aligned: a build has each size of scratch where they are, or where not, in turn.
        if has_bodies:
            agree(way, 0, builds[i % 2 :: 2])
            agree(way, 1 + i % 3, builds[(i + 1) % 2 :: 2])
        else:
            agree(way, 0, builds)
        # What is undefined is a matter of ranges and addresses, not of both: a case has each body once or more.
        some = traps[i % 2 :: 2] if len(ways) > 1 else traps
        calls.append(partial(agree, way, i // 2 % 4 if has_bodies else 0, some))
    return calls


def check_over(kernel: Kernel, arguments: dict[str, Any], each: Shared) -> list[Callable[[], None]]:
    """Every build writes over an array what the reference writes beside it. Returns as `check`; none if it may not."""
    old, new = arguments[each.read], arguments[each.written]
    lead = each.ahead(arguments.get("g"))
    if lead is None or (not lead and new.nbytes > old.nbytes):
        return []
    start = library.copied(arguments)
    there = new.tobytes()[:lead] + old.tobytes() + new.tobytes()[lead + old.nbytes :]
    start[each.written] = np.frombuffer(there[: new.nbytes], new.dtype).reshape(new.shape).copy()
    wanted, returned = library.expected(kernel, start)
    has_bodies = kernel.name in library.with_bodies()

    def agree(builds: list[library.Build]) -> None:
        for way in library.with_scratch(kernel, start):
            over = (each.read, each.written, lead)
            placed = Placed(kernel, way, library.ffi(), over=over, wanted=wanted)
            for build in builds:
                what = f"{build}, {way.get(ROOM, 0)} B of scratch: {each.written} over {each.read} of {kernel.name}"
                assert placed.call(library.library(build).lib) == returned, f"{what} returns another value"
                assert not library.wrong(placed, way, wanted, gone=each.read), what

    agree([*BUILDS, *OF_BODIES] if has_bodies else BUILDS)
    return [partial(agree, [*TRAPS, *TRAPS_IN_BODIES] if has_bodies else TRAPS)]


def assert_nothing_is_undefined(name: str, calls: list[Callable[[], None]]) -> None:
    """Arithmetic, shifts, addresses, alignment: such a build traps. It is called in another process."""
    for build in [*TRAPS, *TRAPS_IN_BODIES]:
        library.library(build)  # built here, once
    ended, at = ends_of(calls)
    assert ended == 0, f"{name} has undefined behaviour: {ended} ended call {at} of {len(calls)}"


SHARING = [(name, each) for name, kernel in sorted(KERNELS.items()) for each in kernel.may_share]


@pytest.mark.parametrize(("name", "each"), SHARING, ids=[f"{n}-{e.written}-{e.read}" for n, e in SHARING])
def test_arrays_that_may_share_do(name: str, each: Shared) -> None:
    seen: list[list[Callable[[], None]]] = []

    @given(OVER.get(name, CASES[name]))
    @settings(max_examples=settings().max_examples * 2 // 5)
    def run(arguments: dict[str, Any]) -> None:
        seen.append(check_over(KERNELS[name], arguments, each))

    run()
    assert sum(map(bool, seen)) > len(seen) // 4, "few of the cases may share"
    assert_nothing_is_undefined(name, [call for calls in seen for call in calls])


@pytest.mark.parametrize(("name", "each"), SHARING, ids=[f"{n}-{e.written}-{e.read}" for n, e in SHARING])
def test_headers_say_what_may_share(name: str, each: Shared) -> None:
    text = "\n".join(headers().values())
    said = text[text.rindex("/**", 0, text.index(f" {name}(")) : text.index(f" {name}(")]
    where = rf"be (\w+ or )?{each.read}\b|begin where {each.read} does|begin before {each.read}\b"
    words = rf"{each.written}\b[^@]* may ({where})"
    assert re.search(words, re.sub(r"\s*\n \*\s*", " ", said)), said


def test_every_kernel_has_a_case() -> None:
    assert set(CASES) == set(KERNELS)


def test_every_prototype_is_read() -> None:
    assert not library.undeclared()


def examples(name: str) -> int:
    """Tenths of the usual number."""
    if LONG:
        return 10
    return 2 if name.endswith("_f32") else 4 if name in library.with_bodies() else 3


@pytest.mark.parametrize("name", sorted(CASES))
def test_c_equals_reference(name: str) -> None:
    traps: list[Callable[[], None]] = []

    @given(CASES[name])
    # Float kernels have no saturation and few branches, one body few ways: fewer examples find what there is.
    @settings(max_examples=settings().max_examples * examples(name) // 10)
    def run(arguments: dict[str, Any]) -> None:
        traps.extend(check(KERNELS[name], arguments))

    run()
    assert_nothing_is_undefined(name, traps)


OF_A_SHAPE = 24
"""Extremes of a shape that are tried with every size of scratch: what follows are values, at the ends of all ranges."""


@pytest.mark.parametrize("name", sorted(EXTREMES))
def test_c_equals_reference_at_extremes(name: str) -> None:
    traps: list[Callable[[], None]] = []
    tried: Counter[Any] = Counter()
    for arguments in EXTREMES[name]():
        shape = library.shape(arguments.get("g"))
        tried[shape] += 1
        traps += check(KERNELS[name], arguments, LONG or tried[shape] <= OF_A_SHAPE)
    assert_nothing_is_undefined(name, traps)


@pytest.mark.skipif(not TRAPS, reason="zig builds the library that traps")
def test_what_is_undefined_is_seen() -> None:
    """A null pointer where bytes are read, behind calls that are as they should be."""
    arguments = one_weight("sr8", x=1, e=1, mult=1)
    kernel, wrong = KERNELS["mcg_linear_update"], {**arguments, "e": None}
    placed = Placed(kernel, wrong, library.ffi())
    calls = [*check(kernel, arguments), lambda: placed.call(library.library(TRAPS[0]).lib)]
    with pytest.raises(
        AssertionError, match=rf"undefined behaviour: -{signal.SIGILL.value} ended call 1 of 2"
    ):
        assert_nothing_is_undefined(kernel.name, calls)
    assert_nothing_is_undefined(kernel.name, calls[:1])


def test_every_body_is_tried() -> None:
    """A kernel with several bodies has cases, and extremes that say where they could differ."""
    assert set(library.with_bodies()) == set(EXTREMES)


def test_every_body_that_takes_scratch_has_a_price() -> None:
    """On every core, with as many factors as its work has parts: the planner chooses by that."""
    for name in library.with_bodies():
        kernel = KERNELS[name]
        if not kernel.is_priced:
            assert kernel.scratch is None, f"{name} takes scratch, and nobody can tell what it saves"
            continue
        for g in dict.fromkeys(library.shape(arguments["g"]) for arguments in EXTREMES[name]()):
            sizes = (0,) if kernel.scratch is None else kernel.scratch.sizes(g)
            for core, room in product(targets.emulated(), sizes):
                assert kernel.instructions(core, g, room) > 0
    assert {kernel.name for kernel in KERNELS.values() if kernel.price} == set(prices())


def test_kernels_say_their_scratch_by_two_parameters() -> None:
    """All that have the parameters have sizes, and the reverse."""
    for kernel in KERNELS.values():
        assert (kernel.scratch is not None) == (len({p.name for p in kernel.params} & {ROOM, "scratch"}) == 2)


def test_builds_take_the_body_they_are_for() -> None:
    has_avx2 = processor.is_native() and processor._numpy_features().get("AVX2", False)
    for build in [*BUILDS, *OF_BODIES, *TRAPS, *TRAPS_IN_BODIES]:
        body = {"MCG_DSP_IN_C": 1, "MCG_ARMV6M_IN_C": 3, "MCG_MVE_IN_C": 4, "MCG_PORTABLE": 0}
        asked = [body[name] for name in build.defines if name in body]
        expected = sum(asked) if asked else 2 if build.native and has_avx2 else 0
        assert library.library(build).lib.probe_body() == expected, build


def test_a_reference_that_writes_an_input_is_seen() -> None:
    """In whatever case it does."""

    def wrong(g: LinearStruct, x: NDArray[np.int8], *_: Any) -> None:
        x[0] ^= 1

    arguments = one_weight("sr8", x=1, e=1, mult=1)
    kernel = replace(KERNELS["mcg_linear_update"], reference=wrong)
    with pytest.raises(AssertionError, match="reference of mcg_linear_update changes x"):
        library.expected(kernel, arguments)


# -- functions that only kernels call --------------------------------------------------------------------------


def test_random_numbers_equal_the_reference() -> None:
    for build in [*BUILDS, *TRAPS]:
        for counter, count in ((0, 4), (0xFFFFFFF0, 1), (12345, 63), (1, 64), (2**31, 65), (7, 4 * 333 + 2)):
            room = np.zeros((count + 3) // 4 * 4, np.uint16)
            pointer = library.ffi().cast("uint16_t *", library.ffi().from_buffer(room))
            library.library(build).lib.mcg_random_u16(counter, count, pointer)
            assert np.array_equal(room[:count], ar.random_u16(counter, count)), build


INSIDE = {"mcg_output_s8", "mcg_error_s8", "mcg_sr8_step"}
"""Functions with several bodies that only kernels call."""


def test_every_body_that_only_kernels_call_is_tried() -> None:
    several = {name for name, files in bodies().items() if "" in files and len(files) > 1}
    assert several - {*library.with_bodies()} == INSIDE


def sums_of(rng: np.random.Generator, count: int) -> NDArray[np.int32]:
    """Accumulators of every size, those nearest to their limits and to 16 bits among them."""
    edges = [0, 1, -1, 32767, -32768, 65535, 65536, -65536, 2**30 - 1, 1 - 2**30]
    some = rng.integers(1 - 2**30, 2**30, count) >> rng.integers(0, 30, count)
    return np.where(rng.random(count) < 0.2, rng.choice(edges, count), some).astype(np.int32)


def scales_of(rng: np.random.Generator, count: int) -> NDArray[Any]:
    """Factors of every size, with a shift before it and without."""
    return ar.scale_from_float(np.exp2(rng.uniform(-36, 20, count)))


def inside(name: str, arguments: tuple[Any, ...], written: tuple[int, ...]) -> None:
    """All builds return and write the same."""
    given: list[list[Any]] = []
    for build in [*BUILDS, *TRAPS, *TRAPS_IN_BODIES[:1]]:
        lib, ffi = library.library(build).lib, library.ffi()
        own = [value.copy() if isinstance(value, np.ndarray) else value for value in arguments]
        kinds = [ffi.cast("void *", ffi.from_buffer(v)) if isinstance(v, np.ndarray) else v for v in own]
        returned = getattr(lib, name)(*kinds)
        given.append([returned, *(own[at].tobytes() for at in written)])
        assert given[-1] == given[0], f"{build}: {name}"


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 31, 32, 33, 64])
def test_bodies_of_outputs_and_errors_agree(count: int) -> None:
    rng = np.random.default_rng(count)
    for clip in ((-(2**30), 2**30), (0, 2**30), (-128, 127), (0, 6), (-3, 300)):
        bounds, acc = np.asarray(clip, np.int32), sums_of(rng, count)
        factor = np.exp2(rng.uniform(-36, 28, count)).astype(np.float32)
        factor[rng.random(count) < 0.1] = 0
        zero = int(rng.integers(-128, 128))
        inside("mcg_output_s8", (acc, factor, bounds, zero, count, np.zeros(count, np.int8)), (5,))
        x = rng.integers(-128, 128, count).astype(np.int8)
        e = np.zeros(count, np.int8)
        inside("mcg_error_s8", (acc, x, zero, scales_of(rng, count), bounds, count, e), (6,))


@pytest.mark.parametrize("count", [1, 3, 31, 32, 33, 64, 100])
def test_bodies_of_the_step_of_sr8_agree(count: int) -> None:
    rng = np.random.default_rng(count)
    for start in (-127, -128):
        for scale in scales_of(rng, 40):
            w = rng.integers(start, 128, count).astype(np.int8)
            w[rng.random(count) < 0.2] = 127
            place = {"mult": int(scale["mult"]), "shift": int(scale["shift"]), "pre": int(scale["pre"])}
            first, counter = 4 * int(rng.integers(0, 9)), int(rng.integers(0, 2**32))
            inside(
                "mcg_sr8_step",
                (w, np.zeros(count, np.uint8), sums_of(rng, count), count, first, place, counter),
                (0,),
            )


def one_weight(rule: str, x: int, e: int, mult: int, seed: int = 0) -> dict[str, Any]:
    """A layer of one weight, zero, with the gradient e * (x + 128) and the factor mult * 2^-17."""
    factor = np.zeros(1, SCALE)
    factor["mult"], factor["shift"] = mult, 17
    return {
        "g": LinearStruct(1, 1, 1, -128, 0),
        "x": np.asarray([x - 128], np.int8),
        "e": np.asarray([e], np.int8),
        "active": None,
        "factor": factor,
        "rule": IN_PLACE[rule],
        "seed": np.asarray([seed], np.uint32),
        "step": np.zeros(1, np.uint32),
        "tensor": 0,
        "w": np.zeros(1, np.int8),
        "residual": np.asarray([128], np.uint8) if IN_PLACE[rule].residual_bits else None,
        "w_scale": np.ones(1, np.float32),
    }


def test_the_minus_is_inside_the_product_of_sr16() -> None:
    """-(a * f) and (-a) * f round differently at ties, which whole layers hardly ever meet.

    2562 / 4 = 640.5. Minus inside gives -640, two residual steps and a half, rounded up to -2; outside -641 and -3.
    """
    kernel, arguments = KERNELS["mcg_linear_update"], one_weight("sr16", x=61, e=42, mult=1 << 15)
    check(kernel, arguments)
    kernel.reference(*(arguments[p.name] for p in kernel.seen))
    assert (int(arguments["w"][0]), int(arguments["residual"][0])) == (0, 128 - 2)


def test_the_minus_is_inside_the_product_of_sr8() -> None:
    """128 * 64 / 2^17 * (16 r + 8) = r + 0.5, r the random number: inside D = -r, which just does not reach -1."""
    kernel, tried = KERNELS["mcg_linear_update"], 0
    for seed in range(300):
        random = int(ar.random_u16(ar.stream(seed, 0, 0), 1)[0])
        if 2048 <= random < 4096:
            arguments = one_weight("sr8", x=128, e=64, mult=16 * random + 8, seed=seed)
            check(kernel, arguments)
            kernel.reference(*(arguments[p.name] for p in kernel.seen))
            assert arguments["w"][0] == 0
            tried += 1
    assert tried
