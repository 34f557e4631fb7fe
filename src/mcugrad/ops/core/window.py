"""Windows of maps: where they lie, and what they cover."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Shape

Pair = tuple[int, int]
BATCH_VALUES = 1 << 18
"""That are computed at a time."""


@dataclass(frozen=True)
class Window:
    """How a window slides over a map: the sizes of map, output and window, and the steps that it takes."""

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

    @property
    def taps(self) -> int:
        """Weights per output channel, of all input channels."""
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


def reach(g: Any, axis: int, tap: int) -> slice:
    """The rows (axis 0) or columns (axis 1) of padded maps which a tap covers as its window moves."""
    out, stride, dilation = (
        (g.out_h, g.stride_h, g.dilation_h) if axis == 0 else (g.out_w, g.stride_w, g.dilation_w)
    )
    return slice(tap * dilation, tap * dilation + (out - 1) * stride + 1, stride)


def padded(g: Any, x: NDArray[Any]) -> NDArray[Any]:
    """Maps (n, height, width, channels) with zeros around them, as far as windows reach."""
    below, right = (
        max(reach(g, axis, k - 1).stop - before - size, 0)
        for axis, k, before, size in ((0, g.k_h, g.pad_top, g.in_h), (1, g.k_w, g.pad_left, g.in_w))
    )
    around = ((0, 0), (g.pad_top, below), (g.pad_left, right), (0, 0))
    return np.pad(x, around) if any(map(any, around)) else x


def patches_of_all(g: Any, x: NDArray[Any]) -> NDArray[Any]:
    """`patches` of maps (n, height, width, channels), one after the other."""
    wide, channels = padded(g, x), x.shape[3]
    result = np.empty((len(x), g.out_h, g.out_w, g.k_h, g.k_w, channels), x.dtype)
    for ky, kx in np.ndindex(g.k_h, g.k_w):
        result[:, :, :, ky, kx] = wide[:, reach(g, 0, ky), reach(g, 1, kx)]
    return result.reshape(-1, g.k_h * g.k_w * channels)


def batches(samples: int, values: int) -> Iterator[slice]:
    """Parts of a batch in which so many values of each sample take 2 MB at most, as float64, which caches hold."""
    step = max(BATCH_VALUES // values, 1)
    yield from (slice(start, start + step) for start in range(0, samples, step))


def each_tap(g: Any, positions: Pair, room: Pair) -> Iterator[tuple[int, int, Any, Any]]:
    """Every tap (row, column) of a window that moves over `positions`, in a map of `room`, both (height, width).

    With it two indices, of slices: of the positions at which the tap lies in the map, and of where it lies then.
    """
    steps = (g.stride_h, g.pad_top, g.dilation_h), (g.stride_w, g.pad_left, g.dilation_w)
    for ky in range(g.k_h):
        for kx in range(g.k_w):
            found = []
            for tap, count, size, (stride, pad, dilation) in zip(
                (ky, kx), positions, room, steps, strict=True
            ):
                first = tap * dilation - pad
                start, stop = max(-(first // stride), 0), min((size - 1 - first) // stride + 1, count)
                stop = max(start, stop)
                place = slice(first + start * stride, max(first + stop * stride, 0), stride)
                found.append((slice(start, stop), place))
            at, there = zip(*found, strict=True)
            yield ky, kx, at, there
