"""Which channels of a layer take part in a step: partial updates.

A node stands between the error of a layer's output and all that reads it. It lists the channels that take part
and writes their errors side by side; every later kernel walks the list alone, so that the others cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.arithmetic import F32
from mcugrad.errors import ModelError
from mcugrad.graph import BackwardNode, Float32
from mcugrad.ops.float_select import SELECT_COPY_F32, SELECT_PARTS_F32, SELECT_SUMS_F32
from mcugrad.program import Kernel
from mcugrad.program.buffer import LOSS
from mcugrad.training.sparse import Sparse

if TYPE_CHECKING:
    from mcugrad.program.lowering import Lowering

ONE = 65536
"""1 as odds, and as the factor of an error."""
MOST_CHANNELS = 65535
"""What the numbers of a list reach."""


@dataclass(frozen=True, kw_only=True)
class LossRatio(BackwardNode):
    """How wrong the network was, compared with the worst sample so far: the share that is updated follows it."""

    INPUTS = ()
    OUTPUTS = ()
    CHANGES_STATE = True

    def lower(self, to: Lowering) -> None:
        largest = to.state(
            "largest_loss", "float", (1,), np.zeros(1, np.float32), "largest loss so far", LOSS
        )
        to.call(
            SELECT_RATIO,
            note="loss, compared with the largest",
            loss=to.temporary("loss", "float", (1,), "loss of the sample"),
            largest=largest,
            ratio=loss_ratio(to),
        )
        to.shared = len(to.calls)


@dataclass(frozen=True, kw_only=True)
class SelectStructures(BackwardNode):
    """Choose the channels of a layer that this sample updates.

    Attributes:
        e: error of the layer's output.
        kept: the errors of those channels alone.
        policy: how many, and which.
        structures: channels of all layers that train.
        whole: those that take part in any case, at the first selection of a step; None at others.
    """

    e: str
    kept: str
    policy: Sparse
    structures: int
    whole: int | None

    INPUTS = ("e",)
    OUTPUTS = ("kept",)

    def lower(self, to: Lowering) -> None:
        error = to.graph[self.e]
        channels, pixels = error.channels, error.size // error.channels
        _check_channels(to, channels)
        real = isinstance(error.quant, Float32)
        if not real:
            to.bound_terms(error.size, 127)
        note = f"{'bits of the ' if real else ''}sum of |e|, per channel"
        channel_sum = to.temporary(f"{self.name}_sum", "int32_t", (channels,), note)
        active = to.temporary(
            f"{self.name}_active", "uint16_t", (1 + channels,), "number and channels that take part"
        )
        limits = np.asarray([self.policy.low, self.policy.high], np.float32)
        shared: dict[str, Any] = {
            "channels": channels,
            "limits": to.constant(f"{self.name}_limits", "float", limits, "smallest and largest share"),
            "ratio": loss_ratio(to) if self.policy.follows_loss else _no_ratio(to),
            "sum": channel_sum,
            "active": active,
        }
        to.call(
            SELECT_SUMS_F32 if real else SELECT_SUMS_S8,
            note="importance",
            pixels=pixels,
            channels=channels,
            e=to.data(self.e),
            sum=channel_sum,
        )
        if self.policy.policy == "topk":
            to.call(SELECT_TOPK, note=self.policy.text, **shared)
            self._count(to, active)
            lower_copy(to, self.e, self.kept, active)
            return
        if real:
            part = to.temporary(f"{self.name}_part", "int32_t", (channels,), "part of the sum of all, 2^-29")
            to.call(SELECT_PARTS_F32, note="parts", channels=channels, sum=channel_sum, part=part)
            shared["sum"] = part
        if self.policy.policy == "rooted":
            root = to.temporary(f"{self.name}_root", "int32_t", (channels,), "64 roots of the sums")
            to.call(
                SELECT_ROOTS_S32,
                note="importance, more even",
                channels=channels,
                sum=shared["sum"],
                root=root,
            )
            shared["sum"] = root
        note = "odds, 1/65536" if real else "odds, then error to kept error, 1/65536"
        factor = to.temporary(f"{self.name}_factor", "int32_t", (channels,), note)
        tensors = list(to.graph.tensors)
        draws = {"seed": to.seed(), "step": to.step()}
        to.call(
            SELECT_SAMPLED,
            note=self.policy.text,
            **shared,
            **draws,
            tensor=tensors.index(self.e),
            odds=factor,
        )
        self._count(to, active)
        if real:
            lower_copy(to, self.e, self.kept, active, factor)
            return
        errors = {"pixels": pixels, "channels": channels, "e": to.data(self.e), "active": active}
        to.call(
            SELECT_UNIT_S8,
            note="unit of those errors",
            **errors,
            c=to.error_unit(self.e),
            factor=factor,
            unit=to.error_unit(self.kept),
        )
        to.call(
            SELECT_SCALE_S8,
            note="errors that take part",
            **errors,
            factor=factor,
            **draws,
            tensor=tensors.index(self.kept),
            kept=to.data(self.kept),
        )
        to.keep(self.kept, active)

    def _count(self, to: Lowering, active: str) -> None:
        count = to.temporary("updated", "int32_t", (1,), "channels that take part, so far")
        to.call(
            SELECT_SHARE,
            note="share that takes part",
            whole=self.whole or 0,
            structures=self.structures,
            active=active,
            before=count if self.whole is None else None,
            count=count,
            rate=to.temporary("update_rate", "float", (1,), "share of the channels that takes part"),
        )


@dataclass(frozen=True, kw_only=True)
class SelectFixed(BackwardNode):
    """The errors of channels chosen when the model was compiled.

    Attributes:
        e: error of the layer's output.
        kept: the errors of the channels.
        channels: which, ascending.
        share: of all channels that train, those that take part in every step.
    """

    e: str
    kept: str
    channels: tuple[int, ...]
    share: float

    INPUTS = ("e",)
    OUTPUTS = ("kept",)

    def lower(self, to: Lowering) -> None:
        _check_channels(to, to.graph[self.e].channels)
        numbers = np.asarray([len(self.channels), *self.channels], np.uint16)
        active = to.constant(f"{self.name}_active", "uint16_t", numbers, "number and channels updated")
        lower_copy(to, self.e, self.kept, active)
        to.update_rate = self.share


def lower_copy(to: Lowering, e: str, kept: str, active: str, odds: str | None = None) -> None:
    """Add the call that takes the listed channels out of an error; floats are divided by their odds."""
    error = to.graph[e]
    arguments = {
        "pixels": error.size // error.channels,
        "channels": error.channels,
        "e": to.data(e),
        "active": active,
        "kept": to.data(kept),
    }
    if isinstance(error.quant, Float32):
        to.call(SELECT_COPY_F32, note="errors that take part", **arguments, odds=odds)
    else:
        to.call(SELECT_COPY_S8, note="errors that take part", **arguments)
    to.keep(kept, active)


def loss_ratio(to: Lowering) -> str:
    """How wrong the network was, in [0, 1]: one float."""
    return to.temporary("loss_ratio", "float", (1,), "loss, compared with the largest so far")


def _check_channels(to: Lowering, channels: int) -> None:
    """Refuse a layer with more channels than a list can name. Raises ModelError."""
    if channels > MOST_CHANNELS:
        raise ModelError(
            f"{channels} channels are too many to be updated in part; {MOST_CHANNELS} can be listed",
            where=to.node.title,
            hint="sparse= with the names of other layers, or a smaller layer",
        )


def _no_ratio(to: Lowering) -> str:
    return to.constant("no_ratio", "float", np.zeros(1, np.float32), "the smallest share")


def select_ratio(loss: NDArray[Any], largest: NDArray[Any], ratio: NDArray[Any]) -> None:
    """ratio = loss / largest, which grows to the loss first, if that is finite; 0 where it is 0."""
    if np.inf > loss[0] > largest[0]:
        largest[0] = loss[0]
    with np.errstate(all="ignore"):
        ratio[0] = loss[0] / largest[0] if largest[0] > 0 else F32(0)


def select_sums_s8(pixels: int, channels: int, e: NDArray[Any], sum: NDArray[Any]) -> None:
    """Sum of |e|, per channel."""
    sum[:channels] = np.abs(e[: pixels * channels].astype(np.int64)).reshape(pixels, channels).sum(axis=0)


def select_roots_s32(channels: int, sum: NDArray[Any], root: NDArray[Any]) -> None:
    """64 times the square root of every sum, rounded down."""
    root[:channels] = [int(ar.sqrt(value) * F32(64)) for value in sum[:channels]]


def wanted(channels: int, limits: NDArray[Any], ratio: NDArray[Any]) -> np.float32:
    """How many of `channels` are to be kept: (low + ratio (high - low)) channels, at least 1."""
    with np.errstate(all="ignore"):
        share = F32(limits[0] + F32(ratio[0]) * F32(limits[1] - limits[0]))
    if not share >= limits[0]:
        share = limits[0]
    count = share * F32(channels) if share < 1 else F32(channels)
    return F32(max(count, F32(1)))


def select_topk(
    channels: int, limits: NDArray[Any], ratio: NDArray[Any], sum: NDArray[Any], active: NDArray[Any]
) -> None:
    """The channels with the largest sums, of equal ones the first; those without an error never."""
    count = int(wanted(channels, limits, ratio))
    order = np.argsort(-sum[:channels].astype(np.int64), kind="stable")[:count]
    chosen = np.sort(order[sum[order] > 0])
    active[0] = len(chosen)
    active[1 : 1 + len(chosen)] = chosen


def odds_of(sum: NDArray[Any], count: np.float32) -> NDArray[np.int64]:
    """Odds of channels to be kept, in 1/65536, in proportion to their sums; `count` are on average.

    Those whose share is 1 or more are certain, and the rest share what is left, until no share reaches 1.
    """
    if count >= len(sum):
        return np.where(sum == 0, 0, ONE)
    left, before, total, certain = count, F32(0), int(sum.sum()), (1 << 31) - 1
    while total > 0 and left > 0 and left != before:
        now = (sum < certain) & (sum.astype(F32) * left >= F32(total))
        before = left
        left = F32(left - F32(now.sum()))
        total -= int(sum[now].sum())
        certain = int(sum[now].min(initial=certain))
    share = F32(left / F32(total)) * F32(ONE) if total > 0 else F32(0)
    drawn = np.clip((share * sum.astype(F32)).astype(np.int64), 1, ONE - 1)
    odds: NDArray[np.int64] = np.where(sum == 0, 0, np.where(sum >= certain, ONE, drawn))
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


SELECT_RATIO = Kernel("mcg_select_ratio", select_ratio)
SELECT_SUMS_S8 = Kernel("mcg_select_sums_s8", select_sums_s8)
SELECT_ROOTS_S32 = Kernel("mcg_select_roots_s32", select_roots_s32)
SELECT_TOPK = Kernel("mcg_select_topk", select_topk)
SELECT_SAMPLED = Kernel("mcg_select_sampled", select_sampled)
SELECT_UNIT_S8 = Kernel("mcg_select_unit_s8", select_unit_s8)
SELECT_SHARE = Kernel("mcg_select_share", select_share)
SELECT_COPY_S8 = Kernel("mcg_select_copy_s8", select_copy_s8)
SELECT_SCALE_S8 = Kernel("mcg_select_scale_s8", select_scale_s8)
