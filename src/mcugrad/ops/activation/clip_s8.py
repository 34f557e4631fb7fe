"""Clip in int8: what is kept of the values, in a scale of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.activation.clip import Clip
from mcugrad.ops.core.computation_s8 import ComputationS8
from mcugrad.ops.core.gradients_s8 import pass_error
from mcugrad.ops.joining.concat_s8 import CONCAT_S8
from mcugrad.ops.joining.mul_s8 import lower_product
from mcugrad.ops.tracking.ranges_s8 import clip_of


@dataclass(frozen=True, kw_only=True)
class ClipS8(ComputationS8):
    """y = min(max(x, low), high), in a scale of its own. The fold pass fuses it where it can."""

    of: Clip

    def gradient(self, to: GradientBuilder, e: str) -> None:
        pass_error(to, f"{self.name}_grad_input", e, self.of.x)

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
            x_zero=to.zero(self.of.x),
            y_zero=to.zero(self.y),
            x=to.data(self.of.x),
            scale=lower_product(to, f"{self.name}_factor", to.scale(self.of.x), one, self.y),
            clip=clip_of(to, self.y),
            y=to.data(self.y),
            peak=to.peak(self.y),
        )
