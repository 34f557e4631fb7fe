"""What is advised: limits, ways to train within them, and which of them is chosen, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mcugrad.targets import kib
from mcugrad.training.sparse import Sparse


@dataclass(frozen=True)
class Limits:
    """What a training step may take.

    Attributes:
        ram: bytes of RAM: model, sample, and what is kept for stack and caller.
        flash: bytes of flash for constants; code comes on top; None for any number.
        milliseconds: of a step, estimated; None for any.
    """

    ram: int
    flash: int | None = None
    milliseconds: float | None = None

    @property
    def text(self) -> str:
        """`64.0 KiB of RAM, 256.0 KiB of flash, 50 ms a step`."""
        flash = "" if self.flash is None else f", {kib(self.flash)} of flash"
        time = "" if self.milliseconds is None else f", {self.milliseconds:g} ms a step"
        return f"{kib(self.ram)} of RAM{flash}{time}"


@dataclass(frozen=True)
class Choice:
    """A way to train.

    Attributes:
        train: `all` or `last:N`.
        rule: how weights are stored and updated.
        updates: share of the channels that a step updates, 1 for all; of each step, so that none takes longer.
        ram: bytes of RAM that it needs, what is kept for stack and caller included: counted.
        flash: bytes of constants in flash: counted.
        instructions: of a training step on the target, counted; None where there is none.
        milliseconds: estimated from these; None for a plain core.
        score: of samples held out: the share that is right, or the negative of a mean squared error.
        rate: learning rate that gave it.
        steps: training steps that it had.
        recompute: whether calls of the forward pass run again in the backward pass: less RAM for more instructions.
    """

    train: str
    rule: str
    ram: int
    flash: int
    instructions: float | None = None
    milliseconds: float | None = None
    score: float | None = None
    rate: float | None = None
    steps: int = 0
    updates: float = 1.0
    recompute: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """What `compile` is told of it, its rate left out."""
        found: dict[str, Any] = {"train": self.train, "rule": self.rule}
        if self.updates < 1:
            found["sparse"] = Sparse(self.updates, policy="split")
        if self.recompute:
            found["recompute"] = True
        return found

    @property
    def text(self) -> str:
        """`last:3 by sr16`, `last:3 by sr16, 25 % of its updates`, `all by sr12, recomputed`."""
        part = "" if self.updates == 1 else f", {100 * self.updates:g} % of its updates"
        return f"{self.train} by {self.rule}{part}{', recomputed' if self.recompute else ''}"

    @property
    def reached(self) -> float:
        """Its score, below all others where it has none."""
        return -np.inf if self.score is None or np.isnan(self.score) else self.score

    def within(self, limits: Limits) -> bool:
        """Whether it takes no more."""
        return (
            self.ram <= limits.ram
            and (limits.flash is None or self.flash <= limits.flash)
            and (limits.milliseconds is None or (self.milliseconds or 0.0) <= limits.milliseconds)
        )

    def is_dominated(self, others: Sequence[Choice]) -> bool:
        """Whether another one, tried as long or longer, is at least as good and takes less of all."""
        return any(
            other is not self
            and other.steps >= self.steps
            and other.reached >= self.reached
            and other.ram <= self.ram
            and other.flash <= self.flash
            and (other.instructions or 0.0) <= (self.instructions or 0.0)
            for other in others
        )


@dataclass(frozen=True)
class Advice:
    """What there is to choose from, and what was chosen.

    Attributes:
        limits: that all of it keeps to.
        choices: ways that were tried, those with most layers first.
        best: of those that are as good as the best, by more than chance, that with most layers.
        before: score before training.
        held_out: samples that scores are of.
        is_share: whether scores are shares; else negatives of mean squared errors.
        seconds: what it took.
    """

    limits: Limits
    choices: tuple[Choice, ...]
    best: Choice
    before: float
    held_out: int
    is_share: bool
    seconds: float

    @property
    def options(self) -> dict[str, Any]:
        """What `compile` is told: `mg.compile(model, **advice.options, ...)`."""
        return {**self.best.options, "rate": self.best.rate, "ram": self.limits.ram}

    @property
    def kept(self) -> tuple[Choice, ...]:
        """The best, and the choices that no other is better than in everything."""
        return tuple(
            each for each in self.choices if each is self.best or not each.is_dominated(self.choices)
        )

    @property
    def why(self) -> str:
        """Why the choice won, in a sentence."""
        best, others = self.best, [each for each in self.choices if each is not self.best]
        said = f"{best.text}: {self.score(best.score)} of {self.held_out} samples held out"
        beside = "".join(f"{each.text}: {self.score(each.score)}; " for each in others)
        found = f"{said} ({beside}before training {self.score(self.before)}), {kib(best.ram)} of RAM"
        if best.reached <= self.before:
            return f"{found}; no way to train makes them better"
        if any(each.reached >= best.reached for each in others):
            return f"{found}; of ways that chance may have told apart the one with most layers"
        return f"{found}; with more layers it is worse" if best is not self.choices[0] else found

    def __str__(self) -> str:
        """A line for each choice that is worth one, and why the best one is."""
        lines = [
            f"{'*' if each is self.best else ' '} {each.text}  {kib(each.ram)}  {self.score(each.score)}"
            for each in self.kept
        ]
        return "\n".join([f"within {self.limits.text}", *lines, self.why])

    def score(self, score: float | None) -> str:
        """A score for people."""
        if score is None or not np.isfinite(score):
            return "diverged"
        return f"{score:.1%}" if self.is_share else f"error {abs(score):.4g}"

    def facts(self) -> dict[str, Any]:
        """The same on every run and computer, for JSON: no time."""
        return {
            "limits": asdict(self.limits),
            "before": self.before,
            "held_out": self.held_out,
            "best": asdict(self.best),
            "choices": [
                {**asdict(each), "dominated": each.is_dominated(self.choices)} for each in self.choices
            ],
        }
