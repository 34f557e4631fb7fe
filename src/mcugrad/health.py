"""Health: which layers a training leaves as they were, which channels died in it, and whether ranges are exceeded.

Weights are compared a few times in each training. A layer that stays the same to the last bit learns nothing: its
errors are all 0, or what they would change is lost in rounding. The bias of a channel whose ReLU never passes anything
stays the same, too, so that a channel whose bias moved once and then no more has died. Samples that are left out change
nothing, so that time is counted in those that were learned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.advice import Rates
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
FINEST = ("sr16", "")
"""Rules that no other is finer than; the empty one is float32."""
NEAREST = {"qas": 1.0, "sr16": 1 / 256, "": 0.0}
"""Likewise that round to nearest, so that small changes are lost, and to which part of an int8."""
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
        rule: how it learns; empty in float32.
    """

    name: str
    weights: tuple[str, ...]
    bias: str
    batch: int
    rule: str = ""


@dataclass(eq=False)
class Health:
    """Follows what is learned.

    Attributes:
        layers: those that learn, first to last.
        wants_smaller: whether what `notes` last said advises smaller steps.
    """

    layers: Sequence[Layer]
    wants_smaller: bool = False
    _steps: int = 0
    _taken: int = 0
    _before: State = field(default_factory=dict)
    _changed: dict[str, int] = field(default_factory=dict)
    _stirred: set[str] = field(default_factory=set)
    _moved: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    _lively: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    def begin(self, state: State) -> None:
        """Before the first step."""
        self._steps, self._taken, self._before = 0, 0, state
        self._changed = dict.fromkeys((layer.name for layer in self.layers), 0)
        self._stirred, self._moved, self._lively = set(), {}, {}

    def look(self, state: State, steps: int, taken: int | None = None) -> None:
        """After so many more steps, some of which were taken; None for all."""
        self._steps += steps
        more = steps if taken is None else taken
        self._taken += more
        for layer in self.layers:
            name = layer.name
            if any(state[each].tobytes() != self._before[each].tobytes() for each in layer.weights):
                self._changed[name] = self._taken
                if _far(self._before[layer.weights[0]], state[layer.weights[0]], more, layer.rule).any():
                    self._stirred.add(name)
            if layer.bias in state:
                old, new = self._before[layer.bias], state[layer.bias]
                self._moved.setdefault(name, np.zeros(len(new), np.int64))[new != old] = self._taken
                self._lively.setdefault(name, np.zeros(len(new), np.bool_))[_far(old, new, more, "")] = True
        self._before = state

    def notes(self, info: Steps, blind: float, rates: Rates) -> tuple[str, ...]:
        """What there is to say by now.

        Args:
            info: what the last steps reported.
            blind: loss of the same answer to every sample.
            rates: the learning rate at the beginning, and others to advise.
        """
        late = info.info[-max(len(info.info) // 4, 1) :]
        self.wants_smaller = False
        idle = self._idle()
        if idle and rates.rate > 0:
            return (idle,)
        if (
            blind <= 0
            or self._taken < STEPS
            or rates.rate == 0
            or float(late["loss"].mean(dtype=np.float64)) < KNOWN * blind
        ):
            return ()
        gentler, bolder = rates.lower(), rates.higher()
        learned = info.info[info.info["update_rate"] > 0]
        has_empty = bool((learned["empty"][-max(len(learned) // 4, 1) :] > 0).any())
        found = (self._dead(gentler), self._resting(gentler, bolder, has_empty), _ranges(late, gentler))
        told = tuple(text for text in found if text)[:1]
        self.wants_smaller = any(f"try {gentler}" in text for text in told)
        return told

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

    def _resting(self, gentler: str, bolder: str, has_empty: bool) -> str:
        """What there is to say of layers that stay the same; `has_empty` where some layer's errors were 0 of late.

        Steps that were too large move weights far before errors are 0. Where most layers that rest have hardly moved,
        or no error is 0, changes are so small that rounding loses them, to nearest all, at random nearly all.
        """
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
            finer = "" if all(each.rule in FINEST for each in rests) else "the rule sr16"
            which = "" if len(rests) == len(self.layers) else "train= with the layers that change"
            ways = _or(bolder, finer, which)
            advice = (
                f"their errors are 0, or what they would learn is lost in rounding{ways and f': try {ways}'}"
            )
        elif self._is_small(rests, has_empty):
            random = sorted({each.rule for each in rests} - set(NEAREST))
            ways = _or(bolder, "the rule sr16" if random else "the rule sr8" if rests[0].rule else "")
            why = f"rare by {' and '.join(random)}" if random else "lost in rounding"
            either = "their errors are 0, or " if random and has_empty else ""
            advice = f"{either}changes that small are {why}{ways and f': try {ways}'}"
        else:
            advice = f"their errors are 0 by now: try {gentler}, from the network as it was before"
        return f"{len(rests)} of {len(self.layers)} layers have not changed by a bit {since}: {_named(rests)}; {advice}"

    def _is_small(self, rests: Sequence[Layer], has_empty: bool) -> bool:
        """Whether changes of these layers are small, rather than their errors 0; errors of float32 are not counted."""
        if not has_empty and all(each.rule for each in rests):
            return True
        return 2 * sum(each.name not in self._stirred for each in rests) > len(rests)

    def _dead(self, gentler: str) -> str:
        told = []
        for layer in self.layers[:-1]:
            moved = self._moved.get(layer.name)
            if moved is None or self._changed[layer.name] == 0:
                continue
            died = int((self._lively[layer.name] & (moved <= self._taken * (1 - RESTED))).sum())
            if died >= max(DIED * len(moved), 2):
                told.append(f"{died} of {len(moved)} in {layer.name}")
        if not told:
            return ""
        more = "" if len(told) <= NAMED else f" and in {len(told) - NAMED} more layers"
        return (
            f"channels have died, they take no part any more: {', '.join(told[:NAMED])}{more}; steps were too large: "
            f"try {gentler}, from the network as it was before"
        )


def _far(old: NDArray[Any], new: NDArray[Any], steps: int, rule: str) -> NDArray[np.bool_]:
    """Whether numbers moved by more than as many roundings as there were steps: else rounding may hold them soon."""
    if old.dtype.kind != "f":
        return np.asarray(np.abs(new.astype(np.int64) - old) > max(steps * NEAREST.get(rule, 0.0) / 2, 1))
    with np.errstate(invalid="ignore", over="ignore"):  # numbers that are none are told by who trains
        return np.asarray(np.abs(new - old) > steps * np.spacing(np.maximum(np.abs(old), np.abs(new))))


def _or(*ways: str) -> str:
    """Those that there are, as a sentence has them."""
    found = [way for way in ways if way]
    return ", or ".join([*([", ".join(found[:-1])] if found[:-1] else []), *found[-1:]])


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
    rules: Mapping[str, str] | None = None,
) -> tuple[Layer, ...]:
    """Layers that learn, from name, weights and bias of each as the graph calls them, by what the state holds.

    Args:
        names: of layers, weights and biases.
        batches: samples that make one change, by layer.
        state: the learned state.
        rules: how layers learn in 8 bits, by layer.
    """
    found = []
    for name, weights, bias in names:
        held = tuple(each for each in (weights, f"{weights}_residual") if each in state)
        arrays = held or ((bias,) if bias in state else ())
        if arrays:
            found.append(
                Layer(
                    name,
                    arrays,
                    bias if bias in state else "",
                    batches.get(name, 1),
                    (rules or {}).get(name, ""),
                )
            )
    return tuple(found)


def _named(layers: Sequence[Layer]) -> str:
    names = ", ".join(layer.name for layer in layers[:NAMED])
    return names if len(layers) <= NAMED else f"{names} and {len(layers) - NAMED} more"
