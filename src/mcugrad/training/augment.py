"""Augmentation: small random changes of every sample that is trained, on the device and here, to the last bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.abi.records import AUGMENT
from mcugrad.errors import UsageError
from mcugrad.given import is_number, is_whole

F32 = np.float32
MOST_STEPS = 65280
"""255 steps in 1/256."""


@dataclass(frozen=True)
class Augment:
    """How samples change before they are trained towards their labels, each time anew. Distributions are uniform.

    Attributes:
        shift: rows and columns of a map by which a sample moves at most, either way; one number for both. A signal
            moves along its length. What this leaves open repeats the border.
        gain: by which share all values grow or shrink at most, in [0, 1].
        offset: by how much all values alike move at most, in units of the input.
        noise: standard deviation of what is added to each value, in units of the input.
        seed: of the random numbers, 32 bits.
    """

    shift: int | tuple[int, int] = 0
    gain: float = 0.0
    offset: float = 0.0
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        shifts: tuple[Any, ...] = self.shift if isinstance(self.shift, tuple) else (self.shift, self.shift)
        if len(shifts) != 2 or not all(is_whole(n) and n >= 0 for n in shifts):
            raise UsageError(
                f"shift={self.shift!r} is no number of rows and columns",
                where="augment",
                hint="whole numbers from 0 on: shift=2, or shift=(2, 0)",
            )
        if not (is_number(self.gain) and 0 <= self.gain <= 1):
            raise UsageError(
                f"gain={self.gain!r} is not in [0, 1]", where="augment", hint="gain=0.1 for 10 % more or less"
            )
        for name in ("offset", "noise"):
            value = getattr(self, name)
            if not (is_number(value) and np.isfinite(value) and value >= 0):
                raise UsageError(
                    f"{name}={value!r} is not usable",
                    where="augment",
                    hint="a finite number from 0 on, in units of the input",
                )
        if not (is_whole(self.seed) and 0 <= self.seed < 2**32):
            raise UsageError(
                f"seed {self.seed!r} does not fit into 32 bits", where="augment", hint=f"0 to {2**32 - 1}"
            )

    def record(self, shape: tuple[int, ...], scale: float) -> NDArray[Any]:
        """What the device is given: one `mcg_augment_t`.

        Args:
            shape: of a sample: (height, width, channels), or (features,).
            scale: of its quantization.

        Raises:
            UsageError: a shift moves all of the sample out of its map, or a change is larger than its range.
        """
        result = np.zeros(1, AUGMENT)
        result["shift_h"], result["shift_w"] = self._shifts(shape)
        result["gain"] = ar.round_half_up(F32(self.gain) * F32(65536), 1 << 17)
        result["seed"] = self.seed
        per_unit = F32(256) / F32(scale)
        for name, factor in (("offset", F32(1)), ("noise", F32(1.7320508))):
            with np.errstate(over="ignore"):
                steps = F32(F32(F32(getattr(self, name)) * factor) * per_unit)
            result[name] = ar.round_half_up(steps, 1 << 17)
            if result[name][0] > MOST_STEPS:
                most = MOST_STEPS / float(per_unit) / float(factor)
                raise UsageError(
                    f"{name}={getattr(self, name):g} is larger than the range of the input allows: {most:.4g}",
                    where="augment",
                    hint=f"{name}={most / 20:.1g}, in units of the input",
                )
        return result

    def _shifts(self, shape: tuple[int, ...]) -> tuple[int, int]:
        height, width, _ = map_of(shape)
        if height == width == 1:
            if any(np.atleast_1d(self.shift)):
                raise UsageError(
                    f"an input of {'x'.join(map(str, shape))} is no map that could shift",
                    where="augment",
                    hint="shift=0",
                )
            return 0, 0
        if isinstance(self.shift, tuple):
            down, right = self.shift
        else:  # along what is longer than one
            down, right = (self.shift if n > 1 else 0 for n in (height, width))
        if down >= height or right >= width or max(down, right) > 32767:
            raise UsageError(
                f"a shift of {down} rows and {right} columns is too large for a map of {height} x {width}",
                where="augment",
                hint=f"at most {min(height - 1, 32767)} and {min(width - 1, 32767)}",
            )
        return int(down), int(right)


def map_of(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(height, width, channels) of a sample; features are channels of one pixel."""
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (1, 1, int(np.prod(shape)))
