"""Activation functions that exporters write as arithmetic: GELU by Erf, SiLU by Sigmoid, HardSwish by Clip, ...

A group of element-wise nodes that reads one value and whose inner values nobody else reads is a function of one
number. It is tabulated and compared with the functions that mcugrad has; the order of its arithmetic does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mcugrad import numerics
from mcugrad.importers.onnx.builder import computed, floats, label, numbers
from mcugrad.importers.onnx.pointwise import bounds
from mcugrad.ops.activation.curves import Function, real_curve

Values = NDArray[np.float64]
GRID = np.concatenate([np.linspace(-12, 12, 385), [-30.0, 30.0, 0.001, -0.001]])
TOLERANCE = 2e-5
"""Exporters round their constants to float32, or to seven digits; GELU and its approximation differ by 5e-4."""
MOST_NODES = 16
"""In one group."""


def _clip(node: ir.Node, x: Values) -> Values:
    low, high = bounds(node)
    return np.clip(x, low, high) if low is not None or high is not None else x


def _hard_sigmoid(node: ir.Node, x: Values) -> Values:
    alpha, beta = node.attributes.get_float("alpha", 0.2), node.attributes.get_float("beta", 0.5)
    return np.clip(alpha * x + beta, 0, 1)


ONE: dict[str, Callable[[ir.Node, Values], Values]] = {
    "Abs": lambda node, x: np.abs(x),
    "Clip": _clip,
    "Erf": lambda node, x: numerics.erf(x),
    "Exp": lambda node, x: numerics.exp(x),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda node, x: real_curve(Function.HARD_SWISH, x),
    "Log": lambda node, x: numerics.log(x),
    "Neg": lambda node, x: -x,
    "Reciprocal": lambda node, x: 1 / x,
    "Relu": _clip,
    "Sigmoid": lambda node, x: real_curve(Function.SIGMOID, x),
    "Softplus": lambda node, x: real_curve(Function.SOFTPLUS, x),
    "Tanh": lambda node, x: numerics.tanh(x),
}
TWO: dict[str, Callable[[Values, Values], Values]] = {
    "Add": np.add,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Pow": numerics.power,
    "Sub": np.subtract,
}
ENDS = ("Add", "Div", "Log", "Max", "Mul", "Sub")
"""What a pattern may end with."""


def recognise(graph: ir.Graph) -> list[str]:
    """Replace groups of nodes that are an activation function by one node; a note if there were any."""
    found: list[str] = []
    for node in list(graph):
        if node.op_type in ENDS and _scalar(node) and node.graph is not None:
            made = _match(node)
            if made is not None:
                _replace(graph, node, made)
                found.append(made.op_type)
    if not found:
        return []
    names = ", ".join(dict.fromkeys(found))
    return [f"{len(found)} activation functions recognised in arithmetic: {names}"]


def _scalar(node: ir.Node) -> bool:
    """Whether a node acts element by element, and its constants are one number each."""
    if node.domain not in ("", "ai.onnx") or not computed(node):
        return False
    constants = [v for v in node.inputs if v is not None and v.const_value is not None]
    if any(numbers(v).size != 1 or numbers(v).dtype.kind not in "fiu" for v in constants):
        return False
    if node.op_type in ONE:
        return computed(node) == [0]
    return node.op_type in TWO and len(node.inputs) == 2 and all(v is not None for v in node.inputs)


def _match(last: ir.Node) -> ir.Node | None:
    """The node that stands for the smallest group which ends here and is a known function."""
    group = [last]
    while len(group) <= MOST_NODES:
        made = {n.outputs[0] for n in group}
        read = [v for n in group for i in computed(n) if (v := n.inputs[i]) is not None and v not in made]
        sources = list(dict.fromkeys(read))
        if len(sources) == 1 and len(group) > 1 and not all(map(_is_affine, group)):
            known = _known(_tabulate(group, sources[0]))
            if known is not None:
                kind, attributes = known
                return ir.Node("", kind, sources, attributes, name=label(last))
        larger = _grown(group, sources)
        if larger is None:
            return None
        group = larger
    return None


def _is_affine(node: ir.Node) -> bool:
    return node.op_type in ("Add", "Mul", "Neg", "Sub") and len(computed(node)) == 1


def _grown(group: list[ir.Node], sources: list[ir.Value]) -> list[ir.Node] | None:
    """The group with a node added before it that only it reads, in order of execution; None if there is none."""
    for value in sources:
        node = value.producer()
        inside = node is not None and _scalar(node) and not value.is_graph_output()
        if inside and all(use.node in group for use in value.uses()):
            assert node is not None
            return [node, *group]
    return None


def _tabulate(group: list[ir.Node], source: ir.Value) -> Values:
    """What a group computes on a grid."""
    values: dict[ir.Value, Values] = {source: GRID}
    pending = list(group)
    with np.errstate(all="ignore"):
        while pending:
            node = next(n for n in pending if all(n.inputs[i] in values for i in computed(n)))
            pending.remove(node)
            arguments: list[Any] = [
                values[v] if v in values else floats(v).astype(np.float64).reshape(())
                for v in node.inputs
                if v
            ]
            kind = node.op_type
            values[node.outputs[0]] = ONE[kind](node, arguments[0]) if kind in ONE else TWO[kind](*arguments)
    return values[group[-1].outputs[0]]


def _known(y: Values) -> tuple[str, list[ir.Attr]] | None:
    """The operator, with attributes, that has these values on the grid."""
    if y.shape != GRID.shape or not np.isfinite(y).all():
        return None
    for kind, function in (
        ("Sigmoid", Function.SIGMOID),
        ("Tanh", Function.TANH),
        ("HardSwish", Function.HARD_SWISH),
        ("Silu", Function.SILU),
        ("Gelu", Function.GELU),
        ("Softplus", Function.SOFTPLUS),
    ):
        if _near(y, _curve(function)):
            return kind, []
    if _near(y, _curve(Function.GELU_TANH)):
        return "Gelu", [ir.AttrString("approximate", "tanh")]
    if _near(y, -real_curve(Function.SOFTPLUS, -GRID)):
        return "LogSigmoid", []
    if _near(y, GRID / (1 + np.abs(GRID))):
        return "Softsign", []  # is refused, by its own name
    beta, slope = float(y[GRID == 0][0]), float(y[GRID == -12][0]) / -12
    alpha = (float(y[-2]) - beta) / 0.001
    if 0 < beta < 1 and 0 < alpha < 1.9 and _near(y, np.clip(alpha * GRID + beta, 0, 1)):
        return "HardSigmoid", [ir.AttrFloat32("alpha", alpha), ir.AttrFloat32("beta", beta)]
    if 0 < slope < 1 and _near(y, np.where(GRID < 0, slope * GRID, GRID)):
        return "LeakyRelu", [ir.AttrFloat32("alpha", slope)]
    return None


@cache
def _curve(function: Function) -> Values:
    return real_curve(function, GRID)


def _near(y: Values, expected: Values) -> bool:
    return bool((np.abs(y - expected) <= TOLERANCE * np.maximum(1, np.abs(expected))).all())


def _replace(graph: ir.Graph, last: ir.Node, made: ir.Node) -> None:
    """Put a node in place of the last of a group; the others stay without readers and go."""
    unused = list(last.inputs)
    made.outputs[0].name = last.outputs[0].name
    ir.convenience.replace_nodes_and_values(graph, last, [last], [made], [last.outputs[0]], [made.outputs[0]])
    while unused:
        value = unused.pop()
        node = value.producer() if value is not None else None
        if (
            node is not None
            and node.graph is graph
            and not any(o.uses() or o.is_graph_output() for o in node.outputs)
        ):
            unused += node.inputs
            graph.remove(node, safe=True)
