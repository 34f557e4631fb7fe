"""Slice and Pad: a regular part of an activation, and the reverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator, Shape


@dataclass(frozen=True, kw_only=True)
class Slice(Operator):
    """Every `step`-th element from `start` up to but not including `stop`, along every axis.

    Attributes:
        start: first element along each axis, batch aside; not negative.
        stop: end along each axis, at most its length.
        step: at least 1.
        whole_channels: whether every channel is kept in its place.
    """

    x: str
    start: tuple[int, ...]
    stop: tuple[int, ...]
    step: tuple[int, ...]
    whole_channels: bool

    INPUTS = ("x",)
    passes_scale = True

    @property
    def keeps_channels(self) -> bool:
        return self.whole_channels

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        fits = len(x) == len(self.start) == len(self.stop) == len(self.step) in (1, 3)
        ranges = tuple(zip(self.start, self.stop, self.step, strict=True)) if fits else ()
        if not fits or any(not (0 <= a < b <= n and s > 0) for (a, b, s), n in zip(ranges, x, strict=True)):
            raise ModelError(
                f"a part from {self.start} to {self.stop} in steps of {self.step} of {x} values: it is empty "
                "or reaches outside",
                where=self.title,
                hint="at least one element along each axis, in order",
            )
        result = tuple(len(range(*r)) for r in ranges)
        if self.whole_channels != (result[-1] == x[-1]):
            raise ModelError(
                f"a part of {result[-1]} of {x[-1]} channels with whole_channels={self.whole_channels}",
                where=self.title,
                hint="whole_channels is true where all channels are kept",
            )
        return result

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        parts = (slice(*r) for r in zip(self.start, self.stop, self.step, strict=True))
        return inputs[0][(slice(None), *parts)]

    def macs(self, graph: Graph) -> int:
        return 0

    def describe(self, graph: Graph) -> str:
        return f"slice  {' -> '.join('x'.join(map(str, graph[t].shape)) for t in (self.x, self.y))}"


@dataclass(frozen=True, kw_only=True)
class Pad(Operator):
    """Zeros around an activation.

    Attributes:
        before: how many along each axis, batch aside, in front.
        after: how many behind.
    """

    x: str
    before: tuple[int, ...]
    after: tuple[int, ...]

    INPUTS = ("x",)
    passes_scale = True

    @property
    def keeps_channels(self) -> bool:
        return self.before[-1] == self.after[-1] == 0

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if not len(x) == len(self.before) == len(self.after) in (1, 3) or min(self.before + self.after) < 0:
            raise ModelError(
                f"padding of {self.before} before and {self.after} behind {x} values",
                where=self.title,
                hint="one number per axis, not negative",
            )
        return tuple(b + n + a for b, n, a in zip(self.before, x, self.after, strict=True))

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        return np.pad(inputs[0], ((0, 0), *zip(self.before, self.after, strict=True)))

    def macs(self, graph: Graph) -> int:
        return 0

    def describe(self, graph: Graph) -> str:
        return f"pad  {' -> '.join('x'.join(map(str, graph[t].shape)) for t in (self.x, self.y))}"
