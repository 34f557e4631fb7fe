"""Replay: old samples among the new ones, so that what was known is not forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from mcugrad.errors import UsageError
from mcugrad.given import is_whole

ReplayOf = Literal["inputs", "latents"]
"""What is stored of a sample: its input, or what the layers that do not train make of it."""


@dataclass(frozen=True, eq=False)
class Replay:
    """A class-balanced reservoir of samples on the device, and how often one of them is trained again.

    Attributes:
        capacity: samples that it holds.
        every: a stored sample is trained after every so many new ones.
        source: samples in real units and their labels, offered to the buffer before training, such as some of those
            that the network was trained with.
        collect: whether new samples enter, too; by default where there is no source, so that a source stays whole.
        seed: of its random numbers, 32 bits.
        remember: train stored samples towards what the network says about them before training, not towards their
            labels; where labels are classes. Samples that enter later have their labels.
    """

    capacity: int
    every: int = 1
    source: tuple[NDArray[Any], Any] | None = None
    collect: bool | None = None
    seed: int = 0
    remember: bool = False

    def __post_init__(self) -> None:
        if not (is_whole(self.capacity) and 1 <= self.capacity < 2**31):
            raise UsageError(
                f"a replay buffer cannot hold {self.capacity!r} samples",
                where="replay",
                hint="1 or more, such as 64",
            )
        if not (is_whole(self.every) and 1 <= self.every < 2**32):
            raise UsageError(
                f"every={self.every!r} never trains a stored sample", where="replay", hint="every=1 or more"
            )
        if not (is_whole(self.seed) and 0 <= self.seed < 2**32):
            raise UsageError(
                f"seed {self.seed!r} does not fit into 32 bits", where="replay", hint=f"0 to {2**32 - 1}"
            )
        if self.source is None and not self.collects:
            raise UsageError(
                "a replay buffer without source that collects nothing stays empty",
                where="replay",
                hint="source=(x, y), or collect=True",
            )

        if not isinstance(self.remember, bool):
            raise UsageError(
                f"remember={self.remember!r} is neither True nor False", where="replay", hint="remember=True"
            )
        if self.remember and self.source is None:
            raise UsageError(
                "there is nothing to remember in a replay buffer that begins empty",
                where="replay",
                hint="remember=True with source=(x, y)",
            )

    @property
    def collects(self) -> bool:
        """Whether new samples enter."""
        return self.source is None if self.collect is None else self.collect

    def draws(self, fresh: int) -> int:
        """Stored samples that are trained beside so many new ones."""
        too_early = self.source is None and self.every == 1 and fresh > 0
        return fresh // self.every - too_early
