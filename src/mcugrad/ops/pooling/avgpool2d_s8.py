"""AvgPool2d in int8.

An average needs no division: sums are weighted with integers in proportion to 1 / taps, exactly, and the common
factor goes into the scales.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.core.computation_s8 import ComputationS8, write_error, write_output
from mcugrad.ops.core.gradients_s8 import error_unit_times, even_factor
from mcugrad.ops.core.window import window_index
from mcugrad.ops.joining.mul_s8 import lower_product, spread
from mcugrad.ops.pooling.avgpool2d import AvgPool2d, Rounding, Weights, inside
from mcugrad.ops.pooling.struct import Pool2dStruct
from mcugrad.ops.pooling.window import windows
from mcugrad.ops.tracking.ranges_s8 import clip_of, lower_track_error
from mcugrad.program import Kernel

GRAIN = 4
"""Of sums, where ties are rounded away from code 0: a fourth of a unit decides them, and nothing else."""


@dataclass(frozen=True, kw_only=True)
class AvgPool2dS8(ComputationS8):
    """Mean of each window and channel, with a fused activation function."""

    of: AvgPool2d

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = to.error_of(self.of.x)
        if error is not None:
            to.add(
                AvgPool2dGradInputS8(
                    name=f"{self.name}_grad_input", forward=self, e=e, x=self.of.x, e_x=error
                )
            )

    def lower(self, to: ProgramBuilder) -> None:
        g = self.struct(to.graph)
        down, across = self.of.weights(g)
        rounding = Rounding.ONCE if to.is_tracked(self.y) else self.of.rounding
        if rounding is Rounding.APART:
            self._lower_mean(to, g, self.lower_part(to, down, across))
            return
        grain = GRAIN if rounding is Rounding.AWAY else 1
        to.bound_terms(down.whole * across.whole * grain, 255, grain // GRAIN * down.whole * across.whole)
        to.call(
            AVGPOOL2D_S8,
            note=self.describe(to.graph),
            g=g,
            grain=grain,
            x_zero=to.zero(self.of.x),
            y_zero=to.zero(self.y),
            x=to.data(self.of.x),
            **self.lower_weights(to, down, across),
            scale=lower_product(
                to,
                f"{self.name}_factor",
                to.scale(self.of.x),
                self.lower_part(to, down, across, grain),
                self.y,
            ),
            clip=clip_of(to, self.y),
            y=to.data(self.y),
            peak=to.peak(self.y),
        )

    def struct(self, graph: Graph) -> Pool2dStruct:
        """Constants of the layer as C sees them."""
        return Pool2dStruct.of(self.of.window(graph[self.of.x].shape, graph[self.y].shape))

    def _lower_mean(self, to: ProgramBuilder, g: Pool2dStruct, part: str) -> None:
        """Of all of height, width or both; `part` is one over their product."""
        outer, inner = (1 if g.k_h > 1 else g.in_h), (g.channels if g.k_w > 1 else g.in_w * g.channels)
        count = g.k_h * g.k_w
        to.bound_terms(count, 128)
        to.call(
            MEAN_S8,
            note=self.describe(to.graph),
            outer=outer,
            count=count,
            inner=inner,
            x_zero=to.zero(self.of.x),
            y_zero=to.zero(self.y),
            x=to.data(self.of.x),
            scale=lower_product(to, f"{self.name}_factor", to.scale(self.of.x), part, self.y),
            clip=clip_of(to, self.y),
            y=to.data(self.y),
            peak=to.peak(self.y),
        )

    def lower_weights(self, to: ProgramBuilder, down: Weights, across: Weights) -> dict[str, str]:
        """Buffers of both weights, by parameter."""
        values = {"weight_h": down.values, "weight_w": across.values}
        return {
            key: to.constant(
                f"{self.name}_{key}", "int32_t", value.astype(np.int32), "in proportion to 1 / taps"
            )
            for key, value in values.items()
        }

    def lower_part(self, to: ProgramBuilder, down: Weights, across: Weights, grain: int = 1) -> str:
        """Buffer of what an accumulator is to be multiplied by to be an average."""
        part = np.asarray([1 / (down.whole * across.whole * grain)], np.float32)
        name = f"{self.name}_part" if grain == 1 else f"{self.name}_part{grain}"
        return to.constant(name, "float", part, "accumulator to average")


@dataclass(frozen=True, kw_only=True)
class AvgPool2dGradInputS8(BackwardNode):
    """Error of each input: the average's error over the windows that cover it, each by its number of taps."""

    forward: AvgPool2dS8
    e: str
    x: str
    e_x: str

    INPUTS = ("e", "x")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return self.forward.macs(graph)

    def lower(self, to: ProgramBuilder) -> None:
        layer = self.forward
        g = layer.struct(to.graph)
        down, across = layer.of.weights(g)
        covered = [
            np.bincount(rows[hit], np.broadcast_to(w.values[:, None], hit.shape)[hit], size)
            for w, rows, hit, size in (
                (down, window_index(g, 0), inside(g, 0), g.in_h),
                (across, window_index(g, 1), inside(g, 1), g.in_w),
            )
        ]
        to.bound_terms(int(covered[0].max()) * int(covered[1].max()), 127)
        unit = error_unit_times(to, self.name, self.e, layer.lower_part(to, down, across))
        # As if one window covered a pixel: exact where windows do not overlap, and grows at once where they do.
        peak, scale = even_factor(to, self.e, self.e_x, 127.0 * down.least * across.least)
        to.call(
            AVGPOOL2D_GRAD_INPUT_S8,
            note=f"error of {self.x}",
            g=g,
            x_zero=to.zero(self.x),
            e=to.data(self.e),
            x=to.data(self.x),
            **layer.lower_weights(to, down, across),
            scale=scale,
            clip=clip_of(to, self.x),
            e_x=to.data(self.e_x),
            peak=peak,
        )
        lower_track_error(to, unit, self.e_x)


