"""What an operator's gradient rule writes into: new nodes of the same graph."""

from __future__ import annotations

from dataclasses import replace

from mcugrad.graph.graph import Graph
from mcugrad.graph.node import Node
from mcugrad.graph.tensor import ErrorScale, Tensor


class GradientBuilder:
    """Collects the backward pass of a graph.

    Attributes:
        graph: the quantized forward graph, plus the error tensors asked for so far.
        nodes: backward nodes so far, in order of execution.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Node] = []

    def add(self, node: Node) -> None:
        """Append a backward node."""
        self.nodes.append(node)

    def error_of(self, tensor: str, like: str = "") -> str | None:
        """Define the error tensor of an activation.

        Args:
            tensor: the activation.
            like: an error tensor whose unit c it shares, because the values only move; else it gets its own.

        Returns:
            Name of the error tensor; None where no layer with weights precedes, so that no error is needed.
        """
        carrier = self.carrier(tensor)
        if carrier is None:
            return None
        name = f"{tensor}_e"
        owner = name
        if like:
            quant = self.graph[like].quant
            assert isinstance(quant, ErrorScale)
            owner = quant.owner
        error = Tensor(name=name, shape=self.graph[tensor].shape, quant=ErrorScale(carrier, owner))
        self.graph = self.graph.with_tensors(error)
        return name

    def carrier(self, tensor: str) -> str | None:
        """The weight tensor of the layer that an error of `tensor` goes back to, through pooling and flattening."""
        while (node := self.graph.producer(tensor)) is not None:
            weights = getattr(node, "w", None)
            if isinstance(weights, str):
                return weights
            tensor = node.inputs[0]
        return None

    def finish(self) -> Graph:
        """The graph with the backward nodes appended."""
        return replace(self.graph, nodes=(*self.graph.nodes, *self.nodes))
