"""ONNX files as graphs. Nothing else in mcugrad sees ONNX.

The batch disappears, and maps become (height, width, channels), as on the device; sequences are maps of height 1.
What has no effect on a trained network's choice of class is left out: Dropout, Identity, Cast, a softmax at the end.
Operators: `operators.RULES`. Networks that are int8 in the file keep their scales. Nodes get short C identifiers
(conv1, pool1, fc1) and remember what the file calls them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir

from mcugrad.errors import ModelError
from mcugrad.files import shown
from mcugrad.graph import Graph
from mcugrad.importers.onnx.builder import Builder, Grid, at, computed, floats, label, place
from mcugrad.importers.onnx.joins import JOINS_SAMPLES
from mcugrad.importers.onnx.operators import DOMAINS, HIDDEN, HINTS, KEEPS_VALUES, RULES, TOGETHER
from mcugrad.importers.onnx.patterns import recognise
from mcugrad.importers.onnx.quantized import prepare
from mcugrad.importers.onnx.read import Source, guarded, read
from mcugrad.importers.shared.alike import alike
from mcugrad.importers.shared.flow import Flow, Layout, layouts
from mcugrad.importers.shared.hints import STEPS, anew
from mcugrad.importers.shared.layout import first_fit, input_notes, output
from mcugrad.importers.shared.names import identifier

INPUT = "input"


def load_onnx(source: str | Path | bytes, *, name: str | None = None, label: str = "") -> Graph:
    """Read an ONNX model as a float graph.

    Args:
        source: path, or the file's contents.
        name: model name; by default the file's name, or for bytes the graph's.
        label: what messages call bytes.

    Returns:
        A graph from one input of shape (height, width, channels) or (features,) to one vector. Tensors that are int8
        in the file have their scales.

    Raises:
        ModelError: the file is missing or damaged, operators are not supported (all are listed), weights are not
            finite or not constant, shapes do not match.
    """
    found = read(source, label)
    stem = name or (found.model.graph.name if isinstance(source, bytes) else Path(shown(source)).stem)
    return guarded(found.label, "cannot be translated", lambda: _translate(found, identifier(stem or "")))


def _translate(source: Source, name: str) -> Graph:
    graph = source.model.graph
    grids, refused = prepare(graph)
    recognised = recognise(graph)
    nodes = list(graph)
    if not nodes:
        raise ModelError(
            "the graph is empty: nothing lies between input and output",
            where=source.label,
            hint="export the whole network",
        )
    _check_operators(nodes, refused)
    kinds = _check_values(nodes)
    to, output = _build(source, nodes, grids)
    if not to.nodes:
        raise ModelError(
            "the graph is empty: no node computes anything",
            where=source.label,
            hint="export the whole network",
        )
    notes = [*source.notes, *recognised, *to.notes, *input_notes(to, to.flows[graph.inputs[0]])]
    if kinds:
        notes.append(f"weights converted from {' and '.join(kinds)} to float32")
    if to.anew:
        notes.append(anew(to.anew))
    result = Graph(
        name=name,
        nodes=tuple(to.nodes),
        tensors=to.tensors,
        input=INPUT,
        output=output,
        alike=alike(to.nodes, to.tensors),
    )
    return result.noted(*notes)


def _build(source: Source, nodes: list[ir.Node], grids: dict[ir.Value, Grid]) -> tuple[Builder, str]:
    """Translate; what was made, and the output's name."""
    options = layouts(source.shape[1:], first=True)
    if len(options) == 3:
        options[1:] = options[2], options[1]  # an image without channels rather than a sequence
    return first_fit(
        options,
        lambda layout: Builder(INPUT, layout[0], source.batch or 1, grids),
        lambda to, layout: _run(to, source, nodes, layout),
    )


def _run(to: Builder, source: Source, nodes: list[ir.Node], layout: Layout) -> str:
    graph = source.model.graph
    to.flows[graph.inputs[0]] = Flow(INPUT, layout[1], raw=source.integer)
    for node in nodes:
        rule = RULES[node.op_type]
        xs = [to.flows[v] for i in computed(node) if (v := node.inputs[i]) is not None]
        if any(x.raw for x in xs) and not rule.raw:
            raise ModelError(
                f"{node.op_type} of quantized integers; real numbers are needed",
                where=at(node),
                hint="DequantizeLinear before it",
            )
        made = rule.translate(to, node, *xs)
        values = made if isinstance(made, tuple) else (made,)
        to.flows.update(zip(node.outputs, values, strict=False))
    return _output(to, graph.outputs[0], nodes[-1])


def _output(to: Builder, value: ir.Value, last: ir.Node) -> str:
    """Name of the output, a vector in the device's order."""
    if value not in to.flows:
        raise ModelError(
            f"output {value.name} does not depend on the input",
            where=at(last),
            hint="export the whole network",
        )
    x = to.flows[value]
    return output(to, place(last), x) if to.nodes else x.tensor


# -- checks --------------------------------------------------------------------------------------------------------


def _check_operators(nodes: list[ir.Node], refused: dict[ir.Node, str]) -> None:
    """Refuse what cannot be translated, all at once."""
    problems = []
    hints = []
    kinds = set()
    for node in nodes:
        reason = refused.get(node) or _problem(node)
        if reason:
            problems.append(f"{at(node)}: {reason}")
            kinds.add(node.op_type)
            hints.append(_hint(node, reason))
    if problems:
        there = {node.op_type for node in nodes}
        hints = [text for some, others, text in TOGETHER if some <= kinds and others <= there] or hints
        what = "1 node" if len(problems) == 1 else f"{len(problems)} of {len(nodes)} nodes"
        known = ", ".join(sorted(RULES.keys() - set(HIDDEN)))
        raise ModelError(
            f"{what} cannot be translated",
            where=";  ".join(problems),
            hint="; ".join(dict.fromkeys(h for h in hints if h)) or f"supported are {known}",
        )


def _hint(node: ir.Node, reason: str) -> str:
    if reason == JOINS_SAMPLES:
        return STEPS
    return HINTS.get(node.op_type) or DOMAINS.get(node.domain, "")


def _problem(node: ir.Node) -> str:
    rule = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if rule is None:
        return f"operator of {node.domain} is not supported" if node.domain else "operator is not supported"
    variable = computed(node)
    if not variable:
        return "does not depend on the input"
    if rule.reads == "one" and len(variable) > 1:
        return "multiplies two computed values; one of them must be constant"
    if rule.reads == "first" and variable != [0]:
        names = ", ".join(
            str(v.name) for i, v in enumerate(node.inputs) if v is not None and i in variable and i
        )
        return f"{names} is computed; weights and options must be constant"
    if node.op_type != "Split" and any(v.uses() or v.is_graph_output() for v in node.outputs[1:]):
        return "its second output is used"
    if rule.last and not all(n.op_type in KEEPS_VALUES for n in _later(node)):
        return "only supported at the end"
    return rule.problem(node)


def _later(node: ir.Node) -> list[ir.Node]:
    """All nodes that depend on a node."""
    found: dict[ir.Node, None] = {}
    pending = [node]
    while pending:
        for successor in pending.pop().successors():
            if successor not in found:
                found[successor] = None
                pending.append(successor)
    return list(found)


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
