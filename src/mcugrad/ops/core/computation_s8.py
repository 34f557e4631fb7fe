"""What operators in int8 share: where scales come from, and how sums become outputs and errors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
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
            return self.of.passed(x)
        assert given is not None, self.y
        if isinstance(self.of, Activated):
            return replace(given, owner=self.y, low=self.of.low, high=self.of.high)
        return given

    def weight_form(self, weights: Tensor) -> WeightScale:
        if isinstance(weights.quant, WeightScale):  # a file gives it
            return weights.quant
        assert weights.value is not None, weights.name
        return WeightScale(channel_scales(weights.value))


def channel_scales(weights: NDArray[Any]) -> NDArray[np.float32]:
    """Largest magnitude of each output channel over 127; all-zero channels get the largest of the others."""
    peak = np.abs(weights.reshape(len(weights), -1)).max(axis=1).astype(np.float32)
    fallback = peak.max() if peak.max() > 0 else np.float32(1)
    scales: NDArray[np.float32] = np.maximum(
        np.where(peak > 0, peak, fallback) / np.float32(127), np.float32(1e-20)
    )
    return scales


def from_zero(w: NDArray[Any], w_zero: NDArray[Any] | None) -> NDArray[np.int64]:
    """Weights in steps from their zero point; without one it is 0."""
    zero = 0 if w_zero is None or not w_zero.size else int(w_zero[0])
    steps: NDArray[np.int64] = w.astype(np.int64) - zero
    return steps


def mask(x: NDArray[Any], zero: int, clip: NDArray[Any]) -> NDArray[np.bool_]:
    """Where the activation function that produced `x` has slope 1."""
    value = x.astype(np.int64) - zero
    result: NDArray[np.bool_] = (value > clip[0]) & (value < clip[1])
    return result


def write_error(
    acc: NDArray[Any],
    x: NDArray[Any],
    zero: int,
    scale: NDArray[Any],
    clip: NDArray[Any],
    e_x: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """Quantize the error of a layer's input: masked, rescaled per channel (last axis), saturated to +-127.

    Args:
        acc: accumulators, any shape that ends in channels.
        x: the layer's input, as many elements.
        zero: zero point of `x`.
        scale: one factor per channel.
        clip: bounds of the activation function that produced `x`, relative to its zero point.
        e_x: receives the error.
        peak: receives the largest magnitude before saturation.
    """
    channels = acc.shape[-1]
    ar.check_accumulator(acc)
    flat = acc.reshape(-1, channels)
    error = np.where(
        mask(x[: acc.size].reshape(flat.shape), zero, clip), ar.rescale(flat, scale[:channels]), 0
    )
    peak[0] = np.abs(error).max(initial=0)
    e_x[: acc.size] = np.clip(error, -127, 127).reshape(-1)


def write_output(
    acc: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    zero: int,
    y: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """Quantize a layer's output: rescaled per channel (last axis), clipped, offset, saturated to int8."""
    channels = acc.shape[-1]
    ar.check_accumulator(acc)
    value = np.clip(ar.rescale_output(acc.reshape(-1, channels), scale[:channels]), clip[0], clip[1])
    peak[0] = np.abs(value).max(initial=0)
    y[: acc.size] = np.clip(value + zero, -128, 127).reshape(-1)


def exact_matmul(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int64]:
    """Integer matrix product; through float64, which holds every sum below 2^53 exactly."""
    result: NDArray[np.int64] = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)
    return result
