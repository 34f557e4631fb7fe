"""The class beside another that computes it, found by the name of the file: `linear_s8.py` beside `linear.py`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec

from mcugrad.graph import Precision


@cache
def beside(kind: type, precision: Precision) -> type | None:
    """What computes a class in a precision, `LinearS8` what `Linear` is; None where there is no such file."""
    module = f"{kind.__module__}_{precision.value}"
    if find_spec(module) is None:
        return None
    found: type | None = vars(import_module(module)).get(f"{kind.__name__}{precision.value.upper()}")
    return found
