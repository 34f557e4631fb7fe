"""Emulated Cortex-M cores: the processor, what counts its instructions and checks its accesses, firmware on it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

HARNESS = ("mcg_device_call.S", "mcg_device_harness.c")
HOST_COUNTER = "mcg_host_counter.c"
HOST_ALIGNMENT = "mcg_host_alignment.c"


def source(name: str) -> Path:
    """Path of one of the C files in this package's folder `c`."""
    return Path(str(resources.files(__package__))) / "c" / name
