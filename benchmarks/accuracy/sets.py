"""Data sets as the suites use them: values that suit a network, channels last, and who or what a sample is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mcugrad.zoo import data

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Set:
    """Samples (n, ..., channels) float32 and labels (n,); `of` and `of_test` tell them apart by a named property.

    `variety` is what offline training may do to a sample: `move` it a little, also `mirror` it, or nothing.
    """

    x: Array
    y: NDArray[np.int64]
    x_test: Array
    y_test: NDArray[np.int64]
    classes: int
    variety: str
    of: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    of_test: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)


FILES = {
    "cifar10": "cifar10_10k_2k",
    "animals": "animals10_tin_jpeg64",
    "flowers102": "flowers102_jpeg64",
    "tiny100": "tiny100_jpeg64",
    "tiny100 large": "tiny100_jpeg64",
    "speech": "speech_commands_logmel",
    "har": "har_sp_sw",
    "cwru": "cwru_12k_de",
    "mnist": "mnist",
}
"""Name of the file in $MCUGRAD_DATA."""
VARIETY = dict.fromkeys(("cifar10", "animals", "flowers102", "tiny100", "tiny100 large"), "mirror") | {
    "speech": "move"
}


@cache
def load(name: str) -> Set:
    """A data set by the short name that the tables have."""
    found = data.load(FILES[name])
    x, x_test = PREPARE[name](found.x_train), PREPARE[name](found.x_test)
    halves = [key.removesuffix("_train") for key in found.extras if key.endswith("_train")]
    groups = [key for key in halves if f"{key}_test" in found.extras]
    of = {key: found.extras[f"{key}_train"].astype(np.int64) for key in groups}
    of_test = {key: found.extras[f"{key}_test"].astype(np.int64) for key in groups}
    y_test = found.y_test
    if "neardup_test" in found.extras:  # all but a copy of what is there to learn from
        own = ~found.extras["neardup_test"]
        x_test, y_test = x_test[own], y_test[own]
        of_test = {key: group[own] for key, group in of_test.items()}
    return Set(x, found.y_train, x_test, y_test, found.num_classes, VARIETY.get(name, ""), of, of_test)


def _pictures(x: NDArray[np.uint8]) -> Array:
    """Bytes 0 to 255 to -1 to 1."""
    return (x / np.float32(127.5) - 1).astype(np.float32)


def _halved(x: NDArray[np.uint8]) -> Array:
    """Pictures of half the height and width, each pixel the mean of four, -1 to 1."""
    n, h, w, c = x.shape
    return _pictures(x.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4), dtype=np.float32))


def _spectra(x: NDArray[np.uint8]) -> Array:
    """Log-mel bytes 0 to 255 to -1 to 1, with a channel."""
    return _pictures(x)[..., None]


def _motion(x: NDArray[np.int16]) -> Array:
    """(n, 64, 6): acceleration in 10 m/s2 (a step is 1/400 m/s2), rotation in 2 rad/s (a step is 1/1000 rad/s)."""
    return (x / np.asarray([4000] * 3 + [2000] * 3, np.float32)).astype(np.float32)


def _vibration(x: NDArray[np.int16]) -> Array:
    """(n, 1024, 1): acceleration in g (4096 steps), cut at 3 g so that int8 resolves the quiet machines."""
    return np.clip(x[..., None] / np.float32(4096), -3, 3).astype(np.float32)


def _digits(x: NDArray[np.uint8]) -> Array:
    """Bytes 0 to 255 to 0 to 1, with a channel."""
    return (x[..., None] / np.float32(255)).astype(np.float32)


def rotated(x: Array, degrees: float) -> Array:
    """Pictures (n, height, width, 1) turned counter-clockwise, bilinear; 0 where nothing was seen. Needs Pillow."""
    from PIL import Image

    turned = [Image.fromarray(image[..., 0]).rotate(degrees, Image.Resampling.BILINEAR) for image in x]
    return np.stack([np.asarray(image) for image in turned])[..., None]


PREPARE = {
    "cifar10": _pictures,
    "animals": _halved,
    "flowers102": _pictures,
    "tiny100": _halved,
    "tiny100 large": _pictures,
    "speech": _spectra,
    "har": _motion,
    "cwru": _vibration,
    "mnist": _digits,
}
