"""Assign precision: say of every operator what it computes in, before any range is looked for or scale made.

1. `int8`: every operator.
2. `float32`: every operator; the input, which alone has a scale, is brought from int8 to real units first.
3. `mixed`: float32 for layers that train, and what depends on them; before that everything is int8 and frozen in flash.
   Each int8 activation that a float32 operator reads is brought to real units once.
4. Scales that a file gives to what is computed in float32 are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator, Precision, Tensor
from mcugrad.ops.core.computation import computed_by
from mcugrad.ops.core.dequantize import Dequantize
from mcugrad.ops.core.weighted import Weighted
from mcugrad.passes.freeze import Train, select

Wanted = Literal["int8", "mixed", "float32"]
"""What a user asks for."""


def assign_precision(graph: Graph, wanted: Wanted, train: Train = "all") -> Graph:
    """The same graph with a precision for each of its operators.

    Args:
        graph: folded.
        wanted: what the user asks for.
        train: which layers train, for `mixed`.

    Raises:
        UsageError: `train` names nothing.
        ModelError: operators that cannot be computed in what they are to compute in; all of them are listed.
    """
    chosen = _precisions(graph, wanted, train)
    _check(graph, chosen)
    nodes: list[Operator] = []
    real: dict[str, str] = {}
    made = {graph.input: Precision.INT8}
    for node in graph.nodes:
        assert isinstance(node, Operator)
        precision = chosen[node.name]
        if precision is Precision.FLOAT32:
            for x in node.inputs:
                if made.get(x) is Precision.INT8 and x not in real:
                    real[x] = f"{x}_real"
                    named = {"name": f"{x}_to_float", "source": node.source, "x": x, "y": real[x]}
                    nodes.append(Dequantize(**named, precision=precision))
                    graph = graph.with_tensors(Tensor(real[x], graph[x].shape))
            node = node.renamed({x: real[x] for x in node.inputs if x in real})
            graph = graph.changed(node.y, quant=None)
            if isinstance(node, Weighted):
                graph = graph.changed(node.w, quant=None)
        made[node.y] = precision
        nodes.append(replace(node, precision=precision))
    return graph.with_nodes(nodes)


def _precisions(graph: Graph, wanted: Wanted, train: Train) -> Mapping[str, Precision]:
    """By name of the node."""
    whole = Precision.FLOAT32 if wanted == "float32" else Precision.INT8
    found = {node.name: whole for node in graph.nodes}
    if wanted != "mixed":
        return found
    trained = {n.name for n in select([n for n in graph.nodes if isinstance(n, Weighted)], train)}
    moving: set[str] = set()
    for node in graph.nodes:
        if node.name in trained or moving.intersection(node.inputs):
            found[node.name] = Precision.FLOAT32
            moving.update(node.outputs)
    return found


def _check(graph: Graph, chosen: Mapping[str, Precision]) -> None:
    for precision in Precision:
        nodes = [n for n in graph.nodes if isinstance(n, Operator) and chosen[n.name] is precision]
        missing = [n for n in nodes if not computed_by(type(n), precision)]
        if missing:
            count = f"{len(missing)} operators" if len(missing) > 1 else "an operator"
            others = [p for p in Precision if all(computed_by(type(n), p) for n in missing)]
            raise ModelError(
                f"{count} cannot be computed in {precision.text}",
                where=";  ".join(n.title for n in missing),
                hint=" or ".join(f"precision={p.text!r}" for p in others) or "a network without",
            )
