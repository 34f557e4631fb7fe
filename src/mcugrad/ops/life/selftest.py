"""Self-test: kernels that make samples on the device and hash what it computes."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.arithmetic import hash32
from mcugrad.program import Kernel


def noise_s8(count: int, counter: int, x: NDArray[Any]) -> None:
    """x[i] = the upper 8 bits of the hash of counter + i, modulo 2^32, less 128."""
    counters = np.arange(count, dtype=np.uint32) + np.uint32(counter)
    x[:count] = (hash32(counters) >> np.uint32(24)).astype(np.int32) - 128


def crc32(count: int, data: NDArray[Any], crc: NDArray[Any]) -> None:
    """The CRC-32 goes on over so many bytes."""
    crc[0] = zlib.crc32(data[:count].tobytes(), int(crc[0]))


NOISE = Kernel("mcg_noise_s8", noise_s8)
CRC = Kernel("mcg_crc32", crc32)
