"""What the device executes: segments of kernel calls over named buffers, and entries that run them."""

from mcugrad.program.buffer import Buffer, Space, unused
from mcugrad.program.call import Argument, Call, Struct
from mcugrad.program.kernel import Kernel, Shared
from mcugrad.program.program import Program
from mcugrad.program.segment import PREDICT, TRAIN_SOFT, TRAIN_STEP, Entry, Segment

__all__ = [
    "PREDICT",
    "TRAIN_SOFT",
    "TRAIN_STEP",
    "Argument",
    "Buffer",
    "Call",
    "Entry",
    "Kernel",
    "Program",
    "Segment",
    "Shared",
    "Space",
    "Struct",
    "unused",
]
