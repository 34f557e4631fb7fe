"""Activation in int8: functions that are looked up in tables of 256 values and 256 slopes, one of each per input.

Tables are made by one float32 routine: here when the model is compiled, on the device when the scale of x moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import ActivationScale, Graph
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.activation.curves import Function, curve
from mcugrad.ops.core.computation_s8 import ComputationS8
from mcugrad.ops.tracking.ranges_s8 import bounds_of, lower_track_error, prepare_one_error
from mcugrad.program import Kernel, Shared, Struct
from mcugrad.program.buffer import POSITIVE

SLOPE_ONE = 1 << 14
SLOPE_LIMIT = 32767
FARTHEST_ZERO = 96
"""Zero points of tracked outputs keep this far from the ends, so that either side keeps levels as the scale moves."""


@dataclass(frozen=True, kw_only=True)
class ActivationS8(ComputationS8):
    """y = function(x), element by element, by a table.

    The scale of y follows from that of x, if no file gives it: the largest value in the table just fits.
    """

    of: Activation

    needs_range = False

    def form(self, graph: Graph, given: ActivationScale | None) -> ActivationScale:
        return given if self.of.codes and given is not None else self.follow(graph)

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = to.error_of(self.of.x)
        if error is not None:
            name = f"{self.name}_grad_input"
            to.add(ActivationGradInputS8(name=name, forward=self, e=e, x=self.of.x, e_x=error))

    def lower(self, to: ProgramBuilder) -> None:
        to.call(
            LOOKUP_S8,
            note=self.describe(to.graph),
            count=to.graph[self.y].size,
            x=to.data(self.of.x),
            value=self.table(to, "value"),
            y=to.data(self.y),
        )

    def follow(self, graph: Graph, *, tracked: bool = False) -> ActivationScale:
        """Quantization of y: zero point for the range of our own table, and the scale that the device derives.

        Args:
            graph: where x has its quantization.
            tracked: whether scales move on the device, where zero points cannot follow.
        """
        x = graph[self.of.x].quant
        assert isinstance(x, ActivationScale)
        steps = np.arange(-128, 128) - x.zero
        real = curve(
            self.of.function, steps.astype(F32) * F32(x.scale), F32(self.of.alpha), F32(self.of.beta)
        )[0]
        low, high = min(float(real.min()), 0.0), max(float(real.max()), 0.0)
        span = high - low
        zero = int(np.clip(np.floor(-128 - low * 255 / span + 0.5), -128, 127)) if span > 0 else 0
        if tracked and low < 0 < high:
            zero = int(np.clip(zero, -FARTHEST_ZERO, FARTHEST_ZERO))
        _, _, scale = self._tables(x, zero)
        return ActivationScale(scale=float(scale), zero=zero, owner=self.y)

    def table(self, to: ProgramBuilder, which: Literal["value", "slope"]) -> str:
        """Buffer of the `value` or `slope` table: state where x's scale moves, else constant."""
        value, slope, _ = self._tables(to.activation(self.of.x), to.zero(self.y))
        if self.of.codes and not to.is_tracked(self.of.x):
            value = np.asarray(self.of.codes, np.int8)
        word = self.of.function.name.lower()
        if which == "value":
            return self._place(to, which, "int8_t", value, f"{word} of every int8")
        return self._place(to, which, "int16_t", slope, f"slope of {word}, in 1/16384")

    def parameters(self, bounds: NDArray[Any]) -> NDArray[np.float32]:
        """What the device's routine takes as `parameters`; `bounds` are those of x."""
        return np.asarray([self.of.alpha, self.of.beta, *bounds], np.float32)

    def struct(self, x_zero: int, y_zero: int) -> ActivationStruct:
        """Constants of the function as C sees them."""
        return ActivationStruct(int(self.of.function), x_zero, y_zero)

    def _place(self, to: ProgramBuilder, which: str, ctype: str, contents: NDArray[Any], note: str) -> str:
        name = f"{self.y}_{which}"
        if to.is_tracked(self.of.x):
            return to.state(name, ctype, contents.shape, contents, note, None)
        return to.constant(name, ctype, contents, note)

    def _tables(
        self, x: ActivationScale, y_zero: int
    ) -> tuple[NDArray[np.int8], NDArray[np.int16], np.float32]:
        value, slope = np.zeros(256, np.int8), np.zeros(256, np.int16)
        y_scale = np.zeros(1, np.float32)
        prepare_table(
            self.struct(x.zero, y_zero),
            self.parameters(bounds_of(x)),
            np.asarray([x.scale], np.float32),
            np.zeros(1, np.float32),
            value,
            slope,
            y_scale,
            np.zeros(256, np.float32),
        )
        return value, slope, y_scale[0]


