"""Every C kernel equals its NumPy reference to the last bit, whoever compiles it and however."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels import library
from kernels.cases import cases
from kernels.convolution_extremes import LARGE, MANY_CHANNELS
from kernels.placed import Placed
from mcugrad import arithmetic as ar
from mcugrad import targets, toolchain
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
ALL = [*BUILDS, *OF_BODIES]
OF_THIS_COMPUTER = [build for build in ALL if not any(name.endswith("_IN_C") for name in build.defines)]

KERNELS = {kernel.name: kernel for kernel in library.every_kernel()}
ROOMS = (*(family.name for family in FAMILIES if family.kernels), CORE)
CASES = {name: case for room in ROOMS for name, case in cases(room).items()}
EXTREMES = {name: case for room in ROOMS for name, case in cases(room, "EXTREMES").items()}
OVER = {name: case for room in ROOMS for name, case in cases(room, "OVER").items()}


def check(kernel: Kernel, arguments: dict[str, Any], much: int = 2) -> None:
    """Reference and every build agree on all that is written and returned, leave the rest alone, do nothing undefined.

    Bodies ask whether words are aligned: a way to call one of them is a size of scratch, and a shift of arrays.

    Args:
        kernel: the kernel.
        arguments: by name.
        much: with 2 every build has each size of scratch, half of them with arrays at words, the others with arrays
            beside them; with 1 half of the builds has each size, every body among them, with arrays at words or not;
            with 0 half of them has one size. Which it is looks as if it was drawn.
    """
    wanted, returned = library.expected(kernel, arguments)
    has_bodies = kernel.name in library.with_bodies()

    def agree(way: dict[str, Any], shift: int, builds: list[library.Build]) -> None:
        placed = Placed(kernel, way, library.ffi(), shift, wanted=wanted)
        for build in builds:
            same = placed.call(library.library(build).lib) == returned
            what = f"{build}, {shift} B off, {way.get(ROOM, 0)} B of scratch: {kernel.name}"
            if at := library.library(build).undefined():
                pytest.fail(f"{what} has undefined behaviour at {at}")
            if not same or library.wrong(placed, way, wanted):
                pytest.fail(what)

    ways, drawn = library.with_scratch(kernel, arguments), number_of(arguments)
    large = library.shape(arguments.get("g")) in (*LARGE, MANY_CHANNELS)
    every = (
        OF_THIS_COMPUTER if large and not LONG else ALL
    )  # others treat them as they do small ones, for long
    if not has_bodies:
        for way in ways:
            agree(way, 0, BUILDS)
    elif LONG:
        for way, shift in product(ways, range(4)):
            agree(way, shift, every)
    elif much == 2:
        for i, way in enumerate(ways, drawn):
            agree(way, 0, every[i % 2 :: 2])
            agree(way, 1 + i % 3, every[(i + 1) % 2 :: 2])
    else:
        for i, way in enumerate(ways if much else [ways[(drawn >> 4) % len(ways)]], drawn):
            agree(way, (i >> 1) % 2 * (1 + (i >> 2) % 3), every[i % 2 :: 2])


def number_of(arguments: dict[str, Any]) -> int:
    """A number that looks as if it was drawn, the same for the same arrays."""
    return (
        sum(zlib.crc32(value.tobytes()) for value in arguments.values() if isinstance(value, np.ndarray)) >> 3
    )


def check_over(kernel: Kernel, arguments: dict[str, Any], each: Shared) -> bool:
    """Every build writes over an array what the reference writes beside it. Returns whether it may do that."""
    old, new = arguments[each.read], arguments[each.written]
    lead = each.ahead(arguments.get("g"))
    if lead is None or (not lead and new.nbytes > old.nbytes):
        return False
    start = library.copied(arguments)
    there = new.tobytes()[:lead] + old.tobytes() + new.tobytes()[lead + old.nbytes :]
    start[each.written] = np.frombuffer(there[: new.nbytes], new.dtype).reshape(new.shape).copy()
    wanted, returned = library.expected(kernel, start)
    for way in library.with_scratch(kernel, start):
        placed = Placed(kernel, way, library.ffi(), over=(each.read, each.written, lead), wanted=wanted)
        for build in ALL if kernel.name in library.with_bodies() else BUILDS:
            what = (
                f"{build}, {way.get(ROOM, 0)} B of scratch: {each.written} over {each.read} of {kernel.name}"
            )
            assert placed.call(library.library(build).lib) == returned, f"{what} returns another value"
            assert not library.wrong(placed, way, wanted, gone=each.read), what
            assert not (at := library.library(build).undefined()), f"{what} has undefined behaviour at {at}"
    return True


TOGETHER = 3
"""Cases of an example. Ten examples are all that hypothesis draws: it goes on with five that repeat parts of the tenth,
and so with each that follows."""


def several(case: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """What an example is made of."""
    return st.lists(case, min_size=TOGETHER, max_size=TOGETHER)


SHARING = [(name, each) for name, kernel in sorted(KERNELS.items()) for each in kernel.may_share]


@pytest.mark.parametrize(("name", "each"), SHARING, ids=[f"{n}-{e.written}-{e.read}" for n, e in SHARING])
def test_arrays_that_may_share_do(name: str, each: Shared) -> None:
    seen: list[bool] = []

    @given(several(OVER.get(name, CASES[name])))
    @settings(max_examples=settings().max_examples // (5 if LONG else 10))
    def run(drawn: list[dict[str, Any]]) -> None:
        seen.extend(check_over(KERNELS[name], arguments, each) for arguments in drawn)

    run()
    assert sum(seen) > len(seen) // 4, "few of the cases may share"


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
    """Hundredths of the usual number: fewer of floats, which do not saturate, and of bodies, which have extremes."""
    if LONG:
        return 100 // TOGETHER
    return 7 if name.endswith("_f32") or name in library.with_bodies() else 10


@pytest.mark.parametrize("name", sorted(CASES))
def test_c_equals_reference(name: str) -> None:
    @given(several(CASES[name]))
    @settings(max_examples=settings().max_examples * examples(name) // 100)
    def run(drawn: list[dict[str, Any]]) -> None:
        for arguments in drawn:
            check(KERNELS[name], arguments, 1)

    run()


OF_A_SHAPE = 4
"""Extremes of a shape that are tried with every size of scratch, the first by every build: what follows are values, at
the ends of all ranges, each with one size."""


@pytest.mark.parametrize("name", sorted(EXTREMES))
def test_c_equals_reference_at_extremes(name: str) -> None:
    """And a body that takes scratch has a price on every core, with as many factors as its work has parts."""
    kernel, tried = KERNELS[name], Counter[Any]()
    for arguments in EXTREMES[name]():
        shape = library.shape(arguments.get("g"))
        if not tried[shape] and kernel.is_priced:
            sizes = (0,) if kernel.scratch is None else kernel.scratch.sizes(shape)
            for core, room in product(targets.emulated(), sizes):
                assert kernel.instructions(core, shape, room) > 0
        tried[shape] += 1
        check(kernel, arguments, 2 if tried[shape] == 1 else int(tried[shape] <= OF_A_SHAPE))


def test_what_is_undefined_is_seen() -> None:
    """By every build that watches: a factor without a shift. The next call is as it should be."""
    right = ar.scale_from_float(np.asarray([0.25], np.float32))
    wrong, acc, result = right.copy(), np.ones(1, np.int32), np.zeros(1, np.int32)
    wrong["shift"] = 0
    watching = [build for build in BUILDS if build.watched]
    for build in watching:
        with pytest.raises(AssertionError, match=r"probe_rescale.* mcg_math.h:\d+"):
            library.library(build).probe("rescale", 1, acc, wrong, result)
        library.library(build).probe("rescale", 1, acc, right, result)
    assert watching or "zig" not in toolchain.host_compilers()


def test_every_body_is_tried() -> None:
    """A kernel with several bodies has cases, and extremes that say where they could differ."""
    assert {*library.with_bodies()} <= {*EXTREMES} & {*CASES}


def test_every_body_that_takes_scratch_has_a_price() -> None:
    """The planner chooses by that."""
    for name in library.with_bodies():
        assert KERNELS[name].is_priced or KERNELS[name].scratch is None, f"nobody can tell what {name} saves"
    assert {kernel.name for kernel in KERNELS.values() if kernel.price} == set(prices())


def test_kernels_say_their_scratch_by_two_parameters() -> None:
    """All that have the parameters have sizes, and the reverse."""
    for kernel in KERNELS.values():
        assert (kernel.scratch is not None) == (len({p.name for p in kernel.params} & {ROOM, "scratch"}) == 2)


def test_builds_take_the_body_they_are_for() -> None:
    has_avx2 = processor.is_native() and processor._numpy_features().get("AVX2", False)
    of: list[int] = []
    for build in ALL:
        body = {"MCG_DSP_IN_C": 1, "MCG_ARMV6M_IN_C": 3, "MCG_MVE_IN_C": 4, "MCG_PORTABLE": 0}
        asked = [body[name] for name in build.defines if name in body]
        expected = sum(asked) if asked else 2 if build.native and has_avx2 else 0
        of.append(library.library(build).lib.probe_body())
        assert of[-1] == expected, build
    if library.available(library.BUILDS) == [*library.BUILDS]:
        assert {*of[::2]} == {*of[1::2]}, "a half of the builds lacks a body"


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
    for build in BUILDS:
        for counter, count in ((0, 4), (0xFFFFFFF0, 1), (12345, 63), (1, 64), (2**31, 65), (7, 4 * 333 + 2)):
            room = np.zeros((count + 3) // 4 * 4, np.uint16)
            pointer = library.ffi().cast("uint16_t *", library.ffi().from_buffer(room))
            library.library(build).lib.mcg_random_u16(counter, count, pointer)
            assert np.array_equal(room[:count], ar.random_u16(counter, count)), build
            assert not library.library(build).undefined(), build


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
    for build in [*BUILDS, *OF_BODIES]:
        lib, ffi = library.library(build).lib, library.ffi()
        own = [value.copy() if isinstance(value, np.ndarray) else value for value in arguments]
        kinds = [ffi.cast("void *", ffi.from_buffer(v)) if isinstance(v, np.ndarray) else v for v in own]
        returned = getattr(lib, name)(*kinds)
        given.append([returned, *(own[at].tobytes() for at in written)])
        assert given[-1] == given[0], f"{build}: {name}"
        assert not (at := library.library(build).undefined()), f"{build}: {name} at {at}"


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
