"""Graph: immutable nodes in topological order, and the tensors between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mcugrad.graph.node import Node, Operator
from mcugrad.graph.tensor import Tensor


@dataclass(frozen=True, eq=False)
class Graph:
    """A network, first in float32, then quantized, then with its backward pass: always the same type.

    Attributes:
        name: model name, a C identifier.
        nodes: in an order in which every tensor is defined before it is read.
        tensors: every tensor by name.
        input: name of the one input.
        output: name of the one output, the logits.
        notes: what importing and the passes did that the user should know, one sentence each.
        alike: layers with the same weights in the file, as one layer has that is used twice; sets of names.
    """

    name: str
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    input: str
    output: str
    notes: tuple[str, ...] = ()
    alike: tuple[tuple[str, ...], ...] = ()

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def producer(self, tensor: str) -> Node | None:
        """The node that defines a tensor; None for the input and for constants."""
        return self._index[0].get(tensor)

    def consumers(self, tensor: str) -> tuple[Node, ...]:
        """The nodes that read a tensor, in order, each once."""
        return tuple(self._index[1].get(tensor, ()))

    @cached_property
    def trained(self) -> tuple[Operator, ...]:
        """The operators of the network with something that trains, in order."""
        operators = (n for n in self.nodes if isinstance(n, Operator))
        return tuple(n for n in operators if any(self[t].trainable for t in n.inputs))

    @cached_property
    def _index(self) -> tuple[dict[str, Node], dict[str, list[Node]]]:
        """By tensor: the node that defines it, and those that read it. Looking for them would make passes quadratic."""
        producers: dict[str, Node] = {}
        consumers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for tensor in node.outputs:
                producers.setdefault(tensor, node)
            for tensor in dict.fromkeys(node.inputs):
                consumers.setdefault(tensor, []).append(node)
        return producers, consumers

    def with_nodes(self, nodes: Iterable[Node]) -> Graph:
        """The same graph with other nodes."""
        return replace(self, nodes=tuple(nodes))

    def with_tensors(self, *tensors: Tensor) -> Graph:
        """The same graph with tensors added or replaced, by name."""
        changed = replace(self, tensors={**self.tensors, **{t.name: t for t in tensors}})
        if "_index" in self.__dict__:  # the nodes are the same
            changed.__dict__["_index"] = self._index
        return changed

    def changed(self, tensor: str, **changes: Any) -> Graph:
        """The same graph with fields of one tensor changed."""
        return self.with_tensors(replace(self[tensor], **changes))

    def noted(self, *notes: str) -> Graph:
        """The same graph with notes added."""
        return replace(self, notes=self.notes + notes)

    def without_unused(self) -> Graph:
        """The same graph without tensors that no node touches."""
        used = {t for n in self.nodes for t in (*n.inputs, *n.outputs)} | {self.input, self.output}
        return replace(self, tensors={k: v for k, v in self.tensors.items() if k in used})
