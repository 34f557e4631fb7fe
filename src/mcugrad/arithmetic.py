"""The exact arithmetic of docs/arithmetic.md in NumPy: the reference that every executor must equal.

Integers are computed in 64 bits and checked against the bounds that the C code relies on; floats are IEEE
binary32, one rounded operation at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.constants import constant, number
from mcugrad.abi.records import SCALE

Ints = NDArray[np.int64]
F32 = np.float32

ACC_LIMIT = constant("MCG_ACC_LIMIT")
BIAS_LIMIT = constant("MCG_BIAS_LIMIT")
OUTPUT_LIMIT = constant("MCG_OUTPUT_LIMIT")
COUNTER_STEP = constant("MCG_COUNTER_STEP")
GROWTH = F32(number("MCG_GROWTH"))
SHRINK = constant("MCG_SHRINK")
"""1 / 1.25 in 1/65536."""
LAYER_STREAMS = constant("MCG_LAYER_STREAMS")
"""Numbers of streams that a layer has: from 16 times its place among those that train, which begins with 1."""
STREAM_UPDATE, STREAM_APPLY, STREAM_KEEP, STREAM_DECAY, STREAM_CHOOSE, STREAM_ENLARGE = (
    constant(f"MCG_STREAM_{purpose}") for purpose in ("UPDATE", "APPLY", "KEEP", "DECAY", "CHOOSE", "ENLARGE")
)
"""Streams of a layer: rounding of updates, of weights that changes are applied to, of kept changes, of decay; which
channels take part, rounding of their errors."""
STREAM_SAMPLES = constant("MCG_STREAM_SAMPLES")
"""Streams of what has no layer, here and below: whether a batch is learned from."""
STREAM_PLACE, STREAM_OWN, STREAM_DRAW = (constant(f"MCG_STREAM_{what}") for what in ("PLACE", "OWN", "DRAW"))
"""Replay: which place, which of the own class, which one is drawn."""
STREAM_SHIFT, STREAM_LEVELS, STREAM_NOISE = (
    constant(f"MCG_STREAM_{what}") for what in ("SHIFT", "LEVELS", "NOISE")
)
"""Augmentation: shift; gain and offset; noise."""
ERROR_DECAY = F32(number("MCG_ERROR_DECAY"))
LEAST_PEAK = constant("MCG_LEAST_PEAK")
"""Errors with a smaller peak leave most of their range empty: it halves."""
LEAST_RANGE = F32(number("MCG_LEAST_RANGE"))
"""Ranges of errors that are not above this halve no more."""
SCALE_DECAY = F32(number("MCG_SCALE_DECAY"))


def scale_from_float(factor: Any) -> NDArray[Any]:
    """Nearest representable factors, mantissa rounded half up to 16 bits.

    Args:
        factor: float32 array of any shape.

    Returns:
        Array of `SCALE` records, same shape. Factors of 2^28 or more, infinity included, give the largest
        there is; zero, negative and denormal factors and NaN give 0.
    """
    bits = np.atleast_1d(np.asarray(factor, F32)).view(np.uint32).astype(np.int64)
    exponent = (bits >> 23) & 0xFF
    mult = ((bits & 0x7FFFFF | 0x800000) + 0x80) >> 8
    carry = mult == 0x10000
    mult, power = np.where(carry, 0x8000, mult), exponent + carry
    shift = 142 - power
    mult, shift = np.where(shift < -12, 0xFFFF, mult), np.maximum(shift, -12)
    pre = np.maximum(17 - shift, 0)
    drop = np.clip(shift - 32, 0, 17)
    mult = np.where(drop > 0, (mult + ((1 << drop) >> 1)) >> drop, mult)
    mult = np.where(drop > 16, 0, mult)
    shift = np.clip(shift, 17, 32)
    zero = (bits < 0x00800000) | (bits > 0x7F800000)
    out = np.zeros(bits.shape, SCALE)
    out["mult"] = np.where(zero, 0, mult)
    out["shift"] = np.where(zero, 32, shift)
    out["pre"] = np.where(zero, 0, pre)
    return out.reshape(np.shape(factor))


def rescale(acc: Any, scale: Any) -> Ints:
    """`acc` times a factor, rounded once, half up: floor((acc * mult + 2^(shift-1)) / 2^shift)."""
    acc = np.asarray(acc, np.int64)
    mult, shift, pre = (np.asarray(scale[f]).astype(np.int64) for f in ("mult", "shift", "pre"))
    limit = (ACC_LIMIT - 1) >> pre
    acc = np.where(pre > 0, np.clip(acc, -limit, limit) << pre, acc)
    check_accumulator(acc)
    result: Ints = (acc * mult + (1 << (shift - 1))) >> shift
    return result


def output_factor(factor: Any) -> NDArray[np.float32]:
    """Factors of outputs: at most 2^28; 0 for what is not positive, NaN included. Same shape."""
    factor = np.asarray(factor, F32)
    with np.errstate(invalid="ignore"):
        result: NDArray[np.float32] = np.where(factor > 0, np.minimum(factor, F32(2.0**28)), F32(0))
    return result


def rescale_output(acc: Any, factor: Any) -> Ints:
    """`acc` times a factor, both rounded to float32, then to the nearest integer."""
    check_accumulator(acc)
    return nearest(np.asarray(acc).astype(F32) * np.asarray(factor, F32))


def nearest(value: Any) -> Ints:
    """float32 to the nearest integer, to even at ties, saturated to [-2^22, 2^22). Not for NaN."""
    inside = np.clip(np.asarray(value, F32), F32(-OUTPUT_LIMIT), F32(OUTPUT_LIMIT - 1))
    result: Ints = np.rint(inside).astype(np.int64)
    return result


def check_accumulator(acc: Any) -> None:
    """The compiler's promise: accumulators stay below 2^30 in magnitude."""
    if np.size(acc) and np.abs(acc).max() >= ACC_LIMIT:
        raise OverflowError(
            f"accumulator {int(np.abs(acc).max())} reaches 2^30: a bound of the compiler is wrong"
        )


