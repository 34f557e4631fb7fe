"""Numbers that users give: what counts as one, and how a message shows what does not.

True and False are none: Python counts with them, so that `rate=True` would be a rate of 1, which nobody means.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import DataError, UsageError

_SIZE = re.compile(r"(\d+)(?:\.(\d+))? ?(?:([KkMG])(?:i?B)?|B)?")


def is_whole(value: Any) -> bool:
    """Whether it is a whole number by its type."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a real number, finite or not."""
    return is_whole(value) or isinstance(value, float | np.floating)


def in_bytes(value: Any) -> int | None:
    """A number of bytes above 0: a whole number, or a text such as `65536`, `64K`, `64 KiB`, `1.5M`; None for others.

    K is 1,024 bytes, M 1,024 K and G 1,024 M, however they are spelled, as whoever sells memories counts.
    """
    if is_whole(value):
        return int(value) if value > 0 else None
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    whole, part, unit = found.groups(default="")
    size, rest = divmod(
        int(whole + part) << {"": 0, "K": 10, "M": 20, "G": 30}[unit.upper()], 10 ** len(part)
    )
    return size if size > 0 and rest == 0 else None


def shown(value: Any) -> str:
    """A number in a few digits; what is none, as Python writes it."""
    return f"{value:g}" if is_number(value) else repr(value)


def demand_seed(seed: Any) -> None:
    """Raises UsageError for what is no seed of the device's random numbers."""
    if not is_whole(seed) or not 0 <= seed < 2**32:
        raise UsageError(f"seed {seed!r} does not fit into 32 bits", where="seed", hint=f"0 to {2**32 - 1}")


def demand_finite(array: NDArray[Any], what: str) -> None:
    """Raises DataError for samples or labels, the first axis theirs, with a value that is NaN or infinite."""
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        count = "1 value that is" if len(bad) == 1 else f"{len(bad)} values that are"
        raise DataError(
            f"{what} holds {count} NaN or infinite, the first in sample {bad[0][0]}",
            where=what,
            hint="clean them, or leave out those samples",
        )
