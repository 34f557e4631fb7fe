"""How much is tried: what shows a mistake within minutes, or every combination, by `make test-long`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

LONG = "MCUGRAD_TEST_LONG" in os.environ
"""Whether every combination is tried."""


def turns(cases: Iterable[Any], among: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Each case with one of the others in turn, cores for example; in a long test with all of them."""
    if LONG:
        return [*product(cases, among)]
    return [(case, among[i % len(among)]) for i, case in enumerate(cases)]
