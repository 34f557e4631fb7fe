"""What one importer can do, the other can: one table of features, each as an ONNX and as a TFLite file.

Every network is followed by a fully connected layer, and its outputs are those of the runtime of its kind of file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tflite", reason="the package tflite is not installed")
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

import litert_says
import onnx_nets
import tflite_writer
from mcugrad.errors import ModelError
from mcugrad.graph.spec import check
from mcugrad.importers.onnx import load_onnx
from mcugrad.importers.onnx import operators as onnx_operators
from mcugrad.importers.shared.parts import runs
from mcugrad.importers.tflite import load_tflite
from mcugrad.importers.tflite import operators as tflite_operators
from mcugrad.passes.fold import fold
from onnx_nets import helper
from tflite_writer import RELU

Onnx = onnx_nets.Net
Lite = tflite_writer.Net
I64 = np.int64


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, I64)


def shape_of(net: Onnx) -> Onnx:
    """Reshape to (batch, 2, -1, 4), the batch taken from the value's shape."""
    top = net.top
    net.op("Shape").op("Slice", ints(0), ints(1))
    sizes = net.const("sizes", ints(2, -1, 4))
    net.nodes.append(helper.make_node("Concat", [net.top, sizes], ["wanted"], name="wanted", axis=0))
    net.nodes.append(helper.make_node("Reshape", [top, "wanted"], ["shaped"], name="shaped"))
    net.top = "shaped"
    return net


def of_shape(net: Lite) -> Lite:
    """The same in TFLite."""
    top = net.top

    def whole(kind: str, *inputs: int, **fields: Any) -> int:
        net.items[net.op(kind, *inputs, **fields).top].dtype = "int32"
        return net.top

    shape = whole("SHAPE", top, outType=2)
    batch = whole("STRIDED_SLICE", shape, net.ints(0), net.ints(1), net.ints(1), shrinkAxisMask=1)
    sizes = [net.constant(np.int32(n), "int32") for n in (3, 8, 2)]
    packed = whole("PACK", batch, *sizes, valuesCount=4, axis=0)
    return net.back(top).op("RESHAPE", top, packed)


def both(net: Onnx, kind: str, other: Callable[[Onnx], Onnx], **fields: Any) -> Onnx:
    """An operator on two computed values: the top, and what `other` makes of it."""
    top = net.top
    second = other(net).top
    name = f"{kind.lower()}_two"
    net.nodes.append(helper.make_node(kind, [top, second], [name], name=name, **fields))
    net.top = name
    return net


def pair(net: Lite, kind: str, other: Callable[[Lite], Lite], **fields: Any) -> Lite:
    """The same in TFLite."""
    top = net.top
    second = other(net).top
    return net.back(top).op(kind, second, **fields)


def parts(net: Onnx, axis: int, *sizes: int) -> Onnx:
    """Split, and the parts joined again in another order."""
    names = [f"part{i}" for i in range(len(sizes))]
    net.nodes.append(
        helper.make_node("Split", [net.top, net.const("sizes", ints(*sizes))], names, name="split", axis=axis)
    )
    net.nodes.append(helper.make_node("Concat", names[::-1], ["turned"], name="turned", axis=axis))
    net.top = "turned"
    return net


def pieces(net: Lite, kind: str, axis: int, count: int, *inputs: int, join: str = "CONCATENATION") -> Lite:
    """The same in TFLite."""
    net.op(kind, *inputs, **({"numSplits": count} if kind != "UNPACK" else {"num": count, "axis": axis}))
    split = net.operators[-1]
    made = [split.output]
    for i in range(1, count):
        net.items.append(tflite_writer.Item(f"part{i}", []))
        made.append(len(net.items) - 1)
    split.more = made[1:]
    more = {"valuesCount": count} if join == "PACK" else {}
    return net.back(made[-1]).op(join, *made[::-1], axis=axis, **more)


