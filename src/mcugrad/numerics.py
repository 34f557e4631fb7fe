"""Floats that come out the same on every computer: for whatever decides what generated files hold.

A matrix product depends on the order in which a BLAS adds, hence on processor and threads; a sum on how a library
pairs its terms; exp, tanh and powers on the body that a mathematical library picks for a processor. What all computers
share is IEEE 754: + - * / and the square root, comparisons, conversions, and scaling by powers of two. So here:

1. Products of matrices are of whole numbers so small that no sum is ever rounded: there is no order to depend on.
2. Sums have an order, first term first.
3. Functions are written out in those operations, element by element, in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MANTISSA = 53
"""Bits of float64: whole numbers up to 2^53 are exact."""
MOST_TERMS = 1 << 12
"""Of a sum without rounding; longer ones are such sums added in order, so that factors keep 20 bits or more."""
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""ln 2 in two parts: the first has so few bits that its products with exponents are exact."""
TWO_BY_ROOT_PI = 1.1283791670955126


# -- sums and products -------------------------------------------------------------------------------------------------


def ordered_sum(x: NDArray[Any], axis: int) -> NDArray[Any]:
    """Sum along an axis that is not empty, first term first, in the type of `x`."""
    result: NDArray[Any] = np.cumsum(x, axis=axis, dtype=x.dtype).take(-1, axis=axis)
    return result


def in_order(
    function: np.ufunc, x: NDArray[Any], axis: tuple[int, ...], keepdims: bool = False
) -> NDArray[Any]:
    """Sum (`np.add`) or product (`np.multiply`) along axes that are not empty, first term first, in the type of `x`."""
    for i in axis:
        x = function.accumulate(x, axis=i, dtype=x.dtype).take([-1], axis=i)
    return x if keepdims else x.squeeze(axis)


def grid_bits(terms: int) -> tuple[int, int]:
    """Bits of the two factors with which a sum of so many products is exact: 20 to 27 each.

    For more than `MOST_TERMS` it is for parts of that many.
    """
    free = MANTISSA - (min(terms, MOST_TERMS) - 1).bit_length()
    return free - free // 2, free // 2


