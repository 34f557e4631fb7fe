"""The C that every firmware is linked with: startup, what gcc wants of libc, and a main program that idles."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

STARTUP = "mcg_device_startup.c"
GCC_MEMORY = "mcg_device_memory.c"
IDLE_MAIN = "mcg_device_idle.c"


def source(name: str) -> Path:
    """Path of one of the C files in this package's folder `c`."""
    return Path(str(resources.files(__package__))) / "c" / name
