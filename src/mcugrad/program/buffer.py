"""Buffers: named arrays that kernels read and write, and where they live."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.program.kernel import ELEMENT_TYPES


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
    """

    name: str
    ctype: str
    shape: tuple[int, ...]
    space: Space
    value: NDArray[Any] | None = None
    note: str = ""

    @property
    def count(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

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
