"""The device side: startup and harness in C, the linker script, and reading and checking the ELF file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

HARNESS = ("mcg_device_call.S", "mcg_device_harness.c")
STARTUP = "mcg_device_startup.c"
GCC_MEMORY = "mcg_device_memory.c"
IDLE_MAIN = "mcg_device_idle.c"
HOST_COUNTER = "mcg_host_counter.c"
HOST_ALIGNMENT = "mcg_host_alignment.c"


def source(name: str) -> Path:
    """Path of one of the C files of this package."""
    return Path(str(resources.files(__package__))) / name
