"""Calls of kernels by themselves: shapes, and arguments as layers have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from mcugrad import arithmetic as ar
from mcugrad.ops.convolution.conv2d_maxpool_s8 import CONV2D_MAXPOOL_UPDATE, PooledConv2dStruct
from mcugrad.ops.convolution.conv2d_s8 import CONV2D_GRAD_INPUT_S8, CONV2D_S8, CONV2D_UPDATE
from mcugrad.ops.convolution.depthwise_conv2d_s8 import (
    DEPTHWISE_CONV2D_GRAD_INPUT_S8,
    DEPTHWISE_CONV2D_S8,
    DEPTHWISE_CONV2D_UPDATE,
    DEPTHWISE_FROZEN_S8,
)
from mcugrad.ops.convolution.planes import PLANE_UPDATE_ROWS
from mcugrad.ops.convolution.pointwise_s8 import POINTWISE_FROZEN_S8, POINTWISE_S8, POINTWISE_UPDATE
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.frozen_s8 import integer_factors
from mcugrad.ops.linear.linear_s8 import LINEAR_GRAD_INPUT_S8, LINEAR_S8, LINEAR_UPDATE, LinearStruct
from mcugrad.ops.pooling.maxpool2d_kept_s8 import size_of
from mcugrad.ops.pooling.struct import Pool2dStruct
from mcugrad.program import Kernel, Struct
from mcugrad.program.kernel import ROOM, SCRATCH
from mcugrad.training.rules import IN_PLACE

Shape = tuple[int, ...]
Arguments = dict[str, Any]


def linear_s8(shape: Shape) -> Arguments:
    """A fully connected layer: inputs, outputs."""
    inputs, out = shape
    random = np.random.default_rng(shape)
    return {
        "g": LinearStruct(inputs, out, inputs, -128, -5),
        "x": random.integers(-128, 128, inputs).astype(np.int8),
        "w": random.integers(-127, 128, inputs * out).astype(np.int8),
        "w_zero": None,
        "bias": random.integers(-2000, 2000, out).astype(np.int32),
        "scale": np.full(out, 1 / (100 * inputs**0.5), np.float32),
        "clip": np.asarray([-123, 132], np.int32),
        "y": np.zeros(out, np.int8),
        "peak": np.zeros(1, np.int32),
    }


def linear_update(shape: Shape) -> Arguments:
    """Its update by sr8, of which no weight leaves its range; no error is 0."""
    inputs, out = shape
    random = np.random.default_rng(shape)
    return {
        "g": LinearStruct(inputs, out, inputs, -128, -5),
        "x": random.integers(-128, 128, inputs).astype(np.int8),
        "e": (random.integers(1, 128, out) * random.choice([-1, 1])).astype(np.int8),
        "active": None,
        "factor": ar.scale_from_float(np.full(out, 3.0, np.float32)),
        "rule": IN_PLACE["sr8"],
        "seed": np.zeros(1, np.uint32),
        "step": np.zeros(1, np.uint32),
        "tensor": 16,
        "w": random.integers(-60, 61, inputs * out).astype(np.int8),
        "residual": None,
        "w_scale": np.ones(out, np.float32),
    }


def window(shape: Shape) -> Conv2dStruct:
    """A square window on a square map: size, input and output channels, kernel, stride, dilation."""
    size, in_c, out_c, kernel, stride, dilation = shape
    reach = dilation * (kernel - 1)
    out = (size + reach // 2 * 2 - reach - 1) // stride + 1
    return Conv2dStruct(
        *(size, size, in_c, out, out, out_c, kernel, kernel, stride, stride),
        *(reach // 2, reach // 2, dilation, dilation, -128, -128 if out_c % 3 else -5),
    )


def conv2d_s8(shape: Shape) -> Arguments:
    """A convolution: ReLU for most numbers of output channels."""
    g, random = window(shape), np.random.default_rng(shape)
    relu = g.y_zero == -128
    return {
        "g": g,
        "x": random.integers(-128, 128, g.in_h * g.in_w * g.in_c).astype(np.int8),
        "w": random.integers(-127, 128, g.out_c * g.taps).astype(np.int8),
        "w_zero": None,
        "bias": random.integers(-2000, 2000, g.out_c).astype(np.int32),
        "scale": np.full(g.out_c, 1 / (100 * g.taps**0.5), np.float32),
        "clip": np.asarray([0 if relu else -(1 << 30), 1 << 30], np.int32),
        "y": np.zeros(g.out_h * g.out_w * g.out_c, np.int8),
        "peak": np.zeros(1, np.int32),
        "patch": np.zeros(g.taps, np.int16),
    }


def conv2d_grad_input_s8(shape: Shape) -> Arguments:
    """The error of its input, behind a ReLU; none of the output's is 0."""
    g, random = window(shape), np.random.default_rng(shape)
    size = g.in_h * g.in_w * g.in_c
    return {
        "g": g,
        "e": (random.integers(1, 128, g.out_h * g.out_w * g.out_c) * random.choice([-1, 1])).astype(np.int8),
        "active": None,
        "w": random.integers(-127, 128, g.out_c * g.taps).astype(np.int8),
        "w_zero": None,
        "x": random.integers(-128, 128, size).astype(np.int8),
        "scale": ar.scale_from_float(
            np.full(g.in_c, 1 / (250 * (g.k_h * g.k_w * g.out_c) ** 0.5), np.float32)
        ),
        "clip": np.asarray([0, 1 << 30], np.int32),
        "e_x": np.zeros(size, np.int8),
        "peak": np.zeros(1, np.int32),
    }


