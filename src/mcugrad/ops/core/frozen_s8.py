"""Outputs of layers that do not train and have no bounds but those of int8: their factors are integers.

A factor in float32 rounds twice, and then to even. Of an integer that gives the same output for every sum there is
nearly always one: where the output goes up by 1, both have to. That is looked for here, once, so that a device
multiplies and shifts. Where there is none, as for sums on ties in both directions, it is 0 and the float counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.abi.constants import constant

BITS = constant("MCG_FIXED_BITS")
"""Of fraction that an output has before it is rounded."""
MOST = 2**31 - 1
"""The largest integer factor."""
NEAR = range(-2, 4)
"""Sums about the one where an output goes up: further away no rounding of floats reaches."""


def integer_factors(scale: NDArray[np.float32], zero: int) -> NDArray[np.int32]:
    """Integers m with which (zero 2^4 + 8 + floor(sum m / 2^32)) >> 4, saturated, is the output that a factor gives.

    Args:
        scale: factors of sums, one per channel.
        zero: zero point of the outputs.

    Returns:
        As many int32, 0 where no integer gives the same for every sum below 2^30.
    """
    factor = scale.astype(np.float64)[:, None]
    usable = (factor > 2.0**-20) & (factor < 2.0 ** (-1 - BITS))
    factor = np.where(usable, factor, 2.0**-10)
    below = (np.arange(-128, 127) - zero)[None, :]  # the output goes up from one of these to the next
    about = np.floor((below + 0.5) / factor).astype(np.int64)
    first = about + NEAR.stop  # the first sum above it
    for near in reversed(NEAR):
        value = ar.rescale_output(about + near, factor.astype(np.float32))
        first = np.where(value > below, about + near, first)
    # first * m reaches the tie, which is half a step on, and the sum before it does not.
    tie = (2 * below + 1) << (31 + BITS)
    least, most = np.zeros(len(scale), np.int64), np.full(len(scale), MOST)
    for sums, reaches in ((first, True), (first - 1, False)):
        size = np.maximum(np.abs(sums), 1)
        up, down = -(-tie // size), -tie // size  # ceil(tie / size); floor(tie / -size)
        at_least = np.where(sums > 0, up, 0) if reaches else np.where(sums < 0, down + 1, 0)
        at_most = np.where(sums < 0, down, MOST) if reaches else np.where(sums > 0, up - 1, MOST)
        impossible = (sums == 0) & ((tie > 0) if reaches else (tie <= 0))
        least = np.maximum(least, np.where(impossible, MOST + 1, at_least).max(axis=1))
        most = np.minimum(most, at_most.min(axis=1))
    wanted = np.clip(np.rint(factor[:, 0] * 2.0 ** (32 + BITS)).astype(np.int64), least, most)
    return np.where(usable[:, 0] & (least <= most) & (least > 0), wanted, 0).astype(np.int32)
