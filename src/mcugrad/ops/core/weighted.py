"""What layers with weights share: an activation function, per-channel factors, updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import WeightScale
from mcugrad.ops.core.activated import Activated
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class Weighted(Activated):
    """A layer y = clip(w x + b, low, high).

    Attributes:
        w: weights, output channel first.
        b: bias, one per output channel.
    """

    x: str
    w: str
    b: str

    INPUTS = ("x", "w", "b")

    def lower_factors(self, to: ProgramBuilder) -> tuple[str, str]:
        """Add the call that derives factors and biases, or what it would give where nothing can change.

        The constants multiply first, as other runtimes do: a product for each channel costs a device less.

        Returns:
            Names of the buffers of factors (float) and biases (int32), one entry per output channel.
        """
        channels = to.graph[self.w].shape[0]
        note = "bias in accumulator units"
        if not (to.graph[self.w].trainable or to.is_tracked(self.x) or to.is_tracked(self.y)):
            factors, units = self.constant_factors(to)
            return (
                to.constant(f"{self.name}_scale", "float", factors, "accumulator to output, per channel"),
                to.constant(f"{self.name}_bias", "int32_t", units, note),
            )
        scale = to.temporary(f"{self.name}_scale", "float", (channels,), "accumulator to output, per channel")
        bias = to.temporary(f"{self.name}_bias", "int32_t", (channels,), note)
        to.call(
            PREPARE_S8,
            note="factors and biases",
            channels=channels,
            x_scale=to.scale(self.x),
            w_scale=to.weight_scale(self.w),
            bias=to.data(self.b),
            y_scale=to.scale(self.y),
            scale=scale,
            bias_acc=bias,
        )
        return scale, bias

    def constant_factors(self, to: ProgramBuilder) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Factors and biases of a layer that does not train."""
        w, b = to.graph[self.w].quant, to.graph[self.b].value
        assert isinstance(w, WeightScale)
        assert b is not None
        x_scale, y_scale = F32(to.activation(self.x).scale), F32(to.activation(self.y).scale)
        with np.errstate(all="ignore"):
            unit = x_scale * w.scales
            factors = ar.output_factor(unit / y_scale)
            units = ar.round_half_up(b.astype(F32) / unit, ar.BIAS_LIMIT)
        return factors, units.astype(np.int32)


def prepare_s8(
    channels: int,
    x_scale: NDArray[Any],
    w_scale: NDArray[Any],
    bias: NDArray[Any],
    y_scale: NDArray[Any],
    scale: NDArray[Any],
    bias_acc: NDArray[Any],
) -> None:
    """scale[o] = x_scale / y_scale * w_scale[o]; bias_acc[o] = bias[o] / (x_scale * w_scale[o]), rounded."""
    with np.errstate(all="ignore"):
        scale[:channels] = ar.output_factor((x_scale[0] / y_scale[0]) * w_scale[:channels])
        bias_acc[:channels] = ar.round_half_up(
            bias[:channels] / (x_scale[0] * w_scale[:channels]), ar.BIAS_LIMIT
        )


PREPARE_S8 = Kernel("mcg_prepare_s8", prepare_s8)


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