def conv2d_update(shape: Shape) -> Arguments:
    """Its update by sr8, of which no weight leaves its range; no error is 0, and factors have to be shifted before."""
    g, random = window(shape), np.random.default_rng(shape)
    pixels, weights = g.out_h * g.out_w, g.out_c * g.taps
    return {
        "g": g,
        "x": random.integers(-128, 128, g.in_h * g.in_w * g.in_c).astype(np.int8),
        "e": (random.integers(1, 128, pixels * g.out_c) * random.choice([-1, 1])).astype(np.int8),
        "active": None,
        "factor": ar.scale_from_float(np.full(g.out_c, 0.6, np.float32)),
        "rule": IN_PLACE["sr8"],
        "seed": np.zeros(1, np.uint32),
        "step": np.zeros(1, np.uint32),
        "tensor": 16,
        "rows": 4,
        "w": random.integers(-60, 61, weights).astype(np.int8),
        "residual": None,
        "w_scale": np.ones(g.out_c, np.float32),
        "gradient": np.zeros(4 * g.taps, np.int32),
        "patch": np.zeros(g.taps, np.int16),
    }


def depthwise_conv2d_s8(shape: Shape) -> Arguments:
    """A depthwise convolution: ReLU for most numbers of channels; no output is beyond int8."""
    given, taps = conv2d_s8(shape), shape[3] ** 2
    del given["patch"]
    return {
        **given,
        "w": given["w"][: shape[2] * taps],
        "scale": np.full(shape[2], 1 / (1000 * shape[3]), np.float32),
        "packed": np.zeros(taps * min(shape[2], 64), np.int8),
    }


def frozen(given: Arguments) -> Arguments:
    """The same layer where it does not train; the next factor for which there is an integer."""
    kept = {name: value for name, value in given.items() if name not in ("peak", "patch")}
    near = np.linspace(1, 1.05, 40, dtype=np.float32) * given["scale"][0]
    integers = integer_factors(near, given["g"].y_zero)
    which, channels = int(integers.argmax()), len(given["scale"])
    return {
        **kept,
        "scale": np.full(channels, near[which], np.float32),
        "mult": np.full(channels, integers[which], np.int32),
    }


def depthwise_conv2d_grad_input_s8(shape: Shape) -> Arguments:
    """The error of its input, behind a ReLU; none of the output's is 0."""
    given, taps = conv2d_grad_input_s8(shape), shape[3] ** 2
    return {
        **given,
        "w": given["w"][: shape[2] * taps],
        "scale": ar.scale_from_float(np.full(shape[1], 1 / (400 * shape[3]), np.float32)),
        "packed": np.zeros(taps * min(shape[2], 64), np.int8),
    }


