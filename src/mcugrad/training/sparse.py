"""Partial updates: which channels of a layer a sample updates.

`Sparse` chooses anew for every sample, by the error; `Static` once, when the model is compiled. What each of
them computes: docs/arithmetic.md, "Partial updates".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import UsageError
from mcugrad.given import is_number, is_whole
from mcugrad.numerics import ordered_sum

Policy = Literal["both", "split", "single", "sampled", "rooted", "topk"]
"""How the channels of a sample are chosen."""
Channels = float | Sequence[int]
"""A share of a layer's channels, or their numbers."""

POLICIES = {
    "both": "half of the channels by `split`, of twice the share of the samples: holds at any depth",
    "split": "errors of the largest go on as they are; those to update are drawn by size, and count for more in return",
    "single": "half the largest, half drawn, for both: as split, with less RAM",
    "sampled": "drawn at random by the size of their errors, which count for more in return: unbiased",
    "rooted": "likewise, by the root of that size: for few channels and long training; unbiased, too",
    "topk": "those with the largest errors, as published",
}


DEFAULT_POLICY: Policy = "both"
"""What a share without a policy means."""

HALF = 0.5
"""Of the channels: what `both` leaves to a sample."""
ONE = 65536
"""All of the samples, or odds of 1."""


@dataclass(frozen=True)
class Sparse:
    """Update a share of every layer's channels, chosen for each sample by their errors, or a share of the samples.

    The share is `low` where the loss is small and rises to `high` where it is the largest seen so far; with one
    number it is fixed. The layer that makes the outputs always takes part whole.

    Attributes:
        low: smallest share, above 0; all channels if not given.
        high: largest share, at most 1; `low` if not given.
        policy: `both` (half of the channels by `split`, and twice the share of the samples: 0.1 is 50 % of the channels
            of 20 % of the samples; a share of 0.5 and more, one that follows the loss, one for a layer by name and
            one with `samples` is `split`), `split` (the largest errors go on, what is updated is drawn, without
            bias), `single` (one list of channels for both), `sampled` or `rooted` (drawn, and enlarged in return,
            which goes on: for few layers), or `topk` (those with the largest errors).
        samples: share of the samples that are learned from, of whole batches where there are some; what the others cost
            is a prediction. One number for all layers.
    """

    low: float = 1.0
    high: float = 0.0
    policy: Policy = DEFAULT_POLICY
    samples: float = 1.0

    def __post_init__(self) -> None:
        if is_number(self.high) and self.high == 0.0:
            object.__setattr__(self, "high", self.low)
        if self.policy not in POLICIES:
            raise UsageError(
                f"unknown policy {self.policy!r} of partial updates",
                where="sparse",
                hint=f"one of {', '.join(POLICIES)}",
            )
        numbers = (self.low, self.high)
        if not all(map(is_number, numbers)) or not 0 < self.low <= self.high <= 1:
            raise UsageError(
                f"shares from {self.low!r} to {self.high!r} of the channels cannot be updated",
                where="sparse",
                hint="0 < low <= high <= 1, such as Sparse(0.1, 1.0)",
            )
        if not is_number(self.samples) or not 1 / ONE <= self.samples <= 1:
            raise UsageError(
                f"a share of {self.samples!r} of the samples cannot be learned from",
                where="sparse",
                hint=f"1/{ONE} to 1, such as Sparse(samples=0.25)",
            )

    @property
    def follows_loss(self) -> bool:
        """Whether the share depends on the loss."""
        return self.low < self.high

    @property
    def resolved(self) -> Sparse:
        """The same without `both`: which channels, and how many samples. Raises UsageError for hardly any."""
        if self.policy != "both":
            return self
        if self.follows_loss or self.low >= HALF or self.samples < 1:
            return replace(self, policy="split")
        samples = float(self.low / HALF)
        if samples < 1 / ONE:
            raise UsageError(
                f"a share of {self.low:g} is half of the channels of {samples:g} of the samples, too few to be drawn",
                where="sparse",
                hint=f"{HALF / ONE:.2g} or more, or the policy split, which updates one channel of a layer at least",
            )
        return Sparse(HALF, HALF, "split", samples)

    @property
    def is_whole(self) -> bool:
        """Whether all channels take part, where a step is taken that need not be."""
        return self.low == 1 and self.samples < 1

    @property
    def draws(self) -> bool:
        """Whether channels are drawn at random, and count for more in return."""
        return self.policy != "topk"

    @property
    def enlarges(self) -> bool:
        """Whether errors that go on to lower layers count for more, too."""
        return self.policy in ("sampled", "rooted")

    @property
    def text(self) -> str:
        """`sampled 10 to 100 %, 25 % of the samples`."""
        if self.policy == "both":
            return self.resolved.text
        rest = f" to {100 * self.high:g}" if self.follows_loss else ""
        channels = "" if self.is_whole else f"{self.policy} {100 * self.low:g}{rest} %"
        samples = "" if self.samples == 1 else f"{100 * self.samples:g} % of the samples"
        return ", ".join(part for part in (channels, samples) if part)

    def largest(self, channels: int) -> int:
        """How many of a layer's channels take part at most, where they are not drawn."""
        return max(int(np.float32(self.high) * np.float32(channels)), 1) if self.high < 1 else channels

    def most(self, channels: int) -> int:
        """How many of a layer's channels take part at most; drawing rounds the number up or down at random.

        Two more: one for rounding up, one for odds of channels with hardly an error, which are rounded up, too.
        """
        return min(self.largest(channels) + 2 * self.draws, channels)


