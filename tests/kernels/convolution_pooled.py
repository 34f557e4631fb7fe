"""Arguments for convolutions whose outputs are pooled at once: what ordinary ones and pools take, in one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import gcd
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.convolution import forward_arguments, grad_input_arguments, update_arguments
from kernels.convolution_extremes import UNBOUNDED, backward, forward, update, window
from kernels.draws import Arguments, Draw, Rng, int8, old_int8, rngs, some_int32
from mcugrad import arithmetic as ar
from mcugrad.abi.headers import prototypes
from mcugrad.ops.convolution.conv2d_maxpool_s8 import PooledConv2dStruct, may_be_one
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.pooling.maxpool2d_kept_s8 import bits_of, maxpool2d_keep_s8, size_of
from mcugrad.ops.pooling.struct import Pool2dStruct
from mcugrad.training.rules import IN_PLACE

FORWARD, GRAD_INPUT, UPDATE = (f"mcg_conv2d_maxpool_{name}" for name in ("s8", "grad_input_s8", "update"))


def whole_bytes(out_c: int, across: int, kernel: tuple[int, int]) -> int:
    """So many channels, or the next multiple with which a row of windows fills whole bytes of places."""
    bits = bits_of(Pool2dStruct(1, 1, 1, 1, 1, *kernel, *kernel, 0, 0, 1, 1))
    return out_c * (8 // gcd(8, across * out_c * bits))


def pooled(draw: Draw) -> PooledConv2dStruct:
    """Small maps; strides, dilations, paddings of all sizes; rows of windows that come out even or not."""
    (in_h, out_h, down, p_h, s_h, *conv_h), (in_w, out_w, across, p_w, s_w, *conv_w) = axis(draw), axis(draw)
    in_c, out_c = draw(st.sampled_from([1, 2, 3, 4, 5, 8])), draw(st.sampled_from([1, 2, 3, 4, 6, 8, 9]))
    out_c = whole_bytes(out_c, across, (p_h, p_w))
    rest = [n for both in zip(conv_h, conv_w, strict=True) for n in both]
    zeros = [draw(st.sampled_from([-128, 0, 5, 127])) for _ in range(2)]
    conv = Conv2dStruct(in_h, in_w, in_c, out_h, out_w, out_c, *rest, *zeros)
    pool = Pool2dStruct(out_h, out_w, out_c, down, across, p_h, p_w, s_h, s_w, 0, 0, 1, 1)
    assert may_be_one(conv, pool), (conv, pool)
    return PooledConv2dStruct(conv, pool, draw(st.integers(1, 3)))


def axis(draw: Draw) -> tuple[int, ...]:
    """Sizes of input and output; windows, kernel, stride of the pool; kernel, stride, padding, dilation."""
    windows, kernel = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    stride = kernel + draw(st.integers(0, 1))
    out = (windows - 1) * stride + kernel + draw(st.integers(0, stride - 1))
    k, dilation = draw(st.sampled_from([(1, 1), (2, 1), (3, 1), (3, 1), (4, 1), (3, 2), (2, 2)]))
    reach = (k - 1) * dilation
    by = draw(st.integers(1, min(reach + 1, 3)))
    before, behind = draw(st.integers(0, reach)), draw(st.integers(0, reach))
    last = (out - 1) * by - before
    size = max(last + reach + 1 - behind, last + 1, 1)
    return size, out, windows, kernel, stride, k, by, before, dilation


def won(rng: Rng, g: PooledConv2dStruct) -> NDArray[np.uint8]:
    """Places that win among random outputs."""
    pool, kept = g.pool, np.zeros(size_of(g.pool), np.uint8)
    x = rng.integers(-128, 128, pool.in_h * pool.in_w * pool.channels).astype(np.int8)
    maxpool2d_keep_s8(pool, x, np.zeros(errors(g), np.int8), kept)
    return kept


def errors(g: PooledConv2dStruct) -> int:
    """Values of the pooled output."""
    return g.pool.out_h * g.pool.out_w * g.pool.channels


def with_pool(kernel: str, g: PooledConv2dStruct, given: Arguments, rng: Rng, **more: Any) -> Arguments:
    """What a kernel is given, from what that of the convolution is."""
    found = {
        **given,
        "g": g,
        "kept": rng.integers(0, 256, size_of(g.pool)).astype(np.uint8) if kernel == FORWARD else won(rng, g),
        "band": old_int8(rng, g.band if kernel == FORWARD else g.error_band),
        "y": old_int8(rng, errors(g)),
        **more,
    }
    return {p.name: found[p.name] for p in prototypes()[kernel] if p.name in found}


@st.composite
def conv2d_maxpool_s8(draw: Draw) -> Arguments:
    g, rng = pooled(draw), rngs(draw)
    given = forward_arguments(draw, rng, g.conv, g.conv.taps)
    more: Arguments = {"patch": old_int8(rng, g.conv.taps).astype(np.int16)}
    if draw(st.booleans()):
        more["kept"] = None
    return with_pool(FORWARD, g, given, rng, **more)


@st.composite
def conv2d_maxpool_grad_input_s8(draw: Draw) -> Arguments:
    g, rng = pooled(draw), rngs(draw)
    given = grad_input_arguments(draw, rng, g.conv, g.conv.taps, g.conv.out_c * g.conv.k_h * g.conv.k_w)
    return with_pool(GRAD_INPUT, g, given, rng, e=int8(draw, rng, errors(g)))


@st.composite
def conv2d_maxpool_update(draw: Draw) -> Arguments:
    g, rng = pooled(draw), rngs(draw)
    given = update_arguments(draw, rng, g.conv, g.conv.taps)
    rows = draw(st.sampled_from([1, 2, 3, 4, 5, 8]))
    gradient = some_int32(rng, min(rows, g.conv.out_c) * g.conv.taps)
    patch = old_int8(rng, g.conv.taps).astype(np.int16)
    more = {"rows": rows, "gradient": gradient, "patch": patch}
    return with_pool(UPDATE, g, given, rng, e=int8(draw, rng, errors(g)), **more)


CASES: dict[str, st.SearchStrategy[Arguments]] = {
    FORWARD: conv2d_maxpool_s8(),
    GRAD_INPUT: conv2d_maxpool_grad_input_s8(),
    UPDATE: conv2d_maxpool_update(),
}
"""Strategy of the arguments of every kernel here, by its C name."""


def of(conv: Conv2dStruct, kernel: tuple[int, int], stride: tuple[int, int]) -> Iterator[PooledConv2dStruct]:
    """A convolution and a pool, all rows of windows at a time or fewer."""
    down, across = (
        (n - k) // s + 1 for n, k, s in zip((conv.out_h, conv.out_w), kernel, stride, strict=True)
    )
    conv = replace(conv, out_c=whole_bytes(conv.out_c, across, kernel))
    pool = Pool2dStruct(conv.out_h, conv.out_w, conv.out_c, down, across, *kernel, *stride, 0, 0, 1, 1)
    assert may_be_one(conv, pool)
    for lines in sorted({1, 2, down}):
        yield PooledConv2dStruct(conv, pool, lines)


SAME = (1, 1, 1, 1)
SHAPES = tuple(
    g
    for conv, kernel, stride in (
        (window((8, 8, 3), 4, (3, 3), pad=SAME), (2, 2), (2, 2)),
        (window((9, 7, 1), 5, (3, 3)), (2, 2), (2, 2)),
        (window((11, 1, 4), 3, (5, 1), pad=(2, 0, 2, 0)), (3, 1), (3, 1)),
        (window((12, 12, 5), 8, (3, 3), (2, 2), SAME), (2, 2), (2, 2)),
        (window((9, 10, 9), 7, (3, 3), pad=(2, 2, 2, 2), dilation=(2, 2)), (2, 3), (3, 3)),
        (window((6, 6, 17), 33, (1, 1)), (3, 3), (3, 3)),
        (window((4, 8, 2), 4, (4, 2), pad=(3, 1, 3, 1)), (1, 2), (1, 2)),
    )
    for g in of(conv, kernel, stride)
)
"""Rows that no window covers, and such between windows; columns; strides, dilations, borders of all kinds."""


def forward_extremes() -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    for i, g in enumerate(SHAPES):
        conv = replace(g.conv, x_zero=int(rng.integers(-128, 128)), y_zero=(-128, 5)[i % 2])
        for bias, low in product((0, 1 << 29, -(1 << 29)), (-128, -1)):
            x, w = (
                rng.integers(low, 128, n)
                for n in (g.conv.in_h * g.conv.in_w * g.conv.in_c, g.conv.out_c * g.conv.taps)
            )
            yield with_pool(
                FORWARD,
                replace(g, conv=conv),
                forward(conv, rng),
                rng,
                x=x.astype(np.int8),
                w=np.maximum(w, -127).astype(np.int8),
                bias=np.full(conv.out_c, bias, np.int32),
                scale=np.full(conv.out_c, 2.0**-22 if bias else 1 / (60 * conv.taps**0.5), np.float32),
                clip=np.asarray([0 if i % 2 else -UNBOUNDED, UNBOUNDED], np.int32),
            )


def grad_input_extremes() -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    for g, factor, (e, w) in product(SHAPES, (0.01, 1e-4, 2.0**26), ((-127, -127), (127, 127), (0, -127))):
        given = backward(g.conv, rng)
        yield with_pool(
            GRAD_INPUT,
            g,
            given,
            rng,
            e=rng.integers(e, 128, errors(g)).astype(np.int8),
            w=rng.integers(w, 128, given["w"].size).astype(np.int8),
            x=rng.integers(-128, 128, given["x"].size).astype(np.int8),
            scale=ar.scale_from_float(np.full(g.conv.in_c, factor, np.float32)),
            clip=np.asarray([(-UNBOUNDED, UNBOUNDED), (0, UNBOUNDED)][e == 0], np.int32),
        )


def update_extremes() -> Iterator[Arguments]:
    """Errors of all sizes, none, the largest sums; weights that saturate; what is beside the map must not count."""
    rng = np.random.default_rng(0)
    for (i, g), (x, e) in product(enumerate(SHAPES), ((-128, -127), (127, 127), (127, 0), (-128, 126))):
        conv = replace(g.conv, x_zero=(-128, 127, 3)[i % 3])
        given = update(conv, list(IN_PLACE.values())[i % len(IN_PLACE)], rng, 0)
        factor = (
            65536 / (3000 * (conv.out_h * conv.out_w) ** 0.5) * rng.choice([0.1, 1, 30, 3000], conv.out_c)
        )
        yield with_pool(
            UPDATE,
            replace(g, conv=conv),
            given,
            rng,
            e=rng.integers(e, 128, errors(g)).astype(np.int8) * np.int8(1 if i % 2 else -1),
            x=rng.integers(x, 128, given["x"].size).astype(np.int8),
            factor=ar.scale_from_float(factor.astype(np.float32)),
        )


EXTREMES = {FORWARD: forward_extremes, GRAD_INPUT: grad_input_extremes, UPDATE: update_extremes}
