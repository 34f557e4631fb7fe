"""The instructions that bodies of kernels are made of: on cores that have them, and as C, they equal a model of them.

Saturation sets the flag Q, and nothing else that is used here does. Bytes and halves are tried in all their values,
words at their ends and at random: of bytes, halves and random words each core has a share, all of them one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels import library
from mcugrad import targets, toolchain
from mcugrad.emit.amalgamate import RUNTIME
from mcugrad.emulator.kernels import KernelsOnCore
from thoroughness import LONG

Words = NDArray[np.int64]
PROBE = Path(__file__).with_name("probe_simd.c")
CORES = ("cortex-m4f", "cortex-m7", "cortex-m33")


def signed(value: Words, bits: int) -> Words:
    return (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


def lane(word: Words, which: int, bits: int = 16) -> Words:
    """A half or byte with its sign."""
    return signed(word >> (bits * which), bits)


def halves(low: Words, high: Words) -> Words:
    return low % 65536 + high % 65536 * 65536


def clamped(a: Words, low: int, high: int) -> tuple[Words, Words]:
    """Both halves within bounds, and whether one of them was outside."""
    lanes = [lane(a, 0), lane(a, 1)]
    inside = [np.clip(value, low, high) for value in lanes]
    return halves(*inside), (inside[0] != lanes[0]) | (inside[1] != lanes[1])


def summed(a: Words, b: Words) -> Words:
    """Four bytes, saturated."""
    sums = (np.clip(lane(a, i, 8) + lane(b, i, 8), -128, 127) % 256 << (8 * i) for i in range(4))
    return sum(sums, np.zeros_like(a))


def selected(bits: int) -> Callable[..., Words]:
    def model(a: Words, b: Words, c: Words, d: Words) -> Words:
        result = np.zeros_like(a)
        for i in range(32 // bits):
            taken = np.where(lane(a, i, bits) >= lane(b, i, bits), c, d)
            result += ((taken >> (bits * i)) % (1 << bits)) << (bits * i)
        return result

    return model


MODELS: dict[str, Callable[..., Any]] = {
    "sxtb16": lambda a: halves(lane(a, 0, 8), lane(a, 2, 8)),
    "sxtb16_odd": lambda a: halves(lane(a, 1, 8), lane(a, 3, 8)),
    "uxtb16": lambda a: halves(a % 256, (a >> 16) % 256),
    "uxtb16_odd": lambda a: halves((a >> 8) % 256, (a >> 24) % 256),
    "sxtab16": lambda a, b: halves(lane(a, 0) + lane(b, 0, 8), lane(a, 1) + lane(b, 2, 8)),
    "sxtab16_odd": lambda a, b: halves(lane(a, 0) + lane(b, 1, 8), lane(a, 1) + lane(b, 3, 8)),
    "uxtab16": lambda a, b: halves(a % 65536 + b % 256, (a >> 16) + (b >> 16) % 256),
    "uxtab16_odd": lambda a, b: halves(a % 65536 + (b >> 8) % 256, (a >> 16) + (b >> 24) % 256),
    "pkhbt": lambda a, b: halves(lane(a, 0), lane(b, 0)),
    "pkhtb": lambda a, b: halves(lane(a, 1), lane(b, 1)),
    "smulbb": lambda a, b: lane(a, 0) * lane(b, 0),
    "smultb": lambda a, b: lane(a, 1) * lane(b, 0),
    "smlad": lambda a, b, c: lane(a, 0) * lane(b, 0) + lane(a, 1) * lane(b, 1) + signed(c, 32),
    "smmulr": lambda a, b: (signed(a, 32) * signed(b, 32) + (1 << 31)) >> 32,
    "smmlsr": lambda a, b, c: signed(c, 32) + (((1 << 31) - signed(a, 32) * signed(b, 32)) >> 32),
    "abs8": lambda a: sum((np.abs(lane(a, i, 8)) << (8 * i) for i in range(4)), np.zeros_like(a)),
    "qadd8": summed,
    "ssat": lambda a: (np.clip(signed(a, 32), -128, 127), abs(2 * signed(a, 32) + 1) > 255),
    "ssat16": lambda a: clamped(a, -128, 127),
    "usat16": lambda a: clamped(a, 0, 255),
    "select16": selected(16),
    "select8": selected(8),
    "has_lowest": lambda a: np.any([lane(a, i, 8) == -128 for i in range(4)], axis=0).astype(np.int64),
}
"""What each is to give: the word, or the word and Q."""
MUST_FIT: dict[str, tuple[Callable[..., Words], ...]] = {
    "smlad": (lambda a, b, c: MODELS["smlad"](a, b, np.zeros_like(c)), MODELS["smlad"]),
    "smmlsr": (MODELS["smmlsr"],),
}
"""Sums: nobody may rely on what happens where they do not fit into 32 bits."""


def words(begin: int = 0, step: int = 1) -> list[Words]:
    """Four columns: every byte beside every byte, every half, all ends beside each other, and random words.

    With a step, bytes, halves and random words are each so many-th from `begin` on, the ends all.
    """
    random = np.random.default_rng(0)
    byte = np.arange(65536)
    ends = [
        0,
        1,
        0x7F,
        0x80,
        0xFF,
        0x7FFF,
        0x8000,
        0xFFFF,
        0x7FFFFFFF,
        0x80000000,
        0x80008000,
        0xFFFFFFFF,
        0x7F807F80,
    ]
    corners = np.asarray(list(product(ends, repeat=4)), np.int64).T
    columns = []
    for i in range(4):
        swept = ((byte >> (8 * (i % 2))) % 256) * 0x01010101
        half = halves(byte, np.roll(byte, 12345 * (i + 1)))
        spread = np.concatenate([swept, half, random.integers(0, 1 << 32, 20_000)])[begin::step]
        columns.append(np.concatenate([spread, corners[i]]))
    return columns


def check(call: Callable[..., tuple[Words, Words]], where: str, columns: list[Words]) -> None:
    """Every instruction against its model; `call(name, columns)` gives words and flags."""
    for name, model in MODELS.items():
        inputs = columns[: model.__code__.co_argcount]
        expected = model(*inputs)
        result, flags = expected if isinstance(expected, tuple) else (expected, np.zeros(1, bool))
        sums = [total(*inputs) for total in MUST_FIT.get(name, ())]
        fits = np.all([np.ones(result.shape, bool), *(total == signed(total, 32) for total in sums)], axis=0)
        got, q = call(name, [column[fits] for column in columns])
        assert np.array_equal(got, result[fits] % (1 << 32)), f"{name} {where}"
        assert np.array_equal(q != 0, np.broadcast_to(flags, result.shape)[fits]), f"Q of {name} {where}"


def test_every_instruction_is_tried() -> None:
    text = (RUNTIME / "include/mcugrad/mcg_simd.h").read_text(encoding="utf-8")
    named = {name.removeprefix("mcg_") for name in library.defined(text)}
    assert named - set(MODELS) == {
        "half",
        "byte",
        "halves",
        "load32",
        "store32",
        "q",
        "q_clamp",
        "q_clear",
        "q_is_set",
    }


@pytest.mark.parametrize("opt", ["-O0", "-O3"])
@pytest.mark.parametrize("compiler", toolchain.host_compilers())
def test_c_equals_the_model(compiler: str, opt: str) -> None:
    path = toolchain.build_shared(
        [PROBE], [RUNTIME / "include"], compiler=compiler, opt=opt, defines={"MCG_DSP_IN_C": None}
    )
    built = ctypes.CDLL(str(path))

    def call(name: str, columns: list[Words]) -> tuple[Words, Words]:
        arrays = [column.astype(np.uint32) for column in columns]
        result, q = np.empty_like(arrays[0]), np.empty_like(arrays[0])
        getattr(built, f"probe_{name}")(
            len(result), *(ctypes.c_void_p(array.ctypes.data) for array in (*arrays, result, q))
        )
        return result.astype(np.int64), q.astype(np.int64)

    check(call, f"in C, {compiler} {opt}", words())
    room = np.arange(12, dtype=np.uint8)
    built.probe_load32(ctypes.c_void_p(room.ctypes.data + 1), ctypes.c_void_p(room.ctypes.data + 7))
    assert room.tolist() == [0, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 11]


@pytest.mark.mcu
@pytest.mark.parametrize("core", CORES)
def test_cores_equal_the_model(core: str) -> None:
    pytest.importorskip("unicorn", reason="the emulator is not installed")
    names = [*(f"probe_{name}" for name in MODELS), "probe_body"]
    target = targets.load(core)
    emulator, start = (
        KernelsOnCore([], target, more=([PROBE], names)).emulator,
        target.ram.address + (1 << 20),
    )
    assert emulator.call("probe_body") == 1

    def call(name: str, columns: list[Words]) -> tuple[Words, Words]:
        size = 4 * len(columns[0])
        places = [start + size * i for i in range(6)]
        for place, column in zip(places, columns, strict=False):
            emulator.write(place, column.astype(np.uint32).tobytes())
        emulator.call(f"probe_{name}", len(columns[0]), *places)
        result, q = (
            np.frombuffer(emulator.read(place, size), np.uint32).astype(np.int64) for place in places[4:]
        )
        return result, q

    check(call, f"on {core}", words() if LONG else words(CORES.index(core), len(CORES)))


@pytest.mark.mcu
def test_cores_without_them_have_no_such_body() -> None:
    pytest.importorskip("unicorn", reason="the emulator is not installed")
    probe = ([PROBE], ["probe_body"])
    for core, body in (("cortex-m0plus", 3), ("cortex-m3", 0)):
        on = KernelsOnCore([], targets.load(core), more=probe, opt="-O0")
        assert on.emulator.call("probe_body") == body
    for core in ("cortex-m0plus", "cortex-m4f"):
        portable = KernelsOnCore(
            [], targets.load(core), more=probe, opt="-O0", defines={"MCG_PORTABLE": None}
        )
        assert portable.emulator.call("probe_body") == 0
