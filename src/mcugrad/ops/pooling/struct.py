"""The constants of pooling as C sees them."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from mcugrad.ops.pooling.window import PoolWindow
from mcugrad.program import Struct


@dataclass(frozen=True)
class Pool2dStruct(PoolWindow, Struct):
    """`mcg_pool2d_t`."""

    @classmethod
    def ctype(cls) -> str:
        return "mcg_pool2d_t"

    @classmethod
    def of(cls, window: PoolWindow) -> Pool2dStruct:
        """That of a layer, from its geometry."""
        return cls(*astuple(window))
