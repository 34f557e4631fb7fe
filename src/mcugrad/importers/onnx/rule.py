"""How one ONNX operator is read. Each room of operators ends with its rules; `operators.RULES` is all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from mcugrad.importers.shared.flow import Flow


def fine(node: ir.Node) -> str:
    """Always possible."""
    return ""


@dataclass(frozen=True)
class Rule:
    """How an ONNX operator is read.

    Attributes:
        problem: why a node cannot be translated, by its attributes and constants alone; empty if it can.
        translate: adds its nodes, given the builder, the node and what it reads; the value that it computes, or one
            for each output.
        data: whether its constants are numbers that must be finite.
        reads: which inputs may be computed: the `first`, any `one`, or `any` number of them.
        last: whether only what keeps all values may follow.
        raw: whether it may work on the integers between QuantizeLinear and DequantizeLinear.
    """

    problem: Callable[[ir.Node], str]
    translate: Callable[..., Flow | tuple[Flow, ...]]
    data: bool = False
    reads: Literal["first", "one", "any"] = "first"
    last: bool = False
    raw: bool = False