def round_half_up(value: Any, limit: int) -> Ints:
    """float32 rounded half up and saturated to [-limit, limit]; NaN gives -limit."""
    value = np.asarray(value, F32)
    with np.errstate(invalid="ignore"):
        inside = np.where(np.isnan(value), F32(-limit), np.clip(value, F32(-limit), F32(limit)))
        rounded = np.floor(inside + F32(0.5))
    result: Ints = np.clip(rounded.astype(np.int64), -limit, limit)
    return np.where(inside <= F32(-limit), -limit, result)


def sqrt(value: Any) -> np.float32:
    """The square root of a float32, by three of Newton's steps from a first guess in the bits; 0 up to 1e-37."""
    v = F32(value)
    if not v > F32(1e-37):
        return F32(0)
    root = np.asarray([(int(v.view(np.uint32)) >> 1) + 0x1FBD1DF5], np.uint32).view(F32)[0]
    with np.errstate(all="ignore"):
        for _ in range(3):
            root = F32(0.5) * (root + v / root)
    return F32(root)


def exp2(t: NDArray[Any]) -> NDArray[Any]:
    """2^t for t <= 0 in float32: a Taylor polynomial on [0, 1) times a power of two; 0 below 2^-100 and for NaN."""
    positive = t >= F32(-100)
    t = np.where(positive, t, F32(-101))
    whole = np.floor(t)
    f = (t - whole) * F32(0.69314718)
    value = F32(0.00019841270)
    for term in (0.0013888889, 0.0083333338, 0.041666668, 0.16666667, 0.5, 1.0, 1.0):
        value = F32(term) + f * value
    power = ((127 + whole.astype(np.int64)) << 23).astype(np.uint32).view(F32)
    return np.where(positive, value * power, F32(0)).astype(F32)


def log(v: Any) -> Any:
    """ln v for v >= 1 in float32, from the exponent and the series of atanh on the mantissa; one number or an array."""
    bits = np.asarray(v, F32).view(np.uint32)
    m = ((bits & np.uint32(0x7FFFFF)) | np.uint32(0x3F800000)).view(F32)
    s = (m - F32(1)) / (m + F32(1))
    q = s * s
    series: Any = F32(0.090909094)
    for term in (0.11111111, 0.14285715, 0.2, 0.33333334, 1.0):
        series = F32(term) + q * series
    return ((bits >> np.uint32(23)).astype(np.int64) - 127).astype(F32) * F32(0.69314718) + F32(
        2
    ) * s * series


def hash32(counter: Any) -> NDArray[np.uint32]:
    """32 well-mixed bits of a counter."""
    x: NDArray[np.uint32] = np.array(counter, np.uint32, ndmin=1)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(16)
    return x


def stream(seed: int, step: int, number: int) -> int:
    """Counter at which the random words of a stream begin, in one training step."""
    inner = int(hash32((number + COUNTER_STEP) & 0xFFFFFFFF)[0])
    return int(hash32(seed ^ int(hash32(step ^ inner)[0]))[0])


def random_u16(start: int, count: int) -> Ints:
    """`count` 16-bit random numbers, four from each word: low, high, and both of the word turned by 8 bits."""
    words = (count + 3) // 4
    counters = (start + np.arange(words, dtype=np.uint64) * COUNTER_STEP) & 0xFFFFFFFF
    word = hash32(counters.astype(np.uint32)).astype(np.int64)
    turned = (word >> 8) | ((word << 24) & 0xFFFFFFFF)
    lanes = np.stack([word & 0xFFFF, word >> 16, turned & 0xFFFF, turned >> 16], axis=1)
    return lanes.reshape(-1)[:count]


def error_reach(span: Any, fill: Any, least: Any = 0) -> np.float32:
    """What an error of fill 1 is to be: its range times the fill of the one above, at least `least`.

    Args:
        span: delayed range, relative to the largest error above.
        fill: largest magnitude of the error above as it is stored, of 127.
        least: what a factor can hold.
    """
    if not fill > 0:
        return F32(span)
    with np.errstate(all="ignore"):
        reach = F32(F32(span) * F32(fill))
    return reach if reach > least else F32(least)


def decay(value: Any, fill: Any, rate: np.float32) -> np.float32:
    """A range that shrinks by `rate`, but not below the part of it that was in use."""
    value = F32(value)
    slow, now = F32(value - F32(value * rate)), F32(value * F32(fill))
    return slow if slow > now else now
