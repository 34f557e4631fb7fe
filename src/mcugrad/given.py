"""Numbers that users give: what counts as one, and how a message shows what does not.

True and False are none: Python counts with them, so that `rate=True` would be a rate of 1, which nobody means.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def is_whole(value: Any) -> bool:
    """Whether it is a whole number by its type."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a real number, finite or not."""
    return is_whole(value) or isinstance(value, float | np.floating)


def shown(value: Any) -> str:
    """A number in a few digits; what is none, as Python writes it."""
    return f"{value:g}" if is_number(value) else repr(value)
