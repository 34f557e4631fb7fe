"""Share: how many samples a training learned from, against the part of them that `samples=` asked for."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from mcugrad.ops.selection.select import GAIN
from mcugrad.run.runner import State

FACTOR = "taken_gain"
"""Array of the learned state: by how much the odds of a sample are larger, so that the share of all is kept."""
OFF = 0.2
"""Part of what was asked for that may be missing, or too much."""
CHANCE = 4.0
"""Standard errors by which chance may miss it."""
WARM = 0.1
"""Part of the steps from which on a warm-up says why few samples are taken: its rates are low."""


@dataclass(eq=False)
class Share:
    """Counts the samples of a training that were learned from.

    Attributes:
        asked: part of the samples that was asked for.
        batch: samples that are taken or left out together.
    """

    asked: float
    batch: int = 1
    _steps: int = 0
    _taken: int = 0

    def count(self, steps: int, taken: int) -> None:
        """So many more steps, some of which were taken."""
        self._steps += steps
        self._taken += taken

    def notes(self, state: State, warmup: int = 0) -> tuple[str, ...]:
        """What there is to say at the end of a training.

        Args:
            state: what has been learned.
            warmup: steps of it in which the rate rose.
        """
        steps, taken, wanted = self._steps, self._taken, self.asked * self._steps
        chance = sqrt(wanted * (1 - self.asked) * self.batch)
        if abs(taken - wanted) <= max(OFF * wanted, CHANCE * chance):
            return ()
        return (
            f"{100 * self.asked:.3g} % of the samples were asked for, {100 * taken / steps:.2g} % were learned from "
            f"({taken:,} of {steps:,}): {self._why(state, warmup)}",
        )

    def _why(self, state: State, warmup: int) -> str:
        if self._taken > self.asked * self._steps:
            return "losses rose faster than the odds follow; try a smaller samples=, or batches, which are drawn evenly"
        if warmup > WARM * self._steps:
            return f"while the rate is low fewer are taken, as in a warm-up of {warmup:,} steps; try a shorter one"
        more = min(self.asked**2 * self._steps / max(self._taken, 1), 1.0)
        factor = float(state[FACTOR][0]) if FACTOR in state else 1.0
        return (
            f"few samples have nearly all of the loss, and the odds of the others, which are known by now, are raised "
            f"{GAIN[1]:g} times at most ({factor:.3g} at the end); try fewer epochs, samples={more:.2g}, or a batch of "
            f"2, of which each is as likely"
        )