# The maps are (batch, 4, 6, 2) in TFLite and (batch, 2, 6, 4) or so in ONNX; what a feature does is the same.
FEATURES: dict[str, tuple[Callable[[Onnx], Onnx], Callable[[Lite], Lite]]] = {
    "flatten": (lambda n: n.op("Flatten"), lambda n: n.flatten(48)),
    "flatten the other layout": (
        lambda n: n.op("Transpose", perm=[0, 2, 3, 1]).op("Flatten"),
        lambda n: n.op("TRANSPOSE", n.ints(0, 3, 1, 2)).flatten(48),
    ),
    "reshape by shape arithmetic": (shape_of, of_shape),
    "transposed, element by element, and back": (
        lambda n: (
            n.op("Transpose", perm=[0, 2, 3, 1])
            .op("Add", np.float32([0.5, -1]))
            .op("Relu")
            .op("Transpose", perm=[0, 3, 1, 2])
            .conv(2, 3)
        ),
        lambda n: (
            n.op("TRANSPOSE", n.ints(0, 3, 1, 2))
            .op("ADD", n.constant(np.float32([0.5, -1])[:, None, None]), fusedActivationFunction=RELU)
            .op("TRANSPOSE", n.ints(0, 2, 3, 1))
            .conv(2, 3)
        ),
    ),
    "sum of transposed values": (
        lambda n: both(n.op("Transpose", perm=[0, 2, 3, 1]), "Add", lambda n: n.op("Sigmoid")),
        lambda n: pair(n.op("TRANSPOSE", n.ints(0, 3, 1, 2)), "ADD", lambda n: n.op("LOGISTIC")),
    ),
    "mean under a transpose": (
        lambda n: n.op("Transpose", perm=[0, 2, 3, 1]).op("ReduceMean", axes=[1, 2], keepdims=0),
        lambda n: n.op("TRANSPOSE", n.ints(0, 3, 1, 2)).op("MEAN", n.ints(2, 3), keepDims=False),
    ),
    "mean of rows": (
        lambda n: n.op("ReduceMean", axes=[2], keepdims=0),
        lambda n: n.op("MEAN", n.ints(1), keepDims=False),
    ),
    "mean of channels": (
        lambda n: n.op("ReduceMean", axes=[1], keepdims=1),
        lambda n: n.op("MEAN", n.ints(3), keepDims=True),
    ),
    "largest of channels and columns": (
        lambda n: n.op("ReduceMax", axes=[1, 3], keepdims=0),
        lambda n: n.op("REDUCE_MAX", n.ints(-1, 2), keepDims=False),
    ),
    "sum of channels": (
        lambda n: n.op("ReduceSum", ints(1), keepdims=0),
        lambda n: n.op("SUM", n.ints(3), keepDims=False),
    ),
    "padding under a transpose": (
        lambda n: n.op("Transpose", perm=[0, 2, 3, 1]).op("Pad", ints(0, 1, 0, 2, 0, 0, 1, 0)),
        lambda n: (
            n.op("TRANSPOSE", n.ints(0, 3, 1, 2)).op("PAD", n.constant([[0, 0], [2, 0], [1, 0], [0, 1]], "int32"))
        ),
    ),
    "part under a transpose": (
        lambda n: n.op("Transpose", perm=[0, 2, 3, 1]).op("Slice", ints(1, 0), ints(4, 1), ints(1, 3), ints(2, 1)),
        lambda n: (
            n.op("TRANSPOSE", n.ints(0, 3, 1, 2)).op(
                "STRIDED_SLICE", n.ints(0, 0, 1, 0), n.ints(1, 1, 4, 6), n.ints(1, 1, 2, 1)
            )
        ),
    ),
    "joined under a transpose": (
        lambda n: both(n.op("Transpose", perm=[0, 2, 3, 1]), "Concat", lambda n: n.op("Tanh"), axis=1),
        lambda n: pair(n.op("TRANSPOSE", n.ints(0, 3, 1, 2)), "CONCATENATION", lambda n: n.op("TANH"), axis=2),
    ),
    "joined flattened": (
        lambda n: both(n.op("Flatten"), "Concat", lambda n: n.op("Tanh"), axis=1),
        lambda n: pair(
            n.op("TRANSPOSE", n.ints(0, 3, 1, 2)).flatten(48), "CONCATENATION", lambda n: n.op("TANH"), axis=-1
        ),
    ),
    "constants per place in a flattened map": (
        lambda n: n.op("Flatten").op("Mul", np.linspace(-1, 1, 48, dtype=np.float32)),
        lambda n: (
            n.op("TRANSPOSE", n.ints(0, 3, 1, 2))
            .flatten(48)
            .op("MUL", n.constant(np.linspace(-1, 1, 48, dtype=np.float32)))
        ),
    ),
    "a vector becomes a map of the other layout": (
        lambda n: n.op("Flatten").fc(48, 32).op("Relu").op("Reshape", ints(-1, 2, 4, 4)).conv(2, 3),
        lambda n: (
            n.flatten(48)
            .fc(48, 32, act=RELU)
            .op("RESHAPE", n.ints(1, 2, 4, 4))
            .op("TRANSPOSE", n.ints(0, 2, 3, 1))
            .conv(2, 3)
        ),
    ),
    "last column": (
        lambda n: n.op("Gather", np.int64(-1), axis=3).op("Transpose", perm=[0, 2, 1]),
        lambda n: n.op("STRIDED_SLICE", n.ints(0, 0, -1), n.ints(0, 0, 0), n.ints(1, 1, 1),
                       beginMask=3, endMask=3, shrinkAxisMask=4).op("TRANSPOSE", n.ints(0, 2, 1)),
    ),
    "one row, as an index": (
        lambda n: n.op("Gather", np.int64(2), axis=2),
        lambda n: n.op("GATHER", n.constant(2, "int32"), axis=1),
    ),
    "rows that follow each other": (
        lambda n: n.op("Gather", ints(1, 2, 3), axis=2),
        lambda n: n.op("GATHER", n.ints(1, 2, 3), axis=1),
    ),
    "columns in any order": (
        lambda n: n.op("Gather", ints(5, 0, 2, 4, 0), axis=-1),
        lambda n: n.op("GATHER", n.ints(5, 0, 2, 4, 0), axis=2),
    ),
    "channels the other way round": (
        lambda n: n.op("Gather", ints(1, 0), axis=1),
        lambda n: n.op("GATHER", n.ints(1, 0), axis=-1),
    ),
    "the one sample": (
        lambda n: n.op("Gather", np.int64(0), axis=0).op("Unsqueeze", ints(0)),
        lambda n: n.op("GATHER", n.constant(0, "int32"), axis=0).op("EXPAND_DIMS", n.ints(0)),
    ),
    "equal parts": (
        lambda n: parts(n, 3, 3, 3),
        lambda n: pieces(n, "SPLIT", 2, 2, n.constant(2, "int32"), n.top),
    ),
    "given parts": (
        lambda n: parts(n, 2, 1, 3),
        lambda n: pieces(n, "SPLIT_V", 1, 2, n.ints(1, 3), n.constant(1, "int32")),
    ),
    "parts without their axis": (
        lambda n: parts(n, 1, 1, 1),
        lambda n: pieces(n, "UNPACK", 3, 2, join="PACK"),
    ),
    "without a batch and back": (
        lambda n: n.op("Squeeze", ints(0)).op("Tanh").op("Unsqueeze", ints(0)),
        lambda n: n.op("SQUEEZE", squeezeDims=[0]).op("TANH").op("EXPAND_DIMS", n.ints(0)),
    ),
    "a layer over steps": (
        lambda n: n.op("Transpose", perm=[0, 2, 3, 1]).op("Reshape", ints(1, 24, 2)).op("MatMul", n.normal(2, 3)),
        lambda n: n.op("RESHAPE", n.ints(24, 2)).fc(2, 3).op("RESHAPE", n.ints(1, 24, 3)),
    ),
    "a layer over pixels": (
        lambda n: n.op("Transpose", perm=[0, 2, 3, 1]).op("MatMul", n.normal(2, 3)),
        lambda n: n.op("BATCH_MATMUL", n.constant(n.normal(2, 3)), adjX=False, adjY=False),
    ),
    "bounds": (
        lambda n: n.op("Max", np.float32(-0.5)).op("Min", np.float32(0.25)),
        lambda n: n.op("MAXIMUM", n.constant(np.float32(-0.5))).op("MINIMUM", n.constant(np.float32(0.25))),
    ),
    "magnitude": (lambda n: n.op("Abs"), lambda n: n.op("ABS")),
    "minus": (lambda n: n.op("Neg"), lambda n: n.op("NEG")),
    "sum of several": (
        lambda n: both(n, "Sum", lambda n: n.op("Tanh")),
        lambda n: pair(n, "ADD_N", lambda n: n.op("TANH")),
    ),
    "a number per channel for every pixel": (
        lambda n: both(n, "Add", lambda n: n.op("GlobalAveragePool")),
        lambda n: pair(n, "ADD", lambda n: n.op("MEAN", n.ints(1, 2), keepDims=True)),
    ),
    "a number per channel, repeated": (
        lambda n: n.op("GlobalAveragePool").op("Expand", ints(1, 2, 4, 6)),
        lambda n: n.op("MEAN", n.ints(1, 2), keepDims=True).op("BROADCAST_TO", n.ints(1, 4, 6, 2)),
    ),
    "a number per channel, repeated for a product": (
        lambda n: both(n, "Mul", lambda n: n.op("GlobalMaxPool").op("Relu").op("Expand", ints(1, 2, 4, 6))),
        lambda n: pair(
            n, "MUL", lambda n: (
                n.op("REDUCE_MAX", n.ints(1, 2), keepDims=True).op("RELU").op("BROADCAST_TO", n.ints(1, 4, 6, 2))
            )
        ),
    ),
    "upsampling": (
        lambda n: n.op("Resize", None, np.float32([1, 1, 2, 2]), mode="nearest", nearest_mode="floor",
                       coordinate_transformation_mode="asymmetric"),
        lambda n: n.op("RESIZE_NEAREST_NEIGHBOR", n.ints(8, 12)),
    ),
    "a leaky slope": (lambda n: n.op("LeakyRelu", alpha=0.3), lambda n: n.op("LEAKY_RELU", alpha=0.3)),
    "slopes per channel": (
        lambda n: n.op("PRelu", np.float32([0.1, -0.5])[:, None, None]),
        lambda n: n.op("PRELU", n.constant(np.float32([[[0.1, -0.5]]]))),
    ),
    "tabulated functions": (
        lambda n: n.op("Sigmoid").op("Tanh").op("HardSwish"),
        lambda n: n.op("LOGISTIC").op("TANH").op("HARD_SWISH"),
    ),
    "any outputs per channel": (lambda n: n.conv(1, 4, group=2), lambda n: n.depthwise(2, 2)),
    "groups": (
        lambda n: n.conv(2, 4, (1, 1)).conv(2, 6, group=2),
        lambda n: n.conv(2, 4, (1, 1)).conv(2, 6),
    ),
    "transposed convolution": (
        lambda n: n.op("ConvTranspose", n.normal(2, 3, 2, 2), strides=[2, 2]),
        lambda n: n.op("TRANSPOSE_CONV", n.ints(1, 8, 12, 3), n.constant(n.normal(3, 2, 2, 2)), n.top,
                       padding=tflite_writer.VALID, strideH=2, strideW=2),
    ),
    "pooling": (
        lambda n: n.op("MaxPool", kernel_shape=[2, 2]).op("AveragePool", kernel_shape=[2, 2], strides=[1, 2]),
        lambda n: n.pool("MAX", 2, 1).pool("AVERAGE", 2, 2),
    ),
    "pooling of all": (
        lambda n: both(n.op("Relu"), "Mul", lambda n: n.op("GlobalMaxPool")),
        lambda n: pair(n.op("RELU"), "MUL", lambda n: n.op("REDUCE_MAX", n.ints(1, 2), keepDims=True)),
    ),
    "arithmetic with constants": (
        lambda n: n.op("Sub", np.float32(1)).op("Div", np.float32(3)).op("Clip", np.float32(-1), np.float32(1)),
        lambda n: (
            n.op("SUB", n.constant(np.float32(1))).op("DIV", n.constant(np.float32(3))).op("RELU_N1_TO_1")
        ),
    ),
    "six at most": (
        lambda n: n.op("Clip", np.float32(0), np.float32(6)).op("Clip", np.float32(0), np.float32(1)),
        lambda n: n.op("RELU6").op("RELU_0_TO_1"),
    ),
    "a part from a place on": (
        lambda n: n.op("Slice", ints(1), ints(3), ints(2)),
        lambda n: n.op("SLICE", n.ints(0, 1, 0, 0), n.ints(1, 2, -1, -1)),
    ),
    "zeros as an operand": (
        lambda n: n.op("Pad", ints(0, 0, 1, 0, 0, 0, 0, 0)),
        lambda n: n.op("PADV2", n.constant([[0, 0], [1, 0], [0, 0], [0, 0]], "int32"), n.constant(np.float32(0))),
    ),
}  # fmt: skip
ELSEWHERE = {
    "in int8 files": {"DequantizeLinear", "QuantizeLinear", "DEQUANTIZE", "QUANTIZE"},
    "at the end of a network": {"LogSoftmax", "Softmax"},
    "without effect": {"Cast", "Dropout", "Identity"},
    "statistics of training, which TFLite's converter folds": {"BatchNormalization"},
    "functions that the other kind of file has no operator for": {
        *("Celu", "HardSigmoid", "LogSigmoid", "Selu", "Silu", "Softplus", "Swish"),
    },
    "functions that onnxruntime and LiteRT know in newer versions alone": {"ELU", "Elu", "GELU", "Gelu"},
}
"""Operators that other tests read."""


