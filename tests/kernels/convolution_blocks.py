"""Grouped and transposed convolutions with more channels than a block, each value another: seldom drawn together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from kernels.convolution_extremes import UNBOUNDED
from kernels.draws import Arguments, Rng, old_int8, one, some_int32
from mcugrad import arithmetic as ar
from mcugrad.abi.headers import prototypes
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.training.rules import IN_PLACE

CHANNELS = ((130, 3), (3, 130), (65, 66), (2, 2))
"""Into and out of a group, or of all of a transposed convolution."""


def arguments(kernel: str, g: Conv2dStruct, groups: int, some: bool, rng: Rng) -> Arguments:
    """What a kernel takes, with half of the channels listed or without a list."""
    taps, count = g.taps // groups, g.out_c // 2 if some else g.out_c
    sizes = {"x": g.in_h * g.in_w * g.in_c, "e": g.out_h * g.out_w * count, "w": g.out_c * taps}
    given: dict[str, Any] = {
        name: rng.integers(-127, 128, size).astype(np.int8) for name, size in sizes.items()
    }
    active = np.zeros(1 + g.out_c, np.uint16)
    active[: 1 + count] = count, *np.sort(rng.choice(g.out_c, count, replace=False))
    rule = IN_PLACE["sr8"]
    backward = "e" in {param.name for param in prototypes()[kernel]}
    factors = (rng.uniform(0.3, 3, g.in_c if backward else g.out_c) / (100 * g.taps**0.5)).astype(np.float32)
    given |= {
        "g": g,
        "groups": groups,
        "active": active if some else None,
        "w_zero": np.asarray([-5], np.int32),
        "bias": rng.integers(-2000, 2000, g.out_c).astype(np.int32),
        "scale": ar.scale_from_float(factors) if backward else factors,
        "clip": np.asarray([-UNBOUNDED, UNBOUNDED], np.int32),
        "y": old_int8(rng, g.out_h * g.out_w * g.out_c),
        "e_x": old_int8(rng, sizes["x"]),
        "peak": one(np.int32, rng),
        "factor": ar.scale_from_float(rng.uniform(5, 20, g.out_c).astype(np.float32)),
        "rule": rule,
        "seed": np.asarray([7], np.uint32),
        "step": np.asarray([3], np.uint32),
        "tensor": 16,
        "residual": None,
        "w_scale": np.full(g.out_c, 0.01, np.float32),
        "rows": 3,
        "gradient": some_int32(rng, 3 * taps),
        "patch": np.zeros(taps, np.int16),
    }
    return {param.name: given[param.name] for param in prototypes()[kernel]}


def grouped(kernel: str) -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    for (in_c, out_c), groups, some in product(CHANNELS, (1, 3), (False, True)):
        size = (4, 3, in_c * groups, 3, 3, out_c * groups)
        yield arguments(kernel, Conv2dStruct(*size, 3, 2, 1, 1, 1, 1, 1, 1, 4, -9), groups, some, rng)


def transposed(kernel: str) -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    for (in_c, out_c), some in product(CHANNELS, (False, True)):
        size = (2, 3, in_c, 5, 6, out_c)
        yield arguments(kernel, Conv2dStruct(*size, 3, 2, 2, 2, 1, 0, 1, 1, 4, -9), 1, some, rng)


EXTREMES = {
    f"mcg_{prefix}_{what}": partial(cases, f"mcg_{prefix}_{what}")
    for prefix, cases in (("grouped_conv2d", grouped), ("conv_transpose2d", transposed))
    for what in ("s8", "grad_input_s8", "update")
}
