"""Layers with the same weights, number for number: what a file shows of one layer that is used twice.

A file may name the same constant in two nodes, move it first, or keep it in two tensors of one buffer; converters
write equal contents once, whosever they are. So the numbers are compared, in whatever order they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

import numpy as np
from numpy.typing import NDArray

from mcugrad.graph import Operator, Tensor
from mcugrad.ops.core.weighted import Weighted


def alike(nodes: Iterable[Operator], tensors: dict[str, Tensor]) -> tuple[tuple[str, ...], ...]:
    """Names of layers with the same weights, those of one set together; weights that are all one number are none."""
    values = {n.name: v for n in nodes if isinstance(n, Weighted) and (v := tensors[n.w].value) is not None}
    found: list[list[str]] = [[name for name, value in values.items() if value.min() != value.max()]]
    for key in (_outline, _contents):  # few are sorted: those that look alike at a glance
        found = [same for names in found for same in _split(names, values, key)]
    return tuple(map(tuple, found))


def _split(
    names: list[str], values: dict[str, NDArray[np.generic]], key: Callable[[NDArray[np.generic]], Hashable]
) -> list[list[str]]:
    """Names whose values have the same key, where there are several."""
    sets: dict[Hashable, list[str]] = {}
    for name in names:
        sets.setdefault(key(values[name]), []).append(name)
    return [same for same in sets.values() if len(same) > 1]


def _outline(value: NDArray[np.generic]) -> Hashable:
    return value.size, value.min(), value.max()


def _contents(value: NDArray[np.generic]) -> Hashable:
    return np.sort(value, axis=None).tobytes()
