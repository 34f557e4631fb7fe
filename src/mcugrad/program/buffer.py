"""Buffers: named arrays that kernels read and write, and where they live."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.records import ELEMENT_TYPES


class Space(Enum):
    """Where a buffer lives and how long."""

    CONST = "const"
    """Never written; in flash."""
    STATE = "state"
    """Trained; in RAM for good, part of a checkpoint."""
    ARENA = "arena"
    """Needed for a part of one step; in RAM, shares its place with others."""
    ARGUMENT = "argument"
    """The caller's: the input sample and its label."""


REAL = (-(2.0**30), 2.0**30)
"""Weights, biases and their changes in real units: far beyond what a network that works holds."""
POSITIVE = (2.0**-120, 2.0**30)
"""Real units per step, and ranges: positive, and so that neither they nor their inverses overflow."""
SHARE = (0.0, 1.0)
"""Part of a whole."""
LOSS = (0.0, 3e38)
"""What is not negative."""
SYMMETRIC = (-127.0, 127.0)
"""int8 of symmetric ranges: sums count on 127 as the largest magnitude."""
CODE = (-128.0, 127.0)
"""A zero point of int8."""


def reals(value: NDArray[Any]) -> tuple[float, float]:
    """The range of real numbers that begin with these: a network may come with larger ones than others have."""
    mantissa, exponent = np.frexp(max(float(np.abs(value).max(initial=0)), 1.0))
    most = max(REAL[1], 2.0 ** min(10 + int(exponent) - int(mantissa == 0.5), 127))
    return -most, most


def scale_range(value: NDArray[Any]) -> tuple[float, float]:
    """The range of scales that begin with these, likewise."""
    return POSITIVE[0], max(POSITIVE[1], reals(value)[1])


def unused(name: str, taken: Container[str]) -> str:
    """The name, or one with underscores behind it that no buffer has: a pass does not know what users call theirs."""
    while name in taken:
        name += "_"
    return name


@dataclass(frozen=True, eq=False)
class Buffer:
    """A named array.

    Attributes:
        name: C identifier, unique in its program.
        ctype: element type as C spells it, a key of `ELEMENT_TYPES`.
        shape: what the elements mean, outermost first; C sees a flat array.
        space: where it lives.
        value: contents of a CONST, first contents of a STATE buffer, else None.
        note: what it holds, in a few words with units, for generated comments.
        within: least and largest number that a STATE buffer can hold; None where every bit pattern is one.
    """

    name: str
    ctype: str
    shape: tuple[int, ...]
    space: Space
    value: NDArray[Any] | None = None
    note: str = ""
    within: tuple[float, float] | None = None

    @cached_property
    def count(self) -> int:
        """Number of elements."""
        return prod(int(n) for n in self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return ELEMENT_TYPES[self.ctype].itemsize

    @property
    def size(self) -> int:
        """Bytes."""
        return self.count * self.itemsize

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's name for the element type."""
        return ELEMENT_TYPES[self.ctype]
