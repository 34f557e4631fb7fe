"""Arguments for forward kernels of layers that do not train: integer factors beside floats, and no bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
from hypothesis import strategies as st

from kernels import convolution_depthwise_extremes as depthwise
from kernels import convolution_extremes as ordinary
from kernels.convolution import CASES as CONVOLUTIONS
from kernels.convolution_extremes import UNBOUNDED
from kernels.convolution_over import OVER as SHARING
from kernels.draws import Arguments, Draw
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.frozen_s8 import integer_factors

NO_BOUNDS = ((-UNBOUNDED, UNBOUNDED, 0), (0, 255, -128), (0, UNBOUNDED, -128), (-255, 0, 127), (-131, 124, 3))
"""Bounds from a zero point that leave all that int8 holds, and the zero point."""


def frozen(given: Arguments) -> Arguments:
    """The same layer, with integers for its factors and nobody who asks for its peak."""
    kept = {name: value for name, value in given.items() if name not in ("peak", "patch")}
    return {**kept, "mult": integer_factors(given["scale"], given["g"].y_zero)}


@st.composite
def without_bounds(draw: Draw, layers: st.SearchStrategy[Arguments]) -> Arguments:
    """A layer whose bounds are those of int8; some factors are as they mostly are, of which most have integers."""
    given = draw(layers)
    low, high, zero = draw(st.sampled_from(NO_BOUNDS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    usual = rng.uniform(0.0005, 0.03, given["scale"].size).astype(np.float32)
    scale = np.where(rng.random(usual.size) < draw(st.sampled_from([0, 0.8, 1])), usual, given["scale"])
    changed = {"g": replace(given["g"], y_zero=zero), "clip": np.asarray([low, high], np.int32)}
    return frozen({**given, **changed, "scale": scale})


def leaves_all(given: Arguments) -> bool:
    """Whether no int8 is beyond the bounds."""
    zero, (low, high) = given["g"].y_zero, given["clip"]
    return zero + int(low) <= -128 and zero + int(high) >= 127


def steps(layers: Iterator[Arguments]) -> Iterator[Arguments]:
    """Sums on both sides of where outputs go up, for factors with an integer and, beside them, with none."""
    rng = np.random.default_rng(1)
    for given, (low, high, zero), at in product(layers, NO_BOUNDS, (-128, -127, -1, 0, 1, 63, 126)):
        channels = given["g"].out_c
        scale = rng.uniform(0.0006, 0.03, channels).astype(np.float32)
        scale[rng.random(channels) < 0.2] = 2.0**-8  # ties in both directions
        up = np.round((at - zero + 0.5) / scale.astype(np.float64)).astype(np.int64)
        yield frozen(
            {
                **given,
                "g": replace(given["g"], y_zero=zero),
                "clip": np.asarray([low, high], np.int32),
                "scale": scale,
                "bias": (up + rng.integers(-1, 2, channels)).astype(np.int32),
            }
        )


def values(layers: Iterator[Arguments]) -> Iterator[Arguments]:
    """Every weight and every input is another; sums reach far beyond int8 on both sides, or hardly beyond."""
    rng = np.random.default_rng(2)
    for given, wide in product(list(layers), (1, 8)):
        g = given["g"]
        scale = (wide * rng.uniform(0.5, 1.5, g.out_c) / (150 * (given["w"].size / g.out_c) ** 0.5)).astype(
            np.float32
        )
        yield frozen(
            {
                **given,
                "g": replace(g, x_zero=int(rng.integers(-128, 128)), y_zero=-128 if wide == 1 else 5),
                "x": rng.integers(-128, 128, given["x"].size).astype(np.int8),
                "w": rng.integers(-127, 128, given["w"].size).astype(np.int8),
                "bias": rng.integers(-900, 900, g.out_c).astype(np.int32),
                "scale": np.minimum(scale, np.float32(0.03)),
                "clip": np.asarray([0 if wide == 1 else -UNBOUNDED, UNBOUNDED], np.int32),
            }
        )


POINTWISE = (
    *ordinary.POINTWISE,
    ordinary.window((2, 2, 8), 8),
    ordinary.window((3, 3, 16), 12),
    ordinary.window((1, 5, 20), 7),
    ordinary.window((2, 3, 5), 10),
    ordinary.window((4, 4, 68), 66),
    ordinary.window((1, 4, 3), 4),
)
"""Pixels and channels that are no multiples of 4, pairs without a third, more than eight words."""
FOURS = tuple(
    depthwise.window(
        size, channels, kernel, stride, (kernel[0] // 2, left, kernel[0] // 2, kernel[1] - 1 - left)
    )
    for size, channels, kernel, stride, left in (
        ((4, 4), 4, (3, 3), (1, 1), 1),
        ((8, 8), 8, (3, 3), (2, 2), 1),
        ((5, 12), 5, (3, 3), (1, 1), 0),
        ((7, 8), 4, (3, 3), (2, 2), 0),
        ((8, 8), 8, (5, 5), (1, 1), 2),
        ((9, 16), 6, (5, 5), (2, 2), 2),
        ((4, 4), 4, (7, 7), (1, 1), 3),
        ((3, 8), 4, (7, 7), (1, 1), 3),
        ((16, 8), 9, (7, 7), (2, 2), 3),
        ((6, 8), 4, (3, 5), (1, 1), 2),
        ((9, 4), 4, (9, 7), (1, 1), 3),
        ((12, 4), 66, (5, 5), (1, 1), 2),
    )
)
"""Fours of outputs, of all kernel rows that are made at once, and of more; kernel rows beside the map."""


def layers(shapes: tuple[Conv2dStruct, ...], forward: object) -> Iterator[Arguments]:
    """Layers of zeros."""
    rng = np.random.default_rng(0)
    for g in shapes:
        yield forward(g, rng)  # type: ignore[operator]


def pointwise_frozen_s8_extremes() -> Iterator[Arguments]:
    yield from (frozen(each) for each in ordinary.pointwise_s8_extremes() if leaves_all(each))
    yield from steps(layers(POINTWISE[-6:-1], ordinary.forward))
    yield from values(layers(POINTWISE, ordinary.forward))


def depthwise_frozen_s8_extremes() -> Iterator[Arguments]:
    yield from (frozen(each) for each in depthwise.depthwise_conv2d_s8_extremes() if leaves_all(each))
    yield from steps(layers(FOURS[:2] + FOURS[4:7:2], depthwise.forward))
    yield from values(layers(FOURS + depthwise.SHAPES, depthwise.forward))


CASES = {
    "mcg_pointwise_frozen_s8": without_bounds(CONVOLUTIONS["mcg_pointwise_s8"]),
    "mcg_depthwise_frozen_s8": without_bounds(CONVOLUTIONS["mcg_depthwise_conv2d_s8"]),
}
EXTREMES = {
    "mcg_pointwise_frozen_s8": pointwise_frozen_s8_extremes,
    "mcg_depthwise_frozen_s8": depthwise_frozen_s8_extremes,
}
OVER = {"mcg_depthwise_frozen_s8": without_bounds(SHARING["mcg_depthwise_conv2d_s8"])}
