"""What the device executes: a flat list of kernel calls over named buffers."""

from mcugrad.program.buffer import Buffer, Space
from mcugrad.program.kernel import Kernel, Param, prototypes
from mcugrad.program.program import Argument, Call, Program, Struct

__all__ = [
    "Argument",
    "Buffer",
    "Call",
    "Kernel",
    "Param",
    "Program",
    "Space",
    "Struct",
    "prototypes",
]
