"""What the user decides about firmware that learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from mcugrad.graph import ActivationScale
from mcugrad.passes.assign_precision import Wanted
from mcugrad.passes.freeze import Train
from mcugrad.plan import Curve, Planning, Point
from mcugrad.targets import Target
from mcugrad.training.features import EVERY
from mcugrad.training.losses import Loss
from mcugrad.training.replay import ReplayOf
from mcugrad.training.rules import Updates
from mcugrad.training.schedules import Schedule
from mcugrad.training.sparse import Choice, choice_text

Preference = Literal["balanced", "ram", "speed"]
PART, AT_MOST = 16, 4096
"""By default kernels get at most one part in so many of all RAM that is needed, or so many bytes where that is more."""


@dataclass(frozen=True)
class Budget:
    """Memory that kernels may have to be faster; what is free in between costs nothing and is always taken.

    Attributes:
        prefer: `ram` to add none, `speed` to add as much as makes a difference, `balanced` to add little where each
            per cent of RAM saves at least as many of the instructions.
        ram: bytes that model, sample, stack and caller may take together; None for as many as it is.
        core: whose instructions count.
    """

    prefer: Preference = "balanced"
    ram: int | None = None
    core: str = "cortex-m4f"

    @classmethod
    def on(cls, target: Target | None, prefer: Preference = "balanced") -> Budget:
        """That of a target; of any, where none is named."""
        if target is None:
            return cls(prefer)
        return cls(prefer, target.ram.bytes, target.core.priced_as or target.core.name)

    def choose(self, curve: Curve, need: int) -> Point:
        """The arena that a program gets.

        Args:
            curve: what it can have.
            need: bytes that model, sample, stack and caller take together with the smallest.
        """
        points = curve.points
        least = points[0]
        left = inf if self.ram is None else max(self.ram - need, 0)
        if self.prefer == "ram":
            return least
        if self.prefer == "speed":
            return [point for point in points if point.size - least.size <= left][-1]
        whole = curve.usual - least.size  # more than the least, for maps that are whole
        most = min(max((need + whole) / PART, AT_MOST), (left - whole) / 2) + whole
        most = left / 2 if left < whole else most
        return min(
            (point for point in points if point.size - least.size <= most),
            key=lambda point: point.instructions * (need + point.size - least.size),
        )


@dataclass(frozen=True)
class Options:
    """What the user decides.

    Attributes:
        train: what trains: `all`, `last:N`, `bias`, `none`, or names of layers.
        updates: how each layer learns.
        seed: of the random numbers on the device.
        rate: learning rate at delivery.
        rate_given: whether somebody chose it; else `fit` looks for one.
        schedule: how the rate runs from delivery on.
        steps: training steps that it spans; 0 where it needs none.
        budget: memory that kernels may have to be faster.
        features: what of a model's life the firmware has; the twin has all.
        replay_of: what a replay buffer holds of samples, their inputs or their latents.
        plan: how places in the working memory are looked for.
        recompute: whether calls may run again, so that less has to be kept for the backward pass.
        loss: what training makes smaller.
        label_scale: quantization of the labels, for losses on values.
        precision: `int8`, `mixed` (float32 from the first trained layer on), or `float32`.
        sparse: which channels a sample updates; None for all.
        class_names: what the outputs are called in generated code; empty if nobody said.
    """

    train: Train
    updates: Updates
    seed: int
    rate: float
    loss: Loss = Loss()  # noqa: RUF009  (frozen)
    label_scale: ActivationScale | None = None
    precision: Wanted = "int8"
    sparse: Choice | None = None
    class_names: tuple[str, ...] = ()
    rate_given: bool = True
    schedule: Schedule = Schedule()  # noqa: RUF009  (frozen)
    steps: int = 0
    budget: Budget = Budget()
    features: frozenset[str] = EVERY
    replay_of: ReplayOf = "inputs"
    plan: Planning = "greedy"
    recompute: bool = False

    @property
    def recomputed_on(self) -> str:
        """The core by whose instructions it is decided which calls run again; empty where none may."""
        return self.budget.core if self.recompute else ""

    @property
    def method(self) -> str:
        """How weights learn."""
        text = self.updates.text if self.precision == "int8" else "float32 SGD"
        return text if self.sparse is None else f"{text}, {choice_text(self.sparse)}"

    def describe(self, layers: Sequence[str]) -> str:
        """How these layers learn: `conv1, fc1 (sr12, in place)`."""
        if self.precision == "int8":
            text = self.updates.describe(layers)
            return text if self.sparse is None else f"{text}, in part: {choice_text(self.sparse)}"
        return f"{', '.join(layers)} ({self.method}, in place)"
