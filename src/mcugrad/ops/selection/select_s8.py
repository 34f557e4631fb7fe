"""Partial updates of int8 layers: how important channels are, and the errors of those that take part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.selection.select import ONE, Errors
from mcugrad.program import Kernel


@dataclass(frozen=True, kw_only=True)
class ErrorsS8(Errors):
    """Errors in int8."""

    has_unit = True

    def lower_sums(self, to: ProgramBuilder, name: str) -> None:
        error = to.graph[self.e]
        to.bound_terms(error.size, 127)
        to.temporary(name, "int32_t", (error.channels,), "sum of |e|, per channel")
        to.call(SELECT_SUMS_S8, note="importance", **self.sizes(to), sum=name)

    def lower_parts(self, to: ProgramBuilder, name: str, sums: str) -> str:
        return sums

    def lower_copy(self, to: ProgramBuilder, kept: str, active: str, odds: str | None) -> None:
        assert odds is None
        sizes = self.sizes(to)
        to.call(SELECT_COPY_S8, note="errors that take part", **sizes, active=active, kept=to.data(kept))

    def lower_enlarged(self, to: ProgramBuilder, layer: str, kept: str, active: str, odds: str) -> None:
        errors = {**self.sizes(to), "active": active}
        to.call(
            SELECT_UNIT_S8,
            note="unit of those errors",
            **errors,
            c=to.error_unit(self.e),
            factor=odds,
            unit=to.error_unit(kept),
        )
        to.call(
            SELECT_SCALE_S8,
            note="errors that take part",
            **errors,
            factor=odds,
            **to.random(layer, ar.STREAM_ENLARGE),
            kept=to.data(kept),
        )


def select_sums_s8(pixels: int, channels: int, e: NDArray[Any], sum: NDArray[Any]) -> None:
    """Sum of |e|, per channel."""
    sum[:channels] = np.abs(e[: pixels * channels].astype(np.int64)).reshape(pixels, channels).sum(axis=0)


def select_unit_s8(
    pixels: int,
    channels: int,
    e: NDArray[Any],
    active: NDArray[Any],
    c: NDArray[Any],
    factor: NDArray[Any],
    unit: NDArray[Any],
) -> None:
    """Errors times 1 / odds, in a unit that makes the largest of them 127: the fill of those that are drawn is 1."""
    chosen = active[1 : 1 + int(active[0])]
    odds = factor[: len(chosen)]
    unit[:2] = c[:2]
    if (odds < ONE).any():
        inverse = F32(ONE) / odds.astype(F32)
        errors = e[: pixels * channels].astype(np.int64).reshape(pixels, channels)[:, chosen]
        highest = (inverse * np.abs(errors).max(axis=0).astype(F32)).max()
        factor[: len(chosen)] = ar.round_half_up(inverse / highest * F32(127 * ONE), 1 << 24)
        with np.errstate(all="ignore"):
            unit[:2] = c[0] * F32(highest / F32(127)), 1


def select_copy_s8(
    pixels: int, channels: int, e: NDArray[Any], active: NDArray[Any], kept: NDArray[Any]
) -> None:
    """The errors of the listed channels, side by side."""
    chosen = active[1 : 1 + int(active[0])]
    kept[: pixels * len(chosen)] = e[: pixels * channels].reshape(pixels, channels)[:, chosen].reshape(-1)


def select_scale_s8(
    pixels: int,
    channels: int,
    e: NDArray[Any],
    active: NDArray[Any],
    factor: NDArray[Any],
    seed: NDArray[Any],
    step: NDArray[Any],
    tensor: int,
    kept: NDArray[Any],
) -> None:
    """The same times a factor per channel, rounded at random."""
    start = ar.stream(int(seed[0]), int(step[0]), tensor)
    words = (pixels + 3) // 4
    chosen = active[1 : 1 + int(active[0])].astype(np.int64)
    errors = e[: pixels * channels].astype(np.int64).reshape(pixels, channels)[:, chosen]
    dither = np.zeros((pixels, len(chosen)), np.int64)
    for k, o in enumerate(chosen.tolist()):
        dither[:, k] = ar.random_u16(start + o * words * ar.COUNTER_STEP, pixels)
    value = (errors * factor[: len(chosen)].astype(np.int64) + dither) >> 16
    kept[: value.size] = np.clip(value, -127, 127).reshape(-1)


SELECT_SUMS_S8 = Kernel("mcg_select_sums_s8", select_sums_s8)
SELECT_UNIT_S8 = Kernel("mcg_select_unit_s8", select_unit_s8)
SELECT_COPY_S8 = Kernel("mcg_select_copy_s8", select_copy_s8)
SELECT_SCALE_S8 = Kernel("mcg_select_scale_s8", select_scale_s8)
