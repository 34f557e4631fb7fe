"""Arguments for the kernels in float32: what is drawn for int8 ones, with real numbers in the place of integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels import activations, cases, convolutions, life, selection, shapes
from kernels.cases import ZEROS, Arguments, Draw, Rng, floats, odds, rngs
from mcugrad.ops.activation.curves import Function
from mcugrad.program.kernel import Param, prototypes

LARGEST = float(np.finfo(np.float32).max)
INT8 = cases.CASES | convolutions.CASES | shapes.CASES | activations.CASES | life.CASES | selection.CASES
More = Callable[[Draw, Rng, Arguments], Arguments]
"""Draws what a float kernel takes and the int8 one does not, or not so, given what was drawn for that."""


def reals(draw: Draw, rng: Rng, count: int) -> NDArray[np.float32]:
    """Real numbers: usual ones, many zeros, whose products are denormal or overflow, not finite, few different."""
    values = rng.normal(0, 1, count)
    match draw(st.sampled_from(["usual", "usual", "sparse", "zero", "tiny", "huge", "odd", "coarse"])):
        case "sparse":
            values = values * (rng.random(count) < 0.2)
        case "zero":
            values = values * 0
        case "tiny":
            values = values * 1e-20
        case "huge":
            values = values * 1e19
        case "odd":
            values = rng.choice([1, -1, 0, -0.0, np.inf, -np.inf, np.nan, 1e-45, LARGEST], count)
        case "coarse":
            values = np.round(values)
    return values.astype(np.float32)


BOUNDS = st.sampled_from([(-LARGEST, LARGEST), (0, LARGEST), (0, 6), (-0.5, 0.5), (0, 0), (-3, -1)])
"""Of an activation function: none, ReLU, ReLU6, tight, closed."""
NAMED = {"clip": BOUNDS, "rate": st.sampled_from([(0.0,), (0.01,), (1.0,), (1e-30,)])}
"""Values of parameters that mean the same wherever they occur."""


@st.composite
def arguments(draw: Draw, kernel: str, more: More, twins: Sequence[str]) -> Arguments:
    """What one of the int8 kernels `twins` is given, and `more`; a number in the place of an array is its length.

    What is only written is drawn as well: whatever was there before must not matter.
    """
    rng = rngs(draw)
    given = draw(st.one_of(*(INT8[f"mcg_{twin}"] for twin in twins)))
    given = {**given, **more(draw, rng, given)}

    def value(param: Param) -> Any:
        if param.name in NAMED:
            return np.asarray(draw(NAMED[param.name]), np.float32)
        found = given[param.name]
        if param.ctype != "float" or found is None or getattr(found, "dtype", None) == np.float32:
            return found
        return reals(draw, rng, found if isinstance(found, int) else found.size)

    return {param.name: value(param) for param in prototypes()[kernel]}


def nothing(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    return {}


def signed(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    return {"sign": draw(st.sampled_from([1, -1]))}


def shares(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Of a row and of a column in a mean."""
    lengths = {"share_h": given["g"].out_h, "share_w": given["g"].out_w}
    return {name: rng.random(n).astype(np.float32) for name, n in lengths.items()}


