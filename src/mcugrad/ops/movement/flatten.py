"""Flatten: a (height, width, channels) map as a vector, in memory order. Costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import BackwardNode, Graph, Operator, Shape


@dataclass(frozen=True, kw_only=True)
class Flatten(Operator):
    """The same bytes under another shape."""

    x: str

    INPUTS = ("x",)
    passes_scale = True
    keeps_channels = True

    def shape(self, *inputs: Shape) -> Shape:
        return (prod(inputs[0]),)

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        return inputs[0].reshape(len(inputs[0]), -1)

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = to.error_of(self.x, like=e)
        if error is not None:
            to.add(FlattenGradInput(name=f"{self.name}_grad_input", e=e, e_x=error))

    def macs(self, graph: Graph) -> int:
        return 0

    def describe(self, graph: Graph) -> str:
        return f"flatten  {'x'.join(map(str, graph[self.x].shape))} -> {graph[self.y].size}"

    def lower(self, to: ProgramBuilder) -> None:
        to.alias(self.y, self.x)


@dataclass(frozen=True, kw_only=True)
class FlattenGradInput(BackwardNode):
    """The same errors under another shape."""

    e: str
    e_x: str

    INPUTS = ("e",)
    OUTPUTS = ("e_x",)

    def lower(self, to: ProgramBuilder) -> None:
        to.alias(self.e_x, self.e)
