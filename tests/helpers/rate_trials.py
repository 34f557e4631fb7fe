"""Trainings that look for their rate, for tests."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import mcugrad as mg
from mcugrad.errors import McugradWarning
from mcugrad.training.rate_grid import Trial

Array = np.ndarray


def tried(trainer: mg.Trainer, x: Array, y: Any, **options: Any) -> tuple[float, list[Trial]]:
    """The rate that was found, and the trials."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", McugradWarning)
        trainer.fit(x, y, **options)
    assert trainer.rate_search is not None
    return trainer.rate_search.rate, list(trainer.rate_search.trials)
