"""BatchNorm: exists in imported graphs only; the fold pass merges it into the layer before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator, Shape


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Operator):
    """y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, per channel (last axis), inference form."""

    x: str
    gamma: str
    beta: str
    mean: str
    variance: str
    epsilon: float

    INPUTS = ("x", "gamma", "beta", "mean", "variance")
    passes_scale = False
    keeps_channels = True

    def shape(self, *inputs: Shape) -> Shape:
        x, *statistics = inputs
        if any(s != (x[-1],) for s in statistics):
            raise ModelError(
                f"batch-norm over {x[-1]} channels with statistics {statistics}: the shapes do not match",
                where=self.title,
                hint="check the file",
            )
        return x

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        x, gamma, beta, mean, variance = inputs
        result: NDArray[Any] = ((x - mean) / np.sqrt(variance + self.epsilon) * gamma + beta).astype(
            np.float32
        )
        return result

    def macs(self, graph: Graph) -> int:
        return graph[self.y].size

    def describe(self, graph: Graph) -> str:
        return f"batch-norm  {'x'.join(map(str, graph[self.y].shape))}"