def conv2d_maxpool_update(shape: Shape) -> Arguments:
    """The same from errors behind a pool of 2x2 windows, none of which is 0."""
    given = conv2d_update(shape)
    conv = given["g"]
    pool = Pool2dStruct(
        conv.out_h, conv.out_w, conv.out_c, conv.out_h // 2, conv.out_w // 2, 2, 2, 2, 2, 0, 0, 1, 1
    )
    errors = pool.out_h * pool.out_w * pool.channels
    kept = np.random.default_rng(shape).integers(0, 256, size_of(pool)).astype(np.uint8)
    return {**given, "g": PooledConv2dStruct(conv, pool, 1), "e": given["e"][:errors], "kept": kept}


def depthwise_conv2d_update(shape: Shape) -> Arguments:
    """Its update by sr8, of which no weight leaves its range; no error is 0, and factors have to be shifted before."""
    given, taps = conv2d_update(shape), shape[3] ** 2
    del given["patch"]
    rows = min(PLANE_UPDATE_ROWS, shape[2])
    return {
        **given,
        "w": given["w"][: shape[2] * taps],
        "rows": rows,
        "gradient": np.zeros((rows + 1) * taps, np.int32),
    }


def maps(shapes: list[tuple[int, ...]]) -> list[Shape]:
    """Shapes of windows of which stride and dilation may be left out, where they are 1."""
    return [(*shape, *(1, 1)[len(shape) - 4 :]) for shape in shapes]


WINDOWS = maps(
    [
        *((8, 16, 16, 3), (8, 8, 8, 3), (7, 8, 12, 3), (10, 1, 8, 3), (16, 1, 16, 3, 2), (14, 1, 6, 5)),
        *((16, 3, 16, 3), (16, 3, 8, 3, 2), (9, 3, 10, 3), (10, 2, 8, 3), (6, 32, 32, 3), (4, 32, 64, 3)),
        *((5, 24, 31, 3), (2, 64, 32, 3), (8, 16, 24, 1, 2), (9, 12, 20, 1, 2), (12, 4, 16, 3, 2)),
        *(
            (8, 12, 16, 3, 2),
            (8, 16, 16, 3, 1, 2),
            (7, 5, 9, 3),
            (8, 7, 16, 3),
            (6, 17, 33, 3),
            (3, 16, 80, 3),
        ),
        *((4, 15, 18, 2), (1, 32, 32, 3), (1, 16, 10, 3), (9, 4, 4, 5), (12, 8, 4, 3), (11, 6, 7, 3)),
        *((8, 4, 3, 3), (5, 8, 130, 3), (6, 20, 20, 3, 2), (13, 3, 16, 5, 2), (3, 40, 12, 3), (14, 8, 16, 3)),
        *((16, 16, 16, 3), (12, 16, 32, 3), (20, 4, 8, 3), (12, 32, 16, 3), (6, 10, 20, 2), (7, 6, 9, 2)),
    ]
)
FEW_CHANNELS = maps([(6, 6, 12, 3), (7, 2, 20, 3), (5, 1, 40, 5), (8, 5, 8, 3), (9, 9, 6, 3), (5, 3, 32, 3)])
OTHER_WINDOWS = maps(
    [
        *((10, 8, 16, 3), (14, 16, 32, 3), (20, 1, 16, 3, 2), (12, 3, 16, 3), (12, 3, 24, 3, 2)),
        *((7, 15, 21, 3), (5, 32, 48, 3), (4, 48, 24, 3), (10, 16, 32, 1, 2), (7, 24, 16, 3, 2)),
        *((9, 10, 11, 3), (12, 1, 32, 5), (8, 6, 8, 3)),
    ]
)
PIXELS = maps(
    [
        *((4, 16, 16, 1), (5, 8, 8, 1), (8, 32, 32, 1), (8, 64, 64, 1), (4, 64, 64, 1), (3, 64, 128, 1)),
        *((7, 17, 31, 1), (6, 24, 40, 1), (2, 128, 64, 1), (1, 64, 64, 1), (1, 128, 10, 1), (9, 12, 20, 1)),
        *((10, 8, 4, 1), (5, 33, 65, 1), (12, 16, 8, 1), (12, 8, 48, 1), (6, 48, 96, 1), (7, 63, 65, 1)),
        *((4, 30, 90, 1), (11, 5, 7, 1), (3, 96, 24, 1), (16, 3, 16, 1), (16, 16, 3, 1), (8, 96, 16, 1)),
    ]
)
OTHER_PIXELS = maps(
    [
        *((6, 16, 32, 1), (8, 24, 64, 1), (5, 64, 48, 1), (4, 96, 96, 1), (10, 10, 30, 1), (7, 40, 24, 1)),
        *((3, 128, 40, 1), (12, 12, 12, 1), (2, 64, 100, 1)),
    ]
)

