"""The nodes of an ONNX model whose functions are written out, counted before that is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import onnx

from mcugrad.errors import ModelError

_Key = tuple[str, str, str]


def nodes_written_out(proto: onnx.ModelProto) -> int:
    """Nodes of a model whose functions are all written out, counted without doing so.

    Raises:
        ModelError: a function calls itself.
    """
    functions = {(f.domain, f.name, f.overload): f for f in proto.functions}
    counts: dict[_Key, int] = {}
    begun: dict[_Key, Counter[_Key]] = {}
    for start in functions:
        pending = [start]
        while pending:
            key = pending[-1]
            if key in counts:
                pending.pop()
            elif key in begun:  # what it calls is counted by now
                counts[key] = _total(begun[key], counts)
            else:
                begun[key] = Counter(_key(n) for n in _nodes(functions[key].node))
                called = [k for k in begun[key] if k in functions and k not in counts]
                if any(k in begun for k in called):
                    raise ModelError(
                        f"the function {key[1]} calls itself", where=key[1], hint="export without functions"
                    )
                pending += called
    return _total(Counter(_key(n) for n in _nodes(proto.graph.node)), counts)


def _total(called: Counter[_Key], counts: dict[_Key, int]) -> int:
    return sum(times * counts.get(key, 1) for key, times in called.items())


def _key(node: onnx.NodeProto) -> _Key:
    return node.domain, node.op_type, node.overload


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Nodes with those of the graphs in their attributes."""
    pending = list(nodes)
    while pending:
        node = pending.pop()
        yield node
        for attribute in node.attribute:
            for graph in (
                (attribute.g, *attribute.graphs) if attribute.graphs or attribute.HasField("g") else ()
            ):
                pending += graph.node
