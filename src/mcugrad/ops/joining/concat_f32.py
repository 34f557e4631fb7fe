"""Concat in float32: activations side by side, with a fused activation function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.computation_f32 import ComputationF32, bounds, clipped, error_for
from mcugrad.ops.core.gradients_f32 import ErrorPartF32
from mcugrad.ops.joining.concat import Concat
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class ConcatF32(ComputationF32):
    """Two or more activations joined."""

    of: Concat

    def gradient(self, to: GradientBuilder, e: str) -> None:
        offset = 0
        for i, x in enumerate(self.of.xs, 1):
            rows, count, _ = self.of.rows(to.graph, x)
            name = f"{self.name}_grad_{i}"
            to.add(ErrorPartF32(name=name, e=e, x=x, e_x=error_for(to, x), rows=rows, offset=offset))
            offset += count

    def lower(self, to: ProgramBuilder) -> None:
        offset = 0
        for i, x in enumerate(self.of.xs, 1):
            rows, count, pitch = self.of.rows(to.graph, x)
            to.call(
                CONCAT_F32,
                note=f"{self.describe(to.graph)}, part {i}",
                rows=rows,
                count=count,
                pitch=pitch,
                offset=offset,
                x=to.data(x),
                clip=bounds(to, self.y),
                y=to.data(self.y),
            )
            offset += count


def concat_f32(
    rows: int,
    count: int,
    pitch: int,
    offset: int,
    x: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
) -> None:
    """y[r, offset + i] = clip(x[r, i]); rows have `count` elements in x and `pitch` in y."""
    whole = y[: rows * pitch].reshape(rows, pitch)
    with np.errstate(all="ignore"):
        whole[:, offset : offset + count] = clipped(x[: rows * count].reshape(rows, count), clip)


CONCAT_F32 = Kernel("mcg_concat_f32", concat_f32)
