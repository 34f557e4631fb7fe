"""The one place where unicorn is imported: untyped, optional, and slow to load."""

from __future__ import annotations

import importlib
from typing import Any

from mcugrad.errors import ToolError


def unicorn() -> Any:
    """The module `unicorn` with its constants. Raises ToolError when it is not installed."""
    try:
        module = importlib.import_module("unicorn")
        importlib.import_module("unicorn.arm_const")
        return module
    except ImportError as error:
        raise ToolError(
            f"the emulator unicorn cannot be loaded: {error}", hint="pip install unicorn"
        ) from None


def functions() -> Any:
    """The module that holds unicorn's C library (`uclib`) and the ctypes of its functions."""
    return importlib.import_module("unicorn.unicorn_py3.unicorn")
