"""Collapse: whether a training has learned anything, judged by its last steps, with advice in numbers.

A training that has come to nothing ends without an error: losses stay at what the same answer to every sample gives
(log(classes), if all are as frequent), or predictions at one class. Three causes are told apart:

1. The outputs are the same whatever the input: activations are dead, mostly by a few steps that were too large.
2. The loss has been lower than now, or is far above that of one answer: what was known is being lost; too large steps.
3. Neither: nothing has been learned yet; too small steps, too few of them, or labels that do not belong to the samples.
   So it is, too, where the loss has come down a long way to there: the network began far from all of its labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.advice import Rates
from mcugrad.graph import ActivationScale
from mcugrad.health import few_of, more_of
from mcugrad.training.losses import (
    LabelKind,
    Loss,
    loss_of_balance,
    loss_of_one_answer,
    losses_of_one_answer,
)
from mcugrad.training.rules.update import Update

STEPS = 300
"""Steps before which nothing is expected to be learned."""
WINDOW = 100
"""Steps whose mean loss is a point of the course; a twentieth of longer epochs, which chance moves less."""
FALLS = 0.8
"""Share of the loss of the last epoch, or of the first half of the first, up to which it falls."""
NEAR = 0.98
"""Share of the loss of one answer from which on nothing has been learned."""
LITTLE = 0.9
"""Likewise from which on little has been learned."""
LOST = 0.9
"""Share of today's loss below which the loss must have been for something to be lost."""
RISEN = 0.5
"""Likewise while the loss is still below that of one answer."""
SMALL = 0.25
"""Share of the loss of one answer up to which a loss may rise."""
FAR = 2.0
"""Times the loss of one answer from which on a training has run away, unless it falls: it may begin there."""
EXPLODED = 6.0
"""Likewise, even if it falls: no network begins there."""
MAJORITY = 0.95
"""Share of the samples in one class from which on predicting it always may be the best there is."""
FELL = 0.5
"""Share of the loss before training up to which a loss has come down, however far above that of one answer."""
RARE = 0.5
"""Share of what one answer costs all samples from which on those of a stretch are like them."""
ONE_ANSWER = "that of the same answer to every sample"
BLANK = (
    "the outputs do not depend on the input, nor did they before training: what layers pass on vanishes on the way, "
    "and no rate changes that; try weights that are drawn for such a depth (He et al.), normalization, shortcuts, or a "
    "network that was trained before"
)
CAUSES = ("ran away", "collapsed", "no rate changes that")
"""Of what is said, that which explains what else looks wrong."""
BELONG = "do labels and samples belong together?"
PROBED = 64
"""Samples whose outputs are compared."""
KNOWN = 256
"""Samples at most that tell the loss before training."""


