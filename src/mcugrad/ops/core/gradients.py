"""Errors that pass as they are, in any precision."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.builders.node import BackwardNode
from mcugrad.builders.program import ProgramBuilder


@dataclass(frozen=True, kw_only=True)
class ErrorAlias(BackwardNode):
    """The error of `x` is that of `y`, byte for byte."""

    e: str
    e_x: str

    INPUTS = ("e",)
    OUTPUTS = ("e_x",)

    def lower(self, to: ProgramBuilder) -> None:
        to.alias(self.e_x, self.e)
