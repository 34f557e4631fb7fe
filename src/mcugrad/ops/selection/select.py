"""Which channels of a layer take part in a step: the kernels of partial updates, and what they ask of errors.

Lists, odds and shares are the same in every precision; how errors are summed and taken out lies beside this file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32
from mcugrad.program import Kernel
from mcugrad.training.schedules import COSINE, LINEAR

if TYPE_CHECKING:
    from mcugrad.builders.program import ProgramBuilder

ONE = 65536
"""1 as odds, and as the factor of an error."""
GAIN = (2.0**-6, 2.0**6)
"""By how much the odds of samples are changed at most, so that their share is kept."""


@dataclass(frozen=True, kw_only=True)
class Errors(ABC):
    """The errors of a layer's output, as what chooses channels sees them, in one precision.

    Attributes:
        e: the tensor.
    """

    e: str

    @property
    @abstractmethod
    def has_unit(self) -> bool:
        """Whether they are steps of a unit, which is another one when they are enlarged."""

    @abstractmethod
    def lower_sums(self, to: ProgramBuilder, name: str) -> None:
        """Define a buffer, and add the call that makes it the sums of |e|, one per channel."""

    @abstractmethod
    def lower_parts(self, to: ProgramBuilder, name: str, sums: str) -> str:
        """Add what makes of sums integers that channels are drawn by, if they are not; name of their buffer."""

    @abstractmethod
    def lower_copy(self, to: ProgramBuilder, kept: str, active: str, odds: str | None) -> None:
        """Add the call that takes out the errors of listed channels, divided by their odds if there are any."""

    @abstractmethod
    def lower_enlarged(self, to: ProgramBuilder, layer: str, kept: str, active: str, odds: str) -> None:
        """Add the calls that take them out divided by their odds, where they have a unit."""

    def sizes(self, to: ProgramBuilder) -> dict[str, Any]:
        """What all their kernels are told."""
        error = to.graph[self.e]
        return {"pixels": error.size // error.channels, "channels": error.channels, "e": to.data(self.e)}


def select_ratio(loss: NDArray[Any], largest: NDArray[Any], ratio: NDArray[Any]) -> None:
    """ratio = loss / largest, which grows to the loss first, if that is finite; 0 where it is 0."""
    if np.inf > loss[0] > largest[0]:
        largest[0] = loss[0]
    with np.errstate(all="ignore"):
        ratio[0] = loss[0] / largest[0] if largest[0] > 0 else F32(0)


def select_roots_s32(channels: int, sum: NDArray[Any], root: NDArray[Any]) -> None:
    """64 times the square root of every sum, rounded down."""
    root[:channels] = [int(ar.sqrt(value) * F32(64)) for value in sum[:channels]]


def wanted(channels: int, limits: NDArray[Any], ratio: NDArray[Any]) -> np.float32:
    """How many of `channels` are to be kept: (low + ratio (high - low)) channels, at most high of them, at least 1."""
    with np.errstate(all="ignore"):
        share = F32(limits[0] + F32(ratio[0]) * F32(limits[1] - limits[0]))
    if not share >= limits[0]:
        share = limits[0]
    share = min(share, F32(limits[1]))  # there is no room for more: rounded up, or a loss that is infinite
    count = share * F32(channels) if share < 1 else F32(channels)
    return F32(max(count, F32(1)))


def select_topk(
    channels: int, limits: NDArray[Any], ratio: NDArray[Any], sum: NDArray[Any], active: NDArray[Any]
) -> None:
    """The channels with the largest sums, of equal ones the first; those without an error never."""
    order = largest_of(sum[:channels], int(wanted(channels, limits, ratio)))
    chosen = np.sort(order[sum[order] > 0])
    active[0] = len(chosen)
    active[1 : 1 + len(chosen)] = chosen


def largest_of(sum: NDArray[Any], count: int) -> NDArray[np.int64]:
    """The channels with the largest sums, largest first, of equal ones the first."""
    order: NDArray[np.int64] = np.argsort(-sum.astype(np.int64), kind="stable")[:count]
    return order


def select_certain(
    channels: int, limits: NDArray[Any], ratio: NDArray[Any], sum: NDArray[Any], marked: NDArray[Any]
) -> None:
    """The half of the channels to be kept that has the largest sums: theirs become negative."""
    half = largest_of(sum[:channels], int(wanted(channels, limits, ratio)) // 2)
    marked[:channels] = sum[:channels]
    marked[half] = -sum[half]


def odds_of(sum: NDArray[Any], count: np.float32) -> NDArray[np.int64]:
    """Odds of channels to be kept, in 1/65536, in proportion to their sums; `count` are on average.

    Those with a negative sum are certain, as are those whose share of what is left is 1 or more; the rest share what
    is left then, until no share reaches 1.
    """
    if count >= len(sum):
        return np.where(sum == 0, 0, ONE)
    left, before, total = F32(count - F32((sum < 0).sum())), F32(0), int(sum[sum > 0].sum())
    certain = (1 << 31) - 1
    while total > 0 and left > 0 and left != before:
        now = (sum < certain) & (sum.astype(F32) * left >= F32(total))
        before = left
        left = F32(left - F32(now.sum()))
        total -= int(sum[now].sum())
        certain = int(sum[now].min(initial=certain))
    share = F32(left / F32(total)) * F32(ONE) if total > 0 else F32(0)
    drawn = np.clip((share * sum.astype(F32)).astype(np.int64), 1, ONE - 1)
    odds: NDArray[np.int64] = np.where(sum == 0, 0, np.where((sum < 0) | (sum >= certain), ONE, drawn))
    return odds


def select_sampled(
    channels: int,
    limits: NDArray[Any],
    ratio: NDArray[Any],
    seed: NDArray[Any],
    step: NDArray[Any],
    tensor: int,
    sum: NDArray[Any],
    active: NDArray[Any],
    odds: NDArray[Any],
) -> None:
    """Channels drawn with one random number, and their odds."""
    found = odds_of(sum[:channels].astype(np.int64), wanted(channels, limits, ratio))
    position = int(ar.hash32(ar.stream(int(seed[0]), int(step[0]), tensor))[0]) & 0xFFFF
    passed = (position + np.cumsum(np.where(found < ONE, found, 0))) >> 16
    chosen = np.flatnonzero((found == ONE) | (np.diff(passed, prepend=0) > 0))
    active[0] = len(chosen)
    active[1 : 1 + len(chosen)] = chosen
    odds[: len(chosen)] = found[chosen]


def select_samples(
    share: int,
    batch: int,
    loss: NDArray[Any] | None,
    watch: Any,
    schedule: Any,
    rate: Any,
    seed: NDArray[Any],
    step: NDArray[Any],
    stream: int,
    whole: NDArray[Any],
    gain: Any,
    taken: NDArray[Any],
    updated: NDArray[Any],
) -> None:
    """Whether the batch that a step belongs to is taken: share / 65536 of them are, more where loss and rate are high.

    updated = whole, or 0 if it is not.
    """
    odds, now = F32(share), int(step[0])
    if loss is not None and loss.size:
        with np.errstate(all="ignore"):
            odds = _wanted(share, schedule[0], rate[0], now)
            fit = F32(loss[0] / watch["loss"][0])
            if fit >= 0:
                want = odds
                odds = F32(F32(want * gain[0]) * fit)
                odds = odds if odds < ONE else F32(ONE)
                found = F32(gain[0] * F32(F32(1) + F32(F32(want - odds) / F32(2**19))))
                gain[0] = np.clip(found, *GAIN)
    number = ar.hash32(ar.stream(int(seed[0]), now // batch, stream))[0]
    taken[0] = F32(int(number) & 0xFFFF) < odds
    updated[0] = whole[0] if taken[0] else F32(0)


def _wanted(share: int, schedule: Any, rate: Any, step: int) -> np.float32:
    """Odds of a sample whose loss is the mean: while a schedule falls more where its rate is above the mean of all."""
    mean = F32(F32(0.5) * schedule["rate"]) + F32(F32(0.5) * schedule["last"])
    falls = int(schedule["kind"]) in (COSINE, LINEAR)
    is_under_way = (step - int(schedule["start"])) & 0xFFFFFFFF < int(schedule["steps"])
    if not (falls and is_under_way and mean > 0):
        return F32(share)
    return F32(share) + F32(F32(min(share, ONE - share)) * F32(F32(rate / mean) - F32(1)))


def select_share(
    whole: int,
    structures: int,
    active: NDArray[Any],
    before: NDArray[Any] | None,
    count: NDArray[Any],
    rate: NDArray[Any],
) -> None:
    """count = before + whole + channels of the list; rate = count / structures."""
    count[0] = (0 if before is None or before.size == 0 else int(before[0])) + whole + int(active[0])
    rate[0] = F32(int(count[0])) / F32(structures)


SELECT_RATIO = Kernel("mcg_select_ratio", select_ratio)
SELECT_ROOTS_S32 = Kernel("mcg_select_roots_s32", select_roots_s32)
SELECT_TOPK = Kernel("mcg_select_topk", select_topk)
SELECT_CERTAIN = Kernel("mcg_select_certain", select_certain)
SELECT_SAMPLES = Kernel("mcg_select_samples", select_samples)
SELECT_SAMPLED = Kernel("mcg_select_sampled", select_sampled)
SELECT_SHARE = Kernel("mcg_select_share", select_share)
