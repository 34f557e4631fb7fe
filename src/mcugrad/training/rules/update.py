"""Updates: a rule with its options, for all layers or layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import lcm

import numpy as np

from mcugrad.errors import UsageError
from mcugrad.given import is_number, is_whole, shown
from mcugrad.training.rules.table import rule

MOST_BATCH = 65535
REST = "*"
"""All layers that are not named."""


@dataclass(frozen=True)
class Update:
    """How a layer learns.

    Attributes:
        rule: how weights are stored and rounded: `sr8`, `sr10`, `sr12`, `sr16`, `qas`, `standardized`.
        momentum: share of the last change that is made again, in [0, 1).
        velocity_bits: bits per weight of the plane that keeps changes, 8 or 16; only momentum, a batch above 1 and
            `standardized` need it.
        batch: samples whose mean gradient makes one change.
        weight_decay: share of a weight that is lost per change, times the learning rate.
        clip: largest change of a row per unit of learning rate, in norms of the row; needs the plane.
    """

    rule: str = "sr16"
    momentum: float = 0.0
    velocity_bits: int = 16
    batch: int = 1
    weight_decay: float = 0.0
    clip: float | None = None

    def __post_init__(self) -> None:
        rule(self.rule)
        _between("momentum", self.momentum, 0, 1, "0.9")
        _between("weight_decay", self.weight_decay, 0, np.inf, "0.0001")
        if not (is_whole(self.velocity_bits) and self.velocity_bits in (8, 16)):
            raise UsageError(
                f"velocities of {self.velocity_bits!r} bits are not available",
                where="velocity_bits",
                hint="16, or 8 for half the RAM",
            )
        if not is_number(self.batch) or not 1 <= self.batch <= MOST_BATCH or self.batch != int(self.batch):
            raise UsageError(
                f"a batch of {self.batch!r} samples makes no sense", where="batch", hint=f"1 to {MOST_BATCH}"
            )
        if self.clip is not None:
            if not (is_number(self.clip) and np.isfinite(self.clip) and self.clip > 0):
                raise UsageError(f"a clip of {shown(self.clip)} is not above 0", where="clip", hint="0.02")
            if not self.has_plane:
                raise UsageError(
                    "clipping needs the change of a whole row before any of it is made, but with batch 1 and no "
                    "momentum nothing keeps it",
                    where="clip",
                    hint="momentum=0.9 or batch=8; both cost a plane of velocity_bits per weight",
                )
        if self.velocity_bits != 16 and not self.has_plane:
            raise UsageError(
                f"there are no velocities to keep in {self.velocity_bits} bits with batch 1 and no momentum",
                where="velocity_bits",
                hint="momentum=0.9 or batch=8",
            )
        if self.rule == "standardized":
            self._check_standardized()

    def _check_standardized(self) -> None:
        given = [n for n in ("momentum", "weight_decay", "clip") if getattr(self, n)]
        if given:
            raise UsageError(
                f"{', '.join(given)} cannot be combined with the rule standardized",
                where="rule",
                hint="a batch only; or the rule sr8, which stores a byte per weight, too",
            )

    @property
    def has_plane(self) -> bool:
        """Whether changes are kept in a plane of their own before weights change."""
        return self.batch > 1 or self.momentum > 0 or self.rule == "standardized"

    @property
    def note(self) -> str:
        """What a step changes at once, for generated comments."""
        return "changes of weights" if self.has_plane else f"weights by {self.rule}"

    @property
    def text(self) -> str:
        """`sr12, batch 8, momentum 0.9, int16 plane`."""
        parts = [self.rule]
        parts += [f"batch {self.batch}"] if self.batch > 1 else []
        parts += [f"momentum {self.momentum:g}"] if self.momentum else []
        parts += [f"weight decay {self.weight_decay:g}"] if self.weight_decay else []
        parts += [f"clip {self.clip:g}"] if self.clip is not None else []
        return ", ".join([*parts, f"int{self.velocity_bits} plane"] if self.has_plane else parts)


RuleChoice = str | Update | Mapping[str, str | Update]
"""What a user may say: a rule's name, an Update, or either of them by layer, `*` for the rest."""


@dataclass(frozen=True)
class Updates:
    """How each layer learns.

    Attributes:
        rest: of layers that are not named.
        named: layers with an update of their own.
    """

    rest: Update
    named: tuple[tuple[str, Update], ...] = ()

    def of(self, layer: str) -> Update:
        """The update of a layer."""
        return dict(self.named).get(layer, self.rest)

    @property
    def are_plain(self) -> bool:
        """Whether no layer has an option beside its rule."""
        return all(update == Update(update.rule) for update in (self.rest, *(u for _, u in self.named)))

    def whole_batches(self, layers: Iterable[str], samples: int) -> int:
        """The least number of samples, not below, at which a batch of each layer ends."""
        together = lcm(*(self.of(layer).batch for layer in layers))
        return -(-samples // together) * together

    def check_names(self, layers: Iterable[str]) -> None:
        """Raises UsageError where a named layer does not exist."""
        known = list(layers)
        unknown = [name for name, _ in self.named if name not in known]
        if unknown:
            raise UsageError(
                f"rule= names no layer of this model: {', '.join(map(repr, unknown))}",
                where="rule",
                hint=f"layers with weights are {', '.join(known)}; * is all others",
            )

    @property
    def text(self) -> str:
        """`sr16`, or `fc2: sr8; others: sr12, batch 8`."""
        if not self.named:
            return self.rest.text
        return "; ".join(
            [*(f"{name}: {update.text}" for name, update in self.named), f"others: {self.rest.text}"]
        )

    def describe(self, layers: Iterable[str]) -> str:
        """`conv1, conv2 (sr12, batch 8), fc1 (sr8, in place)`: neighbours that learn alike together."""
        groups: list[tuple[Update, list[str]]] = []
        for layer in layers:
            if groups and groups[-1][0] == self.of(layer):
                groups[-1][1].append(layer)
            else:
                groups.append((self.of(layer), [layer]))
        return ", ".join(
            f"{', '.join(names)} ({update.text}{'' if update.has_plane else ', in place'})"
            for update, names in groups
        )


def updates(choice: RuleChoice) -> Updates:
    """What the user said, checked. Raises UsageError."""
    if not isinstance(choice, Mapping):
        return Updates(_update(choice))
    named = {name: _update(update) for name, update in choice.items()}
    rest = named.pop(REST, Update())
    return Updates(rest, tuple(named.items()))


def _update(choice: str | Update) -> Update:
    if isinstance(choice, Update):
        return choice
    if isinstance(choice, str):
        return Update(choice)
    raise UsageError(
        f"rule={choice!r} is neither a rule's name nor an Update",
        where="rule",
        hint='"sr12", mg.Update("sr12", momentum=0.9), or {"fc2": "sr8", "*": "sr12"}',
    )


def _between(name: str, value: float, low: float, high: float, hint: str) -> None:
    if not (is_number(value) and low <= value < high):
        limit = f"in [{low:g}, {high:g})" if np.isfinite(high) else f"a finite number from {low:g} on"
        raise UsageError(f"{name.replace('_', ' ')} of {shown(value)} is not {limit}", where=name, hint=hint)
