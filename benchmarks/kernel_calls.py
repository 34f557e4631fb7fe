"""Calls of kernels by themselves: shapes, and arguments as layers have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from mcugrad.ops.linear.linear_s8 import LINEAR_S8, LinearStruct
from mcugrad.program import Kernel, Struct
from mcugrad.program.kernel import ROOM, SCRATCH

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


SHAPES: dict[Kernel, tuple[list[Shape], list[Shape]]] = {
    LINEAR_S8: (
        list(product((8, 16, 29, 31, 64, 98, 128, 131, 512, 1021), (1, 2, 3, 4, 7, 10, 16, 33, 64, 65, 130))),
        list(product((10, 23, 48, 96, 150, 301, 784, 1568), (2, 5, 6, 11, 32, 62, 100, 128))),
    ),
}
"""Kernels that have a price: shapes that it is fitted to, and others that tell how good it is."""
_ARGUMENTS: dict[str, Callable[[Shape], Arguments]] = {"mcg_linear_s8": linear_s8}


def struct(name: str, shape: Shape) -> Struct:
    """Constants of a layer of a shape."""
    return _ARGUMENTS[name](shape)["g"]


def calls(name: str, shape: Shape) -> Iterator[tuple[int, Arguments]]:
    """Arguments of a kernel for a shape, with each size of scratch, and how many bytes that are."""
    kernel = next(kernel for kernel in SHAPES if kernel.name == name)
    arguments = _ARGUMENTS[name](shape)
    assert kernel.scratch is not None
    for room in kernel.scratch.sizes(arguments["g"]):
        scratch = np.zeros(room // 4, np.uint32) if room else None
        yield room, {**arguments, ROOM: room, SCRATCH: scratch}
