"""Records: how NumPy sees the structs that kernels take, and elements of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcugrad.abi.structs import SCALARS, record

SCALE = record("mcg_scale_t")
SCHEDULE = record("mcg_schedule_t")
WATCH = record("mcg_watch_t")
DRIFT = record("mcg_drift_t")
ADC = record("mcg_adc_t")
AUGMENT = record("mcg_augment_t")
GUARD = record("mcg_guard_t")


def replay_record(classes: int) -> np.dtype[Any]:
    """NumPy's view of an `mcg_replay_t` for so many classes, up to its pointers, which differ in size."""
    return record("mcg_replay_t", elements=classes)


ELEMENT_TYPES: dict[str, np.dtype[Any]] = {
    **{name: kind for name, kind in SCALARS.items() if name != "bool"},
    "mcg_scale_t": SCALE,
    "mcg_schedule_t": SCHEDULE,
    "mcg_watch_t": WATCH,
    "mcg_drift_t": DRIFT,
    "mcg_augment_t": AUGMENT,
    "mcg_guard_t": GUARD,
    "mcg_adc_t": ADC,
}
"""Types of the elements of buffers, by their names in C."""