@dataclass(eq=False)
class Judge:
    """Follows the steps of a training.

    Attributes:
        loss: what is made smaller.
        outputs: of the network.
        label_scale: quantization of real labels; None where they are none.
        update: how weights change.
        rates: the learning rate at the beginning, and others to advise.
        shuffle: whether samples come in random order, so that stretches of a training can be compared.
        batch: samples that make the first change.
        has_options: whether layers can learn with momentum and by batches.
        blank: whether the outputs were the same whatever the input before training.
        remedy: what to try before any rate, where labels or outputs have another size; else empty.
    """

    loss: Loss
    outputs: int
    label_scale: ActivationScale | None
    update: Update
    rates: Rates
    shuffle: bool = True
    batch: int = 1
    has_options: bool = True
    blank: bool = False
    remedy: str = ""
    _steps: int = 0
    _taken: int = 0
    _wants_smaller: bool = False
    _known: tuple[NDArray[np.float32], NDArray[Any]] | None = None
    _begun: float = np.nan
    _best: float = np.inf
    _last: float = np.nan

    def looks_before(self, steps: int, samples: int) -> int:
        """How many samples are to tell the loss before a training of so many steps; 0 for none.

        A few steps that are too large spoil a network before any stretch of the training shows what it knew.
        """
        if steps < STEPS or samples < WINDOW or not self.shuffle:
            return 0
        return min(samples, max(WINDOW, min(KNOWN, steps // 20)))

    def begin(self, losses: NDArray[np.float32], wanted: NDArray[Any]) -> None:
        """Take in the losses of samples with these labels, from a network that stayed as it was."""
        self._known = losses, wanted
        self._begun = float(losses.mean(dtype=np.float64))

    def epoch(
        self,
        losses: NDArray[np.float32],
        wanted: NDArray[Any],
        predicted: NDArray[np.uint32] | None,
        answers: Callable[[], NDArray[Any]],
        taken: int | None = None,
        wants_smaller: bool = False,
    ) -> tuple[str, ...]:
        """What there is to say after an epoch.

        Args:
            losses: of its steps, in order.
            wanted: labels of these, as the device takes them.
            predicted: classes that were predicted before each step; None where the label is no class.
            answers: gives outputs of some samples, (n, outputs); called only where something looks wrong.
            taken: how many of the samples were learned from; None for all.
            wants_smaller: whether smaller steps are advised by who looks at layers, so that no larger ones are here.
        """
        self._wants_smaller = wants_smaller
        self._steps += len(losses)
        self._taken += len(losses) if taken is None else taken
        size = min(len(losses), max(2 * WINDOW, len(losses) // 4))
        late = _Late(
            losses[-size:].astype(np.float64),
            wanted[-size:],
            None if predicted is None else predicted[-size:],
        )
        half = max(len(losses) // 2, 1)
        before = float(losses[:half].mean(dtype=np.float64)) if np.isnan(self._last) else self._last
        falls = float(losses[-half:].mean(dtype=np.float64)) < FALLS * before
        self._last = float(losses.mean(dtype=np.float64))
        blind = self.blind(late.wanted)
        costs = self._costs(wanted, wanted)
        window = max(WINDOW, len(losses) // 20)
        if self._known is not None:
            self._take(self._known[0], self._costs(wanted, self._known[1]), len(self._known[0]), costs.mean())
            self._known = None
        self._take(losses[:-size], costs[:-size], window, costs.mean())
        best = self._best * float(costs[-size:].mean())
        text = self._judged(late, blind, best, falls, answers) if blind > 0 else None
        self._take(losses, costs, window, costs.mean())  # what its last steps had only later ones can lose
        return () if text is None else (text,)

    def _take(self, losses: NDArray[Any], costs: NDArray[np.float64], window: int, usual: float) -> None:
        """Take in stretches of so many steps: the least loss as a share of that of one answer to the same samples.

        Where a class is rare, many a stretch has few of its samples, and the others are easy: it tells nothing.
        """
        for end in range(window, len(losses) + 1 if self.shuffle else 0, window):
            cost = float(costs[end - window : end].mean())
            if cost > RARE * usual:
                self._best = min(self._best, float(losses[end - window : end].mean(dtype=np.float64)) / cost)

    def _costs(self, wanted: NDArray[Any], some: NDArray[Any]) -> NDArray[np.float64]:
        """What the one answer that suits all these samples costs each of some of them."""
        return losses_of_one_answer(self.loss, self._real(wanted), self._real(some), self.outputs)

    def blind(self, wanted: NDArray[Any]) -> float:
        """Loss of the same answer to every sample with these labels, as the device takes them."""
        return loss_of_one_answer(self.loss, self._real(wanted), self.outputs)

    def _judged(
        self, late: _Late, blind: float, best: float, falls: bool, answers: Callable[[], NDArray[Any]]
    ) -> str | None:
        now, count = float(late.losses.mean()), len(late.losses)
        if self.rates.rate == 0:
            return "nothing is learned: the rate is 0"
        if self._taken < self.batch:  # no step changed a thing, which `Health` tells
            return None
        loss = f"the loss of the last {count} steps, {now:.4g}, is"
        begins = blind if self._steps >= STEPS else max(blind, loss_of_balance(self.loss, self.outputs))
        fell = now < FELL * self._begun
        since = f"; it was {self._begun:.4g} before training" if fell else ""
        if now > FAR * begins and fell:
            return f"{loss} above {begins:.4g}, {ONE_ANSWER}{since}: little has been learned {self._so_far()}"
        if now > (EXPLODED if falls else FAR) * begins:
            times = 10 if now > EXPLODED * begins else 3
            return f"{loss} above {begins:.4g}, {ONE_ANSWER}: training ran away; {self._gentler(times)}"
        if self._steps < STEPS or count < WINDOW:
            return None
        is_near, choice = now >= NEAR * blind, late.only_choice()
        if not is_near and choice is None:
            if best < RISEN * now and now > SMALL * blind:
                return f"{loss} above {best:.4g}, where it has been: training ran away; {self._gentler()}"
            if now >= LITTLE * blind and not falls:
                return (
                    f"{loss} still {now / blind:.0%} of {blind:.4g}, {ONE_ANSWER}: little has been learned "
                    f"{self._so_far()}"
                )
            return None
        if choice is not None:
            right = float((late.wanted == choice).mean())
            symptom = (
                f"the last {count} samples are all taken for class {choice}, {right:.0%} of them are of it"
            )
        else:
            symptom = f"{loss} {'hardly' if now < blind else 'not'} below {blind:.4g}, {ONE_ANSWER}"
        rows = answers()
        if len(rows) > 1 and bool((rows == rows[:1]).all()) and not fell:
            if self.blank:
                return f"{symptom}; {BLANK}"
            return (
                f"{symptom}; the outputs do not depend on the input: training collapsed; {self._gentler(10)}"
            )
        if best < LOST * now:
            return f"{symptom}; the loss has been {best:.4g}: training collapsed; {self._gentler()}"
        if falls:
            return None
        return f"{symptom}{since}: nothing has been learned {self._so_far()}"

    def _gentler(self, times: float = 3.0) -> str:
        """Advice to take smaller steps."""
        if self.remedy:
            return f"try {self.remedy}"
        momentum = self.update.momentum
        if momentum:
            larger = 1 / (1 - momentum)
            rate = self.rates.lower(max(larger, times))
            return f"try {rate}: momentum {momentum:g} makes changes up to {larger:.3g} times as large"
        has_more = self.has_options and self.update.batch == 1
        more = ", or batch 8, which takes the mean of 8 samples" if has_more else ""
        return f"try {self.rates.lower(times)}{more}"

    def _so_far(self) -> str:
        """In how many steps, and what to try: larger steps, or more of them."""
        if self._taken < min(STEPS, self._steps):
            return f"by now: {few_of(self._taken, self._steps)}; {more_of(STEPS, self._steps)}"
        is_told = self._wants_smaller and not self.remedy
        return f"in {self._taken} steps" + ("" if is_told else f"; {self._bolder()}")

    def _bolder(self) -> str:
        """Advice to take larger steps, or more."""
        if self.remedy:
            return f"try {self.remedy}"
        momentum = f"momentum 0.9 with a rate of {self.rates.rate / 3:.2g}"
        if self.update.momentum or not self.has_options or self.rates.is_far_below:
            momentum = ""
        ways = [way for way in (self.rates.higher(), momentum) if way]
        more = f"{', '.join(ways)}, or more epochs" if ways else "more epochs"
        tried = f"{self.rates.told}; " if self.rates.tried else ""
        return f"try {more}; {tried}{BELONG}"

    def _real(self, wanted: NDArray[Any]) -> NDArray[Any]:
        if self.loss.label_kind is not LabelKind.VALUES or self.label_scale is None:
            return wanted
        return (wanted.astype(np.float64) - self.label_scale.zero) * self.label_scale.scale


@dataclass(frozen=True, eq=False)
class _Late:
    """The last steps of an epoch: losses, labels, and predicted classes where there are any."""

    losses: NDArray[np.float64]
    wanted: NDArray[Any]
    predicted: NDArray[np.uint32] | None

    def only_choice(self) -> int | None:
        """The class that is always predicted; None where predictions differ, or nearly all samples are of it."""
        if self.predicted is None:
            return None
        choice = int(self.predicted[0])
        if (self.predicted != choice).any() or float((self.wanted == choice).mean()) >= MAJORITY:
            return None
        return choice
