"""Mul: y = a * b, element by element, of two activations; b may be one value per channel (squeeze-and-excitation)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator, Shape
from mcugrad.ops.core.activated import Activated


@dataclass(frozen=True, kw_only=True)
class Mul(Activated, Operator):
    """Product with a fused activation function.

    Attributes:
        a: any shape; the shape of the product.
        b: the same shape, or one value per channel: (channels,) or (1, 1, channels).
    """

    a: str
    b: str

    INPUTS = ("a", "b")

    @property
    def keeps_sign(self) -> bool:
        return True

    def shape(self, *inputs: Shape) -> Shape:
        a, b = inputs
        if a != b and (a[-1] != b[-1] or prod(b) != b[-1]):
            raise ModelError(
                f"product of {a} and {b} values: the shapes do not match",
                where=self.title,
                hint="two activations of the same shape, or the second with one value per channel",
            )
        return a

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        a, b = inputs
        if b.ndim < a.ndim:
            b = b.reshape(len(b), *[1] * (a.ndim - 2), b.shape[-1])
        return self.activate(a * b)

    def macs(self, graph: Graph) -> int:
        return graph[self.y].size

    def describe(self, graph: Graph) -> str:
        shapes = ["x".join(map(str, graph[t].shape)) for t in (self.a, self.b)]
        what = shapes[0] if shapes[0] == shapes[1] else " * ".join(shapes)
        return f"mul{self.activation_text()}  {what}"
