"""The constants of convolutions as C sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace

from mcugrad.ops.core.window import Window
from mcugrad.program import Struct


@dataclass(frozen=True)
class Conv2dStruct(Window, Struct):
    """`mcg_conv2d_t`. Zero points are 0 where values are real numbers."""

    x_zero: int = 0
    y_zero: int = 0

    @classmethod
    def ctype(cls) -> str:
        return "mcg_conv2d_t"

    @classmethod
    def of(cls, window: Window, x_zero: int = 0, y_zero: int = 0) -> Conv2dStruct:
        """That of a layer, from its geometry."""
        values = (*astuple(window), x_zero, y_zero)
        return cls(*values)


def group_slices(g: Conv2dStruct, groups: int) -> Iterator[tuple[Conv2dStruct, slice, slice]]:
    """Constants of one group's convolution, its input channels and its output channels, for every group."""
    inner, outer = g.in_c // groups, g.out_c // groups
    for i in range(groups):
        one = replace(g, in_c=inner, out_c=outer)
        yield one, slice(i * inner, (i + 1) * inner), slice(i * outer, (i + 1) * outer)