def by_channel(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Real numbers that the int8 kernels have as float32, too, or as factors."""
    return {"bias": given["channels"], "slope": given["channels"]}


def window(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Groups and scratch of a convolution."""
    g, rows = given["g"], draw(st.integers(1, 5))
    taps = given["w"].size // g.out_c
    return {"groups": g.taps // taps, "rows": rows, "gradient": rows * taps, "patch": taps}


def one_each(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Depthwise convolutions with one output per channel; the channels that are handled at a time, and scratch."""
    g, block = given["g"], draw(st.integers(1, given["g"].in_c))
    assume(g.out_c == g.in_c)
    return {"block": block, "packed": g.k_h * g.k_w * block}


def transposed(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Scratch of a transposed convolution."""
    g = given["g"]
    return {"gradient": g.taps, "patch": g.out_c * g.k_h * g.k_w}


def layer(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Sizes of a linear layer."""
    return {"inputs": given["g"].inputs, "out": given["g"].out}


def rows(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Sums of products over the rows of a linear layer's weights."""
    return {"count": given["g"].inputs, "rows": given["g"].out, "sum": given["g"].out}


def columns(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Sums of products over the columns of a linear layer's weights."""
    inputs = given["g"].inputs
    return {"count": inputs, "rows": given["e"].size, "sum": inputs}


def function(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """A function of real numbers that are spread wide, now and then."""
    with np.errstate(over="ignore"):
        x = reals(draw, rng, given["count"]) * np.float32(draw(st.sampled_from([1, 5, 100])))
    return {
        "function": int(draw(st.sampled_from(list(Function)))),
        "parameters": np.asarray([draw(st.sampled_from([1.0, 0.2, -1.5])), 0.5], np.float32),
        "x": x,
    }


def masked(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Values on either side of the bounds, and at them."""
    bounds, x = np.asarray(draw(BOUNDS), np.float32), reals(draw, rng, given["count"])
    return {"bounds": bounds, "x": np.where(rng.random(x.size) < 0.2, rng.choice(bounds, x.size), x)}


def dequantized(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    return {"x_zero": draw(ZEROS), "x_scale": floats(draw, rng, 1)}


def weighed(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    return {"weight": floats(draw, rng, given["classes"]), "loss": floats(draw, rng, 1)}


def copied(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """The odds of listed channels, or none."""
    return {"odds": odds(draw, rng, int(given["active"][0])) if draw(st.booleans()) else None}


def weighed_errors(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """The odds of listed channels."""
    return {"odds": odds(draw, rng, int(given["active"][0]))}


def parts(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """The bits of sums of magnitudes."""
    sums = np.abs(reals(draw, rng, given["channels"]))
    sums[np.isnan(sums)] = np.inf
    return {"sum": sums.view(np.int32), "part": given["sum"]}


PLAN: dict[str, tuple[More, *tuple[str, ...]]] = {
    "add": (signed, "add_s8"),
    "argmax": (nothing, "argmax_s8"),
    "avgpool2d": (shares, "avgpool2d_s8"),
    "avgpool2d_grad_input": (shares, "avgpool2d_grad_input_s8"),
    "bias_update": (by_channel, "bias_update"),
    "binary_cross_entropy": (nothing, "binary_cross_entropy_s8"),
    "combine": (columns, "linear_grad_input_s8"),
    "concat": (nothing, "concat_s8"),
    "conv2d": (window, "conv2d_s8", "grouped_conv2d_s8", "depthwise_conv2d_s8"),
    "conv2d_grad_input": (
        window,
        "conv2d_grad_input_s8",
        "grouped_conv2d_grad_input_s8",
        "depthwise_conv2d_grad_input_s8",
    ),
    "conv2d_update": (window, "conv2d_update", "grouped_conv2d_update", "depthwise_conv2d_update"),
    "conv_transpose2d": (transposed, "conv_transpose2d_s8"),
    "conv_transpose2d_grad_input": (transposed, "conv_transpose2d_grad_input_s8"),
    "conv_transpose2d_update": (transposed, "conv_transpose2d_update"),
    "depthwise_conv2d": (one_each, "depthwise_conv2d_s8"),
    "depthwise_conv2d_grad_input": (one_each, "depthwise_conv2d_grad_input_s8"),
    "depthwise_conv2d_update": (one_each, "depthwise_conv2d_update"),
    "dequantize": (dequantized, "lookup_s8"),
    "dot": (rows, "linear_s8"),
    "function": (function, "lookup_s8"),
    "function_grad": (function, "lookup_grad_s8"),
    "gather": (nothing, "gather_s8"),
    "linear": (layer, "linear_s8"),
    "linear_grad_input": (layer, "linear_grad_input_s8"),
    "linear_update": (layer, "linear_update"),
    "mask": (masked, "lookup_grad_s8"),
    "maxpool2d": (nothing, "maxpool2d_s8"),
    "maxpool2d_grad_input": (nothing, "maxpool2d_grad_input_s8"),
    "mul": (nothing, "mul_s8"),
    "mul_grad_b": (nothing, "mul_grad_b_s8"),
    "part": (nothing, "rescale_error_s8"),
    "prelu": (by_channel, "prelu_s8"),
    "prelu_grad": (by_channel, "prelu_grad_s8"),
    "regression_loss": (nothing, "regression_loss_s8"),
    "scatter": (nothing, "scatter_s8"),
    "select_copy": (copied, "select_copy_s8"),
    "select_parts": (parts, "select_sums_s8"),
    "select_weigh": (weighed_errors, "select_copy_s8"),
    "select_sums": (nothing, "select_sums_s8"),
    "soft_cross_entropy": (nothing, "soft_cross_entropy_s8"),
    "soften": (nothing, "soften_s8"),
    "softmax_cross_entropy": (nothing, "softmax_cross_entropy_s8"),
    "upsample2d": (nothing, "upsample2d_s8"),
    "upsample2d_grad_input": (nothing, "upsample2d_grad_input_s8"),
    "watch_confidence": (nothing, "watch_confidence_s8"),
    "weigh_loss": (weighed, "softmax_cross_entropy_s8"),
}
"""By name: what is drawn besides, and the int8 kernels whose arguments serve."""

CASES: dict[str, st.SearchStrategy[Arguments]] = {
    f"mcg_{name}_f32": arguments(f"mcg_{name}_f32", more, twins) for name, (more, *twins) in PLAN.items()
}
"""Strategy of the arguments of every kernel, by its C name."""
