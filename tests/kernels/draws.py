"""Arguments for every kernel: drawn shapes, and data in styles that reach the ends of every range.

Hypothesis draws what decides about branches (shapes, styles, seeds); NumPy fills the arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.abi.records import SCALE, SCHEDULE
from mcugrad.errors import ModelError
from mcugrad.ops.core.window import window_shape
from mcugrad.training.rules import IN_PLACE, Rule

Arguments = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]
Rng = np.random.Generator
FEW_CHANNELS = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 16, 17, 33])
# Kernels handle MCG_BLOCK = 64 elements at a time: some below, around and beyond it, and no multiple.
CHANNELS = st.sampled_from([1, 2, 3, 5, 8, 16, 17, 31, 32, 63, 64, 65, 100, 128, 130])
STYLES = st.sampled_from([*["spread"] * 6, "ends", "sparse", "zero", "highest", "lowest"])
ZEROS = st.sampled_from([-128, -127, -3, 0, 5, 126, 127])
COUNTERS = st.one_of(
    st.integers(0, 40), st.sampled_from([2**24 + 1, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1)
)
ODD_FLOATS = (0.0, -0.0, 1e-45, -1e-45, 1.0, -1.0, 2.0**30, -(2.0**30), 1.1e9, 3e38, np.inf, -np.inf, np.nan)
NORMAL = (1.0, 1e-3, 0.02, 255.0, 1e-20, 1e20, 3e38)
ODD = (0.0, 1e-40, 1.17549435e-38, float("inf"), float("nan"))
"""Zero, denormal, the smallest normal number, infinity, NaN: what a scale can only be after an overflow."""


def rngs(draw: Draw) -> Rng:
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


def int8(draw: Draw, rng: Rng, count: int, low: int = -127) -> NDArray[np.int8]:
    """`count` values from `low` to 127: spread, at the ends of the range, mostly zero or all zero.

    Mostly spread: where one of several arrays has the same value everywhere, much goes unnoticed.
    """
    match draw(STYLES):
        case "spread":
            values = rng.integers(low, 128, count)
        case "ends":
            values = rng.choice([low, 127], count)
        case "sparse":
            values = rng.integers(low, 128, count) * (rng.random(count) < 0.15)
        case "zero":
            values = np.zeros(count)
        case "highest":
            values = np.full(count, 127)
        case _:
            values = np.full(count, low)
    return values.astype(np.int8)


def factors(draw: Draw, rng: Rng, count: int, typical: float) -> NDArray[Any]:
    """Factors of all kinds: near `typical`, with pre-shifts that saturate, tiny, zero, and all of these mixed."""
    kind = draw(st.sampled_from([*["typical"] * 4, "any", "large", "tiny", "zero", "mixed"]))
    out = np.zeros(count, SCALE)
    mult, shift, pre = (
        rng.integers(1 << 15, 1 << 16, count),
        rng.integers(17, 33, count),
        np.zeros(count, int),
    )
    if kind == "typical":
        return ar.scale_from_float((typical * rng.uniform(0.3, 3, count)).astype(np.float32))
    if kind in ("large", "mixed"):
        pre = rng.integers(1, 30, count)
        shift = np.full(count, 17)
    if kind == "mixed":
        chosen = rng.integers(0, 3, count)
        pre = np.where(chosen == 0, pre, 0)
        shift = np.where(chosen == 0, 17, rng.integers(17, 33, count))
    if kind == "tiny" or kind == "mixed":
        small = np.full(count, True) if kind == "tiny" else chosen == 2
        mult = np.where(small, rng.integers(0, 1 << 15, count), mult)
        shift = np.where(small, 32, shift)
    if kind == "zero":
        mult, shift = np.zeros(count, int), np.full(count, 32)
    out["mult"], out["shift"], out["pre"] = mult, shift, pre
    return out


def output_factors(draw: Draw, rng: Rng, count: int, typical: float) -> NDArray[np.float32]:
    """Factors of outputs of all kinds: near `typical`, from 2^-40 to 2^28, the ends, 0, and all of these mixed."""
    kinds = {
        "typical": typical * rng.uniform(0.3, 3, count),
        "any": 2.0 ** rng.uniform(-40, 28, count),
        "halves": 2.0 ** rng.integers(-12, 4, count),
        "odd": rng.choice([0, 2.0**-140, 2.0**-126, 2.0**28], count),
    }
    kinds["mixed"] = np.choose(rng.integers(0, 4, count), list(kinds.values()))
    kind = draw(st.sampled_from([*["typical"] * 4, "any", "halves", "odd", "mixed"]))
    return kinds[kind].astype(np.float32)


def floats(draw: Draw, rng: Rng, count: int, odd: bool = True) -> NDArray[np.float32]:
    """Scales: typical ones, and with `odd` also those that only an overflow leaves behind."""
    if odd and draw(st.booleans()):
        return rng.choice(np.asarray(NORMAL + ODD, np.float32), count)
    if draw(st.booleans()):
        return rng.choice(np.asarray(NORMAL, np.float32), count)
    return np.exp(rng.normal(-4, 3, count)).astype(np.float32)


FILLS = st.one_of(
    st.sampled_from([0.0, 1.0, 1 / 127, 31 / 127, 1e-30, 3e38, float("inf"), float("nan"), -1.0]),
    st.integers(0, 127).map(lambda peak: peak / 127),
)


def error_numbers(draw: Draw, rng: Rng) -> NDArray[np.float32]:
    """Unit and fill of an error: also fills that no error has."""
    return np.asarray([floats(draw, rng, 1)[0], draw(FILLS)], np.float32)


def two(rng: Rng) -> NDArray[np.float32]:
    """Unit and fill before they are written."""
    return rng.normal(0, 9, 2).astype(np.float32)


def clips(draw: Draw) -> NDArray[np.int32]:
    """Bounds of an activation function: none, ReLU, ReLU6, tight, closed."""
    none = ar.ACC_LIMIT
    usual = [(-none, none)] * 3 + [(0, none)] * 2
    bounds = st.sampled_from([*usual, (0, 200), (0, 6), (-3, 3), (0, 0), (-500, -2)])
    return np.asarray(draw(bounds), np.int32)


def biases(draw: Draw, rng: Rng, count: int) -> NDArray[np.int32]:
    limit = ar.BIAS_LIMIT
    if draw(st.booleans()):
        return rng.choice([-limit, limit], count).astype(np.int32)
    return rng.integers(-20_000, 20_000, count).astype(np.int32)


def some_int32(rng: Rng, count: int) -> NDArray[np.int32]:
    """What a buffer holds before a kernel writes it."""
    return rng.integers(-(2**31), 2**31, count).astype(np.int32)


def old_int8(rng: Rng, count: int) -> NDArray[np.int8]:
    return rng.integers(-128, 128, count).astype(np.int8)


@st.composite
def windows(draw: Draw) -> tuple[int, ...]:
    """(in_h, in_w, out_h, out_w, k_h, k_w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w)."""
    size = st.tuples(st.integers(1, 9), st.integers(1, 9))
    x = draw(size)
    kernel = draw(
        st.one_of(st.just((1, 1)), st.just((3, 3)), st.tuples(st.integers(1, 5), st.integers(1, 5)))
    )
    stride = draw(st.one_of(st.just((1, 1)), st.tuples(st.integers(1, 4), st.integers(1, 4))))
    dilation = draw(st.one_of(st.just((1, 1)), st.tuples(st.integers(1, 3), st.integers(1, 3))))
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    pad = draw(st.tuples(*(st.integers(0, 4) for _ in range(4))))
    # A window larger than the map is padded until it fits once.
    need = tuple(max(0, r - n - p - q) for r, n, p, q in zip(reach, x, pad[:2], pad[2:], strict=True))
    padding = (pad[0], pad[1], pad[2] + need[0], pad[3] + need[1])
    try:
        out = window_shape("case", x, kernel, stride, padding, dilation)
    except ModelError as error:  # pragma: no cover
        raise AssertionError("the padding above makes every window fit") from error
    return (*x, *out, *kernel, *stride, *padding[:2], *dilation)


def one(dtype: Any, rng: Rng) -> NDArray[Any]:
    """A scalar passed by reference, with something old in it."""
    return np.asarray([rng.integers(0, 100)], dtype)


def planes(
    draw: Draw, rng: Rng, rule: Rule, rows: int, count: int
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Weights as a rule keeps them, with saturated ones among them."""
    spread = draw(st.sampled_from([0.2, 1.0, 1.3]))
    value = np.clip(rng.uniform(-spread, spread, (rows, count)), -1, 1)
    w, residual = rule.encode(value, np.full(rows, 1 / 127.5))
    return w.reshape(-1), residual.reshape(-1) if rule.residual_bits else None


