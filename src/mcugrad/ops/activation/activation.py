"""Activation: functions of one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mcugrad.arithmetic import F32
from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator, Shape
from mcugrad.ops.activation.curves import Function, curve

STEEPEST = 1.99
"""In int8, slopes are stored in 2^-14 as int16."""
BOUNDS: dict[Function, tuple[float | None, float | None]] = {
    Function.SIGMOID: (-8.0, 8.0),
    Function.TANH: (-4.0, 4.0),
    Function.HARD_SWISH: (-3.0, None),
    Function.SILU: (-10.0, None),
    Function.GELU: (-4.5, None),
    Function.GELU_TANH: (-4.5, None),
    Function.ELU: (-8.0, None),
    Function.SOFTPLUS: (-8.0, None),
}
"""Beyond these inputs a function changes by less than 7e-4."""


@dataclass(frozen=True, kw_only=True)
class Activation(Operator):
    """y = function(x), element by element.

    Attributes:
        function: which function.
        alpha: of ELU and HardSigmoid; unused by others.
        beta: of HardSigmoid; unused by others.
        codes: y for x = -128 to 127 where a file has its own table, in the scale that it gives y: they hold while
            the scale of x is constant. Empty where there is none.
    """

    x: str
    function: Function
    alpha: float = 1.0
    beta: float = 0.5
    codes: tuple[int, ...] = ()

    INPUTS = ("x",)
    passes_scale = False
    keeps_channels = True

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """Inputs beyond which the function is flat, or as good as that."""
        if self.function is Function.HARD_SIGMOID:
            ends = (
                sorted((end - self.beta) / self.alpha for end in (0.0, 1.0)) if self.alpha else (None, None)
            )
            return ends[0], ends[1]
        return BOUNDS[self.function]

    def shape(self, *inputs: Shape) -> Shape:
        if self.function in (Function.ELU, Function.HARD_SIGMOID) and not abs(self.alpha) <= STEEPEST:
            raise ModelError(
                f"alpha = {self.alpha:g}: slopes of tables must stay within +-{STEEPEST:g}",
                where=self.title,
                hint="a smaller alpha",
            )
        return inputs[0]

    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        return curve(self.function, inputs[0].astype(F32), F32(self.alpha), F32(self.beta))[0]

    def macs(self, graph: Graph) -> int:
        return 0

    def describe(self, graph: Graph) -> str:
        return f"{self.function.name.lower()}  {'x'.join(map(str, graph[self.y].shape))}"
