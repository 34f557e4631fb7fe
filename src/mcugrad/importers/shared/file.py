"""The bytes of a model's file."""

from __future__ import annotations

from pathlib import Path

from mcugrad.errors import ModelError
from mcugrad.files import read_file, shown

MODEL_LIMIT = 512 << 20
"""Bytes that a model may have: far beyond every microcontroller's flash, and what unpacking it takes is bounded."""


def load_bytes(source: str | Path | bytes) -> tuple[str, bytes, Path | None]:
    """What a model is called in messages, its bytes, and the path of its file; None for bytes.

    Raises:
        ModelError: the file is missing, no ordinary file, or larger than `MODEL_LIMIT`.
    """
    if isinstance(source, bytes):
        return "model given as bytes", source, None
    path = Path(source)
    data = read_file(path, MODEL_LIMIT, what="the model file", error=ModelError)
    return Path(shown(path)).name, data, path
