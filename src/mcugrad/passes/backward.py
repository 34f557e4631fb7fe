"""Backward: derive the backward pass as ordinary nodes of the same graph.

1. The loss turns logits and label into the output error.
2. Layer by layer, last first, each operator's gradient rule adds what carries the error back and what updates.
3. Scales of tracked activations follow at the end of the step, when nothing reads them any more.
"""

from __future__ import annotations

from mcugrad.graph import Graph, Operator
from mcugrad.graph.gradient import GradientBuilder
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
        error = f"{node.y}_e"
        if error in to.graph.tensors:
            node.gradient(to, error)
    for name, tensor in graph.tensors.items():
        if tensor.tracked:
            to.add(TrackScale(name=f"{name}_track", y=name))
    to.add(NextStep(name="next_step"))
    return to.finish()
