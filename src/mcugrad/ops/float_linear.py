"""Linear in float32: y = clip(w x + b). Weights [out][in]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.graph import BackwardNode, Graph
from mcugrad.graph.gradient import GradientBuilder
from mcugrad.ops.float_operator import (
    FloatOperator,
    bounds,
    clipped,
    combined,
    dots,
    error_for,
    lower_mask,
)
from mcugrad.ops.float_update import add_float_updates, descend
from mcugrad.ops.linear import Linear
from mcugrad.ops.update import whole_error
from mcugrad.program import Kernel
from mcugrad.program.lowering import Lowering


@dataclass(frozen=True, kw_only=True)
class FloatLinear(FloatOperator):
    """Fully connected layer with a fused activation function."""

    of: Linear

    def gradient(self, to: GradientBuilder, e: str) -> None:
        of = self.of
        name = f"{self.name}_grad_input"
        to.add(FloatLinearGradInput(name=name, e=e, w=of.w, x=of.x, e_x=error_for(to, of.x)))
        add_float_updates(
            to, of, e, lambda e: FloatLinearUpdate(name=f"{self.name}_update", x=of.x, e=e, w=of.w)
        )

    def lower(self, to: Lowering) -> None:
        out, inputs = to.graph[self.of.w].shape
        to.call(
            LINEAR_F32,
            note=self.describe(to.graph),
            inputs=inputs,
            out=out,
            x=to.data(self.of.x),
            w=to.data(self.of.w),
            bias=to.data(self.of.b),
            clip=bounds(to, self.y),
            y=to.data(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class FloatLinearGradInput(BackwardNode):
    """Error of a fully connected layer's input."""

    e: str
    w: str
    x: str
    e_x: str

    INPUTS = ("e", "w", "x")
    OUTPUTS = ("e_x",)

    @property
    def has_effect(self) -> bool:
        return False

    def macs(self, graph: Graph) -> int:
        return graph[self.w].size

    def lower(self, to: Lowering) -> None:
        out, inputs = to.graph[self.w].shape
        to.call(
            LINEAR_GRAD_INPUT_F32,
            note=f"error of {self.x}",
            inputs=inputs,
            out=out,
            e=to.data(self.e),
            active=to.active(self.e),
            w=to.data(self.w),
            e_x=to.data(self.e_x),
        )
        lower_mask(to, self.x, self.e_x)


@dataclass(frozen=True, kw_only=True)
class FloatLinearUpdate(BackwardNode):
    """Weight gradient of a fully connected layer, applied at once; rows without error are skipped."""

    x: str
    e: str
    w: str

    INPUTS = ("x", "e", "w")
    OUTPUTS = ()

    @property
    def has_effect(self) -> bool:
        return True

    def macs(self, graph: Graph) -> int:
        return graph[self.w].size

    def lower(self, to: Lowering) -> None:
        out, inputs = to.graph[self.w].shape
        to.call(
            LINEAR_UPDATE_F32,
            note="weights by float32 SGD",
            inputs=inputs,
            out=out,
            x=to.data(self.x),
            e=to.data(self.e),
            active=to.active(self.e),
            rate=to.rate(),
            w=to.data(self.w),
        )


def linear_f32(
    inputs: int,
    out: int,
    x: NDArray[Any],
    w: NDArray[Any],
    bias: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
) -> None:
    """y = clip(w x + bias)."""
    with np.errstate(all="ignore"):
        sums = dots(x[None, :inputs], w[: out * inputs].reshape(out, inputs))[0]
        y[:out] = clipped(sums + bias[:out], clip)


def linear_grad_input_f32(
    inputs: int,
    out: int,
    e: NDArray[Any],
    active: NDArray[Any] | None,
    w: NDArray[Any],
    e_x: NDArray[Any],
) -> None:
    """e_x = sum of e[o] w[o] over the outputs that take part, first to last; nothing where e[o] is 0."""
    with np.errstate(all="ignore"):
        rows = w[: out * inputs].reshape(out, inputs)
        e_x[:inputs] = combined(whole_error(e, active, 1, out), rows)[0]


def linear_update_f32(
    inputs: int,
    out: int,
    x: NDArray[Any],
    e: NDArray[Any],
    active: NDArray[Any] | None,
    rate: NDArray[Any],
    w: NDArray[Any],
) -> None:
    """w[o, i] -= rate * (e[o] x[i]); nothing where e[o] is 0."""
    with np.errstate(all="ignore"):
        factor = whole_error(e, active, 1, out).T
        descend(w, np.where(factor != 0, factor * x[None, :inputs], F32(0)), rate, active)


LINEAR_F32 = Kernel("mcg_linear_f32", linear_f32)
LINEAR_GRAD_INPUT_F32 = Kernel("mcg_linear_grad_input_f32", linear_grad_input_f32)
LINEAR_UPDATE_F32 = Kernel("mcg_linear_update_f32", linear_update_f32)
