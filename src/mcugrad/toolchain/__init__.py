"""Compilers: finding them, building host libraries and firmware with them, and what is in the files they make."""

from mcugrad.toolchain.build import (
    STRICT_WARNINGS,
    Firmware,
    build_firmware,
    build_shared,
    check_warnings,
)
from mcugrad.toolchain.compilers import (
    Compiler,
    Tool,
    doctor,
    find_compiler,
    firmware_compilers,
    host_compilers,
)

__all__ = [
    "STRICT_WARNINGS",
    "Compiler",
    "Firmware",
    "Tool",
    "build_firmware",
    "build_shared",
    "check_warnings",
    "doctor",
    "find_compiler",
    "firmware_compilers",
    "host_compilers",
]
