"""What a legal graph is, as a table. A pass that breaks a rule has a bug; tests check between passes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from mcugrad.errors import McugradError
from mcugrad.graph.graph import Graph
from mcugrad.graph.node import Operator
from mcugrad.graph.precision import Precision
from mcugrad.graph.tensor import ActivationScale, ErrorScale, Float32, WeightScale, unbounded

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class IllegalGraphError(AssertionError):
    """A graph breaks the rules: a bug in mcugrad, not in the user's model."""


def check(graph: Graph) -> Graph:
    """The graph itself, so that calls chain. Raises IllegalGraphError listing every broken rule."""
    found = violations(graph)
    if found:
        raise IllegalGraphError(
            f"{graph.name} breaks {len(found)} rules:\n" + "\n".join(f"  {line}" for line in found)
        )
    return graph


def violations(graph: Graph) -> list[str]:
    """Broken rules, each with the node or tensor that breaks it. Later rules rely on the first ones."""
    for table in (STRUCTURE, MEANING):
        found = [f"{rule}: {where}" for rule, test in table for where in test(graph)]
        if found:
            return found
    return []


# -- structure -----------------------------------------------------------------------------------------------------


def _bad_names(graph: Graph) -> Iterator[str]:
    names = [graph.name, *(n.name for n in graph.nodes), *graph.tensors]
    yield from (repr(n) for n in names if not _IDENTIFIER.fullmatch(n))


def _repeated_nodes(graph: Graph) -> Iterator[str]:
    yield from (n for n, count in Counter(node.name for node in graph.nodes).items() if count > 1)


def _misfiled_tensors(graph: Graph) -> Iterator[str]:
    yield from (f"{key} holds {t.name}" for key, t in graph.tensors.items() if key != t.name)


def _unknown_tensors(graph: Graph) -> Iterator[str]:
    touched = [(n.name, t) for n in graph.nodes for t in (*n.inputs, *n.outputs)]
    ends = [("input", graph.input), ("output", graph.output)]
    yield from (f"{t} of {name}" for name, t in (*touched, *ends) if t not in graph.tensors)


def _several_definitions(graph: Graph) -> Iterator[str]:
    defined = Counter(t for n in graph.nodes for t in n.outputs)
    defined.update([graph.input, *(k for k, t in graph.tensors.items() if t.value is not None)])
    yield from (f"{t}, {count} times" for t, count in defined.items() if count > 1)


def _read_too_early(graph: Graph) -> Iterator[str]:
    known = {graph.input, *(k for k, t in graph.tensors.items() if t.value is not None)}
    for node in graph.nodes:
        yield from (f"{t} by {node.name}" for t in node.inputs if t not in known)
        known.update(node.outputs)


def _no_output(graph: Graph) -> Iterator[str]:
    if not any(isinstance(n, Operator) and n.y == graph.output for n in graph.nodes):
        yield graph.output


def _backward_first(graph: Graph) -> Iterator[str]:
    behind = False
    for node in graph.nodes:
        behind = behind or not isinstance(node, Operator)
        if behind and isinstance(node, Operator):
            yield node.name


def _read_output(graph: Graph) -> Iterator[str]:
    readers = (n for n in graph.nodes if isinstance(n, Operator) and graph.output in n.inputs)
    yield from (f"{graph.output} by {n.name}" for n in readers)


# -- meaning -------------------------------------------------------------------------------------------------------


def _empty_shapes(graph: Graph) -> Iterator[str]:
    yield from (f"{t.name} {t.shape}" for t in graph.tensors.values() if not t.shape or min(t.shape) < 1)


