"""Convolutions in float32: plain, grouped and depthwise ones by the same kernels, one group after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.convolution.grouped_conv2d import GroupedConv2d
from mcugrad.ops.convolution.struct import Conv2dStruct, group_slices
from mcugrad.ops.core.computation_f32 import Floats, clipped, combined, dots
from mcugrad.ops.core.layer_f32 import PassF32
from mcugrad.ops.core.window import patches, window_index
from mcugrad.ops.update.update import whole_error
from mcugrad.ops.update.update_f32 import UPDATE_ROWS, descend
from mcugrad.program import Kernel

Convolution = Conv2d | GroupedConv2d | DepthwiseConv2d


def grouped_forward(of: Convolution, to: ProgramBuilder) -> PassF32:
    """Kernel that computes `y`, group by group."""
    g, groups = struct_of(of, to.graph)
    return CONV2D_F32, {"g": g, "groups": groups, "patch": patch_of(of, to, g, groups)}


def grouped_grad_input(of: Convolution, to: ProgramBuilder) -> PassF32:
    """Kernel that computes the error of `x`, group by group."""
    g, groups = struct_of(of, to.graph)
    return CONV2D_GRAD_INPUT_F32, {"g": g, "groups": groups, "patch": patch_of(of, to, g, groups)}


def grouped_update(of: Convolution, to: ProgramBuilder) -> PassF32:
    """Kernel that updates the weights, group by group."""
    g, groups = struct_of(of, to.graph)
    rows = min(UPDATE_ROWS, g.out_c // groups)
    gradient = to.temporary(
        f"{of.name}_update_gradient",
        "float",
        (rows, g.taps // groups),
        "weight gradients of a few rows",
    )
    patch = patch_of(of, to, g, groups)
    return CONV2D_UPDATE_F32, {
        "g": g,
        "groups": groups,
        "rows": rows,
        "gradient": gradient,
        "patch": patch,
    }


def struct_of(of: Convolution, graph: Graph) -> tuple[Conv2dStruct, int]:
    """Constants of the layer as C sees them, without zero points, and the number of groups."""
    x, w, y = graph[of.x].shape, graph[of.w].shape, graph[of.y].shape
    return Conv2dStruct.of(of.window(x, y, w)), x[2] // w[3]


def patch_of(of: Convolution, to: ProgramBuilder, g: Conv2dStruct, groups: int) -> str:
    """Scratch for one window of a group's channels."""
    return to.alone(f"{of.name}_patch", "float", (g.taps // groups,), "one window of the input, or its error")


def _maps(g: Conv2dStruct, x: NDArray[Any]) -> Floats:
    return x[: g.in_h * g.in_w * g.in_c].reshape(g.in_h, g.in_w, g.in_c)


def _errors(g: Conv2dStruct, e: NDArray[Any], active: NDArray[Any] | None) -> Floats:
    return whole_error(e, active, g.out_h * g.out_w, g.out_c)


def _rows(g: Conv2dStruct, groups: int, w: NDArray[Any]) -> Floats:
    return w[: g.out_c * g.taps // groups].reshape(g.out_c, -1)


def conv2d_f32(
    g: Conv2dStruct,
    groups: int,
    x: NDArray[Any],
    w: NDArray[Any],
    bias: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    patch: NDArray[Any],
) -> None:
    """y = clip(w x + bias), zeros outside the map, per output channel from the channels of its group."""
    maps, rows = _maps(g, x), _rows(g, groups, w)
    with np.errstate(all="ignore"):
        sums = [dots(patches(one, maps[:, :, i]), rows[o]) for one, i, o in group_slices(g, groups)]
        result = clipped(np.concatenate(sums, axis=1) + bias[: g.out_c], clip)
    y[: result.size] = result.reshape(-1)


def conv2d_grad_input_f32(
    g: Conv2dStruct,
    groups: int,
    e: NDArray[Any],
    active: NDArray[Any] | None,
    w: NDArray[Any],
    e_x: NDArray[Any],
    patch: NDArray[Any],
) -> None:
    """Each window, first to last, adds the sum of w[o] e[o] over its outputs to the inputs that it covers."""
    errors, rows = _errors(g, e, active), _rows(g, groups, w)
    ys, xs = window_index(g, 0), window_index(g, 1)
    result = np.zeros((g.in_h, g.in_w, g.in_c), F32)
    with np.errstate(all="ignore"):
        for one, inner, outer in group_slices(g, groups):
            shares = combined(errors[:, outer], rows[outer]).reshape(g.out_h, g.out_w, g.k_h, g.k_w, one.in_c)
            for oy in range(g.out_h):
                for ox in range(g.out_w):
                    down = (ys[oy] >= 0) & (ys[oy] < g.in_h)
                    across = (xs[ox] >= 0) & (xs[ox] < g.in_w)
                    place = np.ix_(ys[oy, down], xs[ox, across], range(inner.start, inner.stop))
                    result[place] += shares[oy, ox][down][:, across]
    e_x[: result.size] = result.reshape(-1)


def conv2d_update_f32(
    g: Conv2dStruct,
    groups: int,
    x: NDArray[Any],
    e: NDArray[Any],
    active: NDArray[Any] | None,
    rate: NDArray[Any],
    rows: int,
    w: NDArray[Any],
    gradient: NDArray[Any],
    patch: NDArray[Any],
) -> None:
    """w[o] -= rate * sum of e[o] x over windows, first window first."""
    maps, errors = _maps(g, x), _errors(g, e, active)
    with np.errstate(all="ignore"):
        parts = [
            combined(errors[:, o].T, patches(one, maps[:, :, i])) for one, i, o in group_slices(g, groups)
        ]
        descend(w, np.concatenate(parts), rate, active)


CONV2D_F32 = Kernel("mcg_conv2d_f32", conv2d_f32)
CONV2D_GRAD_INPUT_F32 = Kernel("mcg_conv2d_grad_input_f32", conv2d_grad_input_f32)
CONV2D_UPDATE_F32 = Kernel("mcg_conv2d_update_f32", conv2d_update_f32)
