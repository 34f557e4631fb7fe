"""A graph while a pass rewrites it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mcugrad.graph.graph import Graph
from mcugrad.graph.node import Node, Operator
from mcugrad.graph.tensor import Tensor


class Draft:
    """A forward graph that is changed in place: a change takes as long as what it touches, not as the graph is large.

    Nodes keep their place in the order.

    Attributes:
        output: name of the output.
    """

    def __init__(self, graph: Graph) -> None:
        self.output = graph.output
        self._graph = graph
        self._nodes = {n.name: n for n in graph.nodes}
        self._places = {n.name: i for i, n in enumerate(graph.nodes)}
        self._tensors = dict(graph.tensors)
        self._producers: dict[str, str] = {}
        self._readers: dict[str, list[str]] = {}
        for node in graph.nodes:
            self._link(node)

    def __getitem__(self, tensor: str) -> Tensor:
        return self._tensors[tensor]

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def node(self, name: str) -> Node | None:
        """A node by its name; None if it is not there any more."""
        return self._nodes.get(name)

    def place(self, node: Node) -> int:
        """Grows from node to node in order."""
        return self._places[node.name]

    def producer(self, tensor: str) -> Node | None:
        """The node that defines a tensor; None for the input and for constants."""
        name = self._producers.get(tensor)
        return None if name is None else self._nodes[name]

    def readers(self, tensor: str) -> list[Node]:
        """The nodes that read a tensor, as often as they do, in no order."""
        return [self._nodes[name] for name in self._readers.get(tensor, ())]

    def change(self, tensor: str, **changes: Any) -> None:
        """Change fields of a tensor."""
        self._tensors[tensor] = replace(self._tensors[tensor], **changes)

    def put(self, node: Node) -> None:
        """Put a node in the place of the one of the same name."""
        self._unlink(self._nodes[node.name])
        self._nodes[node.name] = node
        self._link(node)

    def bypass(self, node: Operator, x: str) -> None:
        """Remove a node: what read its output reads `x`."""
        self._unlink(self._nodes.pop(node.name))
        for name in dict.fromkeys(self._readers.pop(node.y, ())):
            reader = self._nodes[name].renamed({node.y: x})
            self._nodes[name] = reader
            self._readers.setdefault(x, []).extend([name] * reader.inputs.count(x))
        if self.output == node.y:
            self.output = x

    def graph(self) -> Graph:
        """The graph as it is now, without tensors that no node touches."""
        made = replace(
            self._graph, nodes=tuple(self._nodes.values()), tensors=self._tensors, output=self.output
        )
        return made.without_unused()

    def _link(self, node: Node) -> None:
        self._producers.update(dict.fromkeys(node.outputs, node.name))
        for tensor in node.inputs:
            self._readers.setdefault(tensor, []).append(node.name)

    def _unlink(self, node: Node) -> None:
        for tensor in node.outputs:
            del self._producers[tensor]
        for tensor in node.inputs:
            self._readers[tensor].remove(node.name)