DEPTHWISE = maps(
    [
        *((8, 64, 64, 3), (8, 16, 16, 3), (4, 32, 32, 3), (2, 128, 128, 3), (1, 64, 64, 3), (16, 8, 8, 3)),
        *((7, 20, 20, 3), (5, 64, 64, 3), (9, 13, 13, 3), (13, 6, 6, 3), (25, 4, 4, 3), (6, 99, 99, 3)),
        *(
            (3, 70, 70, 3),
            (11, 10, 10, 3),
            (20, 12, 12, 3),
            (10, 33, 33, 3),
            (14, 24, 24, 3),
            (4, 130, 130, 3),
        ),
        *((8, 32, 32, 3, 2), (16, 16, 16, 3, 2), (7, 24, 24, 3, 2), (5, 12, 12, 3, 2), (4, 64, 64, 3, 2)),
        *((9, 9, 9, 3, 2), (20, 6, 6, 3, 2), (15, 8, 8, 3, 2), (11, 65, 65, 3, 2), (6, 40, 40, 3, 2)),
        *((8, 24, 24, 5), (7, 16, 16, 5), (4, 40, 40, 5), (12, 8, 8, 5), (10, 7, 7, 5), (9, 12, 12, 5, 2)),
        *(
            (14, 8, 8, 5, 2),
            (6, 32, 32, 5, 2),
            (8, 16, 16, 7),
            (11, 9, 9, 7),
            (6, 24, 24, 7),
            (10, 8, 8, 7, 2),
        ),
        *(
            (8, 20, 20, 3, 1, 2),
            (10, 8, 8, 3, 1, 2),
            (12, 12, 12, 2),
            (7, 10, 10, 2),
            (6, 8, 8, 1),
            (9, 16, 16, 1),
        ),
        *((30, 4, 4, 3), (24, 5, 5, 3), (28, 4, 4, 5), (32, 4, 4, 3, 2), (22, 6, 6, 5), (27, 7, 7, 3)),
        *(
            (8, 4, 4, 3),
            (12, 5, 5, 3),
            (16, 4, 4, 3),
            (5, 6, 6, 3),
            (9, 4, 4, 5),
            (12, 2, 2, 3),
            (9, 1, 1, 3),
        ),
        *((12, 3, 3, 5), (7, 3, 3, 3), (16, 2, 2, 3, 2), (10, 1, 1, 5), (20, 3, 3, 3), (26, 1, 1, 3, 2)),
    ]
)
OTHER_DEPTHWISE = maps(
    [
        *((10, 16, 16, 3), (6, 48, 48, 3), (7, 64, 64, 3), (12, 22, 22, 3), (16, 12, 12, 3), (3, 96, 96, 3)),
        *((12, 24, 24, 3, 2), (10, 16, 16, 3, 2), (7, 48, 48, 3, 2), (10, 16, 16, 5), (6, 30, 30, 5)),
        *((8, 40, 40, 5, 2), (9, 16, 16, 7), (26, 4, 4, 3), (10, 12, 12, 3, 1, 2), (8, 120, 120, 3)),
        *((5, 100, 100, 3), (18, 8, 8, 3, 2)),
    ]
)

VECTORS: list[Shape] = list(
    product((8, 16, 29, 31, 64, 98, 128, 131, 512, 1021), (1, 2, 3, 4, 7, 10, 16, 33, 64, 65, 130))
)
OTHER_VECTORS: list[Shape] = list(
    product((10, 23, 48, 96, 150, 301, 784, 1568), (2, 5, 6, 11, 32, 62, 100, 128))
)


def pooled(shapes: list[Shape]) -> list[Shape]:
    """Those of which a window of a pool has room in the output."""
    return [shape for shape in shapes if window(shape).out_h > 1]


