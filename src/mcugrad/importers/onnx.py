"""ONNX files as graphs. Nothing else in mcugrad sees ONNX.

The batch disappears, and maps become (height, width, channels), as on the device. What has no effect on a trained
network's choice of class is left out: Dropout, Identity, Cast, a softmax at the end. Operators: `_operators.RULES`.
Nodes get short C identifiers (conv1, pool1, fc1) and remember what the file calls them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir

from mcugrad.errors import ModelError
from mcugrad.graph import Graph
from mcugrad.importers._builder import Builder, Flow, at, computed, floats, label
from mcugrad.importers._names import identifier
from mcugrad.importers._operators import HINTS, KEEPS_VALUES, RULES
from mcugrad.importers._read import Source, guarded, read
from mcugrad.importers._vectors import enters_last

INPUT = "input"


def load_onnx(source: str | Path | bytes, *, name: str | None = None) -> Graph:
    """Read an ONNX model as a float graph.

    Args:
        source: path, or the file's contents.
        name: model name; by default the file's name, or for bytes the graph's.

    Returns:
        A chain of Conv2d, Linear, MaxPool2d, Flatten, BatchNorm and Clip from an input of shape
        (height, width, channels) or (features,) to an output of shape (classes,).

    Raises:
        ModelError: the file is missing or damaged, operators are not supported (all are listed), weights are not
            finite or not constant, shapes do not match.
    """
    found = read(source)
    stem = name or (found.model.graph.name if isinstance(source, bytes) else Path(source).stem)
    return guarded(found.label, "cannot be translated", lambda: _translate(found, identifier(stem or "")))


def _translate(source: Source, name: str) -> Graph:
    nodes = list(source.model.graph)
    if not nodes:
        raise ModelError(
            "the graph is empty: nothing lies between input and output",
            where=source.label,
            hint="export the whole network",
        )
    _check_operators(nodes)
    kinds = _check_values(nodes)
    last = len(source.shape) == 4 and enters_last(nodes, source.shape)
    shape = source.shape[1:]
    if len(shape) == 3 and not last:
        shape = (*shape[1:], shape[0])
    to = Builder(INPUT, shape, source.batch or 1)
    x = Flow(INPUT, last=last)
    for node in nodes:
        x = RULES[node.op_type].translate(to, node, x)
    if not to.nodes:
        raise ModelError(
            "the graph is empty: no node computes anything",
            where=source.label,
            hint="export the whole network",
        )
    _check_output(to, x, nodes[-1])
    notes = [*source.notes, *to.notes]
    if len(shape) == 3 and shape[2] > 1 and not last:
        size = ", ".join(map(str, shape))
        notes.append(f"the device takes its input channels last, ({size}): x.transpose(0, 2, 3, 1)")
    if kinds:
        notes.append(f"weights converted from {' and '.join(kinds)} to float32")
    graph = Graph(name=name, nodes=tuple(to.nodes), tensors=to.tensors, input=INPUT, output=x.tensor)
    return graph.noted(*notes)


def _check_operators(nodes: list[ir.Node]) -> None:
    """Refuse what cannot be translated, all at once."""
    problems = []
    hints = []
    for index, node in enumerate(nodes):
        reason = _problem(node, nodes[index + 1 :])
        if reason:
            problems.append(f"{at(node)}: {reason}")
            hints.append(HINTS.get(node.op_type, ""))
    if problems:
        what = "1 node" if len(problems) == 1 else f"{len(problems)} of {len(nodes)} nodes"
        raise ModelError(
            f"{what} cannot be translated",
            where=";  ".join(problems),
            hint="; ".join(dict.fromkeys(h for h in hints if h)) or f"supported are {', '.join(RULES)}",
        )


def _problem(node: ir.Node, later: list[ir.Node]) -> str:
    rule = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if rule is None:
        return f"operator of {node.domain} is not supported" if node.domain else "operator is not supported"
    variable = computed(node)
    if not variable:
        return "does not depend on the input"
    if rule.both and len(variable) > 1:
        return "joins two branches; only a chain of layers is supported"
    if not rule.both and variable != [0]:
        names = ", ".join(
            str(v.name) for i, v in enumerate(node.inputs) if v is not None and i in variable and i
        )
        return f"{names} is computed; weights and options must be constant"
    if any(v.uses() or v.is_graph_output() for v in node.outputs[1:]):
        return "its second output is used"
    if rule.last and not all(n.op_type in KEEPS_VALUES for n in later):
        return "only supported at the end"
    return rule.problem(node)


def _check_values(nodes: list[ir.Node]) -> list[str]:
    """Refuse weights that are not finite; other types than float32 that were found."""
    bad: dict[str, str] = {}
    kinds: dict[str, None] = {}
    for node in nodes:
        for value in node.inputs if RULES[node.op_type].data else ():
            if value is None or value.const_value is None:
                continue
            if value.const_value.dtype != ir.DataType.FLOAT:
                kinds[value.const_value.dtype.name.lower()] = None
            contents = floats(value)
            count = int((~np.isfinite(contents)).sum())
            if count:
                bad[str(value.name)] = f"{value.name} of {label(node)}: {count} of {contents.size}"
    if bad:
        what = "1 weight tensor holds" if len(bad) == 1 else f"{len(bad)} weight tensors hold"
        raise ModelError(
            f"{what} NaN or infinite values",
            where=";  ".join(bad.values()),
            hint="train again with a lower learning rate, or export an earlier checkpoint",
        )
    return list(kinds)


def _check_output(to: Builder, x: Flow, last: ir.Node) -> None:
    shape = to.onnx_shape(x)
    if len(shape) != 2:
        raise ModelError(
            f"the output is a {shape} map; one vector of class scores is needed",
            where=at(last),
            hint="Flatten and a fully connected layer at the end",
        )
    if x.order is not None:
        raise ModelError(
            f"the output is a flattened map of {shape[1]} values, which the device has in another order",
            where=at(last),
            hint="a fully connected layer at the end",
        )
