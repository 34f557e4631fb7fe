"""Rescaling, conversions and random numbers: exact by definition, and the C functions equal the reference."""

from __future__ import annotations

import re
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import library
from mcugrad import arithmetic as ar
from mcugrad.abi.records import SCALE

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


def nearest(number: float) -> int:
    """To even at ties, saturated."""
    return round(min(max(float(number), -(2.0**22)), 2.0**22 - 1))


def rescaled_in_c(acc: np.ndarray, factor: np.ndarray) -> list[np.ndarray]:
    """Accumulators times factors by every build: as this computer does it, and as cores without floats do."""
    found = []
    for build in BUILDS:
        for name in ("rescale_output", "rescale_by_long", "rescale_by_short"):
            result = np.zeros(acc.size, np.int32)
            library.library(build).probe(name, acc.size, acc.astype(np.int32), factor, result)
            found.append(result)
    return found


OUTPUT_FACTORS = st.one_of(
    st.floats(2.0**-40, 2.0**28, width=32),
    st.builds(lambda m, e: float(np.float32(m * 2.0**e)), st.integers(1, 255), st.integers(-30, 4)),
    st.sampled_from([0.0, 2.0**-149, 2.0**-126, 2.0**28]),
)
ENDS = st.sampled_from(
    [2**30 - 1, 1 - 2**30, 2**22, 2**22 - 1, -(2**22), 4095, 4096, -4096, 0xFFFF, -0x10000, 0]
)


@given(ACCUMULATORS | ENDS | st.integers(-5000, 5000), OUTPUT_FACTORS)
def test_rescaling_an_output_is_a_product_of_floats_to_the_nearest_integer(acc: int, factor: float) -> None:
    product = Fraction(float(np.float32(acc))) * Fraction(factor)
    expected = nearest(np.float32(float(product)))  # a double holds the product of two floats
    assert int(ar.rescale_output(acc, np.float32(factor))) == expected
    for result in rescaled_in_c(np.asarray([acc]), np.asarray([factor], np.float32)):
        assert int(result[0]) == expected


def test_rescaling_outputs_in_bulk() -> None:
    """Outputs of all sizes, a third of them within a few last bits of a tie."""
    rng = np.random.default_rng(4)
    count = 600_000
    factor = (2.0 ** rng.uniform(-26, 8, count)).astype(np.float32)
    sizes = 2.0 ** rng.uniform(-1, 11, count) * rng.choice([-1, 1], count)
    ties = np.floor(sizes) + 0.5
    acc = np.rint(np.where(np.arange(count) % 3 == 0, ties, sizes) / factor)
    acc = np.clip(acc, 1 - 2**30, 2**30 - 1).astype(np.int64)
    # The float for which acc is as near to a tie as can be.
    near = np.divide(ties, acc, out=np.ones(count), where=acc != 0).astype(np.float32)
    factor = np.where((np.arange(count) % 3 == 0) & (near > 0), near, factor)
    expected = np.rint((acc.astype(np.float32) * factor).astype(np.float64))
    expected = np.clip(expected, -(2**22), 2**22 - 1).astype(np.int64)
    assert np.array_equal(ar.rescale_output(acc, factor), expected)
    for result in rescaled_in_c(acc, factor):
        assert np.array_equal(result, expected)
    half_up = np.floor(acc * factor.astype(np.float64) + 0.5)
    assert (half_up != expected).sum() > 1000  # or none of this would show


def test_accumulators_beyond_the_bound_are_refused() -> None:
    scale = ar.scale_from_float(np.asarray(0.25, np.float32))
    ar.rescale(2**30 - 1, scale)
    with pytest.raises(OverflowError, match="reaches 2\\^30"):
        ar.rescale(2**30, scale)
    ar.rescale_output(1 - 2**30, np.float32(0.25))
    with pytest.raises(OverflowError, match="reaches 2\\^30"):
        ar.rescale_output(-(2**30), np.float32(0.25))


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
    if factor != 1e-40:  # those of outputs may be as small as floats are
        assert ar.output_factor(factor).tobytes() == bytes(4), "not the negative zero"


@pytest.mark.parametrize("factor", [2.0**28, 2.0**29, 3e38, np.inf])
def test_factor_saturates(factor: float) -> None:
    assert value(ar.scale_from_float(np.asarray([factor], np.float32))[0]) == 65535 * 2**12
    assert float(ar.output_factor(factor)) == 2.0**28


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
    factor = np.zeros(floats.size, np.float32)
    for build in BUILDS:
        library.library(build).probe("scale_from_float", floats.size, floats, scale)
        assert np.array_equal(scale, ar.scale_from_float(floats)), build
        library.library(build).probe("factor", floats.size, floats, factor)
        assert np.array_equal(factor, ar.output_factor(floats)), build
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


def test_roots_and_decay_in_c() -> None:
    """To the last bit, at the least value that has a root, too."""
    rng = np.random.default_rng(6)
    values = np.exp(rng.uniform(-84, 88, 5000)).astype(np.float32)
    values[:8] = [0, -1, 1e-37, np.nextafter(np.float32(1e-37), np.float32(1)), 1e-38, 3e38, np.inf, np.nan]
    fill = rng.uniform(0, 1.01, values.size).astype(np.float32)
    root, range_ = np.zeros_like(values), np.zeros_like(values)
    roots = np.asarray([ar.sqrt(v) for v in values])
    rate = float(ar.ERROR_DECAY)
    decayed = np.asarray([ar.decay(v, f, ar.ERROR_DECAY) for v, f in zip(values[8:], fill[8:], strict=True)])
    for build in BUILDS:
        library.library(build).probe("sqrt", values.size, values, root)
        assert np.array_equal(root, roots, equal_nan=True), build
        library.library(build).probe("decay", decayed.size, values[8:].copy(), fill[8:].copy(), rate, range_)
        assert np.array_equal(range_[: decayed.size], decayed), build
    assert list(root[:3]) == [0, 0, 0]
    assert root[3] > 0


def test_a_range_decays_to_what_is_in_use() -> None:
    for fill, expected in ((0.0, 99.21875), (0.5, 99.21875), (0.995, 99.5), (1.0, 100.0)):
        assert ar.decay(100.0, fill, ar.ERROR_DECAY) == np.float32(expected)


HEADERS = "".join(
    (library.INCLUDE / f"mcugrad/{name}.h").read_text(encoding="utf-8") for name in ("mcg_math", "mcg_core")
)
CONSTANTS = sorted(
    name for name in vars(ar) if name.isupper() and name != "SCALE" and not name.startswith("F3")
)


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_are_those_of_the_headers(name: str) -> None:
    (found,) = re.findall(rf"^#define MCG_{name} (.*)$", HEADERS, flags=re.MULTILINE)
    text = re.sub(r"\(int32_t\)|(?<=[0-9A-F])[UF]$", "", found.strip())
    low, _, shift = text.strip("()").partition(" << ")
    value = int(low) << int(shift) if shift else float(text) if "." in text else int(text, 0)
    assert value == getattr(ar, name)


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


def test_every_word_gives_four_numbers() -> None:
    """Its low half, its high half, and those of the word turned by eight bits; the counter wraps."""
    start = 2**32 - 1
    for count in range(10):
        expected = []
        for i in range(3):
            word = int(ar.hash32((start + i * 0x9E3779B9) % 2**32)[0])
            turned = (word >> 8) | (word % 256 << 24)
            expected += [word % 65536, word // 65536, turned % 65536, turned // 65536]
        assert ar.random_u16(start, count).tolist() == expected[:count]
