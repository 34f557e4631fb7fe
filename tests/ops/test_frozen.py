"""Integer factors of outputs: for every sum the output that the float gives, or none."""

from __future__ import annotations

import numpy as np
import pytest

from mcugrad import arithmetic as ar
from mcugrad.ops.core.frozen_s8 import BITS, integer_factors


def outputs(sums: np.ndarray, factor: np.float32, zero: int) -> np.ndarray:
    """By the float."""
    return np.clip(ar.rescale_output(sums, factor) + zero, -128, 127)


def by_integer(sums: np.ndarray, integer: int, zero: int) -> np.ndarray:
    """By the integer, as kernels do it."""
    high = (sums * integer) >> 32
    return np.clip(((zero << BITS) + (1 << BITS - 1) + high) >> BITS, -128, 127)


@pytest.mark.parametrize("zero", [-128, -3, 0, 64, 127])
def test_every_sum_gives_the_same(zero: int) -> None:
    """All sums whose outputs int8 holds, and those around."""
    rng = np.random.default_rng(zero + 128)
    factors = np.exp(rng.uniform(np.log(1e-3), np.log(2.0**-5), 60)).astype(np.float32)
    integers = integer_factors(factors, zero)
    assert np.count_nonzero(integers) > 35
    for factor, integer in zip(factors, integers, strict=True):
        reach = int(300 / factor)
        sums = np.concatenate([np.arange(-reach, reach + 1), [-(2**30) + 1, 2**30 - 1]])
        if integer:
            assert np.array_equal(by_integer(sums, int(integer), zero), outputs(sums, factor, zero)), factor


def test_where_no_integer_does_none_is_given() -> None:
    """Powers of two: sums on ties go to even, up and down."""
    factors = np.asarray([2.0**-8, 2.0**-6, 3 * 2.0**-9], np.float32)
    assert not integer_factors(factors, 0).any()
    near = np.rint(factors.astype(np.float64) * 2.0 ** (32 + BITS)).astype(np.int64)
    for factor, about in zip(factors, near, strict=True):
        sums = np.arange(-int(200 / factor), int(200 / factor))
        wanted = outputs(sums, factor, 0)
        assert all((by_integer(sums, int(about) + off, 0) != wanted).any() for off in (-2, -1, 0, 1, 2))


def test_factors_out_of_reach_have_none() -> None:
    """Too large for 32 bits, too small to be exact, 0, odd."""
    odd = [0.04, 0.5, 3.0, 2.0**-21, 0.0, 1e-40, np.inf, np.nan]
    assert not integer_factors(np.asarray(odd, np.float32), 0).any()


def test_channels_are_independent() -> None:
    factors = np.asarray([0.0123, 2.0**-8, 0.0045], np.float32)
    alone = [int(integer_factors(factors[i : i + 1], 5)[0]) for i in range(3)]
    assert integer_factors(factors, 5).tolist() == alone
