"""Reshape: the same bytes in memory order under another shape. Costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator, Shape
from mcugrad.ops.core.gradients import ErrorAlias, ErrorRescale


@dataclass(frozen=True, kw_only=True)
class Reshape(Operator):
    """Another shape of as many elements. Where channels are counted differently, errors change their scale.

    Attributes:
        to: the shape, batch aside: (features,) or (height, width, channels).
    """

    x: str
    to: Shape

    INPUTS = ("x",)
    passes_scale = True
    keeps_channels = True

    def shape(self, *inputs: Shape) -> Shape:
        if prod(inputs[0]) != prod(self.to) or len(self.to) not in (1, 3):
            raise ModelError(
                f"{inputs[0]} values cannot take the shape {self.to}",
                where=self.title,
                hint="a vector or a (height, width, channels) map of as many elements",
            )
        return self.to

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        return inputs[0].reshape(len(inputs[0]), *self.to)

    def gradient(self, to: GradientBuilder, e: str) -> None:
        carrier = to.carrier(self.x)
        if carrier is None:
            return
        name = f"{self.name}_grad_input"
        if to.graph[e].quant.carrier == carrier:  # type: ignore[union-attr]
            error = to.error_of(self.x, like=e)
            assert error is not None
            to.add(ErrorAlias(name=name, e=e, e_x=error))
        else:
            error = to.error_of(self.x)
            assert error is not None
            to.add(ErrorRescale(name=name, e=e, x=self.x, e_x=error, sign=1))

    def macs(self, graph: Graph) -> int:
        return 0

    def describe(self, graph: Graph) -> str:
        return f"reshape  {' -> '.join('x'.join(map(str, graph[t].shape)) for t in (self.x, self.y))}"

    def lower(self, to: ProgramBuilder) -> None:
        to.alias(self.y, self.x)
