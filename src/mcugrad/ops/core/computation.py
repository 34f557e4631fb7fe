"""How operators are computed: in which form values are stored, which kernels are called, how errors go back.

The operator says what it is, the same in every precision. How it is computed is another class beside it, one for each
precision, and the name of the file says which: `Linear` of `linear.py` in int8 is `LinearS8` of `linear_s8.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import ActivationScale, Float32, Graph, Operator, Precision, Tensor, WeightScale
from mcugrad.ops.core.beside import beside


@dataclass(frozen=True, kw_only=True)
class Computation(ABC):
    """An operator, computed in one precision.

    Attributes:
        of: the operator.
    """

    of: Operator

    @property
    def name(self) -> str:
        """That of the node."""
        return self.of.name

    @property
    def y(self) -> str:
        """The tensor that it computes."""
        return self.of.y

    def macs(self, graph: Graph) -> int:
        """Multiply-accumulates for one sample."""
        return self.of.macs(graph)

    def describe(self, graph: Graph) -> str:
        """What it does in a few words."""
        return self.of.describe(graph)

    @property
    @abstractmethod
    def needs_range(self) -> bool:
        """Whether the scale of `y` has to be given: it follows from no other, and there is one."""

    @abstractmethod
    def form(self, graph: Graph, given: ActivationScale | None) -> ActivationScale | Float32:
        """How `y` is stored.

        Args:
            graph: where the inputs have their form.
            given: scale of `y` from a file or from samples; None where there is none.
        """

    @abstractmethod
    def weight_form(self, weights: Tensor) -> WeightScale | Float32:
        """How weights are stored, if there are any."""

    @abstractmethod
    def gradient(self, to: GradientBuilder, e: str) -> None:
        """Add the nodes that carry the error `e` of `y` back to the inputs and update the constants."""

    @abstractmethod
    def lower(self, to: ProgramBuilder) -> None:
        """Add the kernel calls."""


def computation(node: Operator) -> Computation:
    """How a node is computed, in the precision that it was given."""
    assert node.precision is not None, node.name
    kind = computed_by(type(node), node.precision)
    assert kind is not None, node.title
    return kind(of=node)


def computed_by(operator: type[Operator], precision: Precision) -> type[Computation] | None:
    """What computes an operator in a precision; None where there is no such file."""
    return beside(operator, precision)