@dataclass(frozen=True)
class Static:
    """Update a fixed part of some layers; errors go back through all channels. Layers not named update whole.

    Of weights RAM holds the rows that are updated, where that takes less; the others stay in flash.

    Attributes:
        layers: by a layer's name, the numbers of the channels, or a share: those with the largest weights, by
            the sum of magnitudes.
    """

    layers: Mapping[str, Channels]


Choice = Sparse | Static | Mapping[str, Sparse | Channels]
"""What `sparse=` takes: one policy for all layers, or one for each layer named; `*` stands for all others."""


def fixes_channels(choice: Choice | None) -> bool:
    """Whether a fixed part of some layer is updated."""
    if choice is None or isinstance(choice, Sparse):
        return False
    return isinstance(choice, Static) or any(not isinstance(each, Sparse) for each in choice.values())


Fate = Sparse | tuple[int, ...]
"""What a layer's policy comes down to: chosen for each sample, or these channels."""


def resolved(choice: Choice | None) -> Choice | None:
    """The same without `both`; samples are those of all layers, so that a layer by name has `split`."""
    if isinstance(choice, Sparse):
        return choice.resolved
    if isinstance(choice, Mapping):
        return {
            name: replace(p, policy="split") if isinstance(p, Sparse) and p.policy == "both" else p
            for name, p in choice.items()
        }
    return choice


def share_of_samples(choice: Choice | None) -> int:
    """Of the samples that are learned from, in 1/65536: the same for all policies.

    Raises:
        UsageError: they differ.
    """
    choice = resolved(choice)
    if choice is None or isinstance(choice, Static):
        return ONE
    each = (choice,) if isinstance(choice, Sparse) else choice.values()
    found = {p.samples for p in each if isinstance(p, Sparse)}
    if len(found) > 1:
        raise UsageError(
            f"layers cannot learn from different samples: {' and '.join(f'{n:g}' for n in sorted(found))} of them",
            where="sparse",
            hint="the same samples= for all layers",
        )
    return int(max(found, default=1.0) * ONE + 0.5)


