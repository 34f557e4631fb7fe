"""What operators in float32 share: bounds of activation functions, sums of products.

Every sum has one order, so that it has the same bits everywhere; docs/arithmetic.md, "Float layers", says which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import ActivationScale, Float32, Graph, Tensor
from mcugrad.ops.core.activated import Activated
from mcugrad.ops.core.computation import Computation
from mcugrad.program import Kernel

Floats = NDArray[np.float32]

LANES = 8
"""Partial sums of a sum of products."""
LARGEST = float(np.finfo(np.float32).max)
"""Stands for no bound of an activation function."""


@dataclass(frozen=True, kw_only=True)
class ComputationF32(Computation):
    """An operator, computed in float32."""

    needs_range = False

    def describe(self, graph: Graph) -> str:
        return f"{self.of.describe(graph)}  float32"

    def form(self, graph: Graph, given: ActivationScale | None) -> Float32:
        if self.of.passes_scale:
            return real(graph, self.of.inputs[0])
        return Float32(self.of.low, self.of.high) if isinstance(self.of, Activated) else Float32()

    def weight_form(self, weights: Tensor) -> Float32:
        return Float32()


def error_for(to: GradientBuilder, x: str) -> str:
    """Define the error of a float activation as one consumer sees it; what nobody needs is pruned later."""
    error = to.error_of(x)
    assert error is not None
    return error


def bounds(to: ProgramBuilder, tensor: str) -> str:
    """Buffer of the bounds of the activation function that makes a tensor: two floats."""
    quant = real(to.graph, tensor)
    if not quant.bounded:
        return open_bounds(to)
    low = -LARGEST if quant.low is None else quant.low
    high = LARGEST if quant.high is None else quant.high
    name = "bounds_relu" if (low, high) == (0, LARGEST) else f"{tensor}_bounds"
    return to.constant(name, "float", np.asarray([low, high], np.float32), "activation bounds")


def open_bounds(to: ProgramBuilder) -> str:
    """Buffer of bounds that every number lies within."""
    return to.constant("bounds_none", "float", np.asarray([-LARGEST, LARGEST], np.float32), "no bounds")


def real(graph: Graph, tensor: str) -> Float32:
    """How a float tensor came about."""
    quant = graph[tensor].quant
    assert isinstance(quant, Float32), tensor
    return quant


def lower_mask(to: ProgramBuilder, x: str, e_x: str) -> None:
    """Add the call that clears an error just computed where the activation function that made x is flat."""
    if real(to.graph, x).bounded:
        to.call(
            MASK_F32,
            note=f"slope of what made {x}",
            count=to.graph[x].size,
            bounds=bounds(to, x),
            x=to.data(x),
            e=to.data(e_x),
        )


def clipped(y: Floats, clip: NDArray[Any]) -> Floats:
    """`y` within bounds; NaN stays NaN."""
    return np.where(y < clip[0], clip[0], np.where(y > clip[1], clip[1], y))


def dots(x: Floats, w: Floats) -> Floats:
    """(rows of x, rows of w) sums of products: term i goes to partial sum i mod 8, and these are added as a tree."""
    count = x.shape[1]
    fill = ((0, 0), (0, -count % LANES))
    x, w = np.pad(x, fill), np.pad(w, fill)  # a partial sum is never -0, so that adding 0 changes nothing
    s = np.zeros((len(x), len(w), LANES), F32)
    for i in range(0, x.shape[1], LANES):
        s += x[:, None, i : i + LANES] * w[None, :, i : i + LANES]
    half = s[:, :, :4] + s[:, :, 4:]
    result: Floats = (half[:, :, 0] + half[:, :, 2]) + (half[:, :, 1] + half[:, :, 3])
    return result


def combined(e: Floats, w: Floats) -> Floats:
    """(rows of e, columns of w) sums over r of e[r] w[r], first r first; an e of 0 adds nothing."""
    total = np.zeros((len(e), w.shape[1]), F32)
    for r in range(len(w)):
        factor = e[:, r, None]
        total += np.where(factor != 0, factor * w[r], F32(0))
    return total


def mask_f32(count: int, bounds: NDArray[Any], x: NDArray[Any], e: NDArray[Any]) -> None:
    """e = 0 where x is not inside the bounds."""
    open_ = (x[:count] > bounds[0]) & (x[:count] < bounds[1])
    e[:count] = np.where(open_, e[:count], F32(0))


def dot_f32(count: int, rows: int, x: NDArray[Any], w: NDArray[Any], sum: NDArray[Any]) -> None:
    """sum[r] = sum of x[i] w[r, i], in eight partial sums."""
    with np.errstate(all="ignore"):
        sum[:rows] = dots(x[None, :count], w[: rows * count].reshape(rows, count))[0]


def combine_f32(
    rows: int,
    count: int,
    e: NDArray[Any],
    active: NDArray[Any] | None,
    w: NDArray[Any],
    sum: NDArray[Any],
) -> None:
    """sum[i] = sum of e[r] w[r, i] over r, or w[active[1 + r], i]."""
    o = np.arange(rows) if active is None or active.size == 0 else active[1 : 1 + rows]
    with np.errstate(all="ignore"):
        sum[:count] = combined(e[None, :rows], w.reshape(-1, count)[o])[0]


def add_scaled_f32(count: int, factor: NDArray[Any], x: NDArray[Any], y: NDArray[Any]) -> None:
    """y += factor * x."""
    with np.errstate(all="ignore"):
        y[:count] += factor[0] * x[:count]


def add_products_f32(count: int, a: NDArray[Any], b: NDArray[Any], y: NDArray[Any]) -> None:
    """y += a * b."""
    with np.errstate(all="ignore"):
        y[:count] += a[:count] * b[:count]


def copy_f32(count: int, source: NDArray[Any], to: NDArray[Any]) -> None:
    """to = source."""
    to[:count] = source[:count]


MASK_F32 = Kernel("mcg_mask_f32", mask_f32)
DOT_F32 = Kernel("mcg_dot_f32", dot_f32)
COMBINE_F32 = Kernel("mcg_combine_f32", combine_f32)
ADD_SCALED_F32 = Kernel("mcg_add_scaled_f32", add_scaled_f32)
ADD_PRODUCTS_F32 = Kernel("mcg_add_products_f32", add_products_f32)
COPY_F32 = Kernel("mcg_copy_f32", copy_f32)
