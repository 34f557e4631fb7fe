"""Pairs on Armv6-M are taken where they take less than the portable loops, and nowhere else."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from mcugrad import targets
from mcugrad.emulator.kernels import KernelsOnCore
from mcugrad.ops.convolution.conv2d_s8 import CONV2D_GRAD_INPUT_S8, CONV2D_S8, CONV2D_UPDATE
from mcugrad.ops.convolution.pointwise_s8 import POINTWISE_S8, POINTWISE_UPDATE

pytestmark = pytest.mark.mcu

CORE = "cortex-m0plus"
MOST = 1.1
"""Times the instructions of the portable body."""
MAPS = [(8, 8, 8, 3, 1, 1), (8, 1, 8, 3, 1, 1), (6, 3, 3, 3, 1, 1), (1, 16, 16, 3, 1, 1), (2, 8, 8, 3, 1, 1)]
PIXELS = [(8, 3, 8, 1, 1, 1), (1, 64, 32, 1, 1, 1), (2, 16, 16, 1, 1, 1)]
SHAPES = {
    CONV2D_S8: MAPS,
    POINTWISE_S8: PIXELS,
    CONV2D_GRAD_INPUT_S8: MAPS + PIXELS,
    CONV2D_UPDATE: MAPS,
    POINTWISE_UPDATE: PIXELS,
}
"""Small maps and few channels, as kernel_calls.py has shapes."""


def sparse(given: dict[str, Any]) -> dict[str, Any]:
    """Every second error is 0, as behind a ReLU, which portable loops leave out."""
    if "e" not in given:
        return given
    there = np.random.default_rng(0).random(given["e"].size) < 0.5
    return {**given, "e": given["e"] * there}


def test_pairs_take_no_more_than_the_portable_bodies(benchmark: Any) -> None:
    made, target = benchmark("kernel_calls"), targets.load(CORE)
    bodies = [KernelsOnCore([*SHAPES], target, defines=defines) for defines in (None, {"MCG_PORTABLE": None})]
    times: dict[str, list[float]] = {}
    for kernel, shape in ((kernel, shape) for kernel, shapes in SHAPES.items() for shape in shapes):
        for room, given in made.calls(kernel.name, shape):
            for change in (dict, sparse):
                pairs, portable = (on.run(kernel, deepcopy(change(given))) for on in bodies)
                what = f"{kernel.name} {shape}, {room} bytes, {change.__name__}: {pairs} and {portable}"
                assert pairs <= MOST * portable, what
                times.setdefault(kernel.name, []).append(pairs / portable)
    # And where there is enough to do, and room for it, they are taken.
    assert {name: min(found) < 0.85 for name, found in times.items()} == dict.fromkeys(times, True)