def actives(draw: Draw, rng: Rng, channels: int) -> tuple[NDArray[np.uint16] | None, int]:
    """A list of channels that take part, and how many do: no list, all of them, one, none, any."""
    kind = draw(st.sampled_from(["no list", "no list", "all", "one", "none", "some", "some"]))
    if kind == "no list":
        return None, channels
    count = {"all": channels, "one": 1, "none": 0}.get(kind, int(rng.integers(0, channels + 1)))
    listed = rng.integers(0, 2**16, 1 + channels).astype(np.uint16)
    listed[0] = count
    listed[1 : 1 + count] = np.sort(rng.choice(channels, count, replace=False))
    return listed, count


def odds(draw: Draw, rng: Rng, count: int) -> np.ndarray:
    """Odds of listed channels: none certain, some, all, very small ones."""
    certain, low = draw(st.sampled_from([0.0, 0.3, 1.0])), draw(st.sampled_from([1, 65535]))
    drawn = rng.integers(1, low + 1, count)
    return np.where(rng.random(count) < certain, 65536, drawn).astype(np.int32)


def updates(draw: Draw, rng: Rng, rows: int, count: int) -> Arguments:
    """Arguments that all weight updates share."""
    rule = draw(st.sampled_from(list(IN_PLACE.values())))
    w, residual = planes(draw, rng, rule, rows, count)
    word = st.one_of(st.sampled_from([0, 1, 2**32 - 1]), st.integers(0, 2**32 - 1))
    return {
        "rule": rule,
        "seed": np.asarray([draw(word)], np.uint32),
        "step": np.asarray([draw(word)], np.uint32),
        "tensor": draw(st.integers(0, 300)),
        "w": w,
        "residual": residual,
        "w_scale": floats(draw, rng, rows),
    }


