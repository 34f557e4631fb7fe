"""Kernels: C functions of the runtime, each with the Python reference it must equal to the last bit.

The C header states a kernel's parameters once; they are read from there, so that the two cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mcugrad.abi.headers import Param, prototypes


@dataclass(frozen=True)
class Kernel:
    """A C function of the runtime.

    Attributes:
        name: function name, also the name of its C file.
        reference: Python function with the same parameters in the same order; it writes into the NumPy
            arrays it is given where C writes through a pointer that is not const, and returns the status that C does,
            if that returns one.
    """

    name: str
    reference: Callable[..., int | None]

    @property
    def params(self) -> tuple[Param, ...]:
        """Parameters in order, as the C header declares them."""
        return prototypes()[self.name]
