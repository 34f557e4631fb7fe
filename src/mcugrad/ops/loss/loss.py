"""What losses have in common: they turn outputs, and what these should be, into the error of the outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcugrad.builders.node import BackwardNode
from mcugrad.graph import Graph, Precision
from mcugrad.ops.core.beside import beside
from mcugrad.program import segment

if TYPE_CHECKING:
    from mcugrad.builders.program import ProgramBuilder


@dataclass(frozen=True, kw_only=True)
class LossNode(BackwardNode):
    """A loss: what it is, in any precision. How it is computed lies beside it.

    Attributes:
        y: the outputs.
        e: their error.
        precision: what both are.
    """

    y: str
    e: str
    precision: Precision

    INPUTS = ("y",)
    OUTPUTS = ("e",)

    def macs(self, graph: Graph) -> int:
        return graph[self.y].size

    def lower(self, to: ProgramBuilder) -> None:
        to.enter(segment.LOSS)
        lower_beside(self, self.precision, to)


def lower_beside(node: BackwardNode, precision: Precision, to: ProgramBuilder) -> None:
    """Add the kernel calls of a node as what lies beside it says."""
    how = beside(type(node), precision)
    assert how is not None, node.title
    how(of=node).lower(to)


@dataclass(frozen=True, kw_only=True)
class LossComputation(ABC):
    """A loss, computed in one precision.

    Attributes:
        of: the loss.
    """

    of: BackwardNode

    @abstractmethod
    def lower(self, to: ProgramBuilder) -> None:
        """Add the kernel calls."""
