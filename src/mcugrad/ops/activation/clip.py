"""Clip (ReLU, ReLU6) that could not be fused into the operator before, and, without bounds, a change of scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph, Shape
from mcugrad.ops.core.activated import Activated
from mcugrad.ops.core.gradients import pass_error
from mcugrad.ops.joining.concat import CONCAT_S8
from mcugrad.ops.joining.mul import lower_product
from mcugrad.ops.tracking.ranges import clip_of


@dataclass(frozen=True, kw_only=True)
class Clip(Activated):
    """y = min(max(x, low), high), in a scale of its own. The fold pass fuses it where it can.

    Attributes:
        kept: whether it stays a layer: x is rounded to its own scale first, as in a file.
    """

    x: str
    kept: bool = False

    INPUTS = ("x",)

    @property
    def keeps_sign(self) -> bool:
        return self.high is None or self.high >= 0

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        return self.activate(inputs[0])

    def gradient(self, to: GradientBuilder, e: str) -> None:
        pass_error(to, f"{self.name}_grad_input", e, self.x)

    def macs(self, graph: Graph) -> int:
        return graph[self.y].size

    def describe(self, graph: Graph) -> str:
        text = self.activation_text().strip() or "rescale"
        return f"{text}  {'x'.join(map(str, graph[self.y].shape))}"

    def lower(self, to: ProgramBuilder) -> None:
        size = to.graph[self.y].size
        one = to.constant("ones1", "float", np.ones(1, np.float32), "no scale")
        to.call(
            CONCAT_S8,
            note=self.describe(to.graph),
            rows=1,
            count=size,
            pitch=size,
            offset=0,
            x_zero=to.zero(self.x),
            y_zero=to.zero(self.y),
            x=to.data(self.x),
            scale=lower_product(to, f"{self.name}_factor", to.scale(self.x), one, self.y),
            clip=clip_of(to, self.y),
            y=to.data(self.y),
            peak=to.peak(self.y),
        )
