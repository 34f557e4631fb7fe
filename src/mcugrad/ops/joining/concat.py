"""Concat: activations side by side along one axis, each brought to the scale of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.errors import ModelError
from mcugrad.graph import BackwardNode, Graph, Shape
from mcugrad.ops.core.activated import Activated
from mcugrad.ops.core.computation_s8 import write_output
from mcugrad.ops.core.gradients import lower_part
from mcugrad.ops.joining.mul import lower_product, spread
from mcugrad.ops.tracking.ranges import clip_of
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class Concat(Activated):
    """Two or more activations joined, with a fused activation function.

    Attributes:
        xs: the parts, in order.
        axis: 0 is the first axis after the batch: height of a map, 2 its channels.
        axes: number of axes of the parts, batch aside.
    """

    xs: tuple[str, ...]
    axis: int
    axes: int

    INPUTS = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.xs

    def renamed(self, names: Mapping[str, str]) -> Self:
        return replace(self, xs=tuple(names.get(x, x) for x in self.xs), y=names.get(self.y, self.y))

    @property
    def keeps_channels(self) -> bool:  # type: ignore[override]
        return self.axis != self.axes - 1

    @property
    def keeps_sign(self) -> bool:
        return True

    def shape(self, *inputs: Shape) -> Shape:
        first, axis = inputs[0], self.axis
        fits = 0 <= axis < self.axes and all(len(s) == self.axes for s in inputs)
        if not fits or any(s[:axis] + s[axis + 1 :] != first[:axis] + first[axis + 1 :] for s in inputs):
            raise ModelError(
                f"{', '.join(map(str, inputs))} cannot be joined along axis {axis}: the shapes do not match",
                where=self.title,
                hint="activations that differ in this axis alone",
            )
        return (*first[:axis], sum(s[axis] for s in inputs), *first[axis + 1 :])

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        return self.activate(np.concatenate(inputs, axis=self.axis + 1))

    def gradient(self, to: GradientBuilder, e: str) -> None:
        offset = 0
        for i, x in enumerate(self.xs, 1):
            error = to.error_of(x)
            if error is not None:
                to.add(
                    ConcatGradInput(
                        name=f"{self.name}_grad_{i}", forward=self, e=e, x=x, e_x=error, first=offset
                    )
                )
            offset += to.graph[x].shape[self.axis]

    def macs(self, graph: Graph) -> int:
        return graph[self.y].size

    def describe(self, graph: Graph) -> str:
        parts = " + ".join("x".join(map(str, graph[x].shape)) for x in self.xs)
        return f"concat{self.activation_text()}  {parts} -> {'x'.join(map(str, graph[self.y].shape))}"

    def lower(self, to: ProgramBuilder) -> None:
        offset = 0
        one = to.constant("ones1", "float", np.ones(1, np.float32), "no scale")
        for i, x in enumerate(self.xs, 1):
            rows, count, pitch = self.rows(to.graph, x)
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

    def rows(self, graph: Graph, x: str) -> tuple[int, int, int]:
        """How a part lies in the whole: number of rows, elements of a row of the part, and of the whole."""
        shape = graph[x].shape
        return prod(shape[: self.axis]), prod(shape[self.axis :]), prod(graph[self.y].shape[self.axis :])


@dataclass(frozen=True, kw_only=True)
class ConcatGradInput(BackwardNode):
    """Error of one part: cut out of that of the whole.

    Attributes:
        first: where the part begins along the axis.
    """

    forward: Concat
    e: str
    x: str
    e_x: str
    first: int

    INPUTS = ("e", "x")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return graph[self.e_x].size

    def lower(self, to: ProgramBuilder) -> None:
        rows, count, pitch = self.forward.rows(to.graph, self.x)
        offset = self.first * prod(to.graph[self.x].shape[self.forward.axis + 1 :])
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
