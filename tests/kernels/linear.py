"""Arguments for the kernels of fully connected layers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from hypothesis import strategies as st

from kernels.draws import (
    CHANNELS,
    ZEROS,
    Arguments,
    Draw,
    Rng,
    actives,
    biases,
    clips,
    factors,
    int8,
    old_int8,
    one,
    output_factors,
    rngs,
    updates,
    weights,
)
from kernels.real import Plan, real_cases
from mcugrad import arithmetic as ar
from mcugrad.ops.linear.linear_s8 import LinearStruct
from mcugrad.training.rules import IN_PLACE, InPlace


def linear_layer(draw: Draw) -> LinearStruct:
    in_c = draw(CHANNELS)
    pixels = draw(st.integers(1, 5))
    return LinearStruct(in_c * pixels, draw(CHANNELS), in_c, draw(ZEROS), draw(ZEROS))


@st.composite
def linear_s8(draw: Draw) -> Arguments:
    g, rng = linear_layer(draw), rngs(draw)
    return {
        "g": g,
        "x": int8(draw, rng, g.inputs, -128),
        **weights(draw, rng, g.out * g.inputs),
        "bias": biases(draw, rng, g.out),
        "scale": output_factors(draw, rng, g.out, 1 / (100 * g.inputs**0.5)),
        "clip": clips(draw),
        "y": old_int8(rng, g.out),
        "peak": one(np.int32, rng),
    }


@st.composite
def linear_grad_input_s8(draw: Draw) -> Arguments:
    g, rng = linear_layer(draw), rngs(draw)
    active, count = actives(draw, rng, g.out)
    return {
        "g": g,
        "e": int8(draw, rng, count),
        "active": active,
        **weights(draw, rng, g.out * g.inputs),
        "x": int8(draw, rng, g.inputs, -128),
        "scale": factors(draw, rng, g.in_c, 1 / (60 * g.out**0.5)),
        "clip": clips(draw),
        "e_x": old_int8(rng, g.inputs),
        "peak": one(np.int32, rng),
    }


@st.composite
def linear_update(draw: Draw) -> Arguments:
    g, rng = linear_layer(draw), rngs(draw)
    active, count = actives(draw, rng, g.out)
    return {
        "g": g,
        "x": int8(draw, rng, g.inputs, -128),
        "e": int8(draw, rng, count),
        "active": active,
        "factor": factors(draw, rng, g.out, 65536 / 3000),
        **updates(draw, rng, g.out, g.inputs),
    }


SHAPES = ((1, 1), (2, 5), (3, 4), (4, 1), (5, 3), (15, 7), (16, 4), (17, 6), (127, 66), (260, 3), (1040, 65))
"""Inputs and outputs: rows that no body takes in whole words, vectors or blocks, and those that each one does."""
ENDS = ((127, 127, -128), (-128, -127, 127), (-128, 127, 126), (127, -127, 0))
"""Of inputs, weights and zero points: the largest products, with either sign."""
UNBOUNDED = 1 << 30
SUMS = ((1 << 29, 2.0**-22), (-(1 << 29), 2.0**-22), (1, 0.5), (3, 0.25), (-1, 0.5))
"""Biases and factors: sums at the ends, and on ties."""


def linear_s8_extremes() -> Iterator[Arguments]:
    """Ends of all ranges, and sums that end on ties, in shapes that bodies treat differently."""
    rng = np.random.default_rng(0)
    for i, ((inputs, out), (bias, factor)) in enumerate(product(SHAPES, SUMS)):
        x_end, w_end, zero = ENDS[i % len(ENDS)]
        w_zero = rng.choice([-128, 127]) if bias in (1, 3) else None
        yield {
            "g": LinearStruct(inputs, out, inputs, zero, int(rng.integers(-128, 128))),
            "x": np.full(inputs, x_end, np.int8),
            "w": np.full(inputs * out, w_end if w_zero is None else -128, np.int8),
            "w_zero": None if w_zero is None else np.asarray([w_zero], np.int32),
            "bias": np.full(out, bias, np.int32),
            "scale": np.full(out, factor, np.float32),
            "clip": np.asarray([-UNBOUNDED, UNBOUNDED], np.int32),
            "y": old_int8(rng, out),
            "peak": one(np.int32, rng),
        }


def linear_grad_input_s8_extremes() -> Iterator[Arguments]:
    """Ends of all ranges; errors and peaks at the ends of bytes, and ties; bounds beside any x; any number of rows."""
    rng = np.random.default_rng(0)

    def given(inputs: int, out: int, in_c: int, x_zero: int = 0, listed: int | None = None) -> Arguments:
        active = None
        if listed is not None:
            active = np.zeros(1 + out, np.uint16)
            active[: 1 + listed] = listed, *np.sort(rng.choice(out, listed, replace=False))
        return {
            "g": LinearStruct(inputs, out, in_c, x_zero, 0),
            "e": np.zeros(out if listed is None else listed, np.int8),
            "active": active,
            "w": rng.integers(-127, 128, inputs * out).astype(np.int8),
            "w_zero": None,
            "x": rng.integers(-128, 128, inputs).astype(np.int8),
            "scale": ar.scale_from_float(np.full(in_c, 0.25, np.float32)),
            "clip": np.asarray([-UNBOUNDED, UNBOUNDED], np.int32),
            "e_x": old_int8(rng, inputs),
            "peak": one(np.int32, rng),
        }

    # Largest sums of either sign, with zero points of weights and without, and factors of any size.
    for i, ((inputs, out), factor) in enumerate(product(SHAPES, (0.9, 0.25, 2.0**-15, 2.0**-30))):
        w_end, w_zero = ((127, None), (-127, None), (-128, 127), (127, -128))[i % 4]
        yield {
            **given(inputs, out, inputs),
            "e": np.full(out, (127, -127)[i // 4 % 2], np.int8),
            "w": np.full(inputs * out, w_end, np.int8),
            "w_zero": None if w_zero is None else np.asarray([w_zero], np.int32),
            "scale": ar.scale_from_float(np.full(inputs, factor, np.float32)),
        }
    # Every error and weight another: rows without an error, listed rows, more than are listed at a time.
    for inputs, out in (*SHAPES, (12, 63), (9, 64), (7, 65), (66, 130), (3, 129)):
        for listed in (None, 0, out // 2, out):
            each = given(inputs, out, inputs, -3, listed)
            count = len(each["e"])
            each["e"] = (rng.integers(-127, 128, count) * (rng.random(count) < 0.7)).astype(np.int8)
            yield {**each, "scale": ar.scale_from_float(np.full(inputs, 1 / (90 * out**0.5), np.float32))}
    # Errors at the ends of what a byte holds, and ties, anywhere in a row; factors that ask for a shift.
    reached = (0, 1, -1, 126, 127, 128, 129, -126, -127, -128, -129, 255, 256, -256, 32767, -32769)
    for value, factor in product(reached, (1.0, 0.5, 0.25)):
        times = round(1 / factor)
        sums = [value * times, 1, value * times + times // 2, -1] if times > 1 else [value, 0, 1, value]
        e = np.asarray([127, 1, 1, 1], np.int8)
        w = np.zeros((4, 36), np.int64)
        for at in rng.choice(36, 3, replace=False):
            total = int(rng.choice(sums))
            w[0, at] = np.clip(round(total / 127), -127, 127)
            w[1, at] = np.clip(total - 127 * w[0, at], -127, 127)
        scale = np.full(36, factor, np.float32)
        scale[rng.integers(0, 36)] *= rng.choice([1, 2])
        yield {
            **given(36, 4, 36),
            "e": e,
            "w": w.reshape(-1).astype(np.int8),
            "scale": ar.scale_from_float(scale),
        }
    # Bounds of any kind, beside every x that there is; factors that repeat.
    bounds = ((0, UNBOUNDED), (0, 255), (0, 254), (-5, 7), (-UNBOUNDED, 3), (200, 300), (-300, -256), (4, 5))
    for (low, high), zero, in_c in product(bounds, (-128, -1, 0, 127), (1, 4, 32, 256)):
        yield {
            **given(256, 3, in_c, zero),
            "e": np.asarray([1, -2, 3], np.int8),
            "x": np.arange(-128, 128).astype(np.int8),
            "clip": np.asarray([low, high], np.int32),
        }


def linear_update_extremes() -> Iterator[Arguments]:
    """Weights that leave their range, just or by far, and ties, in rows with all kinds of factors and errors."""
    rng = np.random.default_rng(0)
    rules = list(IN_PLACE.values())

    def given(rule: InPlace, inputs: int, out: int, zero: int, value: float) -> Arguments:
        real = np.full((out, inputs), value) if value else rng.uniform(-1, 1, (out, inputs))
        w, residual = rule.encode(real, np.full(out, 1 / 127.5))
        return {
            "g": LinearStruct(inputs, out, inputs, zero, 0),
            "active": None,
            "rule": rule,
            "seed": np.asarray([rng.integers(0, 2**32)], np.uint32),
            "step": np.asarray([3], np.uint32),
            "tensor": 16,
            "w": w.reshape(-1),
            "residual": residual.reshape(-1) if rule.residual_bits else None,
            "w_scale": np.full(out, 0.01, np.float32),
        }

    for (inputs, out), rule in product(SHAPES, rules):
        factor = 2.0 ** (rng.integers(-12, 12, out) + rng.random(out))
        yield {
            **given(rule, inputs, out, int(rng.integers(-128, 128)), 0),
            "x": rng.integers(-128, 128, inputs).astype(np.int8),
            "e": (rng.integers(-127, 128, out) * (rng.random(out) < 0.8)).astype(np.int8),
            "factor": ar.scale_from_float(factor.astype(np.float32)),
        }
    # The largest products of all three factors, by shifts of which one half of the last bit is up to 2^31.
    for rule, shift, x in product(rules, (24, 26, 29, 32), (127, -128)):
        yield {
            **given(rule, 1040, 20, -128 if x > 0 else 127, 0),
            "x": np.full(1040, x, np.int8),
            "e": np.resize(np.asarray([127, -127], np.int8), 20),
            "factor": ar.scale_from_float(np.full(20, 65535 * 2.0**-shift, np.float32)),
        }
    for rule, value, pre in product(rules, (1.0, -1.0, 125 / 127.5, -125 / 127.5), (7, 8, 9, 25)):
        yield {
            **given(rule, 12, 6, 0, value),
            "x": np.asarray([-4, -3, -2, -1, 0, 1, 2, 3, 127, -127, 100, 90], np.int8),
            "e": np.asarray([100, -100, 1, 127, -1, -127], np.int8),
            "factor": ar.scale_from_float(np.full(6, 2.0 ** (pre - 1) * 1.28, np.float32)),
        }
    for rule, bits in product(rules, (8, 9, 12, 13, 14, 15, 16)):
        yield {
            **given(rule, 8, 5, 0, 0),
            "x": np.asarray([1, -1, 3, -3, 5, 7, 127, -128], np.int8),
            "e": np.asarray([1, -1, 2, 3, -127], np.int8),
            "factor": ar.scale_from_float(np.full(5, 2.0 ** (bits - 2), np.float32)),
        }


def layer(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Sizes of a linear layer."""
    return {"inputs": given["g"].inputs, "out": given["g"].out}


CASES: dict[str, st.SearchStrategy[Arguments]] = {
    f"mcg_{case.__name__}": case()
    for case in (
        linear_s8,
        linear_grad_input_s8,
        linear_update,
    )
}
"""Strategy of the arguments of every kernel here, by its C name."""
EXTREMES = {
    "mcg_linear_s8": linear_s8_extremes,
    "mcg_linear_grad_input_s8": linear_grad_input_s8_extremes,
    "mcg_linear_update": linear_update_extremes,
}
"""Arguments at which bodies of a kernel could differ, by its C name: of kernels with several bodies."""
PLAN: Plan = {
    "linear": (layer, "linear_s8"),
    "linear_grad_input": (layer, "linear_grad_input_s8"),
    "linear_update": (layer, "linear_update"),
}
CASES |= real_cases(PLAN, CASES)
