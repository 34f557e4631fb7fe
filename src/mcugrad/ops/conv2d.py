"""Conv2d: any kernel, stride, padding and dilation. Maps are HWC, weights [out][k_h][k_w][in]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.errors import ModelError
from mcugrad.graph import BackwardNode, Graph, Shape
from mcugrad.graph.gradient import GradientBuilder
from mcugrad.ops.pointwise import POINTWISE_S8, POINTWISE_UPDATE
from mcugrad.ops.ranges import clip_of, error_factors, lower_track_error
from mcugrad.ops.update import add_updates, lower_update_factor, update_rows, whole_error
from mcugrad.ops.weighted import Weighted, exact_matmul, write_error, write_output
from mcugrad.program import Kernel, Struct
from mcugrad.program.lowering import Lowering
from mcugrad.training.rules import InPlace

Pair = tuple[int, int]
UPDATE_ROWS = 4
"""Output channels whose gradients are gathered at a time: each costs 4 bytes of scratch per weight of a channel."""


@dataclass(frozen=True, kw_only=True)
class Conv2d(Weighted):
    """2-D convolution with a fused activation function.

    Attributes:
        stride: (vertical, horizontal).
        padding: (top, left, bottom, right), of zeros.
        dilation: (vertical, horizontal).
    """

    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)

    def shape(self, *inputs: Shape) -> Shape:
        x, w, b = inputs
        if len(x) != 3 or len(w) != 4 or w[3] != x[2] or b != (w[0],):
            raise ModelError(
                f"convolution of a {x} map with weights {w} and bias {b}: the shapes do not match",
                where=self.title,
                hint="a (height, width, in) map, (out, k_h, k_w, in) weights and (out,) bias",
            )
        return (*window_shape(self.title, x, w[1:3], self.stride, self.padding, self.dilation), w[0])

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        x, w, b = inputs
        out_h, out_w, out_c = self.shape(x.shape[1:], w.shape, b.shape)
        g = geometry(self, x.shape[1:], w.shape, (out_h, out_w, out_c), 0, 0)
        result = np.empty((len(x), out_h, out_w, out_c), np.float32)
        matrix = w.reshape(out_c, -1).T
        for i, sample in enumerate(x):
            result[i] = (patches(g, sample) @ matrix + b).reshape(out_h, out_w, out_c)
        return self.activate(result)

    def gradient(self, to: GradientBuilder, e: str) -> None:
        error = to.error_of(self.x)
        if error is not None:
            to.add(
                Conv2dGradInput(
                    name=f"{self.name}_grad_input", forward=self, e=e, w=self.w, x=self.x, e_x=error
                )
            )
        add_updates(
            to,
            self,
            e,
            lambda e: Conv2dUpdate(name=f"{self.name}_update", forward=self, x=self.x, e=e, w=self.w),
        )

    def macs(self, graph: Graph) -> int:
        return conv_macs(graph, self)

    def describe(self, graph: Graph) -> str:
        k, s = graph[self.w].shape[1:3], self.stride
        stride = "" if s == (1, 1) else f"/{s[0]}" if s[0] == s[1] else f"/{s[0]}x{s[1]}"
        maps = " -> ".join("x".join(map(str, graph[t].shape)) for t in (self.x, self.y))
        return f"conv {k[0]}x{k[1]}{stride}{self.activation_text()}  {maps}"

    def lower(self, to: Lowering) -> None:
        g = self.struct(to)
        to.bound_terms(g.taps, 127 * 255, ar.BIAS_LIMIT)
        scale, bias = self.lower_factors(to)
        to.call(
            POINTWISE_S8 if self.is_pointwise(g) else CONV2D_S8,
            note=self.describe(to.graph),
            g=g,
            x=to.data(self.x),
            w=to.data(self.w),
            bias=bias,
            scale=scale,
            clip=clip_of(to, self.y),
            y=to.data(self.y),
            peak=to.peak(self.y),
            **self.patch(to, g),
        )

    def is_pointwise(self, g: Conv2dStruct) -> bool:
        """Whether every window is one pixel of the input, and every pixel one window."""
        return g.k_h == g.k_w == 1 and self.stride == (1, 1) and not any(self.padding)

    def patch(self, to: Lowering, g: Conv2dStruct) -> dict[str, str]:
        """Scratch of kernels that copy windows."""
        if self.is_pointwise(g):
            return {}
        return {"patch": to.temporary(f"{self.name}_patch", "int16_t", (g.taps,), "one window of the input")}

    def struct(self, to: Lowering) -> Conv2dStruct:
        """Constants of the layer as C sees them."""
        graph = to.graph
        return geometry(
            self,
            graph[self.x].shape,
            graph[self.w].shape,
            graph[self.y].shape,
            to.zero(self.x),
            to.zero(self.y),
        )


@dataclass(frozen=True, kw_only=True)
class Conv2dGradInput(BackwardNode):
    """Error of a convolution's input, the mask of the preceding activation function applied."""

    forward: Conv2d
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
        return conv_macs(graph, self.forward)

    def lower(self, to: Lowering) -> None:
        g = self.forward.struct(to)
        to.bound_terms(g.out_c * g.k_h * g.k_w, 127 * 127)
        peak, scale = error_factors(to, self.e_x)
        to.call(
            CONV2D_GRAD_INPUT_S8,
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
class Conv2dUpdate(BackwardNode):
    """Weight gradient of a convolution, applied channel by channel as soon as it is known."""

    forward: Conv2d
    x: str
    e: str
    w: str

    INPUTS = ("x", "e", "w")
    OUTPUTS = ()

    @property
    def has_effect(self) -> bool:
        return True

    def macs(self, graph: Graph) -> int:
        return conv_macs(graph, self.forward)

    def lower(self, to: Lowering) -> None:
        g = self.forward.struct(to)
        to.bound_terms(g.out_h * g.out_w, 127 * 255)
        rows = min(UPDATE_ROWS, g.out_c)
        to.call(
            POINTWISE_UPDATE if self.forward.is_pointwise(g) else CONV2D_UPDATE,
            note=to.update(self.w).note,
            g=g,
            x=to.data(self.x),
            e=to.data(self.e),
            active=to.active(self.e),
            factor=lower_update_factor(to, self.name, self.x, self.e, self.w),
            **to.update_arguments(self.w),
            rows=rows,
            gradient=to.temporary(
                f"{self.name}_gradient", "int32_t", (rows, g.taps), "weight gradients of a few rows"
            ),
            **self.forward.patch(to, g),
        )


@dataclass(frozen=True)
class Conv2dStruct(Struct):
    """`mcg_conv2d_t`."""

    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int
    k_h: int
    k_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    dilation_h: int
    dilation_w: int
    x_zero: int
    y_zero: int

    @classmethod
    def ctype(cls) -> str:
        return "mcg_conv2d_t"

    @property
    def taps(self) -> int:
        """Weights per output channel."""
        return self.k_h * self.k_w * self.in_c


def window_shape(
    title: str, x: Shape, kernel: Shape, stride: Pair, padding: tuple[int, int, int, int], dilation: Pair
) -> Pair:
    """(height, width) of what a window visits. Raises ModelError when no position fits."""
    sizes = []
    for axis in (0, 1):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        room = x[axis] + padding[axis] + padding[axis + 2] - reach
        if room < 0:
            raise ModelError(
                f"a window {reach} wide does not fit into {x[axis]} + {padding[axis]} + {padding[axis + 2]} of padding",
                where=title,
                hint="check the input size that the network was exported with",
            )
        sizes.append(room // stride[axis] + 1)
    return sizes[0], sizes[1]


def geometry(node: Conv2d, x: Shape, w: Shape, y: Shape, x_zero: int, y_zero: int) -> Conv2dStruct:
    """Constants of a convolution from its attributes and shapes."""
    values = (*x, *y, *w[1:3], *node.stride, *node.padding[:2], *node.dilation, x_zero, y_zero)
    return Conv2dStruct(*values)


def conv_macs(graph: Graph, node: Conv2d) -> int:
    """Multiply-accumulates of any of the three passes, padding included."""
    height, width, _ = graph[node.y].shape
    return height * width * graph[node.w].size


def window_index(g: Any, axis: int) -> NDArray[np.int64]:
    """Input row (axis 0) or column (axis 1) of every (output position, tap); outside the map where there is padding."""
    out, k, stride, pad, dilation = (
        (g.out_h, g.k_h, g.stride_h, g.pad_top, g.dilation_h)
        if axis == 0
        else (g.out_w, g.k_w, g.stride_w, g.pad_left, g.dilation_w)
    )
    result: NDArray[np.int64] = np.arange(out)[:, None] * stride - pad + np.arange(k)[None, :] * dilation
    return result


def patches(g: Any, x: NDArray[Any]) -> NDArray[Any]:
    """Windows of a (height, width, channels) map as rows: (out_h * out_w, k_h * k_w * channels), zeros outside."""
    rows, columns = window_index(g, 0), window_index(g, 1)
    inside = ((rows >= 0) & (rows < g.in_h))[:, None, :, None] & ((columns >= 0) & (columns < g.in_w))[
        None, :, None, :
    ]
    picked = x[
        np.clip(rows, 0, g.in_h - 1)[:, None, :, None], np.clip(columns, 0, g.in_w - 1)[None, :, None, :]
    ]
    return np.where(inside[..., None], picked, 0).astype(x.dtype).reshape(g.out_h * g.out_w, -1)


def centred(g: Conv2dStruct, x: NDArray[Any]) -> NDArray[np.int64]:
    """Input map in steps from its zero point."""
    size = g.in_h * g.in_w * g.in_c
    return x[:size].astype(np.int64).reshape(g.in_h, g.in_w, g.in_c) - g.x_zero


def conv2d_s8(
    g: Conv2dStruct,
    x: NDArray[Any],
    w: NDArray[Any],
    bias: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    peak: NDArray[Any],
    patch: NDArray[Any],
) -> None:
    """y = clip(rescale(w (x - zero) + bias)), per output channel."""
    matrix = w[: g.out_c * g.taps].reshape(g.out_c, g.taps)
    acc = exact_matmul(patches(g, centred(g, x)), matrix.T) + bias[: g.out_c].astype(np.int64)
    write_output(acc, scale, clip, g.y_zero, y, peak)


def conv2d_grad_input_s8(
    g: Conv2dStruct,
    e: NDArray[Any],
    active: NDArray[Any] | None,
    w: NDArray[Any],
    x: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    e_x: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """e_x = rescale(sum of w e over output channels and taps), masked by the activation function that made x."""
    errors = whole_error(e, active, g.out_h * g.out_w, g.out_c)
    weights = w[: g.out_c * g.taps].reshape(g.out_c, g.k_h, g.k_w, g.in_c)
    acc = np.zeros((g.in_h, g.in_w, g.in_c), np.int64)
    rows, columns = window_index(g, 0), window_index(g, 1)
    for ky in range(g.k_h):
        for kx in range(g.k_w):
            spread = exact_matmul(errors, weights[:, ky, kx]).reshape(g.out_h, g.out_w, g.in_c)
            y_in = (rows[:, ky] >= 0) & (rows[:, ky] < g.in_h)
            x_in = (columns[:, kx] >= 0) & (columns[:, kx] < g.in_w)
            acc[np.ix_(rows[y_in, ky], columns[x_in, kx])] += spread[np.ix_(y_in, x_in)]
    write_error(acc, x, g.x_zero, scale, clip, e_x, peak)


def conv2d_update(
    g: Conv2dStruct,
    x: NDArray[Any],
    e: NDArray[Any],
    active: NDArray[Any] | None,
    factor: NDArray[Any],
    rule: InPlace,
    seed: NDArray[Any],
    step: NDArray[Any],
    tensor: int,
    rows: int,
    w: NDArray[Any],
    residual: NDArray[Any],
    w_scale: NDArray[Any],
    gradient: NDArray[Any],
    patch: NDArray[Any],
) -> None:
    """w -= factor * (e (x - zero)^T), one row per output channel, by the update rule."""
    errors = whole_error(e, active, g.out_h * g.out_w, g.out_c)
    gradients = exact_matmul(errors.T, patches(g, centred(g, x)))
    update_rows(rule, gradients, factor, seed, step, tensor, w, residual, w_scale, active)


CONV2D_S8 = Kernel("mcg_conv2d_s8", conv2d_s8)
CONV2D_GRAD_INPUT_S8 = Kernel("mcg_conv2d_grad_input_s8", conv2d_grad_input_s8)
CONV2D_UPDATE = Kernel("mcg_conv2d_update", conv2d_update)
