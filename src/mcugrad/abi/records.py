"""Records: how NumPy sees the structs of mcg_math.h and mcg_types.h that kernels take, and elements of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

SCALE = np.dtype([("mult", "<u2"), ("shift", "u1"), ("pre", "u1")])
"""NumPy's view of `mcg_scale_t`."""

SCHEDULE = np.dtype(
    [
        *((field, "<u4") for field in ("kind", "start", "warmup", "steps", "every")),
        *((field, "<f4") for field in ("rate", "last", "factor")),
    ]
)
"""NumPy's view of `mcg_schedule_t`."""
WATCH = np.dtype(
    [("seen", "<u4"), *((field, "<f4") for field in ("loss", "accuracy", "drift_mean", "drift_sum"))]
)
"""NumPy's view of `mcg_watch_t`."""
DRIFT = np.dtype([("seen", "<u4"), *((field, "<f4") for field in ("mean", "sum", "confidence", "drift"))])
"""NumPy's view of `mcg_drift_t`."""

ADC = np.dtype([("scale", SCALE), ("middle", "<i4")])
"""NumPy's view of `mcg_adc_t`."""
AUGMENT = np.dtype(
    [
        *((field, "<i4") for field in ("shift_h", "shift_w", "gain", "offset", "noise")),
        *((field, "<u4") for field in ("seed", "count")),
    ]
)
"""NumPy's view of `mcg_augment_t`."""
GUARD = np.dtype([("outcome", "<u4"), ("error", "<f4"), ("best", "<f4")])
"""NumPy's view of `mcg_guard_t`."""


def replay_record(classes: int) -> np.dtype[Any]:
    """NumPy's view of an `mcg_replay_t` for so many classes, up to its pointers, which differ in size."""
    names = ("ready", "every", "collect", "capacity", "count", "fresh", "added", "drawn", "seed")
    by_class = [("seen", "<u4"), ("held", "<u4"), ("full", "u1")]
    return np.dtype(
        [*((name, "<u4") for name in names), *((name, kind, (classes,)) for name, kind in by_class)]
    )


ELEMENT_TYPES: dict[str, np.dtype[Any]] = {
    "int8_t": np.dtype(np.int8),
    "uint8_t": np.dtype(np.uint8),
    "int16_t": np.dtype("<i2"),
    "uint16_t": np.dtype("<u2"),
    "int32_t": np.dtype("<i4"),
    "uint32_t": np.dtype("<u4"),
    "float": np.dtype("<f4"),
    "mcg_scale_t": SCALE,
    "mcg_schedule_t": SCHEDULE,
    "mcg_watch_t": WATCH,
    "mcg_drift_t": DRIFT,
    "mcg_augment_t": AUGMENT,
    "mcg_guard_t": GUARD,
    "mcg_adc_t": ADC,
}