def finished_onnx(feature: str) -> Onnx:
    net = FEATURES[feature][0](Onnx(1, 2, 4, 6).conv(2, 2, (1, 1))).op("Flatten", axis=1)
    graph = onnx_nets.onnx.shape_inference.infer_shapes(net.model(), data_prop=True)
    session = onnx_nets.onnxruntime.InferenceSession(graph.SerializeToString())
    size = session.run(None, {"x": np.zeros((1, 2, 4, 6), np.float32)})[0].size
    return net.fc(size, 3)


def finished_tflite(feature: str) -> Lite:
    net = FEATURES[feature][1](Lite(1, 4, 6, 2).conv(2, 2, (1, 1)))
    size = litert_says.runtime(net.bytes(), np.zeros((1, 4, 6, 2), np.float32)).size
    return net.flatten(size).fc(size, 3)


@pytest.mark.parametrize("feature", FEATURES)
def test_onnx(feature: str) -> None:
    model = finished_onnx(feature).bytes()
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 6)).astype(np.float32)
    graph = check(fold(check(load_onnx(model))))
    np.testing.assert_allclose(onnx_nets.ours(graph, x), onnx_nets.runtime(model, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("feature", FEATURES)
def test_tflite(feature: str) -> None:
    model = finished_tflite(feature).bytes()
    x = np.random.default_rng(0).normal(size=(3, 4, 6, 2)).astype(np.float32)
    graph = check(fold(check(load_tflite(model))))
    np.testing.assert_allclose(
        litert_says.ours(graph, x), litert_says.runtime(model, x), rtol=1e-4, atol=1e-4
    )


NOT_INT8 = {
    "LiteRT has no int8 kernel, or the file would have to be written in another way": {
        *("reshape by shape arithmetic", "sum of several", "zeros as an operand"),
    },
    "refused": {"sum of channels", "minus", "a layer over pixels", "bounds"},
    "not code for code: docs/arithmetic.md, section 11": {"a leaky slope"},
}


@pytest.mark.parametrize("feature", [f for f in FEATURES if f not in set().union(*NOT_INT8.values())])
def test_int8_outputs_are_those_of_litert(feature: str) -> None:
    x = np.random.default_rng(0).normal(size=(24, 4, 6, 2)).astype(np.float32)
    found = litert_says.agreement(finished_tflite(feature).int8(x), x)
    assert found.worst == 0


@pytest.mark.parametrize("feature", sorted(NOT_INT8["refused"]))
def test_what_int8_would_change_is_refused(feature: str) -> None:
    x = np.random.default_rng(0).normal(size=(4, 4, 6, 2)).astype(np.float32)
    with pytest.raises(ModelError, match="int8"):
        load_tflite(finished_tflite(feature).int8(x).bytes())


@pytest.mark.parametrize(
    ("indices", "count"),
    [([3], 1), ([0, 1, 2, 3], 1), ([1, 3, 5], 1), ([5, 4, 3], 3), ([5, 0, 2, 4, 0], 3), ([0, 5, 6, 7], 2),
     ([2, 2, 2], 3), ([0, 1, 4, 5], 2), ([0, 3, 4, 5, 9, 11], 3)],
)  # fmt: skip
def test_indices_fall_into_regular_parts(indices: list[int], count: int) -> None:
    found = runs(indices)
    assert [i for run in found for i in run] == indices
    assert len(found) == count


def test_a_vector_that_two_read_keeps_its_order() -> None:
    """Its layer cannot put its outputs in another order for the one, as the other would notice."""
    onnx = both(
        Onnx(1, 6).fc(6, 32).op("Relu"),
        "Concat",
        lambda n: n.op("Reshape", ints(1, 2, 4, 4)).conv(2, 3).op("Flatten"),
        axis=1,
    )
    lite = Lite(1, 6).fc(6, 32, act=RELU)
    lite = pair(
        lite,
        "CONCATENATION",
        lambda n: (
            n.op("RESHAPE", n.ints(1, 2, 4, 4)).op("TRANSPOSE", n.ints(0, 2, 3, 1)).conv(2, 3).flatten(48)
        ),
        axis=1,
    )
    with pytest.raises(ModelError, match="with the axes in another order"):
        load_onnx(onnx.bytes())
    with pytest.raises(ModelError, match="with the axes in another order"):
        load_tflite(lite.bytes())


def test_int8_bounds_in_the_scale_of_the_values() -> None:
    x = np.random.default_rng(0).normal(size=(24, 4, 6, 2)).astype(np.float32)
    net = finished_tflite("bounds")
    whole = net.int8(x)
    for call in whole.operators:
        if call.kind in ("MAXIMUM", "MINIMUM"):
            values, bound = whole.items[call.inputs[0]], whole.items[call.inputs[1]]
            real = net.items[call.inputs[1]].data
            assert real is not None
            bound.scale, bound.zero = values.scale, values.zero
            bound.data = litert_says.codes(real, values.scale, values.zero)
    found = litert_says.agreement(whole, x)
    assert found.worst == 0


def test_the_table_names_every_operator() -> None:
    """A rule of one importer needs a row here, and with it a counterpart in the other."""
    used = {node.op_type for feature in FEATURES for node in finished_onnx(feature).nodes}
    used |= {call.kind for feature in FEATURES for call in finished_tflite(feature).operators}
    assert used.isdisjoint(set().union(*ELSEWHERE.values()))
    rules = {*onnx_operators.RULES, *tflite_operators.RULES}
    assert rules - used == set().union(*ELSEWHERE.values())
    assert used - rules == {"Shape", "SHAPE"}  # static, so that nothing is left of them
