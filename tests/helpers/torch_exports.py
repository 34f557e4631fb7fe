"""PyTorch parses its library of ONNX functions anew at every export, half of what one takes; tests parse it once.

What it is kept by has a private name. Where there is none of that name, every export parses it, as for users.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from functools import cache
from typing import Any

import pytest


def registry() -> Any:
    """The class that reads the library, or None in a version of PyTorch that has it elsewhere."""
    try:
        module = importlib.import_module("torch.onnx._internal.exporter._registration")
    except ImportError:
        return None
    found = getattr(module, "ONNXRegistry", None)
    return found if callable(getattr(found, "from_torchlib", None)) else None


@contextmanager
def read_once() -> Iterator[None]:
    """The library is parsed by the first export, and those that follow get a copy."""
    kind = registry()
    if kind is None:
        yield
        return
    kept = cache(kind.from_torchlib)

    def from_torchlib(*version: Any, **named: Any) -> Any:
        found = copy(kept(*version, **named))
        found.functions = {target: list(functions) for target, functions in found.functions.items()}
        return found

    from_torchlib.parsing = kind.from_torchlib  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "from_torchlib", staticmethod(from_torchlib))
        yield


@contextmanager
def read_anew() -> Iterator[None]:
    """Takes that back for a while."""
    kind = registry()
    with pytest.MonkeyPatch.context() as patch:
        if kind is not None and hasattr(kind.from_torchlib, "parsing"):
            patch.setattr(kind, "from_torchlib", kind.from_torchlib.parsing)
        yield
