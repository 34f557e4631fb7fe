"""Which channels of a layer take part in a step, and whether the step is taken at all: partial updates.

A node stands between the error of a layer's output and all that reads it. It lists the channels that take part
and writes their errors side by side; every later kernel walks the list alone, so that the others cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcugrad import arithmetic as ar
from mcugrad.builders.node import BackwardNode
from mcugrad.errors import ModelError
from mcugrad.graph import Precision
from mcugrad.ops.core.beside import beside
from mcugrad.ops.selection.select import (
    GAIN,
    ONE,
    SELECT_CERTAIN,
    SELECT_RATIO,
    SELECT_ROOTS_S32,
    SELECT_SAMPLED,
    SELECT_SAMPLES,
    SELECT_SHARE,
    SELECT_TOPK,
    Errors,
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
        # A batch is taken or left out before its losses are known, and those of soft labels are of another size.
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
        precision: of the errors.
    """

    e: str
    kept: str
    layer: str
    policy: Sparse
    precision: Precision

    INPUTS = ("e",)
    OUTPUTS = ("kept",)

    @property
    def errors(self) -> Errors:
        """How errors are summed and taken out."""
        return errors_of(self.e, self.precision)

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
        name = f"{self.layer}_sum"
        if name not in to.buffers:
            self.errors.lower_sums(to, name)
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
        self.errors.lower_copy(to, self.kept, shared["active"], None)
        to.keep(self.kept, shared["active"])


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
        channels = to.graph[self.e].channels
        shared = self.choosing(to)
        active = shared["active"]
        shared["sum"] = self.errors.lower_parts(to, f"{self.name}_part", shared["sum"])
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
        rescales = self.is_scaled and self.errors.has_unit
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
        if rescales:
            self.errors.lower_enlarged(to, self.layer, self.kept, active, odds)
            to.keep(self.kept, active)
        else:
            self.errors.lower_copy(to, self.kept, active, odds if self.is_scaled else None)
            to.keep(self.kept, active, None if self.is_scaled else odds)


@dataclass(frozen=True, kw_only=True)
class SelectFixed(BackwardNode):
    """The errors of channels chosen when the model was compiled.

    Attributes:
        e: error of the layer's output.
        kept: the errors of the channels.
        channels: which, ascending.
        share: of all channels that train, those that take part in every step.
        precision: of the errors.
    """

    e: str
    kept: str
    channels: tuple[int, ...]
    precision: Precision
    share: float

    INPUTS = ("e",)
    OUTPUTS = ("kept",)

    def lower(self, to: ProgramBuilder) -> None:
        _check_channels(to, to.graph[self.e].channels)
        numbers = np.asarray([len(self.channels), *self.channels], np.uint16)
        active = to.constant(f"{self.name}_active", "uint16_t", numbers, "number and channels updated")
        errors_of(self.e, self.precision).lower_copy(to, self.kept, active, None)
        to.keep(self.kept, active)
        to.update_rate = self.share


def errors_of(e: str, precision: Precision) -> Errors:
    """The errors of a tensor, as what chooses channels sees them."""
    kind = beside(Errors, precision)
    assert kind is not None, precision
    found: Errors = kind(e=e)
    return found


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
