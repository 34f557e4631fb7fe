"""The functions behind tabulated activations: value and slope in float32, one rounded operation at a time as in C."""

from __future__ import annotations

from enum import IntEnum
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import numerics
from mcugrad.abi.constants import constant
from mcugrad.arithmetic import F32, exp2, log

Floats = NDArray[np.float32]
LOG2_E = F32(1.4426950)


class Function(IntEnum):
    """`mcg_function_t`: what a table can hold."""

    SIGMOID = constant("MCG_SIGMOID")
    TANH = constant("MCG_TANH")
    HARD_SIGMOID = constant("MCG_HARD_SIGMOID")
    """clamp(alpha x + beta, 0, 1)."""
    HARD_SWISH = constant("MCG_HARD_SWISH")
    """x clamp(x / 6 + 1/2, 0, 1)."""
    SILU = constant("MCG_SILU")
    """x sigmoid(x), also called Swish."""
    GELU = constant("MCG_GELU")
    """x times the normal distribution function."""
    GELU_TANH = constant("MCG_GELU_TANH")
    """GELU's approximation by a hyperbolic tangent."""
    ELU = constant("MCG_ELU")
    """x where it is positive, else alpha (exp(x) - 1)."""
    SOFTPLUS = constant("MCG_SOFTPLUS")
    """ln(1 + exp(x))."""


def real_curve(
    function: Function, x: NDArray[Any], alpha: float = 1.0, beta: float = 0.5
) -> NDArray[np.float64]:
    """What a function means, in float64, the same on every computer."""
    z = np.asarray(x, np.float64)
    with np.errstate(over="ignore"):
        match function:
            case Function.SIGMOID:
                y = numerics.sigmoid(z)
            case Function.TANH:
                y = numerics.tanh(z)
            case Function.HARD_SIGMOID:
                y = np.clip(alpha * z + beta, 0, 1)
            case Function.HARD_SWISH:
                y = z * np.clip(z / 6 + 0.5, 0, 1)
            case Function.SILU:
                y = z * numerics.sigmoid(z)
            case Function.GELU:
                y = z * 0.5 * (1 + numerics.erf(z / sqrt(2)))
            case Function.GELU_TANH:
                y = z * 0.5 * (1 + numerics.tanh(sqrt(2 / np.pi) * (z + 0.044715 * z * z * z)))
            case Function.ELU:
                y = np.where(z > 0, z, alpha * numerics.expm1(np.minimum(z, 0)))
            case Function.SOFTPLUS:
                y = np.maximum(z, 0) + numerics.log1p(numerics.exp(-np.abs(z)))
    result: NDArray[np.float64] = np.asarray(y, np.float64)
    return result


def curve(function: Function, z: Floats, alpha: np.float32, beta: np.float32) -> tuple[Floats, Floats]:
    """Value and slope at `z`, as the device computes them."""
    with np.errstate(all="ignore"):
        match function:
            case Function.SIGMOID:
                p, n = sigmoid_pair(z)
                return p, p * n
            case Function.TANH:
                less = expm1(_magnitude(z) * F32(-2))
                t = -less / (F32(2) + less)
                return np.where(z < 0, -t, t), F32(1) - t * t
            case Function.HARD_SIGMOID:
                return _ramp(z, alpha, beta)
            case Function.HARD_SWISH:
                share, steepness = _ramp(z, F32(0.16666667), F32(0.5))
                return z * share, share + z * steepness
            case Function.SILU:
                return _gated(z, z, F32(1))
            case Function.GELU:
                return _gelu(z)
            case Function.GELU_TANH:
                inside = np.minimum(np.maximum(z, F32(-10)), F32(10))
                square = inside * inside
                steepness = F32(1.5957691) + F32(0.21406445) * square
                inner = inside * (F32(1.5957691) + F32(0.071354816) * square)
                value, slope = _gated(inside, inner, steepness)
                return np.where(z > 10, z, value), slope
            case Function.ELU:
                less = expm1(z)
                return np.where(z > 0, z, alpha * less), np.where(z > 0, F32(1), alpha * (F32(1) + less))
            case Function.SOFTPLUS:
                rest = log(F32(1) + exp2(_magnitude(z) * -LOG2_E))
                return np.where(z > 0, z, F32(0)) + rest, sigmoid_pair(z)[0]


def expm1(t: Floats) -> Floats:
    """exp(t) - 1 for t <= 0; near 0, where the difference would lose its digits, a Taylor polynomial."""
    series = np.full_like(t, F32(0.0083333338))
    for term in (0.041666668, 0.16666667, 0.5, 1.0):
        series = F32(term) + t * series
    return np.where(t > F32(-0.125), t * series, exp2(t * LOG2_E) - F32(1))


def sigmoid_pair(z: Floats) -> tuple[Floats, Floats]:
    """1 / (1 + exp(-z)), and 1 less that: each to its last digits."""
    small = exp2(_magnitude(z) * -LOG2_E)
    large = F32(1) / (F32(1) + small)
    rest = small * large
    return np.where(z < 0, rest, large), np.where(z < 0, large, rest)


def _magnitude(z: Floats) -> Floats:
    """|z|, but -0 stays what it is, as in C."""
    return np.where(z < 0, -z, z)


def _gated(z: Floats, inner: Floats, steepness: Any) -> tuple[Floats, Floats]:
    """z times the sigmoid of `inner`, whose derivative by z is `steepness`."""
    p, n = sigmoid_pair(inner)
    value = z * p
    return value, p + value * n * steepness


def _gelu(z: Floats) -> tuple[Floats, Floats]:
    """z times the normal distribution function, by Abramowitz and Stegun 26.2.17: error below 7.5e-8."""
    density = exp2(z * z * F32(-0.72134752)) * F32(0.39894228)
    k = F32(1) / (F32(1) + F32(0.23164190) * _magnitude(z))
    series = np.full_like(z, F32(1.3302744))
    for term in (-1.8212560, 1.7814779, -0.35656378, 0.31938153):
        series = F32(term) + k * series
    tail = density * k * series
    share = np.where(z < 0, tail, F32(1) - tail)
    return z * share, share + z * density


def _ramp(z: Floats, alpha: np.float32, beta: np.float32) -> tuple[Floats, Floats]:
    """clamp(alpha z + beta, 0, 1), and its slope."""
    v = alpha * z + beta
    inside = (v > 0) & (v < 1)
    flat = np.where(v > 0, F32(1), F32(0))
    return np.where(inside, v, flat), np.where(inside, alpha, F32(0))
