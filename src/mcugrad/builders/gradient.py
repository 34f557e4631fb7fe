"""What an operator's gradient rule writes into: new nodes of the same graph."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from mcugrad.graph.graph import Graph
from mcugrad.graph.node import Node, Operator
from mcugrad.graph.tensor import ErrorScale, Float32, Tensor

FLAT = ""
"""The carrier of an error that has one scale for all channels."""


class GradientBuilder:
    """Collects the backward pass of a graph.

    Attributes:
        graph: the quantized forward graph, plus the error tensors asked for so far.
        nodes: backward nodes so far, in order of execution.
        updates_from: error that a layer is updated from, by its name, where it is not the error sent back.
        before_updates: what comes between sending an error back and updating a layer, by its name.
        fixed: names of layers of which the same channels are updated in every step.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Node] = []
        self.updates_from: dict[str, str] = {}
        self.before_updates: dict[str, Node] = {}
        self.fixed: set[str] = set()
        self._parts: dict[str, list[str]] = {}
        self._uses = Counter(t for n in graph.nodes for t in n.inputs)
        self._carriers: dict[str, str | None] = {}
        for node in graph.nodes:
            self._carriers.update(dict.fromkeys(node.outputs, self._carrier_behind(node)))

    def add(self, node: Node) -> None:
        """Append a backward node."""
        self.nodes.append(node)

    def error_of(self, tensor: str, like: str = "") -> str | None:
        """Define the error of an activation as one consumer sees it.

        Args:
            tensor: the activation.
            like: an error tensor whose unit c it shares, because the values only move; else it gets its own.

        Returns:
            Name of the error tensor; None where no layer with weights precedes, so that no error is needed. Float
            activations always have one: what nobody needs is pruned later.
        """
        parts = self._parts.setdefault(tensor, [])
        name = f"{tensor}_e" if self._uses[tensor] <= 1 else f"{tensor}_e{len(parts) + 1}"
        if self._define(tensor, name, like) is None:
            return None
        parts.append(name)
        return name

    def parts(self, tensor: str) -> list[str]:
        """Errors of an activation defined so far, one per consumer."""
        return self._parts.get(tensor, [])

    def sum_of(self, tensor: str, count: int) -> str:
        """Define the sum of the first `count` errors of an activation; the sum of all of them is its error."""
        last = count == len(self.parts(tensor))
        name = self._define(tensor, f"{tensor}_e" if last else f"{tensor}_e_sum{count}", "")
        assert name is not None
        return name

    def moved(self, name: str, e: str, tensor: str) -> str:
        """Define an error in the shape of `tensor` that has the unit and the scale of another: it only moved."""
        quant = self.graph[e].quant
        assert isinstance(quant, ErrorScale)
        self.graph = self.graph.with_tensors(Tensor(name=name, shape=self.graph[tensor].shape, quant=quant))
        return name

    def kept(self, e: str, channels: int, *, rescaled: bool, what: str = "kept") -> str:
        """Define the part of an error that takes part in an update.

        Args:
            e: the error.
            channels: how many at most.
            rescaled: whether it has a unit of its own, if it has one at all.
            what: end of its name.
        """
        whole = self.graph[e]
        quant = whole.quant
        name = f"{e}_{what}"
        if rescaled and isinstance(quant, ErrorScale):
            quant = replace(quant, owner=name)
        part = Tensor(name=name, shape=(*whole.shape[:-1], channels), quant=quant)
        self.graph = self.graph.with_tensors(part)
        return name

    def carrier(self, tensor: str) -> str | None:
        """The weight tensor whose channel scales an error of `tensor` carries.

        It is that of the first layer with weights on the way back, past operators that keep channels apart. FLAT
        where channels are mixed or counted differently on the way, None where there is no such layer.
        """
        return self._carriers.get(tensor)

    def carried_by(self, error: str) -> str:
        """The weight tensor whose channel scales an int8 error carries; FLAT where it carries none."""
        quant = self.graph[error].quant
        assert isinstance(quant, ErrorScale), error
        return quant.carrier

    def _carrier_behind(self, node: Node) -> str | None:
        """The carrier of what a node computes; those of its inputs are known."""
        assert isinstance(node, Operator)
        if node.error_carrier is not None:
            return node.error_carrier
        found = next((c for t in node.inputs if (c := self._carriers.get(t)) is not None), None)
        if not found:
            return found
        shape, channels = self.graph[node.y].shape, self.graph[found].shape[0]
        fits = shape[-1] == channels if len(shape) > 1 else shape[0] % channels == 0
        return found if node.keeps_channels and fits else FLAT

    def finish(self) -> Graph:
        """The graph with the backward nodes appended."""
        return replace(self.graph, nodes=(*self.graph.nodes, *self.nodes))

    def _define(self, tensor: str, name: str, like: str) -> str | None:
        if isinstance(self.graph[tensor].quant, Float32):
            real = Tensor(name=name, shape=self.graph[tensor].shape, quant=Float32())
            self.graph = self.graph.with_tensors(real)
            return name
        carrier = self.carrier(tensor)
        if carrier is None:
            return None
        owner = name
        if like:
            quant = self.graph[like].quant
            assert isinstance(quant, ErrorScale)
            owner = quant.owner
        error = Tensor(name=name, shape=self.graph[tensor].shape, quant=ErrorScale(carrier, owner))
        self.graph = self.graph.with_tensors(error)
        return name
