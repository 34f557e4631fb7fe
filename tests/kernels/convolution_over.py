"""Depthwise convolutions whose outputs may be written over their inputs."""

from __future__ import annotations

from hypothesis import strategies as st

from kernels.convolution import PLAN, forward_arguments
from kernels.draws import Arguments, Draw, old_int8, rngs
from kernels.real import real_cases
from mcugrad.ops.convolution.ahead import pays_s8
from mcugrad.ops.convolution.struct import Conv2dStruct


@st.composite
def layers(draw: Draw) -> Conv2dStruct:
    """Maps of several rows, kernels of any shape, padded as much as they reach or less."""
    channels = draw(CHANNELS)
    k_h, k_w, in_h, in_w = draw(SIZES)
    stride_h, stride_w, down, across = draw(STEPS)
    top, left = draw(st.integers(0, k_h)), draw(st.integers(0, k_w))
    out_h, out_w = -(-in_h // stride_h), -(-in_w // stride_w)
    size, zeros = (in_h, in_w, channels, out_h, out_w, channels), (draw(st.integers(-128, 127)), 0)
    return Conv2dStruct(*size, k_h, k_w, stride_h, stride_w, top, left, down, across, *zeros)


CHANNELS = st.sampled_from([4, 8, 12, 64, 68])
SIZES = st.tuples(*(st.integers(1, most) for most in (5, 5, 9, 9)))
STEPS = st.tuples(*(st.integers(1, most) for most in (3, 3, 2, 2)))
SHARING = layers().filter(pays_s8)


@st.composite
def depthwise_conv2d_s8(draw: Draw) -> Arguments:
    g, rng = draw(SHARING), rngs(draw)
    return {
        **forward_arguments(draw, rng, g, g.k_h * g.k_w),
        "packed": old_int8(rng, g.k_h * g.k_w * min(g.in_c, 64)),
    }


OVER = {"mcg_depthwise_conv2d_s8": depthwise_conv2d_s8()}
"""Strategies of arguments of which arrays may share bytes, by C names, where those of all arguments seldom may."""
OVER |= real_cases({"depthwise_conv2d": PLAN["depthwise_conv2d"]}, OVER)
