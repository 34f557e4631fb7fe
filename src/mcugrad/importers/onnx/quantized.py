"""Networks that are int8 in the file: their scales and zero points are kept as they are.

1. Fused integer operators (QLinearConv, QGemm, ...) become DequantizeLinear, the float operator and QuantizeLinear.
2. Quantized constants become real numbers that remember their scales.
3. QuantizeLinear gives its input the scale; DequantizeLinear changes nothing any more.

uint8 becomes int8 by shifting all codes by 128.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import ActivationScale
from mcugrad.importers.onnx.builder import Builder, Grid, at, floats, label, numbers, optional, required
from mcugrad.importers.onnx.rule import Rule
from mcugrad.importers.shared.flow import Flow
from mcugrad.ops.activation.clip import Clip

FUSED = {
    "QGemm": "Gemm",
    "QLinearAdd": "Add",
    "QLinearAveragePool": "AveragePool",
    "QLinearConcat": "Concat",
    "QLinearConv": "Conv",
    "QLinearGlobalAveragePool": "GlobalAveragePool",
    "QLinearLeakyRelu": "LeakyRelu",
    "QLinearMatMul": "MatMul",
    "QLinearMul": "Mul",
    "QLinearReduceMean": "ReduceMean",
    "QLinearSigmoid": "Sigmoid",
    "QLinearSoftmax": "Softmax",
}
"""Operators on integers, and what they compute."""
DOMAINS = ("", "ai.onnx", "com.microsoft")
BYTES = (ir.DataType.INT8, ir.DataType.UINT8)
TYPES = (*BYTES, ir.DataType.INT32)
Triple = tuple[ir.Value | None, ir.Value | None, ir.Value | None]
"""A value, its scale and its zero point."""


def prepare(graph: ir.Graph) -> tuple[dict[ir.Value, Grid], dict[ir.Node, str]]:
    """Do steps 1 and 2.

    Returns:
        How constants were quantized, and why nodes could not be taken apart.
    """
    refused: dict[ir.Node, str] = {}
    for node in list(graph):
        if node.op_type in FUSED and node.domain in DOMAINS:
            reason = _fused_problem(node)
            if reason:
                refused[node] = reason
            else:
                _take_apart(graph, node)
    grids: dict[ir.Value, Grid] = {}
    for node in list(graph):
        if node.domain in ("", "ai.onnx") and node.inputs and _is_constant(node.inputs[0]):
            _compute(graph, node, grids, refused)
    return grids, refused


def _is_constant(value: ir.Value | None) -> bool:
    return value is not None and value.const_value is not None


# -- step 1 --------------------------------------------------------------------------------------------------------


def _operands(node: ir.Node) -> tuple[list[Triple], Triple]:
    """What a fused operator reads, and the scale and zero point of what it computes."""
    values = [optional(node, i) for i in range(max(9, len(node.inputs)))]
    if node.op_type == "QLinearConcat":
        count = len(node.inputs)
        found = [(values[i], values[i + 1], values[i + 2]) for i in range(2, count - 2, 3)]
        return found, (None, values[0], values[1])
    first = values[0], values[1], values[2]
    if node.op_type in ("QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearMul"):
        return [first, (values[3], values[4], values[5])], (None, values[6], values[7])
    if node.op_type == "QGemm":
        return [first, (values[3], values[4], values[5])], (None, values[7], values[8])
    return [first], (None, values[3], values[4])


def _bias(node: ir.Node) -> ir.Value | None:
    return optional(node, {"QLinearConv": 8, "QGemm": 6}.get(node.op_type, 1 << 10))


def _fused_problem(node: ir.Node) -> str:
    """Why a fused operator cannot be taken apart."""
    read, (_, scale, zero) = _operands(node)
    if not read or any(value is None for value, _, _ in read):
        return "an input is missing"
    for _, s, z in read:
        if reason := scale_problem(s, z):
            return reason
    bias = _bias(node)
    if bias is not None and not _is_constant(bias):
        return "its bias is computed"
    if node.attributes.get_int("channels_last", 0):
        return "channels_last is set"
    if node.op_type == "QGemm" and scale is None:
        return ""
    return scale_problem(scale, zero)


def _take_apart(graph: ir.Graph, node: ir.Node) -> None:
    """Put DequantizeLinear, the float operator and QuantizeLinear in place of a node."""
    read, (_, scale, zero) = _operands(node)
    new: list[ir.Node] = []
    inputs: list[ir.Value] = []
    for i, (value, s, z) in enumerate(read):
        axis = int(node.op_type != "QLinearConv" and not node.attributes.get_int("transB", 0))
        new.append(_node("DequantizeLinear", [value, s, z], axis=axis if i else 1))
        inputs.append(new[-1].outputs[0])
    bias = _bias(node)
    if bias is not None:
        step = _product(read[0][1], read[1][1]) * np.float32(node.attributes.get_float("alpha", 1.0))
        unit = ir.Value(name=f"{bias.name}_scale", const_value=ir.tensor(step))
        new.append(_node("DequantizeLinear", [bias, unit], axis=0))
        inputs.append(new[-1].outputs[0])
    names = ("channels_last", "opset")
    attributes = [a for a in node.attributes.values() if a.name not in names]
    inner = ir.Node("", FUSED[node.op_type], inputs, attributes, name=node.name or label(node))
    new.append(inner)
    last = inner
    if scale is not None:
        last = _node("QuantizeLinear", [inner.outputs[0], scale, zero])
        new.append(last)
    for i, added in enumerate(new):
        added.outputs[0].name = f"{label(node)}.{i}"
    ir.convenience.replace_nodes_and_values(graph, node, [node], new, [node.outputs[0]], [last.outputs[0]])


def _product(a: ir.Value | None, b: ir.Value | None) -> NDArray[np.float32]:
    assert a is not None
    assert b is not None
    result: NDArray[np.float32] = (floats(a).reshape(-1) * floats(b).reshape(-1)).astype(np.float32)
    return result.reshape(()) if result.size == 1 else result


def _node(kind: str, inputs: list[ir.Value | None], **attributes: int) -> ir.Node:
    made = [ir.AttrInt64(name, value) for name, value in attributes.items()]
    while inputs and inputs[-1] is None:
        inputs = inputs[:-1]
    return ir.Node("", kind, inputs, made)


# -- step 2 --------------------------------------------------------------------------------------------------------


def _compute(
    graph: ir.Graph, node: ir.Node, grids: dict[ir.Value, Grid], refused: dict[ir.Node, str]
) -> None:
    """Replace a node that quantizes, dequantizes or transposes a constant by what it computes."""
    source, result = required(node, 0), node.outputs[0]
    grid: Grid | None = None
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        scale, zero = optional(node, 1), optional(node, 2)
        reason = scale_problem(scale, zero) or _type_problem(node, source)
        if reason:
            refused[node] = reason
            return
        assert scale is not None
        codes, axis = numbers(source), node.attributes.get_int("axis", 1)
        axis += codes.ndim if axis < 0 else 0
        steps = floats(scale).reshape(-1)
        offsets = np.zeros(1, np.int64) if zero is None else numbers(zero).reshape(-1).astype(np.int64)
        if any(n not in (1, *codes.shape[axis : axis + 1]) for n in (steps.size, offsets.size)):
            refused[node] = f"{steps.size} scales along axis {axis} of {codes.shape} values"
            return
        if node.op_type == "QuantizeLinear":
            least = -128 if zero is not None and zero.dtype == ir.DataType.INT8 else 0
            value = np.rint(codes / _along(steps, axis, codes.ndim)) + _along(offsets, axis, codes.ndim)
            contents = np.clip(value, least, least + 255).astype(np.int8 if least else np.uint8)
        else:
            middle = 128 if codes.dtype == np.uint8 else 0
            real = (codes.astype(np.float64) - _along(offsets, axis, codes.ndim)) * _along(
                steps.astype(np.float64), axis, codes.ndim
            )
            contents = real.astype(np.float32)
            grid = Grid(steps, bool((offsets == middle).all()), axis)
    elif node.op_type == "Transpose" and source in grids:
        order = list(node.attributes.get_ints("perm", range(numbers(source).ndim)[::-1]))
        contents = numbers(source).transpose(order)
        grid = replace(
            grids[source], axis=order.index(grids[source].axis) if grids[source].scales.size > 1 else 0
        )
    else:
        return
    constant = ir.Value(name=result.name, const_value=ir.tensor(np.ascontiguousarray(contents)))
    if grid is not None:
        grids[constant] = grid
    if not result.is_graph_output():
        ir.convenience.replace_all_uses_with(result, constant)
        graph.remove(node, safe=True)


def _type_problem(node: ir.Node, source: ir.Value) -> str:
    if node.op_type == "QuantizeLinear":
        return ""
    kind = source.const_value.dtype if source.const_value is not None else None
    return (
        "" if kind in TYPES else f"{source.name} is {str(kind).lower()}; int8, uint8 and int32 are supported"
    )


def _along(values: NDArray[Any], axis: int, rank: int) -> NDArray[Any]:
    """One value for all, or one for each index of an axis."""
    return values if values.size == 1 else values.reshape(-1, *[1] * (rank - axis - 1))


# -- step 3 --------------------------------------------------------------------------------------------------------


def scale_problem(scale: ir.Value | None, zero: ir.Value | None) -> str:
    """Why a scale and a zero point cannot be used."""
    if scale is None:
        return "its scale is missing"
    if scale.const_value is None:
        return f"its scale {scale.name} is computed"
    steps = floats(scale)
    if not steps.size or not (np.isfinite(steps) & (steps > 0)).all():
        worst = ", ".join(f"{v:g}" for v in steps.reshape(-1) if not (np.isfinite(v) and v > 0)) or "missing"
        return f"its scale {scale.name} is {worst[:60]}, not positive"
    if zero is None:
        return ""
    if zero.const_value is None:
        return f"its zero point {zero.name} is computed"
    kind = zero.const_value.dtype
    return "" if kind in TYPES else f"its zero point is {kind.name.lower()}; int8 and uint8 are supported"


def linear_problem(node: ir.Node) -> str:
    """Why not: QuantizeLinear and DequantizeLinear of a computed value."""
    scale, zero = optional(node, 1), optional(node, 2)
    if reason := scale_problem(scale, zero):
        return reason
    if any(v is not None and numbers(v).size != 1 for v in (scale, zero)):
        return "several scales for one activation; one is supported"
    return (
        ""
        if _kind(node) in BYTES
        else f"quantizes to {_kind(node).name.lower()}; int8 and uint8 are supported"
    )


def _kind(node: ir.Node) -> ir.DataType:
    """Type of the integers."""
    zero = optional(node, 2)
    if zero is not None and zero.const_value is not None:
        return ir.DataType(zero.const_value.dtype)
    if node.op_type == "DequantizeLinear":
        return required(node, 0).dtype or ir.DataType.UINT8
    return ir.DataType(node.attributes.get_int("output_dtype", 0) or ir.DataType.UINT8)


def _scale(node: ir.Node, owner: str) -> ActivationScale:
    zero = optional(node, 2)
    point = 0 if zero is None else int(numbers(zero).reshape(()))
    shift = 128 if _kind(node) == ir.DataType.UINT8 else 0
    scale = float(floats(required(node, 1)).reshape(()))
    return ActivationScale(scale=scale, zero=point - shift, owner=owner)


def quantize(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Remember the scale; where there is another one already, values change to the new one."""
    if x.shares:
        return replace(x, raw=True)
    quant = _scale(node, x.tensor)
    old = to.tensors[x.tensor].quant
    if old is not None and old != quant:
        name = to.name("rescale")
        x = to.add(Clip(name=name, source=label(node), x=x.tensor, y=f"{name}_y"), x)
        quant = replace(quant, owner=x.tensor)
    to.scaled(x, quant)
    return replace(x, raw=True)


def dequantize(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Nothing changes, but the scale must be that of the integers."""
    if x.shares:
        return replace(x, raw=False)
    quant, old = _scale(node, x.tensor), to.scale_of(x)
    if not x.raw:
        raise ModelError(
            "DequantizeLinear of a value that is not quantized",
            where=at(node),
            hint="QuantizeLinear before it",
        )
    if old is None:
        to.scaled(x, quant)
    elif (old.scale, old.zero) != (quant.scale, quant.zero):
        raise ModelError(
            f"DequantizeLinear by {quant.scale:g} of a value that was quantized by {old.scale:g}, zero points "
            f"{quant.zero} and {old.zero}",
            where=at(node),
            hint="the same scale and zero point before and after",
        )
    return replace(x, raw=False)


RULES = {
    "DequantizeLinear": Rule(linear_problem, dequantize, raw=True),
    "QuantizeLinear": Rule(linear_problem, quantize),
}