def weights(draw: Draw, rng: Rng, count: int) -> Arguments:
    """Weights that a kernel reads, with and without a zero point."""
    zero = draw(st.sampled_from([None, None, -128, -1, 0, 3, 127]))
    if zero is None:
        return {"w": int8(draw, rng, count), "w_zero": None}
    return {"w": int8(draw, rng, count, -128), "w_zero": np.asarray([zero], np.int32)}


def error_ranges(draw: Draw, rng: Rng) -> NDArray[np.float32]:
    """Delayed ranges: of all kinds, and about the smallest that halves."""
    least = ar.LEAST_RANGE
    ends = [least, np.nextafter(least, np.float32(0)), np.nextafter(least, np.float32(1)), 2.0**-120, 2.0**30]
    return rng.choice(np.asarray(ends, np.float32), 1) if draw(st.booleans()) else floats(draw, rng, 1)


def error_end(draw: Draw, rng: Rng, x: str, count: int, channels: int, typical: float) -> Arguments:
    """What every kernel that makes an error ends with."""
    return {
        x: int8(draw, rng, count, -128),
        "scale": factors(draw, rng, channels, typical),
        "clip": clips(draw),
        f"e_{x}": old_int8(rng, count),
        "peak": one(np.int32, rng),
    }


def means(draw: Draw, rng: Rng, kind: np.dtype[Any]) -> NDArray[Any]:
    """A state somewhere on its way: nothing seen, around each horizon, or everything."""
    state = np.zeros(1, kind)
    state["seen"] = draw(st.sampled_from([0, 1, 30, 31, 32, 33, 254, 255, 256, 1022, 1023, 1024]))
    for name in kind.names or ():
        if name != "seen":
            state[name] = rng.random() * draw(st.sampled_from([0.0, 0.1, 1.0, 20.0]))
    return state


@st.composite
def schedules(draw: Draw) -> NDArray[Any]:
    """Every kind, known or not, with numbers at the edges of what it may hold."""
    schedule = np.zeros(1, SCHEDULE)
    schedule["kind"] = draw(st.integers(0, 4))
    for name in ("start", "warmup", "steps", "every"):
        schedule[name] = draw(st.sampled_from([0, 1, 10, 11, 2**32 - 1]))
    for name in ("rate", "last", "factor"):
        schedule[name] = draw(st.sampled_from([0.01, 0.5, *ODD_FLOATS, 3.1e38]))
    return schedule
