"""Health: which layers a training leaves as they were, which channels died in it, and whether ranges are exceeded.

Weights are compared a few times in each training. A layer that stays the same to the last bit learns nothing: its
errors are all 0, or what they would change is lost in rounding. The bias of a channel whose ReLU never passes anything
stays the same, too, so that a channel whose bias moved once and then no more has died. Samples that are left out change
nothing, so that time is counted in those that were learned from.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.advice import higher, lower
from mcugrad.run.runner import State, Steps

LOOKS = 4
"""Looks in a training, at least."""
STEPS = 100
"""Steps before which nothing is said of layers."""
FEW = 16
"""Steps before which not even a batch that never becomes whole is told: what was gathered is kept for the next."""
RESTED = 0.5
"""Share of the steps of a training for which a layer or a channel must have stayed the same."""
DIED = 0.5
"""Share of the channels of a layer that must have died."""
KNOWN = 0.05
"""Share of the loss of one answer up to which a network knows its samples, and weights may well rest."""
EXCEEDED = 0.25
"""Share of the tracked ranges that the last steps exceeded, from which on it is told: growing ranges exceed few."""
NAMED = 4
"""Layers that are named one by one."""


@dataclass(frozen=True)
class Layer:
    """A layer that learns.

    Attributes:
        name: as the network has it.
        weights: arrays of the learned state that hold its weights, or its bias where nothing else learns.
        bias: array of its bias, one number a channel; empty where there is none.
        batch: samples that make one change.
        is_rounded: whether changes that are small are lost in rounding.
    """

    name: str
    weights: tuple[str, ...]
    bias: str
    batch: int
    is_rounded: bool = False


@dataclass(eq=False)
class Health:
    """Follows what is learned.

    Attributes:
        layers: those that learn, first to last.
    """

    layers: Sequence[Layer]
    _steps: int = 0
    _taken: int = 0
    _before: State = field(default_factory=dict)
    _changed: dict[str, int] = field(default_factory=dict)
    _moved: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def begin(self, state: State) -> None:
        """Before the first step."""
        self._steps, self._taken, self._before = 0, 0, state
        self._changed = dict.fromkeys((layer.name for layer in self.layers), 0)
        self._moved = {}

    def look(self, state: State, steps: int, taken: int | None = None) -> None:
        """After so many more steps, some of which were taken; None for all."""
        self._steps += steps
        self._taken += steps if taken is None else taken
        for layer in self.layers:
            if any(state[name].tobytes() != self._before[name].tobytes() for name in layer.weights):
                self._changed[layer.name] = self._taken
            if layer.bias in state:
                moved = self._moved.setdefault(layer.name, np.zeros(len(state[layer.bias]), np.int64))
                moved[state[layer.bias] != self._before[layer.bias]] = self._taken
        self._before = state

    def notes(self, info: Steps, blind: float, rate: float, tried: Collection[float] = ()) -> tuple[str, ...]:
        """What there is to say by now.

        Args:
            info: what the last steps reported.
            blind: loss of the same answer to every sample.
            rate: learning rate at the beginning.
            tried: rates that a search has tried, which are not advised again.
        """
        late = info.info[-max(len(info.info) // 4, 1) :]
        idle = self._idle()
        if idle and rate > 0:
            return (idle,)
        if (
            blind <= 0
            or self._taken < STEPS
            or rate == 0
            or float(late["loss"].mean(dtype=np.float64)) < KNOWN * blind
        ):
            return ()
        gentler, bolder = lower(rate, tried), higher(rate, tried)
        found = (self._dead(gentler), self._resting(gentler, bolder), _ranges(late, gentler))
        return tuple(text for text in found if text)[:1]

    def _idle(self) -> str:
        """What there is to say where no batch became whole, or no sample was learned from, of more than a few."""
        batch, taken = min((each.batch for each in self.layers), default=1), self._taken
        if self._steps < FEW or batch <= taken or any(self._changed.values()):
            return ""
        if taken < self._steps:
            return (
                f"{few_of(taken, self._steps)}, which makes no change{f' by batches of {batch}' if batch > 1 else ''}: "
                f"{more_of(max(STEPS, batch), self._steps)}"
            )
        return (
            f"{self._steps} steps make no change by batches of {batch}: "
            f"try a batch of {max(self._steps // 100, 1)}, or more epochs"
        )

    def _resting(self, gentler: str, bolder: str) -> str:
        bolder = f"{bolder}, " if bolder else ""
        rests = [each for each in self.layers if self._changed[each.name] <= self._taken * (1 - RESTED)]
        slow = [each for each in rests if 2 * each.batch > self._taken * RESTED]
        if slow:
            return (
                f"{self._taken} steps make {self._taken // slow[0].batch} changes by batches of {slow[0].batch}: "
                f"try a batch of {max(self._taken // 100, 1)}, or more epochs"
            )
        if not rests:
            return ""
        never = all(self._changed[each.name] == 0 for each in rests)
        latest = max(self._changed[each.name] for each in rests)
        since = f"in {self._taken} steps" if never else f"since step {latest} of {self._taken}"
        if never:
            advice = (
                f"their errors are 0, or what they would learn is lost in rounding: try {bolder}the "
                f"rule sr16, or train= with the layers that change"
            )
        elif all(each.is_rounded for each in rests):
            advice = (
                f"changes that small are lost in rounding: try {bolder}{'or ' if bolder else ''}the rule sr8"
            )
        else:
            advice = f"their errors are 0 by now: try {gentler}, from the network as it was before"
        return f"{len(rests)} of {len(self.layers)} layers have not changed by a bit {since}: {_named(rests)}; {advice}"

    def _dead(self, gentler: str) -> str:
        told = []
        for layer in self.layers[:-1]:
            moved = self._moved.get(layer.name)
            if moved is None or self._changed[layer.name] == 0:
                continue
            died = int(((moved > 0) & (moved <= self._taken * (1 - RESTED))).sum())
            if died >= max(DIED * len(moved), 2):
                told.append(f"{died} of {len(moved)} in {layer.name}")
        if not told:
            return ""
        more = "" if len(told) <= NAMED else f" and in {len(told) - NAMED} more layers"
        return (
            f"channels have died, they take no part any more: {', '.join(told[:NAMED])}{more}; steps were too large: "
            f"try {gentler}, from the network as it was before"
        )


def few_of(taken: int, steps: int) -> str:
    """How many of the samples were learned from, where that is few."""
    return f"{taken or 'none'} of {steps} samples {'were' if taken > 1 else 'was'} learned from"


def more_of(wanted: int, steps: int) -> str:
    """Advice to learn from so many samples."""
    return f"try samples={min(wanted / steps, 1):.2g}, or more epochs"


def _ranges(late: NDArray[Any], gentler: str) -> str:
    """What the last steps say of the ranges of activations and errors."""
    exceeded = float(late["saturation"].mean(dtype=np.float64))
    if exceeded >= EXCEEDED:
        return (
            f"each step exceeds {exceeded:.0%} of the ranges of activations and errors, and what is beyond is cut off: "
            f"steps are too large, try {gentler}"
        )
    return ""


def layers_of(
    names: Sequence[tuple[str, str, str]],
    batches: Mapping[str, int],
    state: State,
    rounded: Container[str] = (),
) -> tuple[Layer, ...]:
    """Layers that learn, from name, weights and bias of each as the graph calls them, by what the state holds.

    Args:
        names: of layers, weights and biases.
        batches: samples that make one change, by layer.
        state: the learned state.
        rounded: layers whose small changes are lost in rounding.
    """
    found = []
    for name, weights, bias in names:
        held = tuple(each for each in (weights, f"{weights}_residual") if each in state)
        arrays = held or ((bias,) if bias in state else ())
        if arrays:
            found.append(
                Layer(name, arrays, bias if bias in state else "", batches.get(name, 1), name in rounded)
            )
    return tuple(found)


def _named(layers: Sequence[Layer]) -> str:
    names = ", ".join(layer.name for layer in layers[:NAMED])
    return names if len(layers) <= NAMED else f"{names} and {len(layers) - NAMED} more"
