"""Upsample2d in int8: the scale passes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.core.computation_s8 import ComputationS8, write_error
from mcugrad.ops.core.gradients_s8 import even_factor
from mcugrad.ops.joining.mul_s8 import spread
from mcugrad.ops.movement.upsample2d import Upsample2d
from mcugrad.ops.tracking.ranges_s8 import clip_of, lower_track_error
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class Upsample2dS8(ComputationS8):
    """A larger map of the same values."""

    of: Upsample2d

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = to.error_of(self.of.x)
        if error is not None:
            to.add(
                Upsample2dGradInputS8(
                    name=f"{self.name}_grad_input", forward=self, e=e, x=self.of.x, e_x=error
                )
            )

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            UPSAMPLE2D_S8,
            note=self.describe(to.graph),
            **self.of.size(to.graph),
            x=to.data(self.of.x),
            y=to.data(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class Upsample2dGradInputS8(BackwardNode):
    """Error of a pixel: the sum over its copies."""

    forward: Upsample2dS8
    e: str
    x: str
    e_x: str

    INPUTS = ("e", "x")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return graph[self.e].size

    def lower(self, to: ProgramBuilder) -> None:
        to.bound_terms(self.forward.of.factor[0] * self.forward.of.factor[1], 127)
        peak, scale = even_factor(to, self.e, self.e_x, 127.0)
        to.call(
            UPSAMPLE2D_GRAD_INPUT_S8,
            note=f"error of {self.x}",
            **self.forward.of.size(to.graph),
            x_zero=to.zero(self.x),
            e=to.data(self.e),
            x=to.data(self.x),
            scale=scale,
            clip=clip_of(to, self.x),
            e_x=to.data(self.e_x),
            peak=peak,
        )
        lower_track_error(to, to.error_unit(self.e), self.e_x)


def upsample2d_s8(
    height: int,
    width: int,
    channels: int,
    factor_h: int,
    factor_w: int,
    x: NDArray[Any],
    y: NDArray[Any],
) -> None:
    """y[i, j] = x[i // factor_h, j // factor_w]."""
    maps = x[: height * width * channels].reshape(height, width, channels)
    result = maps.repeat(factor_h, axis=0).repeat(factor_w, axis=1)
    y[: result.size] = result.reshape(-1)


def upsample2d_grad_input_s8(
    height: int,
    width: int,
    channels: int,
    factor_h: int,
    factor_w: int,
    x_zero: int,
    e: NDArray[Any],
    x: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    e_x: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """e_x = rescale(sum of e over the copies of a pixel), masked by the activation function that made x."""
    errors = e[: height * factor_h * width * factor_w * channels].astype(np.int64)
    acc = errors.reshape(height, factor_h, width, factor_w, channels).sum(axis=(1, 3))
    write_error(acc, x, x_zero, spread(scale, channels), clip, e_x, peak)


UPSAMPLE2D_S8 = Kernel("mcg_upsample2d_s8", upsample2d_s8)
UPSAMPLE2D_GRAD_INPUT_S8 = Kernel("mcg_upsample2d_grad_input_s8", upsample2d_grad_input_s8)