def avgpool2d_s8(
    g: Pool2dStruct,
    grain: int,
    x_zero: int,
    y_zero: int,
    x: NDArray[Any],
    weight_h: NDArray[Any],
    weight_w: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """y = clip(rescale(sum of (x - x_zero) over the window * weight_h[row] * weight_w[column])).

    With grain 4 sums are four times as large, and 1 larger or smaller: away from a sum of codes of 0.
    """
    maps = x[: g.in_h * g.in_w * g.channels].astype(np.int64).reshape(g.in_h, g.in_w, g.channels)
    sums = windows(g, maps - x_zero, 0).sum(axis=2) * grain
    if grain != 1:
        sums += np.where(windows(g, maps, 0).sum(axis=2) > 0, 1, -1)
    acc = sums * _weight(g, weight_h, weight_w)
    write_output(acc, spread(scale, g.channels), clip, y_zero, y, peak)


def mean_s8(
    outer: int,
    count: int,
    inner: int,
    x_zero: int,
    y_zero: int,
    x: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """y = clip(nearest(sum of x over the middle axis * scale + (-x_zero * count) * scale)), in float32."""
    sums = x[: outer * count * inner].reshape(outer, count, inner).astype(np.int64).sum(axis=1).reshape(-1)
    zeros = F32(-x_zero * count) * scale[0]
    value = np.clip(ar.nearest(sums.astype(F32) * scale[0] + zeros), clip[0], clip[1])
    peak[0] = np.abs(value).max(initial=0)
    y[: outer * inner] = np.clip(value + y_zero, -128, 127)


def avgpool2d_grad_input_s8(
    g: Pool2dStruct,
    x_zero: int,
    e: NDArray[Any],
    x: NDArray[Any],
    weight_h: NDArray[Any],
    weight_w: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    e_x: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """e_x = rescale(sum of e * weight_h[row] * weight_w[column] over covering windows), masked by what made x."""
    errors = e[: g.out_h * g.out_w * g.channels].astype(np.int64).reshape(g.out_h, g.out_w, g.channels)
    errors = errors * _weight(g, weight_h, weight_w)
    acc = np.zeros((g.in_h, g.in_w, g.channels), np.int64)
    rows, columns = window_index(g, 0), window_index(g, 1)
    row_hit, column_hit = inside(g, 0), inside(g, 1)
    for ky in range(g.k_h):
        for kx in range(g.k_w):
            y_in, x_in = row_hit[:, ky], column_hit[:, kx]
            acc[np.ix_(rows[y_in, ky], columns[x_in, kx])] += errors[np.ix_(y_in, x_in)]
    write_error(acc, x, x_zero, spread(scale, g.channels), clip, e_x, peak)


def _weight(g: Pool2dStruct, weight_h: NDArray[Any], weight_w: NDArray[Any]) -> NDArray[np.int64]:
    product = np.outer(weight_h[: g.out_h].astype(np.int64), weight_w[: g.out_w].astype(np.int64))
    return product[..., None]


AVGPOOL2D_S8 = Kernel("mcg_avgpool2d_s8", avgpool2d_s8)
MEAN_S8 = Kernel("mcg_mean_s8", mean_s8)
AVGPOOL2D_GRAD_INPUT_S8 = Kernel("mcg_avgpool2d_grad_input_s8", avgpool2d_grad_input_s8)
