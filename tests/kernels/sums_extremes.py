"""Sums in float32 where bodies could differ: lengths about their blocks, values whose order of adding shows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.draws import Arguments, Rng

ODD = (0.0, -0.0, 1e-45, -1e-38, 3e38, -3e38, np.inf, -np.inf, np.nan)
"""What a sum does not forget: zeros of either sign, denormal numbers, what overflows, what is no number."""


def _values(rng: Rng, count: int, odd: float) -> NDArray[np.float32]:
    """Magnitudes over 24 binary orders, so that another order of adding rounds elsewhere; a share of odd ones."""
    x = rng.normal(size=count) * 2.0 ** rng.integers(-12, 12, count)
    x[rng.random(count) < odd] = rng.choice(ODD)
    return x.astype(np.float32)


def dot_f32_extremes() -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    for count, rows, odd in product((1, 7, 8, 9, 15, 16, 23, 40), (1, 2, 3), (0.0, 0.3)):
        x, w = (_values(rng, n, odd) for n in (count, rows * count))
        yield {"count": count, "rows": rows, "x": x, "w": w, "sum": np.ones(rows, np.float32)}


def combine_f32_extremes() -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    for count, rows, odd, listed in product((1, 7, 8, 15, 16, 17, 40), (1, 2, 5), (0.0, 0.3), (False, True)):
        e = _values(rng, rows, odd)
        e[rng.random(rows) < 0.3] = rng.choice((0.0, -0.0))
        active = np.asarray([rows, *sorted(rng.choice(2 * rows, rows, replace=False))], np.uint16)
        w = _values(rng, (2 if listed else 1) * rows * count, odd)
        yield {
            "rows": rows,
            "count": count,
            "e": e,
            "active": active if listed else None,
            "w": w,
            "sum": np.ones(count, np.float32),
        }


def add_scaled_f32_extremes() -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    for count, factor in product((1, 7, 8, 9, 16, 23), (0.0, 0.3, -1e30, np.inf)):
        yield {
            "count": count,
            "factor": np.full(1, factor, np.float32),
            **{name: _values(rng, count, 0.2) for name in "xy"},
        }


def add_products_f32_extremes() -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    for count, odd in product((1, 7, 8, 9, 16, 23), (0.0, 0.3)):
        yield {"count": count, **{name: _values(rng, count, odd) for name in "aby"}}


def copy_f32_extremes() -> Iterator[Arguments]:
    rng = np.random.default_rng(0)
    for count in (1, 7, 8, 9, 16, 23):
        yield {"count": count, "source": _values(rng, count, 0.5), "to": np.ones(count, np.float32)}


EXTREMES = {
    "mcg_dot_f32": dot_f32_extremes,
    "mcg_combine_f32": combine_f32_extremes,
    "mcg_add_scaled_f32": add_scaled_f32_extremes,
    "mcg_add_products_f32": add_products_f32_extremes,
    "mcg_copy_f32": copy_f32_extremes,
}
CASES = {name: st.sampled_from(list(EXTREMES[name]())) for name in list(EXTREMES)[2:]}
"""Of the steps that sums are made of; those of sums themselves are drawn as layers have them."""
