"""Guard: samples that say whether training still does good, and the best state to come back to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.constants import constant
from mcugrad.errors import UsageError
from mcugrad.given import is_number, is_whole, shown

OUTCOMES = {constant(f"MCG_GUARD_{name.upper()}"): name for name in ("best", "within", "restored")}
"""By `mcg_guard_outcome_t`."""


@dataclass(frozen=True, eq=False)
class Guard:
    """When to come back to the best state so far.

    Attributes:
        x: samples in real units.
        y: their labels.
        every: new samples between two looks; 0 for one after each epoch.
        margin: by how much the error may be above the best one: share of samples or labels that are wrong, or mean
            squared error, by the loss.
    """

    x: NDArray[Any]
    y: Any
    every: int = 0
    margin: float = 0.02

    def __post_init__(self) -> None:
        if not (is_whole(self.every) and 0 <= self.every < 2**32):
            raise UsageError(
                f"every={self.every!r} is no number of samples", where="guard", hint="0 for epochs"
            )
        if not (is_number(self.margin) and np.isfinite(self.margin) and 0 <= self.margin <= 3e38):
            raise UsageError(f"margin={shown(self.margin)} is not usable", where="guard", hint="0.02")


@dataclass(frozen=True)
class Guarded:
    """What a guard found.

    Attributes:
        outcome: `best`: no state was better so far; `within` the margin; or `restored`: the best state is back.
        error: before anything was restored.
        best: the lowest error so far, this one included.
    """

    outcome: str
    error: float
    best: float
