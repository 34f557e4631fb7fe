"""Input: samples from real units, and from raw values of a converter; the functions of a model for both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32
from mcugrad.ops.core.raw import quantize_raw
from mcugrad.ops.life.model import ARG, NULL, OK, Model
from mcugrad.program import Kernel

FARTHEST = 65536
"""Of the middle of raw values, from 0."""


def quantize(model: Model, real: NDArray[np.float32] | None, x: NDArray[np.int8] | None) -> int:
    """x = real / scale, rounded half up, + zero, saturated; -128 for what is no number."""
    if real is None or x is None:
        return NULL
    with np.errstate(all="ignore"):
        steps = real[: model.input_size] / F32(model.input_scale)
    x[: model.input_size] = np.clip(ar.round_half_up(steps, 1024) + model.input_zero, -128, 127)
    return OK


def adc_init(model: Model, how: NDArray[Any] | None, unit: float, middle: int) -> int:
    """The factor from raw steps to those of the input, and where 0 is."""
    with np.errstate(all="ignore"):
        steps = F32(unit) / F32(model.input_scale)
    if how is None:
        return NULL
    if not (F32(unit) > 0 and steps <= 4096) or not -FARTHEST <= middle <= FARTHEST:
        return ARG
    how["scale"], how["middle"] = ar.scale_from_float(np.asarray([steps])), middle
    return OK


def adc(model: Model, how: NDArray[Any] | None, raw: NDArray[Any] | None, x: NDArray[np.int8] | None) -> int:
    """x = (raw - middle) * scale + zero, rounded half up once, and saturated."""
    if how is None or raw is None or x is None:
        return NULL
    scale, middle = how["scale"], int(how["middle"][0])
    known = 17 <= scale["shift"][0] <= 32 and scale["pre"][0] <= 13 and -FARTHEST <= middle <= FARTHEST
    if not known:
        return ARG
    quantize_raw(model.input_size, model.input_zero, middle, scale, raw, x)
    return OK


QUANTIZE_KERNEL = Kernel("mcg_quantize", quantize)
ADC_INIT_KERNEL = Kernel("mcg_adc_init", adc_init)
ADC_S16_KERNEL = Kernel("mcg_adc_s16", adc)
ADC_U16_KERNEL = Kernel("mcg_adc_u16", adc)
