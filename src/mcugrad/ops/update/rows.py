"""Rows of weights of which only some train: all of them put together, and those that train taken out again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.program import Kernel


def gather_rows_s8(
    rows: int,
    count: int,
    residual_count: int,
    active: NDArray[Any],
    frozen: NDArray[Any],
    frozen_residual: NDArray[Any] | None,
    trained: NDArray[Any],
    trained_residual: NDArray[Any] | None,
    w: NDArray[Any],
    residual: NDArray[Any] | None,
) -> None:
    """All rows of a plane, and of its residual bits if it has some: listed ones of `trained`, others of `frozen`."""
    _gather(rows, count, active, frozen, trained, w)
    if residual is not None and residual.size:
        assert frozen_residual is not None
        assert trained_residual is not None
        _gather(rows, residual_count, active, frozen_residual, trained_residual, residual)


def scatter_rows_s8(
    count: int,
    residual_count: int,
    active: NDArray[Any],
    w: NDArray[Any],
    residual: NDArray[Any] | None,
    trained: NDArray[Any],
    trained_residual: NDArray[Any] | None,
) -> None:
    """Listed rows of a plane and of its residual bits, if it has some, side by side."""
    _scatter(count, active, w, trained)
    if residual is not None and residual.size:
        assert trained_residual is not None
        _scatter(residual_count, active, residual, trained_residual)


def gather_rows_f32(
    rows: int,
    count: int,
    active: NDArray[Any],
    frozen: NDArray[Any],
    trained: NDArray[Any],
    w: NDArray[Any],
) -> None:
    """All rows: listed ones from `trained`, others from `frozen`."""
    _gather(rows, count, active, frozen, trained, w)


def scatter_rows_f32(count: int, active: NDArray[Any], w: NDArray[Any], trained: NDArray[Any]) -> None:
    """Listed rows, side by side."""
    _scatter(count, active, w, trained)


def _listed(active: NDArray[Any]) -> NDArray[np.int64]:
    return active[1 : 1 + int(active[0])].astype(np.int64)


def _gather(
    rows: int,
    count: int,
    active: NDArray[Any],
    frozen: NDArray[Any],
    trained: NDArray[Any],
    whole: NDArray[Any],
) -> None:
    o = _listed(active)
    others = np.setdiff1d(np.arange(rows), o)
    table = whole[: rows * count].reshape(rows, count)
    table[o] = trained[: len(o) * count].reshape(len(o), count)
    table[others] = frozen[: len(others) * count].reshape(len(others), count)


def _scatter(count: int, active: NDArray[Any], whole: NDArray[Any], trained: NDArray[Any]) -> None:
    o = _listed(active)
    trained[: len(o) * count] = whole[o[:, None] * count + np.arange(count)].reshape(-1)


GATHER_ROWS_S8 = Kernel("mcg_gather_rows_s8", gather_rows_s8)
SCATTER_ROWS_S8 = Kernel("mcg_scatter_rows_s8", scatter_rows_s8)
GATHER_ROWS_F32 = Kernel("mcg_gather_rows_f32", gather_rows_f32)
SCATTER_ROWS_F32 = Kernel("mcg_scatter_rows_f32", scatter_rows_f32)
