"""The one place where capstone is imported: untyped, optional, and slow to load."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from mcugrad.errors import ToolError


def disassembler(*, detail: bool = False, skip: bool = False) -> Any:
    """A capstone decoder for M-class Thumb code. Raises ToolError when it is not installed.

    Args:
        detail: also find out operands and registers, which takes three times as long.
        skip: an unknown instruction becomes `.byte` and the next is tried; else it is the end.
    """
    try:
        capstone = importlib.import_module("capstone")
    except (ImportError, OSError) as error:
        raise ToolError(
            f"the disassembler capstone cannot be loaded: {error}",
            hint="pip install capstone, with --force-reinstall if it is there",
        ) from None
    return _decoder(capstone, detail, skip)


@cache
def _decoder(capstone: Any, detail: bool, skip: bool) -> Any:
    """One of a kind for all: making one takes as long as reading a block of instructions."""
    decoder = capstone.Cs(
        capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8
    )
    decoder.detail, decoder.skipdata = detail, skip
    return decoder
