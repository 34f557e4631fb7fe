"""Changes of the world that a deployed network meets, as functions on images.

A drifted data set is made of the same real samples seen under another condition; nothing is invented.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import DataError

Images = NDArray[Any]


def upside_down(x: Images) -> Images:
    """Rotates every image by 180 degrees: the camera is mounted upside down.

    Args:
        x: images, shape (n, h, w) or (n, h, w, c).

    Returns:
        A new contiguous array of the same shape and dtype.

    Raises:
        DataError: x has neither three nor four axes.
    """
    _check_images(x)
    return np.ascontiguousarray(x[:, ::-1, ::-1])


def invert(x: Images, *, top: float) -> Images:
    """Swaps dark and light: every value v becomes `top - v`.

    Args:
        x: images, shape (n, h, w) or (n, h, w, c), values in [0, top].
        top: the largest value an image can hold: 16 for digits, 255 for bytes, 1 for normalised images.

    Returns:
        A new array of the same shape and dtype, values in [0, top].

    Raises:
        DataError: x has neither three nor four axes, or a value lies outside [0, top].
    """
    _check_images(x)
    if x.size:
        low, high = x.min(), x.max()
        if not (low >= 0 and high <= top):
            raise DataError(
                f"cannot invert images with values {low:g} to {high:g}: the range is 0 to {top:g}",
                hint="top=255 for bytes, top=16 for digits, top=1 for normalised images",
            )
    return np.asarray(top - x).astype(x.dtype)


def _check_images(x: Images) -> None:
    if x.ndim not in (3, 4):
        raise DataError(
            f"images have three or four axes, (n, h, w) or (n, h, w, c); these have shape {x.shape}",
            hint="x[None] makes a batch of one image",
        )
