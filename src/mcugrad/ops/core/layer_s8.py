"""What int8 layers with weights share: three kernels, per-channel factors, and the nodes of the backward pass."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32
from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph, WeightScale
from mcugrad.ops.core.computation_s8 import ComputationS8
from mcugrad.ops.core.frozen_s8 import integer_factors
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.tracking.ranges_s8 import clip_of, clip_steps, error_factors, lower_track_error
from mcugrad.ops.update.update_s8 import add_updates, lower_update_factor
from mcugrad.program import Kernel, Struct


@dataclass(frozen=True)
class PassS8:
    """One of the three kernels of a layer.

    Attributes:
        kernel: the kernel.
        terms: largest number of products that one of its sums has.
        arguments: those that not every layer has.
        frozen: of a forward pass, the kernel for a layer whose factors are constant and whose bounds are those of
            int8; None if there is none.
    """

    kernel: Kernel
    terms: int
    arguments: Mapping[str, str | int] = field(default_factory=dict)
    frozen: Kernel | None = None


@dataclass(frozen=True, kw_only=True)
class LayerS8(ComputationS8):
    """A layer whose output, input error and weight gradient are a kernel each."""

    of: Weighted

    @abstractmethod
    def struct(self, to: ProgramBuilder, e_x: str = "") -> Struct:
        """Constants of the layer as C sees them; `e_x` is the error of its input where that is wanted."""

    @abstractmethod
    def forward_pass(self, to: ProgramBuilder, g: Any) -> PassS8:
        """Kernel that computes `y`."""

    @abstractmethod
    def grad_input_pass(self, to: ProgramBuilder, g: Any) -> PassS8:
        """Kernel that computes the error of `x`."""

    @abstractmethod
    def update_pass(self, to: ProgramBuilder, g: Any) -> PassS8:
        """Kernel that updates the weights."""

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = to.error_of(self.of.x)
        if error is not None:
            to.add(
                GradInputS8(
                    name=f"{self.name}_grad_input", forward=self, e=e, w=self.of.w, x=self.of.x, e_x=error
                )
            )
        add_updates(
            to,
            self.of,
            e,
            lambda e: WeightUpdateS8(name=f"{self.name}_update", forward=self, x=self.of.x, e=e, w=self.of.w),
        )

    def lower(self, to: ProgramBuilder) -> None:
        g = self.struct(to)
        this = self.forward_pass(to, g)
        to.bound_terms(this.terms, to.largest_weight(self.of.w) * 255, ar.BIAS_LIMIT)
        scale, bias = self.lower_factors(to)
        if this.frozen is not None and self.is_frozen(to) and self.has_no_bounds(to):
            kernel, more = this.frozen, {"mult": self.lower_integers(to, scale)}
        else:
            kernel, more = this.kernel, {"peak": to.peak(self.y)}
        to.call(
            kernel,
            note=self.describe(to.graph),
            g=g,
            x=to.data(self.of.x),
            w=to.data(self.of.w),
            w_zero=to.weight_zero(self.of.w),
            bias=bias,
            scale=scale,
            clip=clip_of(to, self.y),
            y=to.data(self.y),
            **more,
            **this.arguments,
        )

    def is_frozen(self, to: ProgramBuilder) -> bool:
        """Whether factors and biases are constant: neither the weights nor a scale changes on the device."""
        return not (to.graph[self.of.w].trainable or to.is_tracked(self.of.x) or to.is_tracked(self.y))

    def has_no_bounds(self, to: ProgramBuilder) -> bool:
        """Whether the activation function leaves all that int8 holds."""
        low, high = clip_steps(to.activation(self.y))
        return to.zero(self.y) + low <= -128 and to.zero(self.y) + high >= 127

    def lower_integers(self, to: ProgramBuilder, scale: str) -> str:
        """Buffer of the integers that give the outputs which constant factors give, one per output channel."""
        factors = to.buffers[scale].value
        assert factors is not None
        integers = np.zeros(factors.shape, np.int32)
        if not to.sizes_only:
            integers = integer_factors(factors, to.zero(self.y))
        return to.constant(
            f"{self.name}_mult", "int32_t", integers, "the same as an integer, 0 where there is none"
        )

    def lower_factors(self, to: ProgramBuilder) -> tuple[str, str]:
        """Add the call that derives factors and biases, or what it would give where nothing can change.

        The constants multiply first, as other runtimes do: a product for each channel costs a device less.

        Returns:
            Names of the buffers of factors (float) and biases (int32), one entry per output channel.
        """
        channels = to.graph[self.of.w].shape[0]
        note = "bias in accumulator units"
        if self.is_frozen(to):
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
            x_scale=to.scale(self.of.x),
            w_scale=to.weight_scale(self.of.w),
            bias=to.data(self.of.b),
            y_scale=to.scale(self.y),
            scale=scale,
            bias_acc=bias,
        )
        return scale, bias

    def constant_factors(self, to: ProgramBuilder) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Factors and biases of a layer that does not train."""
        w, b = to.graph[self.of.w].quant, to.graph[self.of.b].value
        assert isinstance(w, WeightScale)
        assert b is not None
        x_scale, y_scale = F32(to.activation(self.of.x).scale), F32(to.activation(self.y).scale)
        with np.errstate(all="ignore"):
            unit = x_scale * w.scales
            factors = ar.output_factor(unit / y_scale)
            units = ar.round_half_up(b.astype(F32) / unit, ar.BIAS_LIMIT)
        return factors, units.astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class GradInputS8(BackwardNode):
    """Error of a layer's input, the mask of the preceding activation function applied."""

    forward: LayerS8
    e: str
    w: str
    x: str
    e_x: str

    INPUTS = ("e", "w", "x")
    OUTPUTS = ("e_x",)

    def macs(self, graph: Graph) -> int:
        return self.forward.macs(graph)

    def lower(self, to: ProgramBuilder) -> None:
        g = self.forward.struct(to, self.e_x)
        this = self.forward.grad_input_pass(to, g)
        to.bound_terms(this.terms, to.largest_weight(self.w) * 127)
        peak, scale = error_factors(to, self.e, self.e_x)
        to.call(
            this.kernel,
            note=f"error of {self.x}",
            g=g,
            e=to.data(self.e),
            active=to.active(self.e),
            w=to.data(self.w),
            w_zero=to.weight_zero(self.w),
            x=to.data(self.x),
            scale=scale,
            clip=clip_of(to, self.x),
            e_x=to.data(self.e_x),
            peak=peak,
            **this.arguments,
        )
        lower_track_error(to, to.error_unit(self.e), self.e_x)


@dataclass(frozen=True, kw_only=True)
class WeightUpdateS8(BackwardNode):
    """Weight gradient of a layer, applied channel by channel as soon as it is known."""

    forward: LayerS8
    x: str
    e: str
    w: str

    INPUTS = ("x", "e", "w")
    OUTPUTS = ()
    CHANGES_STATE = True

    def macs(self, graph: Graph) -> int:
        return self.forward.macs(graph)

    def lower(self, to: ProgramBuilder) -> None:
        g = self.forward.struct(to)
        this = self.forward.update_pass(to, g)
        to.bound_terms(this.terms, 127 * 255)
        to.call(
            this.kernel,
            note=to.update(self.w).note,
            g=g,
            x=to.data(self.x),
            e=to.data(self.e),
            active=to.active(self.e),
            factor=lower_update_factor(to, self.name, self.x, self.e, self.w),
            **to.update_arguments(self.w),
            **this.arguments,
        )


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
