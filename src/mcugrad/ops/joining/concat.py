"""Concat: activations side by side along one axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator, Shape
from mcugrad.ops.core.activated import Activated


@dataclass(frozen=True, kw_only=True)
class Concat(Activated, Operator):
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

    def macs(self, graph: Graph) -> int:
        return graph[self.y].size

    def describe(self, graph: Graph) -> str:
        parts = " + ".join("x".join(map(str, graph[x].shape)) for x in self.xs)
        return f"concat{self.activation_text()}  {parts} -> {'x'.join(map(str, graph[self.y].shape))}"

    def rows(self, graph: Graph, x: str) -> tuple[int, int, int]:
        """How a part lies in the whole: number of rows, elements of a row of the part, and of the whole."""
        shape = graph[x].shape
        return prod(shape[: self.axis]), prod(shape[self.axis :]), prod(graph[self.y].shape[self.axis :])
