"""Kernels of 1x1 convolutions with stride 1 and no padding, which Conv2dS8 chooses; its others give the same bits.

A window is a pixel, so the input needs no copies: the kernels multiply it as it is and take its zero point out of
the sums afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.ops.convolution.pairs import pointwise_pairs_work, pointwise_update_pairs_work
from mcugrad.ops.convolution.panels import forward_scratch, panel_forward_work, panel_frozen_work
from mcugrad.ops.convolution.panels_update import panel_update_work, update_scratch
from mcugrad.ops.convolution.portable import pointwise_update_work, pointwise_work
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.computation_s8 import exact_matmul, from_zero, write_output
from mcugrad.ops.update.update import whole_error
from mcugrad.ops.update.update_s8 import update_rows
from mcugrad.program import Kernel
from mcugrad.program.kernel import Price, Scratch
from mcugrad.training.rules import InPlace


def pixels(g: Conv2dStruct, x: NDArray[Any]) -> NDArray[np.int64]:
    """Input in steps from its zero point, one row per pixel."""
    return x[: g.out_h * g.out_w * g.in_c].astype(np.int64).reshape(-1, g.in_c) - g.x_zero


def pointwise_s8(
    g: Conv2dStruct,
    x: NDArray[Any],
    w: NDArray[Any],
    w_zero: NDArray[Any] | None,
    bias: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """y = clip(rescale(w (x - zero) + bias)), for every pixel and output channel."""
    matrix = from_zero(w[: g.out_c * g.in_c], w_zero).reshape(g.out_c, g.in_c)
    acc = exact_matmul(pixels(g, x), matrix.T) + bias[: g.out_c].astype(np.int64)
    write_output(acc, scale, clip, g.y_zero, y, peak)


def pointwise_frozen_s8(
    g: Conv2dStruct,
    x: NDArray[Any],
    w: NDArray[Any],
    w_zero: NDArray[Any] | None,
    bias: NDArray[Any],
    scale: NDArray[Any],
    mult: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
) -> None:
    """`pointwise_s8` without a peak."""
    pointwise_s8(g, x, w, w_zero, bias, scale, clip, y, np.zeros(1, np.int32))


def pointwise_update(
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
) -> None:
    """w -= factor * (e (x - zero)^T), one row per output channel, by the update rule."""
    errors = whole_error(e, active, g.out_h * g.out_w, g.out_c)
    update_rows(
        rule, exact_matmul(errors.T, pixels(g, x)), factor, seed, step, tensor, w, residual, w_scale, active
    )


def forward_work(g: Conv2dStruct, room: int | None) -> tuple[float, ...]:
    """How often `mcg_pointwise_s8` does what."""
    return pointwise_work(g) if room is None else panel_forward_work(g, room)


def frozen_work(g: Conv2dStruct, room: int | None) -> tuple[float, ...]:
    """How often `mcg_pointwise_frozen_s8` does what: as the one that is not frozen, or what that would do, and more."""
    if room is None:
        return pointwise_work(g)
    others, own = panel_forward_work(g, room), panel_frozen_work(g, room)
    none = (0.0,) * len(others)
    return (*others, *none, *(0.0,) * 13) if own is None else (*none, *others, *own)


def update_work(g: Conv2dStruct, room: int | None) -> tuple[float, ...]:
    """How often `mcg_pointwise_update` does what."""
    return pointwise_update_work(g) if room is None else panel_update_work(g, room)


POINTWISE_S8 = Kernel(
    "mcg_pointwise_s8", pointwise_s8, Scratch(forward_scratch), Price(forward_work, pointwise_pairs_work)
)
POINTWISE_FROZEN_S8 = Kernel(
    "mcg_pointwise_frozen_s8",
    pointwise_frozen_s8,
    Scratch(forward_scratch),
    Price(frozen_work, pointwise_pairs_work),
)
POINTWISE_UPDATE = Kernel(
    "mcg_pointwise_update",
    pointwise_update,
    Scratch(update_scratch),
    Price(update_work, pointwise_update_pairs_work),
)
