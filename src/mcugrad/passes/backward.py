"""Backward: derive the backward pass as ordinary nodes of the same graph.

1. The loss turns logits and label into the output error.
2. Layer by layer, last first, each operator's gradient rule adds what carries the error back and what updates.
3. Where several consumers send errors to one activation, they are added two by two, in the order of 2.
4. Scales of tracked activations follow at the end of the step, when nothing reads them any more, and then the
   tables that depend on them.
"""

from __future__ import annotations

from mcugrad.graph import Graph, Operator
from mcugrad.graph.gradient import GradientBuilder
from mcugrad.ops.activation import Activation, RefreshTable
from mcugrad.ops.errors import ErrorSum
from mcugrad.ops.ranges import NextStep, TrackScale
from mcugrad.ops.softmax_cross_entropy import SoftmaxCrossEntropy


def backward(graph: Graph) -> Graph:
    """Append the backward pass. A graph in which nothing is trainable comes back as it is."""
    if not any(t.trainable for t in graph.tensors.values()):
        return graph
    to = GradientBuilder(graph)
    error = to.error_of(graph.output)
    assert error is not None
    to.add(SoftmaxCrossEntropy(name="loss", logits=graph.output, e=error))
    for node in reversed(graph.nodes):
        assert isinstance(node, Operator)
        error = total_error(to, node.y)
        if error is not None:
            node.gradient(to, error)
    _follow(to, graph)
    to.add(NextStep(name="next_step"))
    return to.finish()


def _follow(to: GradientBuilder, graph: Graph) -> None:
    """Scales first, for tables are made from them; tables in order, for one may depend on another."""
    tables = [n for n in graph.nodes if isinstance(n, Activation)]
    stepped = {graph[n.x].quant.owner for n in tables}  # type: ignore[union-attr]
    for name, tensor in graph.tensors.items():
        if tensor.tracked and not isinstance(graph.producer(name), Activation):
            to.add(TrackScale(name=f"{name}_track", y=name, steps=name in stepped))
    for node in tables:
        if graph[node.y].tracked:
            to.add(RefreshTable(name=f"{node.name}_refresh", forward=node, x=node.x, y=node.y))


def total_error(to: GradientBuilder, tensor: str) -> str | None:
    """The error of an activation from all its consumers; None if none sent any."""
    parts = to.parts(tensor)
    if not parts:
        return None
    total = parts[0]
    for count, part in enumerate(parts[1:], 2):
        merged = to.sum_of(tensor, count)
        to.add(ErrorSum(name=f"{merged}_sum", a=total, b=part, e=merged))
        total = merged
    return total
