"""Data sets as files, for tests: the form that publishers give them."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mcugrad.zoo.data import _builtin as builtin

Save = Callable[..., Path]
"""Writes an .npz file; the fixture `save`."""


def packed(content: bytes) -> bytes:
    """Compressed, without the time: it ends up in the names of tests, which must be equal in every process."""
    return gzip.compress(content, mtime=0)


def idx(values: np.ndarray) -> bytes:
    """A gzipped IDX file of bytes; gzip's time stamp is zero, so equal values give equal files."""
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    return packed(header + values.astype(np.uint8).tobytes())


def published_files(seed: int = 0) -> dict[str, bytes]:
    rng = np.random.default_rng(seed)
    arrays = (
        rng.integers(0, 256, (20, 28, 28)),
        np.arange(20) % 10,
        rng.integers(0, 256, (10, 28, 28)),
        np.arange(10),
    )
    return {name: idx(array) for name, array in zip(builtin.IDX_FILES, arrays, strict=True)}
