"""How far ahead of its input the output of a depthwise convolution has to begin, to be written over it.

Each channel reads itself alone, and rows of outputs are made one after the other. So a row of outputs may be written
over all rows of the input but those that its own windows and later ones begin with, channel over channel.
"""

from __future__ import annotations

from mcugrad.ops.convolution.planes import served
from mcugrad.ops.convolution.struct import Conv2dStruct


def lead(g: Conv2dStruct) -> int:
    """Elements by which outputs have to begin before inputs, whole pixels."""
    in_row, out_row = g.in_w * g.in_c, g.out_w * g.out_c
    return max(
        (row + 1) * out_row - min(max(row * g.stride_h - g.pad_top, 0), g.in_h) * in_row
        for row in range(g.out_h)
    )


def pays(g: Conv2dStruct) -> bool:
    """Whether outputs that begin so far ahead and inputs have bytes in common."""
    return g.in_c == g.out_c and 0 < lead(g) < g.out_h * g.out_w * g.out_c


def lead_s8(g: Conv2dStruct) -> int:
    """Bytes, of int8."""
    return lead(g)


def pays_s8(g: Conv2dStruct) -> bool:
    """The same where bodies take four channels at a time: each of them once, and no column before another."""
    axes = served(g)
    return pays(g) and g.in_c % 4 == 0 and (axes is None or not axes.turned)


def lead_f32(g: Conv2dStruct) -> int:
    """Bytes, of float32."""
    return 4 * lead(g)
