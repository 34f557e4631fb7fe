"""What frozen layers make of samples: computed once by the twin, however often the samples come."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from mcugrad.program import Program
from mcugrad.program.segment import FROZEN

LIMIT = 1 << 28
"""Bytes that are kept at most; samples that come later are computed each time."""
_FIRST = 256
"""Records that there is room for at first."""


class Memo:
    """Results of the frozen layers by sample.

    Attributes:
        known: whether a record has been written, (records,) uint8.
        records: (records, bytes of a result) uint8.

    Args:
        size: bytes of a result.
        limit: bytes of all results.
    """

    def __init__(self, size: int, limit: int = LIMIT) -> None:
        self._places: dict[bytes, int] = {}
        self._most = limit // size
        self.known = np.zeros(min(_FIRST, self._most), np.uint8)
        self.records = np.zeros((len(self.known), size), np.uint8)

    @classmethod
    def of(cls, program: Program) -> Memo | None:
        """For the frozen layers of a program; None where it has none."""
        size = sum(buffer.size for buffer in program.left_by(FROZEN)) if FROZEN in program.segments else 0
        return cls(size) if size else None

    def places(self, x: NDArray[np.int8], wanted: NDArray[np.uint32] | None = None) -> NDArray[np.int32]:
        """The record of each sample, -1 for those that have none.

        Args:
            x: samples (n, input size), contiguous.
            wanted: samples that are asked for; None are all.
        """
        found = np.full(len(x), -1, np.int32)
        numbers = range(len(x)) if wanted is None else np.unique(wanted).tolist()
        for number in numbers:
            digest = blake2b(x[number].data, digest_size=16).digest()
            place = self._places.get(digest, len(self._places))
            if place < self._most:
                self._places[digest] = found[number] = place
        self._grow(len(self._places))
        return found

    def _grow(self, count: int) -> None:
        if count > len(self.known):
            more = min(max(count, 2 * len(self.known)), self._most) - len(self.known)
            self.known = np.concatenate([self.known, np.zeros(more, np.uint8)])
            self.records = np.concatenate([self.records, np.zeros((more, self.records.shape[1]), np.uint8)])
