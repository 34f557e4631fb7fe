"""The command line as tests call it, and the data files that they hand over."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Result:
    """What a call gave: the exit code, and what was written to stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        """The JSON object on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


Cli = Callable[..., Result]


def save(path: Path, x: np.ndarray, y: np.ndarray, **more: np.ndarray) -> str:
    """A data file."""
    np.savez(path, x_train=x, y_train=y, **more)
    return str(path)


SMALL_BOARD = """core = "cortex-m4f"
[flash]
address = 0
bytes = 65536
[ram]
address = 0x20000000
bytes = {ram}
"""
COMPILE = ("compile", "digits_cnn", "--data", "digits", "--no-measure")
TRAIN = ("train", "digits_cnn", "--data", "digits")


def images(count: int = 20) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8)).astype(np.uint8)


def labels(count: int = 20) -> np.ndarray:
    return np.arange(count) % 10
