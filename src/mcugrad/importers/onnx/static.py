"""What an ONNX file computes from constants and static shapes alone: computed once, when it is read.

The same as in `tflite/constants.py`: what one kind of file may compute, the other may.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnxscript.optimizer._constant_folding import FoldConstantsPass, Replacement

from mcugrad import numerics
from mcugrad.importers.shared.growth import ELEMENT_LIMIT

Array = NDArray[Any]
_EVALUATED = """
    Abs Add And Cast Ceil Clip Concat ConstantOfShape Div Equal Expand Flatten Floor Gather Greater GreaterOrEqual Less
    LessOrEqual Max Min Mod Mul Neg Not Or Range Reciprocal Relu Reshape Sign Slice Sqrt Squeeze Sub Tile Transpose
    Unsqueeze Where Xor
"""
EVALUATED = frozenset(_EVALUATED.split())
"""Operators on constants that onnx computes, the same on every processor."""


def _matmul(node: ir.Node, a: Array, b: Array) -> list[Array]:
    is_whole = a.dtype.kind in "iu" and b.dtype.kind in "iu"
    return [np.asarray(np.matmul(a, b) if is_whole else numerics.matmul(a, b))]


def _power(node: ir.Node, a: Array, b: Array) -> list[Array]:
    return [np.asarray(numerics.power(a, b))]


_add = partial(numerics.in_order, np.add)


def _curve(function: Callable[[Array], Array], node: ir.Node, a: Array) -> list[Array]:
    return [function(a)]


def _reduced(function: Callable[..., Array], node: ir.Node, a: Array, *given: Array | None) -> list[Array]:
    axes = [int(i) for i in given[0].reshape(-1)] if given and given[0] is not None else []
    axes = axes or [int(i) for i in node.attributes.get_ints("axes", ())]
    if not axes and node.attributes.get_int("noop_with_empty_axes", False):
        return [a]
    found = tuple(sorted({i % a.ndim for i in axes})) or tuple(range(a.ndim))
    y = function(a, axis=found, keepdims=bool(node.attributes.get_int("keepdims", 1)))
    return [np.asarray(y)]


def _mean(a: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    result: Array = _add(a, axis, keepdims) / a.dtype.type(prod(a.shape[i] for i in axis))
    return result


def _length(a: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    result: Array = np.sqrt(_add(a * a, axis, keepdims))
    return result


def _softplus(a: Array) -> Array:
    return np.maximum(a, 0) + numerics.log1p(numerics.exp(-np.abs(a)))


def _gemm(node: ir.Node, a: Array, b: Array, c: Array | None = None) -> list[Array]:
    a = a.T if node.attributes.get_int("transA", 0) else a
    b = b.T if node.attributes.get_int("transB", 0) else b
    y = numerics.matmul(a, b) * node.attributes.get_float("alpha", 1.0)
    return [y if c is None else y + c * node.attributes.get_float("beta", 1.0)]


def _split(node: ir.Node, a: Array, *given: Array | None) -> list[Array]:
    axis, count = node.attributes.get_int("axis", 0), len(node.outputs)
    size = -(-a.shape[axis] // count)
    sizes = given[0].reshape(-1) if given and given[0] is not None else [size] * count
    return np.split(a, np.cumsum(sizes)[:-1], axis=axis)


COMPUTED_HERE: dict[str, Callable[..., list[Array]]] = {
    "Exp": partial(_curve, numerics.exp),
    "Gemm": _gemm,
    "Log": partial(_curve, numerics.log),
    "MatMul": _matmul,
    "Pow": _power,
    "ReduceL2": partial(_reduced, _length),
    "ReduceMax": partial(_reduced, np.max),
    "ReduceMean": partial(_reduced, _mean),
    "ReduceMin": partial(_reduced, np.min),
    "ReduceProd": partial(_reduced, partial(numerics.in_order, np.multiply)),
    "ReduceSum": partial(_reduced, _add),
    "Sigmoid": partial(_curve, numerics.sigmoid),
    "Softplus": partial(_curve, _softplus),
    "Split": _split,
    "Tanh": partial(_curve, numerics.tanh),
}
"""Those whose last bits depend on the processor in NumPy, and those of several outputs."""
FOLDABLE = EVALUATED | COMPUTED_HERE.keys()
"""Operators on constants that are computed now."""


def fold_constants(model: ir.Model) -> None:
    """Compute what depends on constants alone."""
    _Folding(
        shape_inference=True,
        input_size_limit=ELEMENT_LIMIT,
        output_size_limit=ELEMENT_LIMIT,
        should_fold=lambda node: node.op_type in EVALUATED and _is_small(node),
    )(model)


class _Folding(FoldConstantsPass):
    """Folds constants; does not infer what follows from impossible shapes, as onnx may end the process then."""

    def process_node(self, node: ir.Node, is_function: bool) -> Any:
        made = super().process_node(node, is_function)
        if made is not None or is_function or node.op_type not in COMPUTED_HERE or node.graph is None:
            return made
        given = [None if v is None else None if v.is_graph_input() else v.const_value for v in node.inputs]
        known = [v is None or g is not None for v, g in zip(node.inputs, given, strict=True)]
        if not given or given[0] is None or not all(known) or not _is_small(node):
            return None
        arrays = [None if g is None else g.numpy() for g in given]
        try:
            with np.errstate(all="ignore"):
                results = COMPUTED_HERE[node.op_type](node, *arrays)
        except (IndexError, TypeError, ValueError):
            return None  # shapes that do not go together, negative powers of integers: the node stays, and is refused
        if len(results) != len(node.outputs) or any(y.size > ELEMENT_LIMIT for y in results):
            return None
        kind = given[0].numpy().dtype
        values = [self._kept(node, v, y.astype(kind)) for v, y in zip(node.outputs, results, strict=True)]
        return Replacement(values, [])

    def _kept(self, node: ir.Node, output: ir.Value, y: Array) -> ir.Value:
        """A constant in the place of an output."""
        value = ir.Value(
            name=output.name,
            type=ir.TensorType(ir.DataType.from_numpy(y.dtype)),
            shape=ir.Shape(y.shape),
            const_value=ir.tensor(y, name=output.name),
        )
        if node.graph is not None:
            node.graph.register_initializer(value)
        return value

    def _do_inference(self, node: ir.Node) -> None:
        if not any(value is not None and is_impossible(value) for value in node.inputs):
            super()._do_inference(node)


def is_impossible(value: ir.Value) -> bool:
    """Whether a dimension is negative: a window is larger than what it moves over."""
    return value.shape is not None and any(isinstance(d, int) and d < 0 for d in value.shape)


def _is_small(node: ir.Node) -> bool:
    """Whether computing a constant now cannot exhaust memory, whatever the file says."""
    if node.domain not in ("", "ai.onnx") or node.op_type not in FOLDABLE:
        return False
    constants = [v.const_value for v in node.inputs if v is not None and v.const_value is not None]
    if node.op_type in ("ConstantOfShape", "Expand", "Tile"):
        if constants[-1].size > 8:
            return False
        wanted = [abs(int(n)) for n in constants[-1].numpy().reshape(-1)]
        return prod(wanted) * max(1, constants[0].size) <= ELEMENT_LIMIT
    if node.op_type == "Range":
        start, stop, step = (float(c.numpy().reshape(-1)[0]) for c in constants)
        return step != 0 and abs((stop - start) / step) <= ELEMENT_LIMIT
    if node.op_type.startswith(("Reduce", "Split")):
        return constants[0].size <= ELEMENT_LIMIT
    return prod(max(1, c.size) for c in constants) <= ELEMENT_LIMIT * 16
