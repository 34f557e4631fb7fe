"""What losses share: the output error, normalised exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32
from mcugrad.ops.core.computation_s8 import mask


def write_output_error(
    error: NDArray[Any],
    outputs: NDArray[Any],
    zero: int,
    clip: NDArray[Any],
    w_scale: NDArray[Any],
    channels: int,
    e: NDArray[Any],
    c: NDArray[Any],
) -> None:
    """Scale real errors by what they carry, mask them, and quantize them so that the largest becomes 127.

    Args:
        error: float32 derivatives of the loss, one per output; overwritten with what is quantized.
        outputs: int8 outputs.
        zero: their zero point.
        clip: bounds of the activation function that made them, relative to the zero point.
        w_scale: scales that the error carries, repeating every `channels` outputs.
        channels: number of these scales.
        e: receives the int8 error.
        c: receives its unit and its fill, which is 1, or 0 where there is no error.
    """
    count = len(error)
    with np.errstate(all="ignore"):  # scales may be anything; C does not mind either
        error *= w_scale[np.arange(count) % channels]
        error[~mask(outputs[:count], zero, clip)] = 0
        highest = F32(np.fmax.reduce(np.abs(error), initial=F32(0)))  # a NaN is never the largest
        c[:2] = highest / F32(127), F32(1 if highest > 0 else 0)
        e[:count] = 0
        if highest > 0:
            e[:count] = np.clip(ar.round_half_up(error / highest * F32(127), 128), -127, 127)
