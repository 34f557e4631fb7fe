"""Clip saturating: clip what a saturating function reads where the function is flat, so that no code is spent beyond.

1. The layer before gets the bounds as its fused clip, if tabulated functions are its only readers.
2. Where several functions read it, the widest bounds count; a clip that is there already stays.
3. Only what computes in int8 has codes to save: a float32 layer keeps its values.
4. Outside the bounds a function changes by less than half a step of its table, see `BOUNDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from mcugrad.graph import Graph, Operator, Precision
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.core.activated import Activated

Choose = Callable[[Iterable[float]], float]


def clip_saturating(graph: Graph) -> Graph:
    """The same float graph with such clips."""
    return graph.with_nodes(_clipped(graph, n) if isinstance(n, Operator) else n for n in graph.nodes)


def _clipped(graph: Graph, node: Operator) -> Operator:
    if not isinstance(node, Activated) or node.precision is not Precision.INT8:
        return node
    readers = graph.consumers(node.y)
    functions = [n for n in readers if isinstance(n, Activation)]
    if not functions or len(functions) < len(readers) or node.y == graph.output:
        return node
    lows, highs = zip(*(n.bounds for n in functions), strict=True)
    low, high = _widest(lows, min), _widest(highs, max)
    return replace(node, low=_tightest(node.low, low, max), high=_tightest(node.high, high, min))


def _widest(ends: tuple[float | None, ...], choose: Choose) -> float | None:
    return choose(e for e in ends if e is not None) if None not in ends else None


def _tightest(a: float | None, b: float | None, choose: Choose) -> float | None:
    known = [e for e in (a, b) if e is not None]
    return choose(known) if known else None