def _wrong_shapes(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if isinstance(node, Operator):
            try:
                shape = node.shape(*(graph[t].shape for t in node.inputs))
            except McugradError as error:
                yield f"{node.name}: {error.what}"
                continue
            if shape != graph[node.y].shape:
                yield f"{node.y} is {graph[node.y].shape}, {node.name} gives {shape}"


def _wrong_constants(graph: Graph) -> Iterator[str]:
    for t in graph.tensors.values():
        if t.value is not None and (t.value.dtype != np.float32 or t.value.shape != t.shape):
            yield f"{t.name} is {t.value.dtype} {t.value.shape}, not float32 {t.shape}"
        elif t.value is not None and not np.isfinite(t.value).all():
            yield f"{t.name} is not finite"


def _half_quantized(graph: Graph) -> Iterator[str]:
    """Every tensor has the kind of scale that suits it; a graph in which some have none yet is float."""
    activations = {graph.input, *(n.y for n in graph.nodes if isinstance(n, Operator))}
    missing = []
    for name, t in graph.tensors.items():
        expected: type | None = ErrorScale
        if name in activations:
            expected = ActivationScale
        elif t.value is not None:
            expected = WeightScale if len(t.shape) > 1 else None
        if expected and t.quant is None:
            missing.append(f"{name} has none, not {expected.__name__}")
        elif t.quant is not None and type(t.quant) not in (expected, Float32):
            yield f"{name} has {type(t.quant).__name__}, not {expected.__name__ if expected else 'none'}"
    if missing:
        yield from (f"{n.name} in a float graph" for n in graph.nodes if not isinstance(n, Operator))
        if any(t.trainable for t in graph.tensors.values()):
            yield from missing


FORMS: dict[Precision, type] = {Precision.INT8: ActivationScale, Precision.FLOAT32: Float32}
"""How what a node computes is stored, by its precision."""


def _another_precision(graph: Graph) -> Iterator[str]:
    trains = any(t.trainable for t in graph.tensors.values())
    for node in graph.nodes:
        if isinstance(node, Operator) and node.precision is not None:
            quant, form = graph[node.y].quant, FORMS[node.precision]
            if quant is not None and not isinstance(quant, form):
                text = f"{node.name} computes in {node.precision.text}"
                yield f"{node.y} has {type(quant).__name__}, {text}"
        elif isinstance(node, Operator) and trains:
            yield f"{node.name} has none"


def _wrong_scales(graph: Graph) -> Iterator[str]:
    for name, t in graph.tensors.items():
        match t.quant:
            case ActivationScale(scale, zero, owner):
                source = graph.tensors[owner].quant if owner in graph.tensors else None
                if not (np.isfinite(scale) and scale > 0 and -128 <= zero <= 127):
                    yield f"{name} has scale {scale:g}, zero point {zero}"
                if not isinstance(source, ActivationScale) or t.quant not in (source, unbounded(source)):
                    yield f"{name} differs from its owner {owner}"
            case WeightScale(scales, w_zero):
                if scales.dtype != np.float32 or scales.shape != t.shape[:1]:
                    yield f"{name} has {scales.dtype} {scales.shape} scales for {t.shape[0]} channels"
                elif not (np.isfinite(scales).all() and (scales > 0).all()):
                    yield f"{name} has a scale that is not positive"
                if w_zero is not None and not -128 <= w_zero <= 127:
                    yield f"{name} has zero point {w_zero}"
            case ErrorScale(carrier, owner):
                if carrier and not (
                    carrier in graph.tensors and isinstance(graph[carrier].quant, WeightScale)
                ):
                    yield f"{name} carries the scales of {carrier}, no weights"
                if not (owner in graph.tensors and isinstance(graph[owner].quant, ErrorScale)):
                    yield f"{name} belongs to {owner}, no error"


def _wrong_training(graph: Graph) -> Iterator[str]:
    for name, t in graph.tensors.items():
        if t.trainable and t.value is None:
            yield f"{name} is trainable but computed"
        if (bool(t.rule) and not t.trainable) or (
            t.trainable and isinstance(t.quant, WeightScale) and not t.rule
        ):
            yield f"{name} has rule {t.rule!r}, trainable {t.trainable}"
        if t.tracked and not (isinstance(t.quant, ActivationScale) and t.quant.owner == name):
            yield f"{name} is tracked but owns no scale"


Table = tuple[tuple[str, Callable[[Graph], Iterator[str]]], ...]

STRUCTURE: Table = (
    ("names are C identifiers", _bad_names),
    ("nodes have different names", _repeated_nodes),
    ("tensors are filed under their names", _misfiled_tensors),
    ("tensors that are touched exist", _unknown_tensors),
    ("tensors have one definition: the input, a constant, or one node's output", _several_definitions),
    ("tensors are defined before they are read", _read_too_early),
    ("the output is what a forward node computes", _no_output),
    ("forward nodes come before backward nodes", _backward_first),
    ("no forward node reads the output", _read_output),
)
MEANING: Table = (
    ("shapes have no empty dimension", _empty_shapes),
    ("shapes are what the nodes give", _wrong_shapes),
    ("constants are finite float32 of their tensor's shape", _wrong_constants),
    ("tensors are quantized as their kind is, all of them where some train", _half_quantized),
    ("what nodes compute is stored in their precision, which all have where some train", _another_precision),
    ("scales are positive and refer to what exists", _wrong_scales),
    (
        "only constants train, int8 weights that train have a rule, only owners of scales are tracked",
        _wrong_training,
    ),
)
