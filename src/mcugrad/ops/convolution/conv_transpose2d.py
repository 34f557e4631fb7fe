"""ConvTranspose2d: every input pixel adds its kernels to the output. Weights (out, k_h, k_w, in).

Input (iy, ix) adds to output (iy * stride - padding + ky * dilation, ...) for every tap (ky, kx): the input gradient
of a convolution, with channels named the other way round. A row of weights still belongs to one output channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.program import ProgramBuilder
from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Shape
from mcugrad.numerics import grid_bits, on_grid, whole_products
from mcugrad.ops.convolution.convolution import UPDATE_ROWS, Convolution
from mcugrad.ops.core.layer import Pass
from mcugrad.ops.core.weighted import exact_matmul, from_zero, write_error, write_output
from mcugrad.ops.core.window import Conv2dStruct, Pair, centred, each_tap
from mcugrad.ops.update.update import update_rows, whole_error
from mcugrad.program import Kernel
from mcugrad.training.rules import InPlace


@dataclass(frozen=True, kw_only=True)
class ConvTranspose2d(Convolution):
    """2-D transposed convolution with a fused activation function.

    Attributes:
        padding: (top, left, bottom, right), cut off the output.
        output_padding: rows at the bottom and columns on the right that are added; (vertical, horizontal).
    """

    output_padding: Pair = (0, 0)

    @property
    def kind(self) -> str:
        return "conv transposed"

    def shape(self, *inputs: Shape) -> Shape:
        x, w, b = inputs
        if len(x) != 3 or len(w) != 4 or w[3] != x[2] or b != (w[0],):
            raise ModelError(
                f"transposed convolution of a {x} map with weights {w} and bias {b}: the shapes do not match",
                where=self.title,
                hint="a (height, width, in) map, (out, k_h, k_w, in) weights and (out,) bias",
            )
        height, width = (self._length(x[i], w[1 + i], i) for i in (0, 1))
        if height < 1 or width < 1:
            raise ModelError(
                f"a transposed convolution gives a map of {height} x {width}",
                where=self.title,
                hint="less padding, which is cut off its output",
            )
        return height, width, w[0]

    def _length(self, size: int, kernel: int, axis: int) -> int:
        reach = self.dilation[axis] * (kernel - 1) + 1
        cut = self.padding[axis] + self.padding[axis + 2] - self.output_padding[axis]
        return (size - 1) * self.stride[axis] + reach - cut

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        x, w, b = inputs
        height, width, channels = self.shape(x.shape[1:], w.shape, b.shape)
        g = self.constants(x.shape[1:], (height, width, channels), w.shape)
        x_bits, w_bits = grid_bits(g.taps)
        values, unit = on_grid(x, x_bits, shared=(1, 2, 3))
        kernels, row_unit = on_grid(w, w_bits, shared=(1, 2, 3))
        result = np.empty((len(x), height, width, channels), np.float32)
        for i, sample in enumerate(values):
            result[i] = spread(g, sample, kernels) * (unit[i] * row_unit.reshape(-1)) + b
        return self.activate(result)

    def macs(self, graph: Graph) -> int:
        height, width, _ = graph[self.x].shape
        return height * width * graph[self.w].size

    def forward_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> Pass:
        # Taps that meet in one output lie a whole number of strides apart.
        apart = [s // gcd(s, d) for s, d in zip(self.stride, self.dilation, strict=True)]
        rows, columns = min(g.in_h, -(-g.k_h // apart[0])), min(g.in_w, -(-g.k_w // apart[1]))
        return Pass(CONV_TRANSPOSE2D_S8, rows * columns * g.in_c, {"patch": self.patch(to, g.in_c)})

    def grad_input_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> Pass:
        return Pass(CONV_TRANSPOSE2D_GRAD_INPUT_S8, g.k_h * g.k_w * g.out_c)

    def update_pass(self, to: ProgramBuilder, g: Conv2dStruct) -> Pass:
        rows = min(UPDATE_ROWS, g.out_c)
        arguments: dict[str, str | int] = {
            "rows": rows,
            "gradient": self.gradient_rows(to, rows, g.taps),
            "patch": self.patch(to, g.in_c),
        }
        return Pass(CONV_TRANSPOSE2D_UPDATE, g.in_h * g.in_w, arguments)


def each_reach(g: Conv2dStruct) -> Iterator[tuple[int, int, Any, Any]]:
    """Every tap; the input pixels whose products with it lie in the output, and where they lie there."""
    return each_tap(g, (g.in_h, g.in_w), (g.out_h, g.out_w))


def spread(g: Conv2dStruct, x: NDArray[Any], w: NDArray[Any]) -> NDArray[np.float64]:
    """(out_h, out_w, out_c) sums of products of (in_h, in_w, in) inputs and (out, k_h, k_w, in) weights.

    Both are whole numbers, so small that sums are exact.
    """
    values, kernels = x.astype(np.float64), w.astype(np.float64)
    acc = np.zeros((g.out_h, g.out_w, g.out_c))
    for ky, kx, pixels, there in each_reach(g):
        acc[there] += whole_products(values[pixels], kernels[:, ky, kx].T)
    return acc


def conv_transpose2d_s8(
    g: Conv2dStruct,
    x: NDArray[Any],
    w: NDArray[Any],
    w_zero: NDArray[Any] | None,
    bias: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    peak: NDArray[Any],
    patch: NDArray[Any],
) -> None:
    """y = clip(rescale(sum of w (x - zero) + bias)), per output channel."""
    weights = from_zero(w[: g.out_c * g.taps], w_zero).reshape(g.out_c, g.k_h, g.k_w, g.in_c)
    acc = spread(g, centred(g, x), weights).astype(np.int64)
    write_output(acc + bias[: g.out_c].astype(np.int64), scale, clip, g.y_zero, y, peak)


def conv_transpose2d_grad_input_s8(
    g: Conv2dStruct,
    e: NDArray[Any],
    active: NDArray[Any] | None,
    w: NDArray[Any],
    w_zero: NDArray[Any] | None,
    x: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    e_x: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """e_x = rescale(sum of w e over taps and output channels), masked by the activation function that made x."""
    errors = whole_error(e, active, g.out_h * g.out_w, g.out_c).reshape(g.out_h, g.out_w, g.out_c)
    weights = from_zero(w[: g.out_c * g.taps], w_zero).reshape(g.out_c, g.k_h, g.k_w, g.in_c)
    acc = np.zeros((g.in_h, g.in_w, g.in_c), np.int64)
    for ky, kx, pixels, there in each_reach(g):
        acc[pixels] += exact_matmul(errors[there], weights[:, ky, kx])
    write_error(acc, x, g.x_zero, scale, clip, e_x, peak)


def conv_transpose2d_update(
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
    """w -= factor * sum of e (x - zero) over pixels, one row per output channel, by the update rule."""
    errors = whole_error(e, active, g.out_h * g.out_w, g.out_c).reshape(g.out_h, g.out_w, g.out_c)
    read = centred(g, x)
    gradients = np.zeros((g.out_c, g.k_h, g.k_w, g.in_c), np.int64)
    for ky, kx, pixels, there in each_reach(g):
        found, values = errors[there].reshape(-1, g.out_c), read[pixels].reshape(-1, g.in_c)
        gradients[:, ky, kx] = exact_matmul(found.T, values)
    update_rows(
        rule, gradients.reshape(g.out_c, -1), factor, seed, step, tensor, w, residual, w_scale, active
    )


CONV_TRANSPOSE2D_S8 = Kernel("mcg_conv_transpose2d_s8", conv_transpose2d_s8)
CONV_TRANSPOSE2D_GRAD_INPUT_S8 = Kernel("mcg_conv_transpose2d_grad_input_s8", conv_transpose2d_grad_input_s8)
CONV_TRANSPOSE2D_UPDATE = Kernel("mcg_conv_transpose2d_update", conv_transpose2d_update)
