"""Arguments for the kernels that move values."""

from __future__ import annotations

from hypothesis import strategies as st

from kernels.draws import CHANNELS, ZEROS, Arguments, Draw, error_end, int8, old_int8, rngs
from kernels.real import Plan, nothing, real_cases
from mcugrad.ops.movement.struct import SliceStruct


def part(draw: Draw) -> SliceStruct:
    """A regular part of a map; channels are many or few."""
    axes = []
    for lengths in (st.integers(1, 9), st.integers(1, 9), CHANNELS):
        count, step = draw(lengths), draw(st.sampled_from([1, 1, 2, 3]))
        first = draw(st.integers(0, 3))
        whole = first + (count - 1) * step + 1 + draw(st.integers(0, 3))
        axes.append((whole, count, first, step))
    whole, count, first, step = zip(*axes, strict=True)
    return SliceStruct(*whole, *count, *first, *step)


def sizes(g: SliceStruct) -> tuple[int, int]:
    return g.whole_h * g.whole_w * g.whole_c, g.part_h * g.part_w * g.part_c


@st.composite
def gather_s8(draw: Draw) -> Arguments:
    g, rng = part(draw), rngs(draw)
    whole, count = sizes(g)
    return {"g": g, "whole": int8(draw, rng, whole, -128), "part": old_int8(rng, count)}


@st.composite
def scatter_s8(draw: Draw) -> Arguments:
    g, rng = part(draw), rngs(draw)
    whole, count = sizes(g)
    return {
        "g": g,
        "fill": draw(ZEROS),
        "part": int8(draw, rng, count, -128),
        "whole": old_int8(rng, whole),
    }


def upsampling(draw: Draw) -> dict[str, int]:
    size = st.integers(1, 5)
    names = ("height", "width", "factor_h", "factor_w")
    return {**{name: draw(size) for name in names}, "channels": draw(CHANNELS)}


@st.composite
def upsample2d_s8(draw: Draw) -> Arguments:
    g, rng = upsampling(draw), rngs(draw)
    count = g["height"] * g["width"] * g["channels"]
    copies = g["factor_h"] * g["factor_w"]
    return {**g, "x": int8(draw, rng, count, -128), "y": old_int8(rng, count * copies)}


@st.composite
def upsample2d_grad_input_s8(draw: Draw) -> Arguments:
    g, rng = upsampling(draw), rngs(draw)
    count = g["height"] * g["width"] * g["channels"]
    copies = g["factor_h"] * g["factor_w"]
    return {
        **g,
        "x_zero": draw(ZEROS),
        "e": int8(draw, rng, count * copies),
        **error_end(draw, rng, "x", count, 1, copies**-0.5),
    }


CASES: dict[str, st.SearchStrategy[Arguments]] = {
    f"mcg_{case.__name__}": case()
    for case in (
        gather_s8,
        scatter_s8,
        upsample2d_s8,
        upsample2d_grad_input_s8,
    )
}
"""Strategy of the arguments of every kernel here, by its C name."""
PLAN: Plan = {
    "gather": (nothing, "gather_s8"),
    "scatter": (nothing, "scatter_s8"),
    "upsample2d": (nothing, "upsample2d_s8"),
    "upsample2d_grad_input": (nothing, "upsample2d_grad_input_s8"),
}
CASES |= real_cases(PLAN, CASES)
