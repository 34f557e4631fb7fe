"""Nodes of the backward pass and of updates: they are made for one precision, and write their own calls."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from mcugrad.builders.program import ProgramBuilder
from mcugrad.graph import Graph, Node


@dataclass(frozen=True, kw_only=True)
class BackwardNode(Node):
    """A node of the backward pass or of an update."""

    CHANGES_STATE: ClassVar[bool] = False
    """Whether it stays although nothing reads its outputs."""

    def macs(self, graph: Graph) -> int:
        """Multiply-accumulates for one sample, none skipped: 0 for what multiplies no weights or maps."""
        return 0

    @abstractmethod
    def lower(self, to: ProgramBuilder) -> None:
        """Add the kernel calls."""
