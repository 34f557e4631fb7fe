"""Rescaling, conversions and random numbers: exact by definition, and the C functions equal the reference."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import library
from mcugrad import arithmetic as ar
from mcugrad.program import SCALE

BUILDS = library.available()
FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)
POSITIVE = st.floats(2.0**-32, 2.0**28, width=32, exclude_max=True)
ACCUMULATORS = st.integers(1 - 2**30, 2**30 - 1)


def value(scale: np.ndarray) -> Fraction:
    """What a factor stands for."""
    return Fraction(int(scale["mult"])) * Fraction(2) ** (int(scale["pre"]) - int(scale["shift"]))


@st.composite
def factors(draw: st.DrawFn) -> np.ndarray:
    """Any factor that `scale_from_float` can give."""
    out = np.zeros(1, SCALE)
    match draw(st.sampled_from(["normal", "tiny", "large"])):
        case "normal":
            out[0] = (draw(st.integers(1 << 15, 65535)), draw(st.integers(17, 32)), 0)
        case "tiny":
            out[0] = (draw(st.integers(0, (1 << 15) - 1)), 32, 0)
        case _:
            out[0] = (draw(st.integers(1 << 15, 65535)), 17, draw(st.integers(1, 29)))
    return out


@given(ACCUMULATORS, factors())
def test_rescale_is_one_exact_rounding(acc: int, scale: np.ndarray) -> None:
    limit = ((1 << 30) - 1) >> int(scale["pre"][0])
    inside = min(max(acc, -limit), limit)
    expected = floor(inside * value(scale[0]) + Fraction(1, 2))
    assert int(ar.rescale(acc, scale[0])) == expected
    result = np.zeros(1, np.int32)
    for build in BUILDS:
        library.library(build).probe("rescale", 1, np.asarray([acc], np.int32), scale, result)
        assert int(result[0]) == expected, build


def test_rescale_in_bulk() -> None:
    """A million accumulators with every shift, ends of the range included."""
    rng = np.random.default_rng(1)
    acc = rng.integers(1 - 2**30, 2**30, 1_000_000).astype(np.int32)
    acc[:64] = [2**30 - 1, 1 - 2**30] * 32
    scale = np.zeros(acc.size, SCALE)
    scale["mult"] = rng.integers(1 << 15, 1 << 16, acc.size)
    scale["shift"] = rng.integers(17, 33, acc.size)
    expected = (acc.astype(np.int64) * scale["mult"] + (1 << (scale["shift"].astype(np.int64) - 1))) >> scale[
        "shift"
    ]
    result = np.zeros(acc.size, np.int32)
    for build in BUILDS:
        library.library(build).probe("rescale", acc.size, acc, scale, result)
        assert np.array_equal(result, expected), build
    assert np.array_equal(ar.rescale(acc, scale), expected)


def word_value(word: int) -> Fraction:
    """What a factor of an output stands for."""
    if word >= 0:
        return Fraction(word, 2**32)
    return Fraction(word & 0x7FFFFFE0, 2**32) * 2 ** (word & 31)


LARGE = st.builds(
    lambda mantissa, pre: -(2**31) + (mantissa << 7) + pre, st.integers(2**23, 2**24 - 1), st.integers(1, 29)
)
WORDS = st.one_of(
    st.integers(0, 2**31 - 1), LARGE, st.sampled_from([0, 1, 2**31 - 1, 0xFFFF, 0x10000, 0x7FFF0000])
)
ENDS = st.sampled_from([2**30 - 1, 1 - 2**30, 0, -1, 0xFFFF, -0x10000, 0x3FFF0000, -0x3FFF0001])


@given(ACCUMULATORS | ENDS, WORDS)
def test_rescaling_an_output_is_one_exact_rounding(acc: int, word: int) -> None:
    limit = ((1 << 30) - 1) >> (word & 31 if word < 0 else 0)
    expected = floor(min(max(acc, -limit), limit) * word_value(word) + Fraction(1, 2))
    assert int(ar.rescale_word(acc, word)) == expected
    given_acc, given_word = np.asarray([acc], np.int32), np.asarray([word], np.int32)
    result = np.zeros(1, np.int32)
    for build in BUILDS:
        library.library(build).probe("rescale_word", 1, given_acc, given_word, result)
        assert int(result[0]) == expected, build


def test_high_products_by_halves_equal_those_of_64_bits() -> None:
    """What cores without a long multiplication compute, on random operands and on all of those at ends of halves."""
    rng = np.random.default_rng(4)
    edges = np.asarray(
        [0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x3FFF0000, 0x3FFFFFFF, 0x7FFF0000, 0x7FFFFFFF]
    )
    accs = np.concatenate([edges[:8], -edges[:8], -edges[:7] - 1])
    acc = np.concatenate([rng.integers(1 - 2**30, 2**30, 500_000), np.repeat(accs, edges.size)])
    word = np.concatenate([rng.integers(0, 2**31, 500_000), np.tile(edges, accs.size)])
    expected = (acc * word + (1 << 31)) >> 32
    result = np.zeros(acc.size, np.int32)
    for build in BUILDS:
        library.library(build).probe(
            "multiply_high_16", acc.size, acc.astype(np.int32), word.astype(np.int32), result
        )
        assert np.array_equal(result, expected), build
    assert np.array_equal(ar.rescale_word(acc, word), expected)


@given(POSITIVE)
def test_factor_of_an_output_is_exact_but_for_the_last_bit_of_a_word(factor: float) -> None:
    word = int(ar.word_from_float(np.asarray(factor, np.float32)))
    error = abs(word_value(word) - Fraction(factor))
    assert error <= Fraction(1, 2**33)
    assert error == 0 or factor < 2.0**-9
    assert (word < 0) == (factor >= 0.5)


def test_accumulators_beyond_the_bound_are_refused() -> None:
    scale = ar.scale_from_float(np.asarray(0.25, np.float32))
    ar.rescale(2**30 - 1, scale)
    with pytest.raises(OverflowError, match="reaches 2\\^30"):
        ar.rescale(2**30, scale)


@given(POSITIVE)
def test_factor_is_the_nearest(factor: float) -> None:
    scale = ar.scale_from_float(np.asarray([factor], np.float32))[0]
    error = abs(value(scale) - Fraction(factor))
    # Half of the mantissa's last bit, which below 2^-17 is 2^-32 whatever the factor.
    assert error <= max(Fraction(factor) / 2**16, Fraction(1, 2**33))
    assert 17 <= scale["shift"] <= 32
    assert scale["mult"] >= 1 << 15 or scale["shift"] == 32
    assert scale["pre"] == 0 or scale["shift"] == 17


@pytest.mark.parametrize("factor", [0.0, -0.0, -1.0, 1e-40, -np.inf, np.nan, -np.nan])
def test_factor_of_what_is_not_positive_and_normal_is_zero(factor: float) -> None:
    assert value(ar.scale_from_float(np.asarray([factor], np.float32))[0]) == 0
    assert int(ar.word_from_float(np.asarray(factor, np.float32))) == 0


@pytest.mark.parametrize("factor", [2.0**28, 2.0**29, 3e38, np.inf])
def test_factor_saturates(factor: float) -> None:
    assert value(ar.scale_from_float(np.asarray([factor], np.float32))[0]) == 65535 * 2**12
    largest = np.nextafter(np.float32(2.0**28), np.float32(0))
    assert word_value(int(ar.word_from_float(np.asarray(factor, np.float32)))) == Fraction(float(largest))


def test_conversions_in_c() -> None:
    """Bit patterns of all kinds, NaN of both signs included."""
    rng = np.random.default_rng(2)
    bits = np.concatenate(
        [
            rng.integers(0, 2**32, 200_000),
            np.arange(256) << 23,
            (np.arange(256) << 23) - 1 & 0xFFFFFFFF,
            (np.arange(256) << 23) | 0x7FFF80,
            [0x7FC00000, 0xFFC00000, 0x7F800000, 0xFF800000, 0x7F800001, 0x80000000],
        ]
    )
    floats = bits.astype(np.uint32).view(np.float32)
    near = (rng.integers(-260, 260, 20_000) / 2).astype(np.float32)
    around = np.nextafter(near, rng.choice([-np.inf, np.inf], near.size).astype(np.float32))
    floats = np.concatenate([floats, near, around])
    scale, rounded = np.zeros(floats.size, SCALE), np.zeros(floats.size, np.int32)
    word = np.zeros(floats.size, np.int32)
    for build in BUILDS:
        library.library(build).probe("scale_from_float", floats.size, floats, scale)
        assert np.array_equal(scale, ar.scale_from_float(floats)), build
        library.library(build).probe("word_from_float", floats.size, floats, word)
        assert np.array_equal(word, ar.word_from_float(floats)), build
        for limit in (128, 1 << 29, 1 << 30):
            library.library(build).probe("round", floats.size, floats, limit, rounded)
            assert np.array_equal(rounded, ar.round_half_up(floats, limit)), (build, limit)


@given(FLOATS)
def test_round_half_up(number: float) -> None:
    got = int(ar.round_half_up(np.asarray([number], np.float32), 1 << 20)[0])
    if np.isnan(number):
        assert got == -(1 << 20)
    else:
        inside = min(max(number, -(2.0**20)), 2.0**20)
        assert got == np.floor(np.float32(inside) + np.float32(0.5))
        assert abs(got - inside) <= 0.5


# -- random numbers --------------------------------------------------------------------------------------------


def test_hash_and_stream_in_c() -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate([np.arange(1000), rng.integers(0, 2**32, 1000), [2**32 - 1]]).astype(np.uint32)
    got = np.zeros_like(x)
    stream = np.zeros(1, np.uint32)
    for build in BUILDS:
        library.library(build).probe("hash", x.size, x, got)
        assert np.array_equal(got, ar.hash32(x)), build
        for seed, step, tensor in ((0, 0, 0), (1, 2, 3), (2**32 - 1, 2**32 - 1, 400)):
            library.library(build).probe("stream", seed, step, tensor, stream)
            assert int(stream[0]) == ar.stream(seed, step, tensor), build


def draws(steps: int, weights: int) -> np.ndarray:
    """(steps, weights) random numbers in [0, 1): what one tensor's first row sees."""
    return (
        np.stack([ar.random_u16(ar.stream(7, step, 3), weights) for step in range(steps)]) / 65536
        + 0.5 / 65536
    )


