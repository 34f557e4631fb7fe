"""What operators in int8 share: where the scale of an output comes from, and those of weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import ActivationScale, Graph, Tensor, WeightScale
from mcugrad.ops.core.activated import Activated
from mcugrad.ops.core.computation import Computation


@dataclass(frozen=True, kw_only=True)
class ComputationS8(Computation):
    """An operator, computed in int8."""

    @property
    def needs_range(self) -> bool:
        return not self.of.passes_scale

    def form(self, graph: Graph, given: ActivationScale | None) -> ActivationScale:
        if self.of.passes_scale:
            x = graph[self.of.inputs[0]].quant
            assert isinstance(x, ActivationScale), self.of.inputs[0]
            return x
        assert given is not None, self.y
        if isinstance(self.of, Activated):
            return replace(given, owner=self.y, low=self.of.low, high=self.of.high)
        return given

    def weight_form(self, weights: Tensor) -> WeightScale:
        if isinstance(weights.quant, WeightScale):  # a file gives it
            return weights.quant
        assert weights.value is not None, weights.name
        return WeightScale(channel_scales(weights.value))


@dataclass(frozen=True, kw_only=True)
class OwnS8(ComputationS8):
    """An operator that says itself how it is computed in int8."""

    of: Any

    @property
    def needs_range(self) -> bool:
        return not hasattr(self.of, "follow") and super().needs_range

    def form(self, graph: Graph, given: ActivationScale | None) -> ActivationScale:
        scale: ActivationScale = (
            self.of.follow(graph) if hasattr(self.of, "follow") else super().form(graph, given)
        )
        return scale

    def gradient(self, to: GradientBuilder, e: str) -> None:
        self.of.gradient(to, e)

    def lower(self, to: ProgramBuilder) -> None:
        self.of.lower(to)


def channel_scales(weights: NDArray[Any]) -> NDArray[np.float32]:
    """Largest magnitude of each output channel over 127; all-zero channels get the largest of the others."""
    peak = np.abs(weights.reshape(len(weights), -1)).max(axis=1).astype(np.float32)
    fallback = peak.max() if peak.max() > 0 else np.float32(1)
    scales: NDArray[np.float32] = np.maximum(
        np.where(peak > 0, peak, fallback) / np.float32(127), np.float32(1e-20)
    )
    return scales
