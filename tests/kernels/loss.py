"""Arguments for the kernels of losses."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.draws import (
    ZEROS,
    Arguments,
    Draw,
    Rng,
    clips,
    error_numbers,
    floats,
    int8,
    old_int8,
    one,
    rngs,
    two,
)
from kernels.real import Plan, nothing, real_cases


@st.composite
def softmax_cross_entropy_s8(draw: Draw) -> Arguments:
    channels, pixels, rng = draw(st.sampled_from([1, 2, 3, 10, 65])), draw(st.integers(1, 4)), rngs(draw)
    classes = channels * pixels
    return {
        "classes": classes,
        "channels": channels,
        "zero": draw(ZEROS),
        "logits": int8(draw, rng, classes, -128),
        "scale": floats(draw, rng, 1),
        "label": draw(st.integers(0, classes - 1)),
        "smoothing": np.asarray([draw(st.sampled_from([0.0, 0.1, 0.999]))], np.float32),
        "w_scale": floats(draw, rng, channels),
        "clip": clips(draw),
        "e": old_int8(rng, classes),
        "c": two(rng),
        "loss": one(np.float32, rng),
        "confidence": one(np.float32, rng),
        "probability": rng.normal(0, 1, classes).astype(np.float32),
    }


@st.composite
def weigh_loss(draw: Draw) -> Arguments:
    rng = rngs(draw)
    return {
        "label": draw(st.integers(0, 2)),
        "weight": floats(draw, rng, 3),
        "c": error_numbers(draw, rng),
        "loss": floats(draw, rng, 1),
    }


@st.composite
def binary_cross_entropy_s8(draw: Draw) -> Arguments:
    channels, pixels, rng = draw(st.sampled_from([1, 2, 3, 65])), draw(st.integers(1, 4)), rngs(draw)
    outputs = channels * pixels
    return {
        "outputs": outputs,
        "channels": channels,
        "zero": draw(ZEROS),
        "logits": int8(draw, rng, outputs, -128),
        "scale": floats(draw, rng, 1),
        "label": rng.integers(0, 3, outputs).astype(np.uint8),
        "w_scale": floats(draw, rng, channels),
        "clip": clips(draw),
        "e": old_int8(rng, outputs),
        "c": two(rng),
        "loss": one(np.float32, rng),
        "error": rng.normal(0, 1, outputs).astype(np.float32),
    }


@st.composite
def regression_loss_s8(draw: Draw) -> Arguments:
    channels, pixels, rng = draw(st.sampled_from([1, 2, 3, 65])), draw(st.integers(1, 4)), rngs(draw)
    outputs = channels * pixels
    return {
        "outputs": outputs,
        "channels": channels,
        "y_zero": draw(ZEROS),
        "label_zero": draw(ZEROS),
        "y": int8(draw, rng, outputs, -128),
        "y_scale": floats(draw, rng, 1),
        "label": int8(draw, rng, outputs, -128),
        "label_scale": floats(draw, rng, 1),
        "linear": np.asarray([draw(st.sampled_from([0.0, 0.05, 1.0, 3e38]))], np.float32),
        "w_scale": floats(draw, rng, channels),
        "clip": clips(draw),
        "e": old_int8(rng, outputs),
        "c": two(rng),
        "loss": one(np.float32, rng),
        "error": rng.normal(0, 1, outputs).astype(np.float32),
    }


def weighed(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    return {"weight": floats(draw, rng, given["classes"]), "loss": floats(draw, rng, 1)}


def shares(draw: Draw, rng: Rng, classes: int) -> NDArray[np.uint8]:
    """A soft label: spread, sharp, or full; never all zero."""
    kind = draw(st.sampled_from(["spread", "sharp", "full"]))
    soft = rng.integers(0, 256, classes) if kind == "spread" else np.full(classes, 255 * (kind == "full"))
    soft[rng.integers(classes)] = draw(st.sampled_from([1, 255]))
    return soft.astype(np.uint8)


@st.composite
def soft_cross_entropy_s8(draw: Draw) -> Arguments:
    channels, pixels, rng = draw(st.sampled_from([1, 2, 3, 10, 65])), draw(st.integers(1, 4)), rngs(draw)
    classes = channels * pixels
    return {
        "classes": classes,
        "channels": channels,
        "zero": draw(ZEROS),
        "logits": int8(draw, rng, classes, -128),
        "scale": floats(draw, rng, 1),
        "soft": shares(draw, rng, classes),
        "w_scale": floats(draw, rng, channels),
        "clip": clips(draw),
        "e": old_int8(rng, classes),
        "c": two(rng),
        "loss": one(np.float32, rng),
        "confidence": one(np.float32, rng),
        "ratio": one(np.float32, rng) if draw(st.booleans()) else None,
        "probability": rng.normal(0, 1, classes).astype(np.float32),
    }


@st.composite
def soften_s8(draw: Draw) -> Arguments:
    rng, classes = rngs(draw), draw(st.integers(1, 20))
    return {
        "classes": classes,
        "logits": int8(draw, rng, classes, -128),
        "scale": floats(draw, rng, 1),
        "soft": rng.integers(0, 256, classes).astype(np.uint8),
    }


CASES: dict[str, st.SearchStrategy[Arguments]] = {
    f"mcg_{case.__name__}": case()
    for case in (
        softmax_cross_entropy_s8,
        weigh_loss,
        binary_cross_entropy_s8,
        regression_loss_s8,
        soft_cross_entropy_s8,
        soften_s8,
    )
}
"""Strategy of the arguments of every kernel here, by its C name."""
PLAN: Plan = {
    "binary_cross_entropy": (nothing, "binary_cross_entropy_s8"),
    "regression_loss": (nothing, "regression_loss_s8"),
    "soft_cross_entropy": (nothing, "soft_cross_entropy_s8"),
    "soften": (nothing, "soften_s8"),
    "softmax_cross_entropy": (nothing, "softmax_cross_entropy_s8"),
    "weigh_loss": (weighed, "softmax_cross_entropy_s8"),
}
CASES |= real_cases(PLAN, CASES)
