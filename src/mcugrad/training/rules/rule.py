"""What every update rule is: planes that hold the weights of a tensor, and a way to step them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rule(ABC):
    """How weights are stored: the int8 that the kernels read, and r residual bits in a plane of their own.

    Attributes:
        name: as the user says it.
        residual_bits: r, bits per weight beside the int8.
        summary: one line for help and docs.
    """

    name: str
    residual_bits: int
    summary: str

    @property
    def bytes_per_weight(self) -> float:
        """RAM for one weight."""
        return 1 + self.residual_bits / 8

    def residual_row(self, count: int) -> int:
        """Bytes of the residual plane for a row of `count` weights; rows begin at whole bytes."""
        return (count * self.residual_bits + 7) // 8

    def encode(
        self, value: NDArray[Any], scales: NDArray[Any], zero: int = 0
    ) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
        """Planes that hold real weights.

        Args:
            value: float weights, output channel first.
            scales: one step size per output channel.
            zero: the int8 that stands for 0.

        Returns:
            int8 plane of the same shape; uint8 residual plane, (out, bytes per row).
        """
        out = value.shape[0]
        flat = value.reshape(out, -1).astype(np.float64) / scales.astype(np.float64)[:, None]
        master = np.floor((flat + zero) * (1 << self.residual_bits) + 0.5).astype(np.int64) + self.half
        master = np.clip(master, *self.bounds)
        w = np.empty(master.size, np.int8)
        residual = np.empty(out * self.residual_row(flat.shape[1]), np.uint8)
        self.join(master, w, residual)
        return w.reshape(value.shape), residual.reshape(out, -1)

    def split(self, w: NDArray[Any], residual: NDArray[Any], out: int, count: int) -> NDArray[np.int64]:
        """(out, count) integers w * 2^r + residual from the stored planes."""
        master = w[: out * count].astype(np.int64).reshape(out, count) << self.residual_bits
        if self.residual_bits:
            rows = residual[: out * self.residual_row(count)].reshape(out, -1)
            bits = np.unpackbits(rows, axis=1, count=count * self.residual_bits, bitorder="little")
            weights = 1 << np.arange(self.residual_bits)
            master += bits.reshape(out, count, self.residual_bits).astype(np.int64) @ weights
        return master

    def join(self, master: NDArray[np.int64], w: NDArray[Any], residual: NDArray[Any]) -> None:
        """Store (out, count) integers back into the planes."""
        out, count = master.shape
        w[: out * count] = (master >> self.residual_bits).reshape(-1)
        if self.residual_bits:
            bits = (master[:, :, None] >> np.arange(self.residual_bits)) & 1
            packed = np.packbits(bits.reshape(out, -1).astype(np.uint8), axis=1, bitorder="little")
            residual[: packed.size] = packed.reshape(-1)

    @property
    def half(self) -> int:
        """H: what is stored for the real value 0."""
        return (1 << self.residual_bits) >> 1

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and largest integer stored."""
        one = 1 << self.residual_bits
        return -127 * one, 127 * one + one - 1


@dataclass(frozen=True)
class InPlace(Rule):
    """A rule that changes a weight as soon as its gradient is known."""

    @abstractmethod
    def step(
        self, master: NDArray[np.int64], o: int, gradient: NDArray[Any], factor: Any, counter: int
    ) -> bool:
        """Subtract factor * gradient from row `o`; whether its scale has to grow."""

    def moved(self, master: NDArray[np.int64], o: int, d: NDArray[np.int64], dither: Any) -> bool:
        """Add d / 65536 steps to row `o`, rounded by the dither; whether a weight saturated."""
        moved = master[o] + ((d + dither) >> (16 - self.residual_bits))
        master[o] = np.clip(moved, *self.bounds)
        return bool((moved != master[o]).any())

    @abstractmethod
    def grow(self, master: NDArray[np.int64], o: int) -> None:
        """Re-round row `o` to a scale 1.25 times as large."""
