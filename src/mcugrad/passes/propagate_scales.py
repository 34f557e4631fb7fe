"""Propagate scales: make the scales that a file gives fit the operators. Graphs without any stay as they are.

1. An operator that passes its input's scale on hands a scale given to its output up to what computes the values.
2. Where that has another scale already, the output is rescaled behind the operator.
3. When the graph is folded, scales follow their operators: they are passed on, know the fused activation function,
   and those of tabulated functions follow from their input's.
"""

from __future__ import annotations

from dataclasses import replace

from mcugrad.graph import ActivationScale, Graph, Operator, Tensor
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.activation.activation_s8 import ActivationS8
from mcugrad.ops.activation.clip import Clip
from mcugrad.ops.core.activated import Activated


def propagate_scales(graph: Graph) -> Graph:
    """Move the scales that a file gives to where values are computed."""
    for tensor in [t for n in graph.nodes for t in n.outputs]:
        node = graph.producer(tensor)  # as it is by now: it may read what rescales its input
        if not isinstance(node, Operator) or not node.passes_scale:
            continue
        given = graph[node.y].quant
        if not isinstance(given, ActivationScale):
            continue
        graph = graph.changed(node.y, quant=None)
        root = source_of(graph, node.inputs[0])
        found = graph[root].quant
        if found is None:
            graph = graph.changed(root, quant=replace(given, owner=root))
        elif (found.scale, found.zero) != (given.scale, given.zero):  # type: ignore[union-attr]
            graph = _rescaled(graph, node, given)
    return graph


def settle(graph: Graph) -> Graph:
    """Rule 3."""
    for node in graph.nodes:
        if not isinstance(node, Operator) or not node.inputs:
            continue
        y, x = graph[node.y].quant, graph[node.inputs[0]].quant
        if node.passes_scale:
            graph = graph.changed(node.y, quant=node.passed(x) if isinstance(x, ActivationScale) else x)
        elif isinstance(node, Activation):
            given = y if isinstance(y, ActivationScale) else None
            known = isinstance(x, ActivationScale)
            graph = graph.changed(node.y, quant=ActivationS8(of=node).form(graph, given) if known else None)
        elif isinstance(y, ActivationScale) and isinstance(node, Activated):
            quant = replace(y, owner=node.y, low=node.low, high=node.high)
            graph = graph.changed(node.y, quant=quant)
    return graph


def source_of(graph: Graph, tensor: str) -> str:
    """What computes the values of a tensor that were only moved since; it owns their scale."""
    node = graph.producer(tensor)
    while isinstance(node, Operator) and node.passes_scale:
        tensor = node.inputs[0]
        node = graph.producer(tensor)
    return tensor


def _rescaled(graph: Graph, node: Operator, given: ActivationScale) -> Graph:
    """The graph with a change of scale behind a node: those that read its output read that of the new node."""
    name = f"{node.name}_rescale"
    layer = Clip(name=name, source=node.source, x=node.y, y=f"{name}_y")
    nodes = []
    for n in graph.nodes:
        nodes.append(n if n is node or node.y not in n.inputs else n.renamed({node.y: layer.y}))
        if n is node:
            nodes.append(layer)
    quant = replace(given, owner=layer.y)
    graph = graph.with_nodes(nodes).with_tensors(Tensor(layer.y, graph[node.y].shape, quant=quant))
    return replace(graph, output=layer.y if graph.output == node.y else graph.output)
