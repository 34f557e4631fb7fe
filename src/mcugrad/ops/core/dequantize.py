"""Dequantize: int8 activations as float32, where float layers begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph, Operator, Shape
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class Dequantize(Operator):
    """The same values in real units. No errors go back through it: what comes before is frozen."""

    x: str

    INPUTS = ("x",)
    passes_scale = False
    keeps_channels = True

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        return inputs[0]

    def gradient(self, to: GradientBuilder, e: str) -> None:
        pass

    def macs(self, graph: Graph) -> int:
        return graph[self.y].size

    def describe(self, graph: Graph) -> str:
        return f"int8 to float32  {'x'.join(map(str, graph[self.y].shape))}"

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            DEQUANTIZE_F32,
            note=self.describe(to.graph),
            count=to.graph[self.y].size,
            x_zero=to.zero(self.x),
            x=to.data(self.x),
            x_scale=to.scale(self.x),
            y=to.data(self.y),
        )


def dequantize_f32(count: int, x_zero: int, x: NDArray[Any], x_scale: NDArray[Any], y: NDArray[Any]) -> None:
    """y = (x - x_zero) * x_scale."""
    with np.errstate(all="ignore"):
        y[:count] = (x[:count].astype(np.int64) - x_zero).astype(F32) * x_scale[0]


DEQUANTIZE_F32 = Kernel("mcg_dequantize_f32", dequantize_f32)
