"""Linear in float32: y = clip(w x + b). Weights [out][in]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.core.computation_f32 import clipped, combined, dots
from mcugrad.ops.core.layer_f32 import LayerF32, PassF32
from mcugrad.ops.linear.linear import Linear
from mcugrad.ops.update.update import whole_error
from mcugrad.ops.update.update_f32 import descend
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class LinearF32(LayerF32):
    """Fully connected layer with a fused activation function."""

    of: Linear

    def sizes(self, graph: Graph) -> dict[str, Any]:
        """What every kernel is told."""
        out, inputs = graph[self.of.w].shape
        return {"inputs": inputs, "out": out}

    def forward_pass(self, to: ProgramBuilder) -> PassF32:
        return LINEAR_F32, self.sizes(to.graph)

    def grad_input_pass(self, to: ProgramBuilder) -> PassF32:
        return LINEAR_GRAD_INPUT_F32, self.sizes(to.graph)

    def update_pass(self, to: ProgramBuilder) -> PassF32:
        return LINEAR_UPDATE_F32, self.sizes(to.graph)


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
