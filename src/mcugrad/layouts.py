"""Layouts: the ways in which arrays hold samples, told apart by their shapes.

Maps are (height, width, channels) here, as on the device; a sequence is a map of height 1: (1, length, channels).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]


def arranged(x: NDArray[Any], wanted: Shape) -> NDArray[Any]:
    """Samples (n, ...) in the shape `wanted`, where only an axis of length 1 is left out or elsewhere; else as given.

    A lone channel may be missing or come first; a sequence may be (length, channels), as files of 1-D networks have it.
    """
    given = x.shape[1:]
    if given == wanted:
        return x
    one_axis_less = any(
        size == 1 and given == (*wanted[:axis], *wanted[axis + 1 :]) for axis, size in enumerate(wanted)
    )
    lone_channel_first = wanted[-1:] == (1,) and given == (1, *wanted[:-1])
    if len(wanted) == 3 and (one_axis_less or lone_channel_first):
        return x.reshape(len(x), *wanted)
    return x


def turned(given: Shape, wanted: Shape) -> Shape | None:
    """Order of the axes of (n, *given) that makes channels the last one; None where channels do not come first.

    (channels, height, width), as PyTorch and ONNX have it, and (channels, length) of a sequence. What may be read
    without turning is not turned: (8, 8, 8) is (height, width, channels).
    """
    if len(wanted) != 3 or arranged(np.empty((1, *given), np.int8), wanted).shape[1:] == wanted:
        return None
    height, width, channels = wanted
    if given == (channels, height, width):
        return (0, 2, 3, 1)
    if given == (height, channels, width) and height == 1:
        return (0, 1, 3, 2)
    if given == (channels, height * width) and 1 in (height, width):
        return (0, 2, 1)
    return None


def hint(shape: Shape, wanted: Shape, what: str) -> str:
    """What to write instead of an array whose shape does not fit.

    Args:
        shape: of the whole array, (n, ...) if its user thought so.
        wanted: shape of one sample.
        what: what the array is called.
    """
    given, axes = shape[1:], turned(shape[1:], wanted)
    if axes is not None:
        return f"{what}.transpose{axes}: channels come last, as on the device"
    if arranged(np.empty((1, *shape), np.int8), wanted).shape[1:] == wanted:
        return f"{what}[None], a batch of one sample"
    if given and np.prod(given) == np.prod(wanted):
        if len(wanted) == 1:
            return f"{what}.reshape(len({what}), -1)"
        return f"{what}.reshape(len({what}), {', '.join(map(str, wanted))}), if values lie in that order"
    if len(wanted) == 1:
        return f"samples of {wanted[0]} values"
    if wanted[0] == 1:
        return "sequences are (length, channels) and may have a first axis of length 1"
    return "maps are (height, width, channels), as on the device"
