"""Arguments for the kernels of fully connected layers."""

from __future__ import annotations

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
from mcugrad.ops.linear.linear_s8 import LinearStruct


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
PLAN: Plan = {
    "linear": (layer, "linear_s8"),
    "linear_grad_input": (layer, "linear_grad_input_s8"),
    "linear_update": (layer, "linear_update"),
}
CASES |= real_cases(PLAN, CASES)