def on_grid(x: NDArray[Any], bits: int, shared: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Nearest multiples of powers of two, the smallest powers with which multiples are at most 2^bits.

    Args:
        x: any shape; float32, or float64 of that range.
        bits: as `grid_bits` gives them.
        shared: axes along which elements have one power.

    Returns:
        The multiples, whole numbers, and the powers, of length 1 along the shared axes. What is not finite stays so.
    """
    peak = np.maximum(x.max(axis=shared, keepdims=True), -x.min(axis=shared, keepdims=True))
    exponent = np.frexp(np.where(np.isfinite(peak), peak, 0).astype(np.float64))[1]
    return np.rint(x * np.ldexp(1.0, bits - exponent)), np.ldexp(1.0, exponent - bits)


def whole_products(a: Floats, b: Floats) -> Floats:
    """Matrix product of whole numbers in the bits of `grid_bits`."""
    result: Floats = a[..., :MOST_TERMS] @ b[..., :MOST_TERMS, :]
    for start in range(MOST_TERMS, a.shape[-1], MOST_TERMS):
        part = slice(start, start + MOST_TERMS)
        result += a[..., part] @ b[..., part, :]
    return result


def matmul(a: NDArray[Any], b: NDArray[Any]) -> Floats:
    """a @ b.

    Rows of `a` and columns of `b` are rounded to grids first. With n terms an element errs by at most n 2^-19 times the
    largest magnitude in its row times that in its column; by n 2^-23 with up to 16 terms.

    Args:
        a: float32, or float64 of that range; (..., rows, terms) or (terms,).
        b: the same; (..., terms, columns) or (terms,).
    """
    if a.ndim == 1:
        result: Floats = matmul(a[None], b)[..., 0] if b.ndim == 1 else matmul(a[None], b)[..., 0, :]
        return result
    if b.ndim == 1:
        return matmul(a, b[:, None])[..., 0]
    a_bits, b_bits = grid_bits(a.shape[-1])
    whole_a, a_unit = on_grid(a, a_bits, (-1,))
    whole_b, b_unit = on_grid(b, b_bits, (-2,))
    return whole_products(whole_a, whole_b) * (a_unit * b_unit)


# -- functions, float64 ------------------------------------------------------------------------------------------------


def exp(x: NDArray[Any]) -> Floats:
    """e^x."""
    x = np.asarray(x, np.float64)
    inside = np.where(np.isnan(x), 0.0, np.clip(x, -750, 710))
    power = np.rint(inside / LN2_HIGH)
    rest = (inside - power * LN2_HIGH) - power * LN2_LOW
    result: Floats = np.ldexp(1 + rest * _taylor(rest, 14), power.astype(np.int32))
    return np.where(np.isnan(x), x, result)


def expm1(x: NDArray[Any]) -> Floats:
    """e^x - 1, with all its digits near 0."""
    x = np.asarray(x, np.float64)
    near = np.clip(x, -0.5, 0.5)
    return np.where(np.abs(x) < 0.5, near * _taylor(near, 16), exp(x) - 1)


def log(x: NDArray[Any]) -> Floats:
    """ln x; NaN below 0, -infinity at 0."""
    x = np.asarray(x, np.float64)
    mantissa, power = np.frexp(x)
    low = mantissa < np.sqrt(0.5)
    mantissa, power = np.where(low, 2 * mantissa, mantissa), power - low
    with np.errstate(all="ignore"):
        result = power * LN2_HIGH + (_atanh((mantissa - 1) / (mantissa + 1), 12) * 2 + power * LN2_LOW)
        result = np.where(x > 0, result, np.where(x == 0, -np.inf, np.nan))
    return np.where(x == np.inf, x, result)


def log1p(x: NDArray[Any]) -> Floats:
    """ln(1 + x) for x from 0 to 1."""
    x = np.asarray(x, np.float64)
    return _atanh(x / (x + 2), 18) * 2


def tanh(x: NDArray[Any]) -> Floats:
    """The hyperbolic tangent."""
    x = np.asarray(x, np.float64)
    less = expm1(-2 * np.abs(x))
    result: Floats = np.copysign(less / (less + 2), x)
    return result


def sigmoid(x: NDArray[Any]) -> Floats:
    """1 / (1 + e^-x)."""
    x = np.asarray(x, np.float64)
    small = exp(-np.abs(x))
    result: Floats = np.where(x < 0, small, 1.0) / (1 + small)
    return result


def erf(x: NDArray[Any]) -> Floats:
    """The error function."""
    x = np.asarray(x, np.float64)
    inside = np.clip(x, -6, 6)
    square = inside * inside
    series = np.ones_like(square)
    for n in range(180, 0, -1):  # of positive terms; the ratio of two is below 1 / 5 at the end
        series = 1 + series * (2 * square / (2 * n + 1))
    result: Floats = np.where(np.abs(x) < 6, TWO_BY_ROOT_PI * inside * exp(-square) * series, np.sign(x))
    return result


def power(base: Any, exponent: Any) -> NDArray[Any]:
    """base^exponent, of numbers or arrays: by squaring where all exponents are whole and small, else by logarithms.

    Integers give integers. Raises ValueError for negative powers of them.
    """
    found: NDArray[Any]
    if np.asarray(base).dtype.kind in "iu" and np.asarray(exponent).dtype.kind in "iu":
        found = np.power(base, exponent)
        return found
    base, exponent = np.broadcast_arrays(np.asarray(base, np.float64), np.asarray(exponent, np.float64))
    with np.errstate(all="ignore"):
        if (np.abs(exponent) <= 64).all() and (exponent == np.rint(exponent)).all():
            left, factor, result = np.abs(exponent).astype(np.int64), base, np.ones_like(base)
            while left.any():
                result = np.where(left & 1, result * factor, result)
                factor, left = factor * factor, left >> 1
            found = np.where(exponent < 0, 1 / result, result)
            return found
        if (exponent == 0.5).all():
            found = np.sqrt(base)
            return found
        found = exp(exponent * log(base))
        return np.where(exponent == 0, 1.0, found)


def _taylor(x: Floats, terms: int) -> Floats:
    """(e^x - 1) / x for |x| <= 1 / 2, by Taylor's series."""
    series = np.ones_like(x)
    for n in range(terms, 1, -1):
        series = 1 + series * x / n
    return series


def _atanh(x: Floats, terms: int) -> Floats:
    """The inverse hyperbolic tangent for |x| <= 1 / 3."""
    square, series = x * x, np.full_like(x, 1 / (2 * terms + 1))
    for n in range(terms - 1, -1, -1):
        series = 1 / (2 * n + 1) + series * square
    return x * series
