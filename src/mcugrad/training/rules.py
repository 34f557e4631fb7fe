"""Update rules: how a weight is stored, and how a gradient changes it.

The family sr<N> stores a weight as N bits: the int8 that the kernels read, and r = N - 8 residual bits in a
plane of their own. Source of the formulas: docs/arithmetic.md, "Updating weights in place".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.errors import UsageError


@dataclass(frozen=True)
class Rule:
    """One member of the family sr<N>.

    Attributes:
        name: as the user says it.
        residual_bits: r, bits per weight beside the int8.
        stochastic: whether it rounds at random; with 8 residual bits nearest is as good and needs no numbers.
        summary: one line for help and docs.
    """

    name: str
    residual_bits: int
    stochastic: bool
    summary: str

    @property
    def bytes_per_weight(self) -> float:
        """RAM for one weight."""
        return 1 + self.residual_bits / 8

    def residual_row(self, count: int) -> int:
        """Bytes of the residual plane for a row of `count` weights; rows begin at whole bytes."""
        return (count * self.residual_bits + 7) // 8

    def encode(self, value: NDArray[Any], scales: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
        """Planes that hold real weights.

        Args:
            value: float weights, output channel first.
            scales: one step size per output channel.

        Returns:
            int8 plane of the same shape; uint8 residual plane, (out, bytes per row).
        """
        out = value.shape[0]
        flat = value.reshape(out, -1).astype(np.float64) / scales.astype(np.float64)[:, None]
        master = np.floor(flat * (1 << self.residual_bits) + 0.5).astype(np.int64) + self._half
        master = np.clip(master, *self._bounds)
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

    def step(
        self, master: NDArray[np.int64], o: int, gradient: NDArray[Any], factor: Any, counter: int
    ) -> bool:
        """Subtract factor * gradient from row `o`; whether a weight saturated."""
        d = ar.rescale(-gradient.astype(np.int64), factor)
        spare = 16 - self.residual_bits
        if self.stochastic:
            dither = ar.random_u16(counter, len(gradient)) >> self.residual_bits
        else:
            dither = np.full(len(gradient), 1 << (spare - 1))
        moved = master[o] + ((d + dither) >> spare)
        master[o] = np.clip(moved, *self._bounds)
        return bool((moved != master[o]).any())

    def grow(self, master: NDArray[np.int64], o: int) -> None:
        """Re-round row `o` to a scale 1.25 times as large."""
        master[o] = (((master[o] - self._half) * ar.SHRINK + 0x8000) >> 16) + self._half

    @property
    def _half(self) -> int:
        return (1 << self.residual_bits) >> 1

    @property
    def _bounds(self) -> tuple[int, int]:
        one = 1 << self.residual_bits
        return -127 * one, 127 * one + one - 1


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("sr8", 0, True, "8-bit weights, stochastic rounding: least RAM, for heads and small networks"),
        Rule("sr10", 2, True, "10-bit weights, stochastic rounding: between the two"),
        Rule(
            "sr12", 4, True, "12-bit weights, stochastic rounding: level with float32 at 1.5 bytes a weight"
        ),
        Rule("sr16", 8, False, "16-bit weights, rounded to nearest: level with float32"),
    )
}


def rule(name: str) -> Rule:
    """The update rule of that name. Raises UsageError naming the known ones."""
    try:
        return RULES[name]
    except KeyError:
        raise UsageError(
            f"unknown update rule {name!r}", where="rule", hint=f"one of {', '.join(RULES)}"
        ) from None