@dataclass(frozen=True, kw_only=True)
class ActivationGradInputS8(BackwardNode):
    """Error of a tabulated function's input: times the slope, 0 where the function that made x is flat."""

    forward: ActivationS8
    e: str
    x: str
    e_x: str

    INPUTS = ("e", "x")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return graph[self.e].size

    def lower(self, to: ProgramBuilder) -> None:
        peak, scale = prepare_one_error(to, self.e, self.e_x, 1 / SLOPE_ONE)
        to.call(
            LOOKUP_GRAD_S8,
            note=f"error of {self.x}",
            count=to.graph[self.e].size,
            e=to.data(self.e),
            x=to.data(self.x),
            slope=self.forward.table(to, "slope"),
            scale=scale,
            e_x=to.data(self.e_x),
            peak=peak,
        )
        lower_track_error(to, to.error_unit(self.e), self.e_x)


@dataclass(frozen=True, kw_only=True)
class RefreshTable(BackwardNode):
    """Make the tables of an activation anew when the scale of its input has moved."""

    forward: ActivationS8
    x: str
    y: str

    INPUTS = ("x", "y")
    OUTPUTS = ()
    CHANGES_STATE = True

    def lower(self, to: ProgramBuilder) -> None:
        node, x = self.forward, to.activation(self.x)
        to.call(
            PREPARE_TABLE,
            note="tables for the next step",
            g=node.struct(x.zero, to.zero(self.y)),
            parameters=to.constant(
                f"{self.y}_parameters", "float", node.parameters(bounds_of(x)), "alpha, beta, bounds of x"
            ),
            x_scale=to.scale(self.x),
            made_for=to.state(
                f"{self.y}_made_for",
                "float",
                (1,),
                np.asarray([x.scale], np.float32),
                "x's scale in the tables",
                POSITIVE,
            ),
            value=node.table(to, "value"),
            slope=node.table(to, "slope"),
            y_scale=to.scale(self.y),
            real=to.temporary("table", "float", (256,), "values before quantization"),
        )


@dataclass(frozen=True)
class ActivationStruct(Struct):
    """`mcg_activation_t`."""

    function: int
    x_zero: int
    y_zero: int

    @classmethod
    def ctype(cls) -> str:
        return "mcg_activation_t"


def scale_for(low: Any, high: Any, zero: int) -> np.float32:
    """The scale with which all values from `low` to `high` fit around the zero point; 1 where there are none."""
    above = high / F32(127 - zero) if zero < 127 else F32(0)
    below = -low / F32(zero + 128) if zero > -128 else F32(0)
    scale = above if above > below else below
    return F32(scale) if scale > F32(1e-30) else F32(1)


def prepare_table(
    g: ActivationStruct,
    parameters: NDArray[Any],
    x_scale: NDArray[Any],
    made_for: NDArray[Any],
    value: NDArray[Any],
    slope: NDArray[Any],
    y_scale: NDArray[Any],
    real: NDArray[Any],
) -> None:
    """value[i] = f / y_scale + y_zero and slope[i] = f' * 2^14 at x = i - 128, unless made for x_scale already."""
    if x_scale[:1].tobytes() == made_for[:1].tobytes():
        return
    made_for[0] = x_scale[0]
    steps = np.arange(-128, 128) - g.x_zero
    with np.errstate(all="ignore"):
        first, last = ar.round_half_up(parameters[2:4] / x_scale[0], ar.ACC_LIMIT)
        f, df = curve(Function(g.function), steps.astype(F32) * x_scale[0], parameters[0], parameters[1])
        fixed = np.where((steps > first) & (steps < last), df * F32(SLOPE_ONE), F32(0))
        slope[:256] = np.clip(ar.round_half_up(fixed, 32768), -SLOPE_LIMIT, SLOPE_LIMIT)
        real[:256] = f
        low, high = np.fmin.reduce(f, initial=F32(0)), np.fmax.reduce(f, initial=F32(0))
        y_scale[0] = scale_for(low, high, g.y_zero)
        value[:256] = np.clip(ar.round_half_up(f / y_scale[0], 1024) + g.y_zero, -128, 127)


def lookup_s8(count: int, x: NDArray[Any], value: NDArray[Any], y: NDArray[Any]) -> None:
    """y = value[x + 128]."""
    y[:count] = value[x[:count].astype(np.int64) + 128]


def lookup_grad_s8(
    count: int,
    e: NDArray[Any],
    x: NDArray[Any],
    slope: NDArray[Any],
    scale: NDArray[Any],
    e_x: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """e_x = rescale(e * slope[x + 128]), saturated to +-127."""
    acc = e[:count].astype(np.int64) * slope[x[:count].astype(np.int64) + 128]
    error = ar.rescale(acc, scale[0])
    peak[0] = np.abs(error).max(initial=0)
    e_x[:count] = np.clip(error, -127, 127)


PREPARE_TABLE = Kernel("mcg_prepare_table", prepare_table)
LOOKUP_S8 = Kernel("mcg_lookup_s8", lookup_s8, may_share=(Shared("x", "y"),))
LOOKUP_GRAD_S8 = Kernel(
    "mcg_lookup_grad_s8", lookup_grad_s8, may_share=(Shared("e", "e_x"), Shared("x", "e_x"))
)
