"""Windows that pooling slides over maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.ops.core.window import window_index


@dataclass(frozen=True)
class PoolWindow:
    """How a window slides over a map: the sizes of map, output and window, and the steps that it takes."""

    in_h: int
    in_w: int
    channels: int
    out_h: int
    out_w: int
    k_h: int
    k_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    dilation_h: int
    dilation_w: int


def windows(g: PoolWindow, x: NDArray[Any], outside: float) -> NDArray[Any]:
    """(out_h, out_w, k_h * k_w, channels) values under each window, `outside` where there is padding."""
    rows, columns = window_index(g, 0), window_index(g, 1)
    inside = ((rows >= 0) & (rows < g.in_h))[:, None, :, None] & ((columns >= 0) & (columns < g.in_w))[
        None, :, None, :
    ]
    picked = x[
        np.clip(rows, 0, g.in_h - 1)[:, None, :, None], np.clip(columns, 0, g.in_w - 1)[None, :, None, :]
    ]
    filled = np.where(inside[..., None], picked, outside)
    return filled.reshape(g.out_h, g.out_w, g.k_h * g.k_w, g.channels)


def is_ahead(g: PoolWindow) -> bool:
    """Whether each output, in the order of their places, lies before all that its own and later windows begin with.

    Then outputs may be written over the map.
    """
    rows, columns = window_index(g, 0), window_index(g, 1)
    beyond = g.in_h * g.in_w  # of windows in the padding, which read nothing
    top = np.where((rows >= 0) & (rows < g.in_h), rows, beyond).min(axis=1)
    left = np.where((columns >= 0) & (columns < g.in_w), columns, beyond).min(axis=1)
    first = (top[:, None] * g.in_w + left[None, :]).reshape(-1)
    least = np.minimum.accumulate(first[::-1])[::-1]
    return bool((np.arange(first.size) - 1 < least).all())
