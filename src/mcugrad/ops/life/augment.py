"""Augment: random changes of a sample before it is trained, so that the network learns not to mind them.

Counter-based random numbers: a sample's changes follow from its number and the seed alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.abi.records import AUGMENT
from mcugrad.arithmetic import F32
from mcugrad.ops.life.model import ARG, NULL, OK, Model
from mcugrad.program import Kernel

MOST_STEPS = 65280
"""Of offset and noise: 255 steps of the input in 1/256."""


def whole(random: int, most: int) -> int:
    """A whole number from -most to most, from 16 random bits."""
    return ((random * (2 * most + 1)) >> 16) - most


def part(random: Any, most: int) -> Any:
    """From -most up to, but without, most, from 16 random bits."""
    return ((random - 32768) * most) >> 15


def augment_s8(
    height: int,
    width: int,
    channels: int,
    zero: int,
    how: NDArray[Any],
    number: int,
    x: NDArray[Any],
    y: NDArray[Any],
) -> None:
    """Shift, by which the border repeats; gain around it; offset; noise; rounded half up once, and saturated."""
    shift_h, shift_w, gain, offset, noise, seed = (int(v) for v in how[0].tolist()[:6])
    size = height * width * channels
    random = ar.stream(seed, number, ar.STREAM_SHIFT)
    down, right = whole(random & 0xFFFF, shift_h), whole(random >> 16, shift_w)
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    old = x[:size].astype(np.int64).reshape(height, width, channels) - zero
    moved = old[rows][:, columns]
    random = ar.stream(seed, number, ar.STREAM_LEVELS)
    value = moved.reshape(-1) * (65536 + part(random & 0xFFFF, gain))
    value = value + part(random >> 16, offset) * 256
    if noise:
        value = value + part(ar.random_u16(ar.stream(seed, number, ar.STREAM_NOISE), size), noise) * 256
    y[:size] = np.clip(((value + 32768) >> 16) + zero, -128, 127)


def can_augment(model: Model, how: NDArray[Any]) -> bool:
    """Whether samples can change like that."""
    shift_h, shift_w, gain, offset, noise = (int(v) for v in how[0].tolist()[:5])
    return (
        0 <= shift_h < min(model.input_h, 32768)
        and 0 <= shift_w < min(model.input_w, 32768)
        and 0 <= gain <= 65536
        and 0 <= offset <= MOST_STEPS
        and 0 <= noise <= MOST_STEPS
    )


def augment_init(
    model: Model,
    how: NDArray[Any] | None,
    shift_h: int,
    shift_w: int,
    gain: float,
    offset: float,
    noise: float,
    seed: int,
) -> int:
    """What is said in real units, rounded half up to those of the device."""
    if how is None:
        return NULL
    wanted = np.zeros(1, AUGMENT)
    with np.errstate(all="ignore"):
        per_unit = F32(256) / F32(model.input_scale)
        steps = {
            "gain": F32(gain) * F32(65536),
            "offset": F32(offset) * per_unit,
            "noise": F32(F32(noise) * F32(1.7320508)) * per_unit,
        }
    for name, value in steps.items():
        wanted[name] = ar.round_half_up(value, 1 << 17)
    wanted["shift_h"], wanted["shift_w"], wanted["seed"] = shift_h, shift_w, seed
    if any(F32(value) < 0 for value in (gain, offset, noise)) or not can_augment(model, wanted):
        return ARG
    how[:] = wanted
    return OK


def augment(
    model: Model, how: NDArray[Any] | None, x: NDArray[np.int8] | None, y: NDArray[np.int8] | None
) -> int:
    """The next sample, changed; it is counted."""
    if how is None or x is None or y is None:
        return NULL
    if not can_augment(model, how):
        return ARG
    count = int(how["count"][0])
    augment_s8(model.input_h, model.input_w, model.input_c, model.input_zero, how, count, x, y)
    how["count"] = (count + 1) & 0xFFFFFFFF
    return OK


AUGMENT_S8 = Kernel("mcg_augment_s8", augment_s8)
INIT_KERNEL = Kernel("mcg_augment_init", augment_init)
AUGMENT_KERNEL = Kernel("mcg_augment", augment)
