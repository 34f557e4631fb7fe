"""Rows in flash: what a fixed part of a layer's channels leaves as it is, and learned arrays with and without it.

A device holds the rows that train. Who asks what was learned sees arrays of all rows, wherever the others are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.program.buffer import Buffer
from mcugrad.program.program import Program

Arrays = Mapping[str, NDArray[Any]]
TRAIN, REST, ALL = ", of the rows that train", ", of the rows that do not", ", all rows"
"""What notes of buffers end with: of the state, of the constant beside it, and of where both are put together."""


def listed(program: Program, name: str) -> NDArray[np.int64]:
    """Numbers of the rows that a learned buffer holds, ascending; of one whose others are in flash."""
    active = program.buffers[program.in_flash[name].active].value
    assert active is not None, name
    return active[1:].astype(np.int64)


def shape_of(program: Program, buffer: Buffer) -> tuple[int, ...]:
    """Shape of a learned buffer with all of its rows."""
    if buffer.name not in program.in_flash:
        return buffer.shape
    others = program.buffers[program.in_flash[buffer.name].frozen]
    return (buffer.shape[0] + others.shape[0], *buffer.shape[1:])


def with_all_rows(program: Program, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Learned arrays with all rows, new where some are in flash, from those that a device holds."""
    return {name: _whole(program, name, value) for name, value in arrays.items()}


def without_frozen_rows(program: Program, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Learned arrays as a device holds them, from those with all rows."""
    return {
        name: value[listed(program, name)] if name in program.in_flash else value
        for name, value in arrays.items()
    }


def moved_rows(program: Program, arrays: Arrays) -> list[str]:
    """Names of learned arrays, all rows, in which rows that do not train are not those that are in flash."""
    return [
        name
        for name, value in arrays.items()
        if name in program.in_flash
        and _whole(program, name, value[listed(program, name)]).tobytes() != value.tobytes()
    ]


def _whole(program: Program, name: str, value: NDArray[Any]) -> NDArray[Any]:
    if name not in program.in_flash:
        return value
    others = program.buffers[program.in_flash[name].frozen].value
    assert others is not None, name
    rows = listed(program, name)
    found = np.empty((len(rows) + len(others), *value.shape[1:]), value.dtype)
    found[rows] = value
    found[np.setdiff1d(np.arange(len(found)), rows)] = others
    return found
