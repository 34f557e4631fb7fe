"""Linear: y = w x + b. Weights [out][in]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.errors import ModelError
from mcugrad.graph import BackwardNode, Graph, Shape
from mcugrad.graph.gradient import GradientBuilder
from mcugrad.ops.ranges import clip_of, error_factors, lower_track_error
from mcugrad.ops.update import add_updates, lower_update_factor, update_rows, whole_error
from mcugrad.ops.weighted import Weighted, exact_matmul, write_error, write_output
from mcugrad.program import Kernel, Struct
from mcugrad.program.lowering import Lowering
from mcugrad.training.rules import InPlace


@dataclass(frozen=True, kw_only=True)
class Linear(Weighted):
    """Fully connected layer with a fused activation function."""

    def shape(self, *inputs: Shape) -> Shape:
        x, w, b = inputs
        if len(x) != 1 or len(w) != 2 or w[1] != x[0] or b != (w[0],):
            raise ModelError(
                f"fully connected layer on {x} values with weights {w} and bias {b}: the shapes do not match",
                where=self.title,
                hint="(in,) values, (out, in) weights and (out,) bias; a map needs Flatten first",
            )
        return (w[0],)

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        x, w, b = inputs
        return self.activate((x @ w.T + b).astype(np.float32))

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = to.error_of(self.x)
        if error is not None:
            to.add(
                LinearGradInput(
                    name=f"{self.name}_grad_input", forward=self, e=e, w=self.w, x=self.x, e_x=error
                )
            )
        add_updates(
            to,
            self,
            e,
            lambda e: LinearUpdate(name=f"{self.name}_update", forward=self, x=self.x, e=e, w=self.w),
        )

    def macs(self, graph: Graph) -> int:
        return graph[self.w].size

    def describe(self, graph: Graph) -> str:
        return f"linear{self.activation_text()}  {graph[self.x].size} -> {graph[self.y].size}"

    def lower(self, to: Lowering) -> None:
        g = self.struct(to)
        to.bound_terms(g.inputs, 127 * 255, ar.BIAS_LIMIT)
        scale, bias = self.lower_factors(to)
        to.call(
            LINEAR_S8,
            note=self.describe(to.graph),
            g=g,
            x=to.data(self.x),
            w=to.data(self.w),
            bias=bias,
            scale=scale,
            clip=clip_of(to, self.y),
            y=to.data(self.y),
            peak=to.peak(self.y),
        )

    def struct(self, to: Lowering, e_x: str = "") -> LinearStruct:
        """Constants of the layer as C sees them; `e_x` is the error of its input where that is wanted."""
        out, inputs = to.graph[self.w].shape
        channels = to.error_channels(e_x) if e_x else inputs
        return LinearStruct(inputs, out, channels, to.zero(self.x), to.zero(self.y))


@dataclass(frozen=True, kw_only=True)
class LinearGradInput(BackwardNode):
    """Error of a fully connected layer's input, the mask of the preceding activation function applied."""

    forward: Linear
    e: str
    w: str
    x: str
    e_x: str

    INPUTS = ("e", "w", "x")
    OUTPUTS = ("e_x",)

    @property
    def has_effect(self) -> bool:
        return False

    def macs(self, graph: Graph) -> int:
        return graph[self.w].size

    def lower(self, to: Lowering) -> None:
        g = self.forward.struct(to, self.e_x)
        to.bound_terms(g.out, 127 * 127)
        peak, scale = error_factors(to, self.e_x)
        to.call(
            LINEAR_GRAD_INPUT_S8,
            note=f"error of {self.x}",
            g=g,
            e=to.data(self.e),
            active=to.active(self.e),
            w=to.data(self.w),
            x=to.data(self.x),
            scale=scale,
            clip=clip_of(to, self.x),
            e_x=to.data(self.e_x),
            peak=peak,
        )
        lower_track_error(to, self.e, self.e_x, peak)


@dataclass(frozen=True, kw_only=True)
class LinearUpdate(BackwardNode):
    """Weight gradient of a fully connected layer, applied at once; rows without error are skipped."""

    forward: Linear
    x: str
    e: str
    w: str

    INPUTS = ("x", "e", "w")
    OUTPUTS = ()

    @property
    def has_effect(self) -> bool:
        return True

    def macs(self, graph: Graph) -> int:
        return graph[self.w].size

    def lower(self, to: Lowering) -> None:
        to.call(
            LINEAR_UPDATE,
            note=to.update(self.w).note,
            g=self.forward.struct(to),
            x=to.data(self.x),
            e=to.data(self.e),
            active=to.active(self.e),
            factor=lower_update_factor(to, self.name, self.x, self.e, self.w),
            **to.update_arguments(self.w),
        )


@dataclass(frozen=True)
class LinearStruct(Struct):
    """`mcg_linear_t`."""

    inputs: int
    out: int
    in_c: int
    x_zero: int
    y_zero: int

    @classmethod
    def ctype(cls) -> str:
        return "mcg_linear_t"


def linear_s8(
    g: LinearStruct,
    x: NDArray[Any],
    w: NDArray[Any],
    bias: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """y = clip(rescale(w (x - zero) + bias)), per output."""
    matrix = w[: g.out * g.inputs].reshape(g.out, g.inputs)
    acc = exact_matmul(matrix, x[: g.inputs].astype(np.int64) - g.x_zero) + bias[: g.out].astype(np.int64)
    write_output(acc, scale, clip, g.y_zero, y, peak)


def linear_grad_input_s8(
    g: LinearStruct,
    e: NDArray[Any],
    active: NDArray[Any] | None,
    w: NDArray[Any],
    x: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    e_x: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """e_x = rescale(w^T e), masked by the activation function that made x; factors repeat every in_c inputs."""
    matrix = w[: g.out * g.inputs].reshape(g.out, g.inputs)
    acc = exact_matmul(whole_error(e, active, 1, g.out)[0], matrix).reshape(-1, g.in_c)
    write_error(acc, x, g.x_zero, scale, clip, e_x, peak)


def linear_update(
    g: LinearStruct,
    x: NDArray[Any],
    e: NDArray[Any],
    active: NDArray[Any] | None,
    factor: NDArray[Any],
    rule: InPlace,
    seed: NDArray[Any],
    step: NDArray[Any],
    tensor: int,
    w: NDArray[Any],
    residual: NDArray[Any],
    w_scale: NDArray[Any],
) -> None:
    """w -= factor * (e (x - zero)^T), by the update rule."""
    gradients = np.outer(whole_error(e, active, 1, g.out)[0], x[: g.inputs].astype(np.int64) - g.x_zero)
    update_rows(rule, gradients, factor, seed, step, tensor, w, residual, w_scale, active)


LINEAR_S8 = Kernel("mcg_linear_s8", linear_s8)
LINEAR_GRAD_INPUT_S8 = Kernel("mcg_linear_grad_input_s8", linear_grad_input_s8)
LINEAR_UPDATE = Kernel("mcg_linear_update", linear_update)