SHAPES: dict[Kernel, tuple[list[Shape], list[Shape]]] = {
    LINEAR_S8: (VECTORS, OTHER_VECTORS),
    LINEAR_UPDATE: (VECTORS, OTHER_VECTORS),
    CONV2D_S8: (WINDOWS, OTHER_WINDOWS),
    POINTWISE_S8: (PIXELS, OTHER_PIXELS),
    POINTWISE_FROZEN_S8: (PIXELS, OTHER_PIXELS),
    CONV2D_GRAD_INPUT_S8: (WINDOWS + FEW_CHANNELS + PIXELS, OTHER_WINDOWS + OTHER_PIXELS),
    CONV2D_UPDATE: (WINDOWS, OTHER_WINDOWS),
    CONV2D_MAXPOOL_UPDATE: (pooled(WINDOWS), pooled(OTHER_WINDOWS)),
    POINTWISE_UPDATE: (PIXELS, OTHER_PIXELS),
    DEPTHWISE_CONV2D_S8: (DEPTHWISE, OTHER_DEPTHWISE),
    DEPTHWISE_FROZEN_S8: (DEPTHWISE, OTHER_DEPTHWISE),
    DEPTHWISE_CONV2D_GRAD_INPUT_S8: (DEPTHWISE, OTHER_DEPTHWISE),
    DEPTHWISE_CONV2D_UPDATE: (DEPTHWISE, OTHER_DEPTHWISE),
}
"""Kernels that have a price: shapes that it is fitted to, and others that tell how good it is."""
TOGETHER = (*SHAPES, LINEAR_GRAD_INPUT_S8)
"""Kernels that prices.py and kernels.py count: one build of both, where counts are only compared."""
MORE_WINDOWS = maps(
    [
        (12, 1, 24, 5),
        (20, 1, 12, 3, 2),
        (9, 1, 8, 3),
        (15, 1, 20, 5),
        (10, 12, 24, 1, 2),
        (13, 24, 40, 1, 2),
        (6, 3, 6, 3),
    ]
)
MORE_PIXELS = maps(
    [(9, 10, 25, 1), (6, 10, 14, 1), (8, 14, 18, 1), (9, 20, 12, 1), (10, 9, 26, 1), (7, 36, 20, 1)]
)
MORE = {
    CONV2D_GRAD_INPUT_S8: MORE_WINDOWS + MORE_PIXELS,
    CONV2D_UPDATE: MORE_WINDOWS,
    POINTWISE_UPDATE: MORE_PIXELS,
}
"""More shapes to fit to, where a body leaves some calls to the portable one: factors of both are then to be found."""
_ARGUMENTS: dict[str, Callable[[Shape], Arguments]] = {
    "mcg_linear_s8": linear_s8,
    "mcg_linear_update": linear_update,
    "mcg_conv2d_s8": conv2d_s8,
    "mcg_pointwise_s8": conv2d_s8,
    "mcg_pointwise_frozen_s8": lambda shape: frozen(conv2d_s8(shape)),
    "mcg_conv2d_grad_input_s8": conv2d_grad_input_s8,
    "mcg_conv2d_update": conv2d_update,
    "mcg_pointwise_update": conv2d_update,
    "mcg_conv2d_maxpool_update": conv2d_maxpool_update,
    "mcg_depthwise_conv2d_s8": depthwise_conv2d_s8,
    "mcg_depthwise_frozen_s8": lambda shape: frozen(depthwise_conv2d_s8(shape)),
    "mcg_depthwise_conv2d_grad_input_s8": depthwise_conv2d_grad_input_s8,
    "mcg_depthwise_conv2d_update": depthwise_conv2d_update,
}


@cache
def _given(name: str, shape: Shape) -> Arguments:
    """Arguments of a kernel for a shape, but for its scratch, as each call begins with them."""
    return _ARGUMENTS[name](shape)


def struct(name: str, shape: Shape) -> Struct:
    """Constants of a layer of a shape."""
    return _given(name, shape)["g"]


def calls(name: str, shape: Shape) -> Iterator[tuple[int, Arguments]]:
    """Arguments of a kernel for a shape, by bytes of scratch: all sizes with which it does everything by itself."""
    kernel = next(kernel for kernel in SHAPES if kernel.name == name)
    g = struct(name, shape)
    for room in (0,) if kernel.scratch is None else kernel.scratch.sizes(g):
        if kernel.parts is not None and kernel.parts(g, room):
            continue  # the price is that of others
        scratch = np.zeros(room // 4, np.uint32) if room else None
        given = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in _given(name, shape).items()}
        yield room, {**given, ROOM: room, SCRATCH: scratch}
