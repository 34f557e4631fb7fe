"""The one place where capstone is imported: untyped, optional, and slow to load."""

from __future__ import annotations

import importlib
from typing import Any

from mcugrad.errors import ToolError


def disassembler(*, detail: bool) -> Any:
    """A capstone decoder for M-class Thumb code. Raises ToolError when it is not installed.

    Args:
        detail: also find out operands and registers, which takes three times as long.
    """
    try:
        capstone = importlib.import_module("capstone")
    except (ImportError, OSError) as error:
        raise ToolError(
            f"the disassembler capstone cannot be loaded: {error}",
            hint="pip install capstone, with --force-reinstall if it is there",
        ) from None
    decoder = capstone.Cs(
        capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8
    )
    decoder.detail = detail
    return decoder
