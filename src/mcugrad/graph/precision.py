"""Precision: what a node computes in."""

from __future__ import annotations

from enum import Enum


class Precision(Enum):
    """What the values of a node are, and its arithmetic. The value ends the names of files and kernels.

    A Linear in int8 is computed by `LinearS8` in `linear_s8.py`, on the device by `mcg_linear_s8`.
    """

    INT8 = "s8"
    FLOAT32 = "f32"

    @property
    def text(self) -> str:
        """As messages say it: `int8`."""
        return self.name.lower()
