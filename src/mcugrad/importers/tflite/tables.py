"""The tables of 256 codes that LiteRT's int8 kernels make of, or amount to for, a function of one activation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcugrad.graph import ActivationScale
from mcugrad.ops.activation.curves import Function, real_curve

Ints = NDArray[np.int64]
INT16 = 32767


def table(function: Function, x: ActivationScale, y: ActivationScale) -> tuple[int, ...]:
    """Codes of y for x = -128 to 127. Correctly rounded, but for hard swish, which LiteRT computes in 16 bits."""
    steps = np.arange(-128, 128) - x.zero
    if function is Function.HARD_SWISH:
        values = hard_swish(steps, x.scale, y.scale)
    else:
        values = np.rint(real_curve(function, steps * x.scale) / y.scale).astype(np.int64)
    return tuple(int(v) for v in np.clip(values + y.zero, -128, 127))


def hard_swish(steps: Ints, x_scale: float, y_scale: float) -> Ints:
    """x * clip(x / 6 + 1 / 2, 0, 1) as LiteRT computes it, relative to the zero point.

    Inputs have 7 more bits. One factor brings them to the output's scale, another to 3 / 2^15, where the ramp between
    -3 and 3 fills 16 bits.
    """
    fine = steps << 7
    unit = np.float32(x_scale) * np.float32(1 / 128)
    to_output, output_power = _factor(unit / np.float32(y_scale))
    to_ramp, ramp_power = _factor(unit / np.float32(3 / 32768))
    output = _high(fine, to_output)
    ramp = fine
    if ramp_power > 0:
        ramp = _saturated(ramp << (ramp_power - 1))
    ramp = _high(ramp, to_ramp)
    ramp = _saturated(ramp << 1) if ramp_power > 0 else _divided(ramp, -ramp_power)
    share = (ramp + (1 << 15)) >> 1
    product = share * output
    return _divided(np.sign(product) * (np.abs(product) >> 15), -output_power)


def _factor(value: np.float32) -> tuple[int, int]:
    """A positive factor as 15 bits and a power of two."""
    mantissa, power = np.frexp(np.float64(value))
    whole = int(np.floor(mantissa * 2**31 + 0.5))
    if whole == 1 << 31:
        whole, power = 1 << 30, power + 1
    return min((whole + (1 << 15)) >> 16, INT16), int(power)


def _high(a: Ints, b: int) -> Ints:
    """Twice the product's upper 16 bits, rounded half up."""
    return (a * b + (1 << 14)) >> 15


def _divided(a: Ints, power: int) -> Ints:
    """a / 2^power, rounded half away from zero; multiplied where the power is negative."""
    if power <= 0:
        return a << -power
    result: Ints = np.sign(a) * ((np.abs(a) + (1 << (power - 1))) >> power)
    return result


def _saturated(a: Ints) -> Ints:
    result: Ints = np.clip(a, -INT16 - 1, INT16)
    return result
