"""Prune: drop what neither the output nor an update needs. This is all that freezing a layer takes."""

from __future__ import annotations

from mcugrad.builders.node import BackwardNode
from mcugrad.graph import Graph


def prune(graph: Graph) -> Graph:
    """Remove dead nodes and the tensors that only they touched."""
    needed = {graph.output}
    kept = []
    for node in reversed(graph.nodes):
        effect = isinstance(node, BackwardNode) and node.CHANGES_STATE
        if effect or needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    return graph.with_nodes(reversed(kept)).without_unused()
