"""Concat in int8: each part is brought to the scale of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.core.computation_s8 import ComputationS8, write_output
from mcugrad.ops.core.gradients_s8 import lower_part
from mcugrad.ops.joining.concat import Concat
from mcugrad.ops.joining.mul_s8 import lower_product, spread
from mcugrad.ops.tracking.ranges_s8 import clip_of
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class ConcatS8(ComputationS8):
    """Two or more activations joined, with a fused activation function."""

    of: Concat

    def gradient(self, to: GradientBuilder, e: str) -> None:
        offset = 0
        for i, x in enumerate(self.of.xs, 1):
            error = to.error_of(x)
            if error is not None:
                to.add(
                    ConcatGradInputS8(
                        name=f"{self.name}_grad_{i}", forward=self, e=e, x=x, e_x=error, first=offset
                    )
                )
            offset += to.graph[x].shape[self.of.axis]

    def lower(self, to: ProgramBuilder) -> None:
        offset = 0
        one = to.constant("ones1", "float", np.ones(1, np.float32), "no scale")
        for i, x in enumerate(self.of.xs, 1):
            rows, count, pitch = self.of.rows(to.graph, x)
            to.call(
                CONCAT_S8,
                note=f"{self.describe(to.graph)}, part {i}",
                rows=rows,
                count=count,
                pitch=pitch,
                offset=offset,
                x_zero=to.zero(x),
                y_zero=to.zero(self.y),
                x=to.data(x),
                scale=lower_product(to, f"{self.name}_factor{i}", to.scale(x), one, self.y),
                clip=clip_of(to, self.y),
                y=to.data(self.y),
                peak=to.peak(self.y),
            )
            offset += count


@dataclass(frozen=True, kw_only=True)
class ConcatGradInputS8(BackwardNode):
    """Error of one part: cut out of that of the whole.

    Attributes:
        first: where the part begins along the axis.
    """

    forward: ConcatS8
    e: str
    x: str
    e_x: str
    first: int

    INPUTS = ("e", "x")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return graph[self.e_x].size

    def lower(self, to: ProgramBuilder) -> None:
        rows, count, pitch = self.forward.of.rows(to.graph, self.x)
        offset = self.first * prod(to.graph[self.x].shape[self.forward.of.axis + 1 :])
        lower_part(to, self.e, self.x, self.e_x, sign=1, rows=rows, count=count, pitch=pitch, offset=offset)


def concat_s8(
    rows: int,
    count: int,
    pitch: int,
    offset: int,
    x_zero: int,
    y_zero: int,
    x: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """y[r, offset + i] = clip(rescale(x[r, i] - x_zero)); the peak is that of all parts up to this one."""
    acc = x[: rows * count].astype(np.int64).reshape(rows, count) - x_zero
    part, part_peak = np.empty(acc.size, np.int8), np.zeros(1, np.int32)
    write_output(acc, spread(scale, count), clip, y_zero, part, part_peak)
    y[: rows * pitch].reshape(rows, pitch)[:, offset : offset + count] = part.reshape(rows, count)
    peak[0] = part_peak[0] if offset == 0 else max(peak[0], part_peak[0])


CONCAT_S8 = Kernel("mcg_concat_s8", concat_s8)
