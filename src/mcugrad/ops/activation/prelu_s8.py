"""PRelu in int8: both sides have a factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.activation.prelu import PRelu
from mcugrad.ops.core.computation_s8 import ComputationS8
from mcugrad.ops.joining.add_s8 import FACTOR_BITS, FACTOR_LIMIT
from mcugrad.ops.tracking.ranges_s8 import clip_of, lower_track_error, prepare_one_error
from mcugrad.program import Kernel, Shared


@dataclass(frozen=True, kw_only=True)
class PReluS8(ComputationS8):
    """Rectifier that lets a share of negative values through."""

    of: PRelu

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = to.error_of(self.of.x)
        if error is not None:
            to.add(
                PReluGradInputS8(name=f"{self.name}_grad_input", forward=self, e=e, x=self.of.x, e_x=error)
            )

    def lower(self, to: ProgramBuilder) -> None:
        own = not self.of.passes_scale
        to.call(
            PRELU_S8,
            note=self.describe(to.graph),
            count=to.graph[self.y].size,
            channels=len(self.of.slope),
            x_zero=to.zero(self.of.x),
            y_zero=to.zero(self.y),
            x=to.data(self.of.x),
            factor=self.factors(to, "factor", to.scale(self.of.x), to.scale(self.y))
            if own
            else self.factors(to, "share"),
            y=to.data(self.y),
            peak=to.peak(self.y),
        )

    def factors(self, to: ProgramBuilder, name: str, x_scale: str = "", y_scale: str = "") -> str:
        """Add the call that derives the factors of both sides, and their shift; with equal scales they are constant."""
        one = to.constant("ones1", "float", np.ones(1, np.float32), "no scale")
        channels = len(self.of.slope)
        factor = to.temporary(f"{self.name}_{name}", "int32_t", (channels + 2,), "factors and their shift")
        slope = to.constant(
            f"{self.name}_slope", "float", np.asarray(self.of.slope, np.float32), "slope for negative values"
        )
        to.call(
            PREPARE_PRELU,
            note="factors",
            channels=channels,
            x_scale=x_scale or one,
            y_scale=y_scale or one,
            slope=slope,
            factor=factor,
        )
        return factor


@dataclass(frozen=True, kw_only=True)
class PReluGradInputS8(BackwardNode):
    """Error of a PReLU's input, the mask of the preceding activation function applied."""

    forward: PReluS8
    e: str
    x: str
    e_x: str

    INPUTS = ("e", "x")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return graph[self.e].size

    def lower(self, to: ProgramBuilder) -> None:
        slope = self.forward.of.slope
        peak, scale = prepare_one_error(to, self.e, self.e_x, 1 / factor_unit(slope))
        to.call(
            PRELU_GRAD_S8,
            note=f"error of {self.x}",
            count=to.graph[self.e].size,
            channels=len(slope),
            x_zero=to.zero(self.x),
            e=to.data(self.e),
            x=to.data(self.x),
            factor=self.forward.factors(to, "share_e"),
            scale=scale,
            clip=clip_of(to, self.x),
            e_x=to.data(self.e_x),
            peak=peak,
        )
        lower_track_error(to, to.error_unit(self.e), self.e_x)


def factor_unit(slope: tuple[float, ...]) -> int:
    """What 1 is in the factors of a PReLU whose x and y have the same scale."""
    factor = np.zeros(len(slope) + 2, np.int32)
    one = np.ones(1, np.float32)
    prepare_prelu(len(slope), one, one, np.asarray(slope, np.float32), factor)
    return 1 << int(factor[-1])


def prepare_prelu(
    channels: int, x_scale: NDArray[Any], y_scale: NDArray[Any], slope: NDArray[Any], factor: NDArray[Any]
) -> None:
    """factor = (1, slope...) * x_scale / y_scale in 2^-shift, and shift: the largest fills 21 bits."""
    with np.errstate(all="ignore"):
        ratio = F32(x_scale[0] / y_scale[0])
        highest = np.fmax.reduce(np.abs(slope[:channels]) * ratio, initial=ratio)
        top = ar.scale_from_float(highest)
        shift = int(np.clip(int(top["shift"]) - int(top["pre"]) + FACTOR_BITS, 1, 30))
        unit = F32(1 << shift)
        factor[0] = ar.round_half_up(ratio * unit, FACTOR_LIMIT)
        factor[1 : 1 + channels] = ar.round_half_up(slope[:channels] * ratio * unit, FACTOR_LIMIT)
        factor[1 + channels] = shift


def _sides(value: NDArray[Any], channels: int, factor: NDArray[Any]) -> NDArray[np.int64]:
    """The factor of each element, by its sign and channel."""
    negative = np.tile(factor[1 : 1 + channels].astype(np.int64), len(value) // channels)
    return np.where(value < 0, negative, int(factor[0]))


def prelu_s8(
    count: int,
    channels: int,
    x_zero: int,
    y_zero: int,
    x: NDArray[Any],
    factor: NDArray[Any],
    y: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """y = (x - x_zero) * factor, rounded half up, saturated."""
    v = x[:count].astype(np.int64) - x_zero
    acc = v * _sides(v, channels, factor)
    ar.check_accumulator(acc)
    shift = int(factor[1 + channels])
    value = (acc + (1 << (shift - 1))) >> shift
    peak[0] = np.abs(value).max(initial=0)
    y[:count] = np.clip(value + y_zero, -128, 127)


def prelu_grad_s8(
    count: int,
    channels: int,
    x_zero: int,
    e: NDArray[Any],
    x: NDArray[Any],
    factor: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    e_x: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """e_x = rescale(e * factor), masked by the activation function that made x, saturated to +-127."""
    v = x[:count].astype(np.int64) - x_zero
    acc = e[:count].astype(np.int64) * _sides(v, channels, factor)
    error = np.where((v > clip[0]) & (v < clip[1]), ar.rescale(acc, scale[0]), 0)
    peak[0] = np.abs(error).max(initial=0)
    e_x[:count] = np.clip(error, -127, 127)


PREPARE_PRELU = Kernel("mcg_prepare_prelu", prepare_prelu)
PRELU_S8 = Kernel("mcg_prelu_s8", prelu_s8, may_share=(Shared("x", "y"),))
PRELU_GRAD_S8 = Kernel("mcg_prelu_grad_s8", prelu_grad_s8, may_share=(Shared("e", "e_x"), Shared("x", "e_x")))
