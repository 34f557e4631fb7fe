"""ONNX files as graphs. Nothing else in mcugrad sees ONNX.

The batch disappears; maps become (height, width, channels), as on the device. Softmax, Dropout and Identity go.
Operators: see `_operators.RULES`. Names become short C identifiers; each node remembers what the file called it.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx_ir as ir

from mcugrad.errors import ModelError
from mcugrad.graph import Graph
from mcugrad.importers._operators import DROPPED, RULES, Builder, Flow, computed, floats, label
from mcugrad.importers._read import Source, guarded, read

RESERVED = frozenset(
    # C and C++ keywords
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char class co_await co_return co_yield "
    "compl concept const const_cast consteval constexpr constinit continue decltype default delete do double "
    "dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace "
    "new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires "
    "restrict return short signed sizeof static static_assert static_cast struct switch template this thread_local "
    "throw true try typedef typeid typename typeof union unsigned using virtual void volatile wchar_t while xor xor_eq "
    # files that stand beside <name>.c and <name>.h
    "main assert complex ctype errno fenv float inttypes limits locale math setjmp signal stdalign stdarg stdatomic "
    "stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype".split()
)
HINTS = {
    "AveragePool": "MaxPool, or a convolution with a stride",
    "GlobalAveragePool": "MaxPool, or Flatten and a fully connected layer",
    "ReduceMean": "MaxPool, or Flatten and a fully connected layer",
    "Concat": "a network without branches",
    "QuantizeLinear": "export the float network; quantizing is done here",
    "DequantizeLinear": "export the float network; quantizing is done here",
    "QLinearConv": "export the float network; quantizing is done here",
    "ArgMax": "export without the final ArgMax: the outputs are class scores",
    "Transpose": "a network that is channels-first throughout",
    **dict.fromkeys(
        ("Sigmoid", "Tanh", "LeakyRelu", "PRelu", "Elu", "Gelu", "HardSwish", "Selu"), "ReLU or ReLU6"
    ),
}
INPUT = "input"


def load_onnx(source: str | Path | bytes, *, name: str | None = None) -> Graph:
    """Read an ONNX model as a float graph.

    Args:
        source: path, or the file's contents.
        name: model name; by default the file's name, or the graph's for bytes.

    Returns:
        A chain of Conv2d, Linear, MaxPool2d, Flatten, BatchNorm and Clip. Its input is (height, width, channels) or
        (features,), its output (classes,).

    Raises:
        ModelError: the file is missing or damaged, an operator is not supported (all are listed), weights are not
            finite or not constant, shapes do not match.
    """
    found = read(source)
    stem = name or (found.model.graph.name if isinstance(source, bytes) else Path(source).stem)
    return guarded(found.label, "cannot be translated", lambda: _translate(found, identifier(stem or "")))


def identifier(text: str) -> str:
    """A lower-case C identifier like `text`, fit for a model's name and its files."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:40].rstrip("_")
    if not name or name[0].isdigit():
        name = f"model_{name}".rstrip("_")
    return f"{name}_model" if name in RESERVED or name.startswith("mcg") else name


def _translate(source: Source, name: str) -> Graph:
    nodes = list(source.model.graph)
    if not nodes:
        raise ModelError(
            "the output does not depend on the input through any operator",
            where=source.label,
            hint="export the whole network",
        )
    _check_operators(nodes)
    kinds = _check_values(nodes)
    shape = source.shape[1:] if len(source.shape) == 2 else (*source.shape[2:], source.shape[1])
    to = Builder(INPUT, shape)
    x = Flow(INPUT)
    for node in nodes:
        x = RULES[node.op_type].translate(to, node, x)
    if not to.nodes:
        raise ModelError(
            "the graph is empty: no node computes anything", where=source.label, hint="export the network"
        )
    _check_output(to, x, nodes[-1])
    notes = [*source.notes, *to.notes]
    if len(shape) == 3 and shape[2] > 1:
        notes.append(
            f"the device takes the input channels last, ({', '.join(map(str, shape))}): x.transpose(0, 2, 3, 1)"
        )
    if kinds:
        notes.append(f"weights converted from {' and '.join(kinds)} to float32")
    return Graph(
        name=name, nodes=tuple(to.nodes), tensors=to.tensors, input=INPUT, output=x.tensor, notes=tuple(notes)
    ).without_unused()


def _check_operators(nodes: list[ir.Node]) -> None:
    """Refuse what cannot be translated, all at once."""
    problems = []
    hints = []
    for index, node in enumerate(nodes):
        reason = _problem(node, nodes[index + 1 :])
        if reason:
            problems.append(f"{label(node)}  {node.op_type}: {reason}")
            hints.append(HINTS.get(node.op_type, ""))
    if problems:
        what = "1 node cannot" if len(problems) == 1 else f"{len(problems)} of {len(nodes)} nodes cannot"
        hint = "; ".join(dict.fromkeys(h for h in hints if h))
        raise ModelError(
            f"{what} be translated",
            where=";  ".join(problems),
            hint=hint or f"build the network from {', '.join(RULES)}",
        )


def _problem(node: ir.Node, later: list[ir.Node]) -> str:
    rule = RULES.get(node.op_type)
    if rule is None or node.domain not in ("", "ai.onnx"):
        return (
            f"operator of {node.domain} is not supported" if node.domain else "the operator is not supported"
        )
    variable = computed(node)
    if not variable:
        return "does not depend on the input"
    if rule.both and len(variable) > 1:
        return "joins two branches; only a chain of layers is supported"
    if not rule.both and variable != [0]:
        names = ", ".join(
            str(v.name) for i, v in enumerate(node.inputs) if v is not None and i in variable and i > 0
        )
        return f"{names or 'an input'} is computed; only the first input may be"
    if any(v.uses() or v.is_graph_output() for v in node.outputs[1:]):
        return "a second output is used"
    if rule is RULES["Softmax"] or rule is RULES["LogSoftmax"]:
        return "" if all(n.op_type in DROPPED for n in later) else "only supported at the end"
    return rule.problem(node)


def _check_values(nodes: list[ir.Node]) -> list[str]:
    """Refuse weights that are not finite; types other than float32 that were found."""
    bad = {}
    kinds: dict[str, None] = {}
    for node in nodes:
        if not RULES[node.op_type].data:
            continue
        for value in node.inputs:
            if value is None or value.const_value is None:
                continue
            if value.dtype is not None and value.dtype != ir.DataType.FLOAT:
                kinds[value.dtype.name.lower()] = None
            numbers = floats(value)
            count = int((~np.isfinite(numbers)).sum())
            if count:
                bad[str(value.name)] = f"{value.name}: {count} of {numbers.size} (in {label(node)})"
    if bad:
        tensors = "1 weight tensor holds" if len(bad) == 1 else f"{len(bad)} weight tensors hold"
        raise ModelError(
            f"{tensors} NaN or infinite values",
            where=";  ".join(bad.values()),
            hint="train again with a lower learning rate, or export an earlier checkpoint",
        )
    return list(kinds)


def _check_output(to: Builder, x: Flow, last: ir.Node) -> None:
    shape = to.shape(x)
    if len(shape) != 1:
        raise ModelError(
            f"the output is a {shape[2]}x{shape[0]}x{shape[1]} map; one vector of class scores is needed",
            where=f"{label(last)}  {last.op_type}",
            hint="Flatten and a fully connected layer at the end",
        )
    if x.order is not None:
        raise ModelError(
            f"the output is a flattened map of {shape[0]} values, whose order differs on the device",
            where=f"{label(last)}  {last.op_type}",
            hint="a fully connected layer at the end",
        )