def choice_text(choice: Choice) -> str:
    """`sampled 10 to 100 %`; a policy per layer with its name."""
    if isinstance(choice, Sparse):
        return choice.text
    found = resolved(choice)
    assert found is not None
    assert not isinstance(found, Sparse)
    named: Mapping[str, Sparse | Channels] = found.layers if isinstance(found, Static) else found
    parts = []
    for name, wanted in named.items():
        if isinstance(wanted, Sparse):
            parts.append(f"{name} {wanted.text}")
        elif isinstance(wanted, Collection):
            parts.append(f"{name} {len(wanted)} channels")
        else:
            parts.append(f"{name} {100 * wanted:g} %")
    return ", ".join(parts)


def policies(
    choice: Choice | None, layers: Mapping[str, NDArray[Any]], whole: Sequence[str]
) -> dict[str, Fate]:
    """The policy of every layer that is not updated whole.

    Args:
        choice: what the user wants; None for whole updates.
        layers: real weights of the layers that train, by name, output channel first.
        whole: names of the layers that make the outputs; they cannot be named.

    Raises:
        UsageError: a layer is unknown, does not train or makes the outputs; channels or shares make no sense.
    """
    choice = resolved(choice)
    if choice is None:
        return {}
    open_to = [name for name in layers if name not in whole]
    if isinstance(choice, Sparse) and choice.is_whole:
        return {}
    if not open_to:
        raise UsageError(
            "there is nothing to choose from: besides the layer that makes the outputs no weights train",
            where="sparse",
            hint="train='all', Sparse(samples=0.25), or no sparse=",
        )
    if isinstance(choice, Sparse):
        return dict.fromkeys(open_to, choice)
    if not isinstance(choice.layers if isinstance(choice, Static) else choice, Mapping):
        raise UsageError(
            f"sparse={choice!r} is neither a policy nor one by layer",
            where="sparse",
            hint='mg.Sparse(0.1, 1.0), mg.Static({"fc1": 0.5}), or {"fc1": mg.Sparse(0.25), "*": 0.5}',
        )
    named: Mapping[str, Sparse | Channels] = choice.layers if isinstance(choice, Static) else choice
    wrong = [name for name in named if name not in open_to and name != "*"]
    if wrong or not named:
        raise UsageError(
            f"sparse= names no layer that can be updated in part: {', '.join(map(repr, wrong)) or 'none at all'}",
            where="sparse",
            hint=f"layers that train, but for the one that makes the outputs: {', '.join(open_to)}",
        )
    found: dict[str, Fate] = {}
    for name in open_to:
        key = name if name in named else "*"
        if key not in named:
            continue
        wanted = named[key]
        if isinstance(wanted, Sparse):
            found |= {} if wanted.is_whole else {name: wanted}
        else:
            found[name] = fixed(name, wanted, layers[name])
    return found


def fixed(name: str, wanted: Channels, weights: NDArray[Any]) -> tuple[int, ...]:
    """Channels of a layer, ascending, by number or by share.

    Raises:
        UsageError: a share outside (0, 1], a channel that does not exist or is named twice, none at all.
    """
    channels = len(weights)
    if not isinstance(wanted, Collection) or getattr(wanted, "ndim", 1) == 0:
        share: Any = wanted
        if not is_number(share) or not 0 < share <= 1:
            raise UsageError(
                f"a share of {share!r} of the channels of {name} cannot be updated",
                where="sparse",
                hint=f"above 0 and at most 1, or channels as a tuple: ({channels - 1},)",
            )
        size = ordered_sum(np.abs(weights.astype(np.float64)).reshape(channels, -1), axis=1)
        count = max(int(share * channels), 1)
        return tuple(sorted(np.argsort(-size, kind="stable")[:count].tolist()))
    numbers: list[Any] = list(wanted)
    outside = [n for n in numbers if not is_whole(n) or not 0 <= n < channels]
    if not numbers or outside or len(set(numbers)) != len(numbers):
        what = (
            f"{outside[0]!r} is no channel of {name}"
            if outside
            else f"no channel, or one twice, is named for {name}"
        )
        raise UsageError(what, where="sparse", hint=f"different numbers from 0 to {channels - 1}")
    return tuple(sorted(int(n) for n in numbers))
