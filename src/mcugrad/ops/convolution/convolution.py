"""What convolutions have in common: how they slide over a map.

Maps are (height, width, channels), weights (out, k_h, k_w, inputs that one output channel reads): a row of weights
belongs to one output channel, as update rules and scales per channel want it. A sequence is a map of height 1, so
that the one-dimensional convolutions are these with kernels (1, k).
"""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.graph import Shape
from mcugrad.ops.core.window import Pair, Window


@dataclass(frozen=True, kw_only=True)
class Sliding:
    """What slides a window of weights over a map.

    Attributes:
        stride: (vertical, horizontal).
        padding: (top, left, bottom, right), of zeros; cut off the output where the convolution is transposed.
        dilation: (vertical, horizontal).
    """

    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)

    def window(self, x: Shape, y: Shape, w: Shape) -> Window:
        """How it slides over its input, from the shapes of input, output and weights."""
        values = (*x, *y, *w[1:3], *self.stride, *self.padding[:2], *self.dilation)
        return Window(*values)

    def words(self, kind: str, function: str, x: Shape, y: Shape, w: Shape) -> str:
        """What it does in a few words: `conv 3x3/2 relu  28x28x1 -> 14x14x16`, from the same shapes."""
        down, across = self.stride
        stride = "" if down == across == 1 else f"/{down}" if down == across else f"/{down}x{across}"
        maps = " -> ".join("x".join(map(str, shape)) for shape in (x, y))
        return f"{kind} {w[1]}x{w[2]}{stride}{function}  {maps}"
