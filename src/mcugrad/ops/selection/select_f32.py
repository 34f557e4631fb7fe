"""Partial updates of float layers: how important channels are, and the errors of those that take part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.selection.select import Errors
from mcugrad.program import Kernel

INFINITE = 0x7F800000
"""The bits of infinity."""
WHOLE = 1 << 29
"""All parts of the sum of importances together."""


@dataclass(frozen=True, kw_only=True)
class ErrorsF32(Errors):
    """Errors in float32."""

    has_unit = False

    def lower_sums(self, to: ProgramBuilder, name: str) -> None:
        note = "bits of the sum of |e|, per channel"
        to.temporary(name, "int32_t", (to.graph[self.e].channels,), note)
        to.call(SELECT_SUMS_F32, note="importance", **self.sizes(to), sum=name)

    def lower_parts(self, to: ProgramBuilder, name: str, sums: str) -> str:
        channels = to.graph[self.e].channels
        part = to.temporary(name, "int32_t", (channels,), "part of the sum of all, 2^-29")
        to.call(SELECT_PARTS_F32, note="parts", channels=channels, sum=sums, part=part)
        return part

    def lower_copy(self, to: ProgramBuilder, kept: str, active: str, odds: str | None) -> None:
        to.call(
            SELECT_COPY_F32,
            note="errors that take part",
            **self.sizes(to),
            active=active,
            odds=odds,
            kept=to.data(kept),
        )

    def lower_enlarged(self, to: ProgramBuilder, layer: str, kept: str, active: str, odds: str) -> None:
        raise AssertionError(f"{self.e} has no unit")


@dataclass(frozen=True, kw_only=True)
class SelectWeighedF32(BackwardNode):
    """Float errors that have been handed down, now divided by the odds of their channels, in place.

    Attributes:
        e: errors of the channels that take part.
        weighed: the same bytes.
    """

    e: str
    weighed: str

    INPUTS = ("e",)
    OUTPUTS = ("weighed",)

    def lower(self, to: ProgramBuilder) -> None:
        error, active, odds = to.graph[self.e], to.active(self.e), to.odds(self.e)
        assert active is not None
        to.alias(self.weighed, self.e)
        to.call(
            SELECT_WEIGH_F32,
            note="errors to update from",
            pixels=error.size // error.channels,
            active=active,
            odds=odds,
            kept=to.data(self.weighed),
        )
        to.keep(self.weighed, active)


def select_sums_f32(pixels: int, channels: int, e: NDArray[Any], sum: NDArray[Any]) -> None:
    """Sum of |e|, per channel, first pixel first: its bits, which order as sums do; infinity for NaN."""
    total = np.zeros(channels, F32)
    with np.errstate(all="ignore"):
        for row in np.abs(e[: pixels * channels]).reshape(pixels, channels):
            total += row
    total[np.isnan(total)] = np.inf
    sum[:channels] = total.view(np.int32)


def select_parts_f32(channels: int, sum: NDArray[Any], part: NDArray[Any]) -> None:
    """part = sum / sum of all, in 2^-29, at least 1 where it is not 0; infinite sums share all of it alike."""
    bits = sum[:channels]
    found = bits > 0
    with np.errstate(all="ignore"):
        relative = np.where(bits == INFINITE, F32(1), bits.view(F32) / bits.max().view(F32))
        total = F32(0)
        for value in relative[found]:
            total += value
        share = np.where(found, relative / total, F32(0)) * F32(WHOLE)
    part[:channels] = np.maximum(share.astype(np.int32), found)


def select_copy_f32(
    pixels: int,
    channels: int,
    e: NDArray[Any],
    active: NDArray[Any],
    odds: NDArray[Any] | None,
    kept: NDArray[Any],
) -> None:
    """The errors of the listed channels, side by side, each times 1 / odds."""
    chosen = active[1 : 1 + int(active[0])]
    factor: Any = F32(1)
    if odds is not None and odds.size:
        factor = F32(65536) / odds[: len(chosen)].astype(F32)
    with np.errstate(all="ignore"):
        errors = e[: pixels * channels].reshape(pixels, channels)[:, chosen] * factor
    kept[: errors.size] = errors.reshape(-1)


def select_weigh_f32(pixels: int, active: NDArray[Any], odds: NDArray[Any], kept: NDArray[Any]) -> None:
    """Errors of listed channels, side by side, each times 1 / odds."""
    count = int(active[0])
    with np.errstate(all="ignore"):
        kept[: pixels * count].reshape(pixels, count)[:] *= F32(65536) / odds[:count].astype(F32)


SELECT_SUMS_F32 = Kernel("mcg_select_sums_f32", select_sums_f32)
SELECT_PARTS_F32 = Kernel("mcg_select_parts_f32", select_parts_f32)
SELECT_COPY_F32 = Kernel("mcg_select_copy_f32", select_copy_f32)
SELECT_WEIGH_F32 = Kernel("mcg_select_weigh_f32", select_weigh_f32)
