"""Depthwise convolutions whose outputs may be written over their inputs."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st

from kernels.convolution import PLAN, forward_arguments
from kernels.draws import Arguments, Draw, old_int8, rngs
from kernels.real import real_cases
from mcugrad.ops.convolution.ahead import pays_s8
from mcugrad.ops.convolution.struct import Conv2dStruct


@st.composite
def depthwise_conv2d_s8(draw: Draw) -> Arguments:
    """Maps of several rows, kernels of any shape, padded as much as they reach or less."""
    channels = draw(st.sampled_from([4, 8, 12, 64, 68]))
    k_h, k_w, in_h, in_w = (draw(st.integers(1, most)) for most in (5, 5, 9, 9))
    stride_h, stride_w, down, across = (draw(st.integers(1, most)) for most in (3, 3, 2, 2))
    top, left = draw(st.integers(0, k_h)), draw(st.integers(0, k_w))
    out_h, out_w = -(-in_h // stride_h), -(-in_w // stride_w)
    size, zeros = (in_h, in_w, channels, out_h, out_w, channels), (draw(st.integers(-128, 127)), 0)
    g = Conv2dStruct(*size, k_h, k_w, stride_h, stride_w, top, left, down, across, *zeros)
    assume(pays_s8(g))
    rng = rngs(draw)
    return {
        **forward_arguments(draw, rng, g, k_h * k_w),
        "packed": old_int8(rng, k_h * k_w * min(channels, 64)),
    }


OVER = {"mcg_depthwise_conv2d_s8": depthwise_conv2d_s8()}
"""Strategies of arguments of which arrays may share bytes, by C names, where those of all arguments seldom may."""
OVER |= real_cases({"depthwise_conv2d": PLAN["depthwise_conv2d"]}, OVER)