def test_random_numbers_are_uniform() -> None:
    u = draws(400, 1024)
    count = u.size
    assert abs(u.mean() - 0.5) < 5 * (1 / 12 / count) ** 0.5
    assert abs(u.var() - 1 / 12) < 5 * (1 / 180 / count) ** 0.5
    bins = np.bincount((u.reshape(-1) * 256).astype(int), minlength=256)
    chi2 = float(((bins - count / 256) ** 2 / (count / 256)).sum())
    assert abs(chi2 - 255) < 5 * (2 * 255) ** 0.5
    lanes = u.reshape(-1, 4).mean(axis=0)
    assert np.abs(lanes - 0.5).max() < 5 * (1 / 12 / (count / 4)) ** 0.5


def test_random_numbers_are_uncorrelated() -> None:
    """Lanes of a word, neighbouring words, steps, rows, tensors: all at the noise level of the sample."""
    u = draws(400, 1024) - 0.5
    noise = 5 / (u.size / 4) ** 0.5

    def correlation(a: np.ndarray, b: np.ndarray) -> float:
        return abs(float(np.corrcoef(a.reshape(-1), b.reshape(-1))[0, 1]))

    words = u.reshape(400, 256, 4)
    for i in range(4):
        for j in range(i):
            # Two lanes share 8 bits, the high byte of one and the low byte of the other: a correlation of 2^-8.
            assert correlation(words[..., i], words[..., j]) < noise + 2**-8
    for lag in (1, 2, 3, 4, 5):
        assert correlation(u[lag:], u[:-lag]) < noise
        assert correlation(words[:, lag:], words[:, :-lag]) < noise
    other = np.stack([ar.random_u16(ar.stream(7, step, 4), 1024) for step in range(400)]) / 65536 - 0.5
    assert correlation(u, other) < noise
    row = np.stack(
        [ar.random_u16(ar.stream(7, step, 3) + 256 * ar.COUNTER_STEP, 1024) for step in range(400)]
    )
    assert correlation(u, row / 65536 - 0.5) < noise


def test_random_numbers_depend_on_place_alone() -> None:
    """Any blocking draws the same number for the same weight."""
    start = ar.stream(1, 2, 3)
    whole = ar.random_u16(start, 200)
    parts = [ar.random_u16(start + first // 4 * ar.COUNTER_STEP, 20) for first in range(0, 200, 20)]
    assert np.array_equal(whole, np.concatenate(parts))
