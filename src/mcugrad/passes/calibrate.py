"""Calibrate: the range that each activation is quantized over, from its values on samples.

1. `mse`: the range of least squared error; a narrower one has finer steps and clips what lies outside. The sum that is
   compared stands in docs/arithmetic.md. All values count at the input, whose range the sensor gives, and at the
   output, where those that are clipped cannot be told apart although they decide. Where a scale is tracked on the
   device, it begins with all values, since the largest ones are what it follows.
2. `minmax`: all values.
3. `percentile`: all but a share on each side, batch by batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError, UsageError
from mcugrad.given import is_number, shown
from mcugrad.graph import Graph, Operator

Method = Literal["mse", "minmax", "percentile"]
BATCH = 64
BINS = 1 << 12
"""Least number of bins that the larger side of a tensor's values is counted in."""
SHRINK = 0.97
CANDIDATES = 100
"""Ends that are tried on each side: all values, then 3 % less each time, down to a twentieth."""
LEVELS = 255


@dataclass(frozen=True)
class Calibration:
    """How ranges are taken from samples.

    Attributes:
        method: `mse` weighs rounding against clipping, `minmax` takes all values in, `percentile` clips outliers.
        percentile: share of values kept on each side, in percent, for `percentile`.
    """

    method: Method = "mse"
    percentile: float = 99.99

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise UsageError(
                f"unknown calibration method {self.method!r}",
                where="calibration",
                hint="mse, minmax or percentile",
            )
        if not (is_number(self.percentile) and 50 < self.percentile <= 100):
            raise UsageError(
                f"percentile {shown(self.percentile)} is not in (50, 100]",
                where="calibration",
                hint="99.9 or more",
            )


@dataclass(frozen=True)
class Range:
    """What an activation is quantized over.

    Attributes:
        low: lower end.
        high: upper end.
        whole: the ends before `mse` drew them in.
    """

    low: float
    high: float
    whole: tuple[float, float]


def activation_ranges(
    graph: Graph, samples: NDArray[np.float32], calibration: Calibration, wanted: Sequence[str]
) -> dict[str, Range]:
    """Ranges of some activations over the samples, which are computed in float32 batch by batch.

    Raises:
        ModelError: an activation is not finite, be it wanted or not.
    """
    whole = Calibration("minmax") if calibration.method == "mse" else calibration
    seen = {t: Values(whole if t in (graph.input, graph.output) else calibration) for t in wanted}
    for start in range(0, len(samples), BATCH):
        for name, values in run_float(graph, samples[start : start + BATCH]).items():
            if not np.isfinite(values).all():
                node = graph.producer(name)
                raise ModelError(
                    "an activation is NaN or infinite on a calibration sample",
                    where=node.title if node else name,
                    hint="check the weights and the scaling of the samples",
                )
            if name in seen:
                seen[name].add(values)
    return {name: values.range() for name, values in seen.items()}


def run_float(graph: Graph, x: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Every activation of a batch in float32, by tensor name."""
    values: dict[str, NDArray[Any]] = {graph.input: x}
    for node in graph.nodes:
        if isinstance(node, Operator):
            arguments = [values[t] if t in values else graph[t].value for t in node.inputs]
            with np.errstate(over="ignore", invalid="ignore"):
                values[node.y] = node.forward(*arguments)  # type: ignore[arg-type]
    return values


class Values:
    """What has been seen of one tensor: its ends and, for `mse`, how often it had which value.

    Values are counted in bins [i w, (i + 1) w), w a power of two that doubles when they get too many; the counts do not
    depend on the order of the batches.
    """

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self._low, self._high = np.inf, -np.inf
        self._exponent = -126
        self._first = 0
        self._counts = np.zeros(1, np.int64)

    def add(self, values: NDArray[Any]) -> None:
        """Take a batch in."""
        low, high = float(values.min()), float(values.max())
        if self._calibration.method == "percentile":
            keep = self._calibration.percentile
            low, high = percentile(values, 100 - keep), percentile(values, keep)
        self._low, self._high = min(self._low, low), max(self._high, high)
        if self._calibration.method == "mse":
            self._count(values[values != 0])

    def range(self) -> Range:
        """The range to quantize over."""
        ends = self._low, self._high
        if self._calibration.method != "mse" or not self._counts.any():
            return Range(*ends, ends)
        width = np.ldexp(1.0, self._exponent)
        centres = (self._first + np.arange(len(self._counts)) + 0.5) * width
        return Range(*best_range(centres, self._counts, min(self._low, 0.0), max(self._high, 0.0)), ends)

    def _count(self, values: NDArray[Any]) -> None:
        largest = max(-self._low, self._high)
        if not (values.size and largest > 0):
            return
        exponent = max(int(np.frexp(largest)[1]) - BINS.bit_length(), self._exponent)
        while self._exponent < exponent and self._counts.any():
            self._halve()
        self._exponent = exponent
        bins = np.floor(values.astype(np.float32) * np.float32(2.0**-exponent)).astype(np.int64)
        first = min(self._first, int(bins.min()))
        last = max(self._first + len(self._counts) - 1, int(bins.max()))
        counts = np.bincount(bins - first, minlength=last - first + 1)
        counts[self._first - first : self._first - first + len(self._counts)] += self._counts
        self._first, self._counts = first, counts

    def _halve(self) -> None:
        """Bins twice as wide, half as many."""
        pairs = (self._first + np.arange(len(self._counts))) >> 1
        self._first = int(pairs[0])
        self._counts = np.bincount(pairs - self._first, weights=self._counts).astype(np.int64)
        self._exponent += 1


def percentile(values: NDArray[Any], share: float) -> float:
    """The value that `share` percent of all values are not above, interpolated between two of them."""
    place = (values.size - 1) * (share / 100)
    first = min(int(place), values.size - 1)
    last = min(first + 1, values.size - 1)
    ordered = np.partition(values, (first, last), axis=None)
    low, high = float(ordered[first]), float(ordered[last])
    return low + (high - low) * (place - first)


def best_range(centres: NDArray[Any], counts: NDArray[Any], low: float, high: float) -> tuple[float, float]:
    """The range within [low, high] of the least squared error, zero included.

    Args:
        centres: values, ascending, none of which is zero.
        counts: how often each occurs.
        low: smallest value, not above zero.
        high: largest value, not below zero.
    """
    factors = np.cumprod([1.0] + [SHRINK] * (CANDIDATES - 1))
    lows, highs = (np.unique(end * factors) for end in (low, high))
    below, under = _outside(centres, counts, lows)
    above, over = _outside(-centres[::-1], counts[::-1], -highs)
    inside = counts.sum() - under[:, None] - over[None, :]
    steps = (highs[None, :] - lows[:, None]) / LEVELS
    error = below[:, None] + above[None, :] + inside * steps * steps / 12
    i, j = np.unravel_index(np.argmin(error), error.shape)
    return float(lows[i]), float(highs[j])


def _outside(
    centres: NDArray[Any], counts: NDArray[Any], ends: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """By lower end: the squared error of values clipped to it, and their number."""
    terms = counts, counts * centres, counts * centres * centres
    moments = [np.concatenate([[0], np.cumsum(t)]) for t in terms]
    place = np.searchsorted(centres, ends)
    zeroth, first, second = (m[place] for m in moments)
    return second - 2 * ends * first + ends * ends * zeroth, zeroth.astype(np.int64)
