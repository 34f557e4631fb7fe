"""The one place where unicorn is imported: untyped, optional, and slow to load."""

from __future__ import annotations

import ctypes
import importlib
from pathlib import Path
from typing import Any

from mcugrad import toolchain
from mcugrad.errors import ToolError


def unicorn() -> Any:
    """The module `unicorn` with its constants. Raises ToolError when it is not installed."""
    try:
        module = importlib.import_module("unicorn")
        importlib.import_module("unicorn.arm_const")
        return module
    except (ImportError, OSError) as error:  # not there, or there without the library that it needs
        raise ToolError(
            f"the emulator unicorn cannot be loaded: {error}",
            hint="pip install unicorn, with --force-reinstall if it is there",
        ) from None


def functions() -> Any:
    """The module that holds unicorn's C library (`uclib`) and the ctypes of its functions."""
    return importlib.import_module("unicorn.unicorn_py3.unicorn")


def add_native_hook(engine: Any, kind: int, source: Path, function: str, state: ctypes.Structure) -> object:
    """Builds `source` for this computer and has unicorn call its `function` with the address of `state`.

    Returns: what must stay alive as long as `engine`, beside `state`. Raises ToolError without a compiler.
    """
    compiler = (toolchain.host_compilers() or ("zig",))[0]
    library = ctypes.CDLL(str(toolchain.build_shared([source], compiler=compiler, native=False)))
    binding = functions()
    handle = binding.uc_hook_h()
    status = binding.uclib.uc_hook_add(
        engine._uch,
        ctypes.byref(handle),
        kind,
        ctypes.cast(getattr(library, function), ctypes.c_void_p),
        ctypes.cast(ctypes.byref(state), ctypes.c_void_p),
        ctypes.c_uint64(1),  # begin > end: at every address
        ctypes.c_uint64(0),
    )
    if status != 0:
        raise binding.UcError(status)
    return library
