"""Which channels of a layer take part in a step, and whether the step is taken at all: partial updates.

A node stands between the error of a layer's output and all that reads it. It lists the channels that take part
and writes their errors side by side; every later kernel walks the list alone, so that the others cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcugrad import arithmetic as ar
from mcugrad.errors import ModelError
from mcugrad.graph import BackwardNode, Float32
from mcugrad.ops.selection.select import (
    GAIN,
    ONE,
    SELECT_CERTAIN,
    SELECT_COPY_S8,
    SELECT_RATIO,
    SELECT_ROOTS_S32,
    SELECT_SAMPLED,
    SELECT_SAMPLES,
    SELECT_SCALE_S8,
    SELECT_SHARE,
    SELECT_SUMS_S8,
    SELECT_TOPK,
    SELECT_UNIT_S8,
)
from mcugrad.ops.selection.select_f32 import (
    SELECT_COPY_F32,
    SELECT_PARTS_F32,
    SELECT_SUMS_F32,
    SELECT_WEIGH_F32,
)
from mcugrad.program import segment
from mcugrad.program.buffer import LOSS
from mcugrad.training.sparse import Sparse

if TYPE_CHECKING:
    from mcugrad.builders.program import ProgramBuilder

MOST_CHANNELS = 65535
"""What the numbers of a list reach."""


@dataclass(frozen=True, kw_only=True)
class SelectSamples(BackwardNode):
    """Whether the step is taken: what follows, up to the step counter, happens only then. Odds follow the loss.

    Attributes:
        share: of the batches that are taken, in 1/65536.
        batch: samples that are taken together.
        whole: share of the channels that a step updates, as far as it is the same in every step.
    """

    share: int
    batch: int
    whole: float

    INPUTS = ()
    OUTPUTS = ()
    CHANGES_STATE = True

    def lower(self, to: ProgramBuilder) -> None:
        taken = to.temporary("taken", "int32_t", (1,), "whether the step is taken")
        drawing: dict[str, Any] = {
            "note": f"{100 * self.share / ONE:.3g} % of the samples",
            "share": self.share,
            "batch": self.batch,
            "seed": to.seed(),
            "step": to.step(),
            "stream": ar.STREAM_SAMPLES,
            "whole": to.constant(
                "whole_rate", "float", np.asarray([self.whole], np.float32), "of all channels"
            ),
            "taken": taken,
            "updated": _update_rate(to),
        }
        evenly: dict[str, Any] = dict.fromkeys(("loss", "watch", "schedule", "rate", "gain"))
        # A batch is taken or left out before its losses are known, and those of soft targets are of another size.
        to.enter(segment.LOSS)
        to.call(SELECT_SAMPLES, **drawing, **(evenly if self.batch > 1 else _followed(to)))
        if segment.SOFT_LOSS in to.calls:
            to.enter(segment.SOFT_LOSS)
            to.call(SELECT_SAMPLES, **drawing, **evenly)
        to.only_where(segment.BACKWARD, taken)


def _followed(to: ProgramBuilder) -> dict[str, Any]:
    """What the odds of a sample follow."""
    one = np.ones(1, np.float32)
    return {
        "loss": to.temporary("loss", "float", (1,), "loss of the sample"),
        "watch": to.watch(),
        "schedule": to.schedule(),
        "rate": to.rate(),
        "gain": to.state(
            "taken_gain", "float", (1,), one, "by how much odds are larger: keeps the share", GAIN
        ),
    }


@dataclass(frozen=True, kw_only=True)
class LossRatio(BackwardNode):
    """How wrong the network was, compared with the worst sample so far: the share that is updated follows it."""

    INPUTS = ()
    OUTPUTS = ()
    CHANGES_STATE = True

    def lower(self, to: ProgramBuilder) -> None:
        to.enter(segment.LOSS)
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


@dataclass(frozen=True, kw_only=True)
class Selection(BackwardNode):
    """Base of what chooses the channels of a layer for each sample.

    Attributes:
        e: error of the layer's output.
        kept: the errors of those channels alone.
        layer: name of the layer.
        policy: how many, and which.
    """

    e: str
    kept: str
    layer: str
    policy: Sparse

    INPUTS = ("e",)
    OUTPUTS = ("kept",)

    def is_real(self, to: ProgramBuilder) -> bool:
        """Whether errors are floats."""
        return isinstance(to.graph[self.e].quant, Float32)

    def choosing(self, to: ProgramBuilder) -> dict[str, Any]:
        """What kernels that choose take: how many, from which sums, into which list."""
        channels = to.graph[self.e].channels
        _check_channels(to, channels)
        limits = np.asarray([self.policy.low, self.policy.high], np.float32)
        return {
            "channels": channels,
            "limits": to.constant(f"{self.layer}_limits", "float", limits, "smallest and largest share"),
            "ratio": loss_ratio(to) if self.policy.follows_loss else _no_ratio(to),
            "sum": self._sums(to),
            "active": to.temporary(
                f"{self.name}_active", "uint16_t", (1 + channels,), "number and channels that take part"
            ),
        }

    def _sums(self, to: ProgramBuilder) -> str:
        """The sums of |e| of this layer, which are made once."""
        error, real = to.graph[self.e], self.is_real(to)
        name = f"{self.layer}_sum"
        if name in to.buffers:
            return name
        if not real:
            to.bound_terms(error.size, 127)
        note = f"{'bits of the ' if real else ''}sum of |e|, per channel"
        to.temporary(name, "int32_t", (error.channels,), note)
        to.call(
            SELECT_SUMS_F32 if real else SELECT_SUMS_S8,
            note="importance",
            pixels=error.size // error.channels,
            channels=error.channels,
            e=to.data(self.e),
            sum=name,
        )
        return name


@dataclass(frozen=True, kw_only=True)
class SelectLargest(Selection):
    """The channels with the largest errors, as they are.

    Attributes:
        counts: whether they are what this layer updates.
    """

    counts: Counts | None

    def lower(self, to: ProgramBuilder) -> None:
        shared = self.choosing(to)
        to.call(SELECT_TOPK, note=self.policy.text, **shared)
        if self.counts is not None:
            self.counts.lower(to, shared["active"])
        lower_copy(to, self.e, self.kept, shared["active"])


@dataclass(frozen=True)
class Counts:
    """How the share of channels that takes part is counted.

    Attributes:
        structures: channels of all layers that train.
        whole: those that take part in any case, at the first selection of a step; None at others.
    """

    structures: int
    whole: int | None

    def lower(self, to: ProgramBuilder, active: str) -> None:
        """Count the channels of a list."""
        count = to.temporary("updated", "int32_t", (1,), "channels that take part, so far")
        to.call(
            SELECT_SHARE,
            note="share that takes part",
            whole=self.whole or 0,
            structures=self.structures,
            active=active,
            before=count if self.whole is None else None,
            count=count,
            rate=_update_rate(to),
        )


@dataclass(frozen=True, kw_only=True)
class SelectDrawn(Selection):
    """Channels drawn at random by their errors.

    Attributes:
        counts: how they are counted.
        is_scaled: whether 1 / odds is a factor of the errors; else changes are divided by the odds.
    """

    counts: Counts
    is_scaled: bool

    def lower(self, to: ProgramBuilder) -> None:
        error, real = to.graph[self.e], self.is_real(to)
        channels, pixels = error.channels, error.size // error.channels
        shared = self.choosing(to)
        active = shared["active"]
        if real:
            part = to.temporary(f"{self.name}_part", "int32_t", (channels,), "part of the sum of all, 2^-29")
            to.call(SELECT_PARTS_F32, note="parts", channels=channels, sum=shared["sum"], part=part)
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
        if self.policy.policy == "single":
            certain = {name: shared[name] for name in ("channels", "limits", "ratio", "sum")}
            marked = to.temporary(f"{self.name}_marked", "int32_t", (channels,), "sums, negative for certain")
            to.call(SELECT_CERTAIN, note="half of them for sure", **certain, marked=marked)
            shared["sum"] = marked
        rescales = self.is_scaled and not real
        note = "odds, then error to kept error, 1/65536" if rescales else "odds, 1/65536"
        odds = to.temporary(f"{self.name}_factor", "int32_t", (channels,), note)
        to.call(
            SELECT_SAMPLED,
            note=self.policy.text,
            **shared,
            **to.random(self.layer, ar.STREAM_CHOOSE),
            odds=odds,
        )
        self.counts.lower(to, active)
        if not rescales:
            lower_copy(to, self.e, self.kept, active, odds, is_scaled=self.is_scaled)
            return
        errors = {"pixels": pixels, "channels": channels, "e": to.data(self.e), "active": active}
        to.call(
            SELECT_UNIT_S8,
            note="unit of those errors",
            **errors,
            c=to.error_unit(self.e),
            factor=odds,
            unit=to.error_unit(self.kept),
        )
        to.call(
            SELECT_SCALE_S8,
            note="errors that take part",
            **errors,
            factor=odds,
            **to.random(self.layer, ar.STREAM_ENLARGE),
            kept=to.data(self.kept),
        )
        to.keep(self.kept, active)


@dataclass(frozen=True, kw_only=True)
class SelectWeighed(BackwardNode):
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

    def lower(self, to: ProgramBuilder) -> None:
        _check_channels(to, to.graph[self.e].channels)
        numbers = np.asarray([len(self.channels), *self.channels], np.uint16)
        active = to.constant(f"{self.name}_active", "uint16_t", numbers, "number and channels updated")
        lower_copy(to, self.e, self.kept, active)
        to.update_rate = self.share


def lower_copy(
    to: ProgramBuilder, e: str, kept: str, active: str, odds: str | None = None, *, is_scaled: bool = False
) -> None:
    """Add the call that takes the listed channels out of an error.

    Args:
        to: what to add to.
        e: the error.
        kept: that of the channels.
        active: buffer of their list.
        odds: buffer of their odds; None where they are certain.
        is_scaled: whether floats are divided by the odds; else changes are to be.
    """
    error = to.graph[e]
    arguments = {
        "pixels": error.size // error.channels,
        "channels": error.channels,
        "e": to.data(e),
        "active": active,
        "kept": to.data(kept),
    }
    if isinstance(error.quant, Float32):
        to.call(SELECT_COPY_F32, note="errors that take part", **arguments, odds=odds if is_scaled else None)
    else:
        to.call(SELECT_COPY_S8, note="errors that take part", **arguments)
    to.keep(kept, active, None if is_scaled else odds)


def loss_ratio(to: ProgramBuilder) -> str:
    """How wrong the network was, in [0, 1]: one float."""
    return to.temporary("loss_ratio", "float", (1,), "loss, compared with the largest so far")


def _update_rate(to: ProgramBuilder) -> str:
    return to.temporary("update_rate", "float", (1,), "share of the channels that takes part")


def _check_channels(to: ProgramBuilder, channels: int) -> None:
    """Refuse a layer with more channels than a list can name. Raises ModelError."""
    if channels > MOST_CHANNELS:
        raise ModelError(
            f"{channels} channels are too many to be updated in part; {MOST_CHANNELS} can be listed",
            where=to.node.title,
            hint="sparse= with the names of other layers, or a smaller layer",
        )


def _no_ratio(to: ProgramBuilder) -> str:
    return to.constant("no_ratio", "float", np.zeros(1, np.float32), "the smallest share")
