"""Small TFLite files for tests, in float32 or quantized to int8.

Ranges for quantizing, and the shapes of activations, are taken from LiteRT's float activations: its XNNPACK kernels
take int8 layers only where the file has the shapes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from litert_says import interpreter
from mcugrad.graph import Graph, Operator
from mcugrad.importers.tflite.layers import padding_of
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.activation.curves import Function
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.joining.add import Add
from mcugrad.ops.joining.mul import Mul
from mcugrad.ops.linear.linear import Linear
from mcugrad.ops.movement.flatten import Flatten
from mcugrad.ops.pooling.avgpool2d import AvgPool2d
from mcugrad.ops.pooling.maxpool2d import MaxPool2d

Array = NDArray[Any]
TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "int16": 7, "int8": 9}
SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6, TANH = range(5)
ACTIVATIONS = {(None, None): NONE, (0.0, None): RELU, (0.0, 6.0): RELU6}
WEIGHTED = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
ONE_SCALE = (
    "AVERAGE_POOL_2D",
    "CONCATENATION",
    "EXPAND_DIMS",
    "GATHER",
    "MAXIMUM",
    "MAX_POOL_2D",
    "MINIMUM",
    "PACK",
    "PAD",
    "REDUCE_MAX",
    "RESHAPE",
    "RESIZE_NEAREST_NEIGHBOR",
    "SLICE",
    "SPLIT",
    "SPLIT_V",
    "SQUEEZE",
    "STRIDED_SLICE",
    "TRANSPOSE",
    "UNPACK",
)
"""Operators whose int8 kernels do not rescale."""
FIXED = {"LOGISTIC": (0.0, 255 / 256), "TANH": (-1.0, 127 / 128), "SOFTMAX": (0.0, 255 / 256)}
"""Ranges that int8 kernels insist on."""
OPTIONS = {
    "ADD_N": "AddNOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MEAN": "ReducerOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "PADV2": "PadV2Options",
    "PRELU": "",
    "REDUCE_MAX": "ReducerOptions",
    "SPLIT_V": "SplitVOptions",
    "SUM": "ReducerOptions",
    **dict.fromkeys(
        ("CUSTOM", "ELU", "LOGISTIC", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "TANH"), ""
    ),
}
"""Where the name of an operator's options does not follow from its own."""


@dataclass
class Item:
    """A tensor."""

    name: str
    shape: list[int]
    dtype: str = "float32"
    data: Array | None = None
    scale: Array | None = None
    zero: Array | None = None
    axis: int = 0
    signature: list[int] | None = None


@dataclass
class Call:
    """An operator applied to tensors."""

    kind: str
    inputs: list[int]
    output: int
    fields: dict[str, Any] = field(default_factory=dict)
    options: str | None = None
    more: list[int] = field(default_factory=list)


class Net:
    """A network that grows at its top; weights are drawn from a seeded generator."""

    def __init__(self, *shape: int, seed: int = 0, dtype: str = "float32") -> None:
        self.rng = np.random.default_rng(seed)
        self.items = [Item("x", list(shape), dtype)]
        self.operators: list[Call] = []
        self.top = 0
        self.outputs: list[int] = []

    def constant(self, value: Any, dtype: str = "float32", **fields: Any) -> int:
        """Add a constant; its index."""
        data = np.asarray(value, dtype)
        self.items.append(Item(f"constant_{len(self.items)}", list(data.shape), dtype, data, **fields))
        return len(self.items) - 1

    def ints(self, *values: int) -> int:
        """Add a constant vector of integers."""
        return self.constant(values, "int32")

    def op(self, kind: str, *inputs: int, options: str | None = None, **fields: Any) -> Net:
        """Add an operator on the top and other tensors, or on `inputs` alone if one of them is the top."""
        before = list(inputs) if self.top in inputs else [self.top, *inputs]
        self.items.append(Item(f"{kind.lower()}_{len(self.operators)}", []))
        self.top = len(self.items) - 1
        self.operators.append(Call(kind, before, self.top, fields, options))
        return self

    def back(self, tensor: int) -> Net:
        """Go on from an earlier tensor."""
        self.top = tensor
        return self

    def normal(self, *shape: int, fan: int = 1) -> Array:
        """Random weights."""
        return (self.rng.normal(size=shape) / np.sqrt(fan)).astype(np.float32)

    def conv(self, inputs: int, out: int, k: tuple[int, int] = (3, 3), s: int = 1, act: int = NONE, pad: int = SAME,
             dilation: int = 1, bias: bool = True) -> Net:  # fmt: skip
        """Add a convolution."""
        w = self.constant(self.normal(out, *k, inputs, fan=inputs * k[0] * k[1]))
        b = self.constant(self.normal(out) * 0.2) if bias else -1
        return self.op("CONV_2D", w, b, padding=pad, strideH=s, strideW=s, fusedActivationFunction=act,
                       dilationHFactor=dilation, dilationWFactor=dilation)  # fmt: skip

    def depthwise(
        self, inputs: int, times: int = 1, k: tuple[int, int] = (3, 3), s: int = 1, act: int = NONE
    ) -> Net:
        """Add a depthwise convolution."""
        w = self.constant(self.normal(1, *k, inputs * times, fan=k[0] * k[1]))
        b = self.constant(self.normal(inputs * times) * 0.2)
        return self.op("DEPTHWISE_CONV_2D", w, b, padding=SAME, strideH=s, strideW=s, depthMultiplier=times,
                       fusedActivationFunction=act, dilationHFactor=1, dilationWFactor=1)  # fmt: skip

    def fc(self, inputs: int, out: int, act: int = NONE, **fields: Any) -> Net:
        """Add a fully connected layer."""
        w = self.constant(self.normal(out, inputs, fan=inputs))
        return self.op(
            "FULLY_CONNECTED", w, self.constant(self.normal(out) * 0.2), fusedActivationFunction=act, **fields
        )

    def pool(self, kind: str, k: int = 2, s: int = 2, pad: int = VALID, act: int = NONE) -> Net:
        """Add a pooling layer, `MAX` or `AVERAGE`."""
        return self.op(f"{kind}_POOL_2D", filterHeight=k, filterWidth=k, strideH=s, strideW=s, padding=pad,
                       fusedActivationFunction=act)  # fmt: skip

    def flatten(self, size: int) -> Net:
        """Add a RESHAPE to a vector."""
        return self.op("RESHAPE", self.ints(1, size), newShape=[1, size])

    # -- files -----------------------------------------------------------------------------------------------

    def bytes(self) -> bytes:
        """The file."""
        model = schema.ModelT(version=3, description="test", buffers=[schema.BufferT()], operatorCodes=[])
        codes: dict[str, int] = {}
        for operator in self.operators:
            if operator.kind not in codes:
                codes[operator.kind] = len(codes)
                number = getattr(schema.BuiltinOperator, operator.kind, schema.BuiltinOperator.CUSTOM)
                custom = operator.kind if number == schema.BuiltinOperator.CUSTOM else None
                model.operatorCodes.append(
                    schema.OperatorCodeT(
                        deprecatedBuiltinCode=min(number, 127),
                        builtinCode=number,
                        customCode=custom,
                        version=2 if operator.kind == "BROADCAST_TO" else 1,
                    )
                )
        graph = schema.SubGraphT(name="main", tensors=[self._tensor(model, item) for item in self.items])
        graph.inputs, graph.outputs = [0], self.outputs or [self.top]
        graph.operators = [self._operator(codes, operator) for operator in self.operators]
        model.subgraphs = [graph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _tensor(self, model: Any, item: Item) -> Any:
        buffer = 0
        if item.data is not None:
            model.buffers.append(schema.BufferT(data=np.frombuffer(item.data.tobytes(), np.uint8)))
            buffer = len(model.buffers) - 1
        quant = None
        if item.scale is not None:
            quant = schema.QuantizationParametersT(
                scale=np.atleast_1d(np.asarray(item.scale, np.float32)),
                zeroPoint=np.atleast_1d(np.asarray(item.zero, np.int64)),
                quantizedDimension=item.axis,
            )
        return schema.TensorT(
            shape=np.asarray(item.shape, np.int32),
            type=TYPES[item.dtype],
            buffer=buffer,
            name=item.name,
            quantization=quant,
            shapeSignature=item.signature,
            hasRank=True,
        )

    def _operator(self, codes: dict[str, int], operator: Call) -> Any:
        name = operator.options
        if name is None:
            words = "".join(w.capitalize() for w in operator.kind.split("_"))
            name = OPTIONS.get(operator.kind, f"{words}Options")
        number = getattr(schema.BuiltinOptions, name, 0) if name else 0
        options = getattr(schema, f"{name}T")(**operator.fields) if number else None
        return schema.OperatorT(
            opcodeIndex=codes[operator.kind],
            inputs=operator.inputs,
            outputs=[operator.output, *operator.more],
            builtinOptionsType=number,
            builtinOptions=options,
        )

    # -- quantizing ------------------------------------------------------------------------------------------

    def int8(self, samples: Array, *, per_channel: bool = True, border: str = "int8") -> Net:
        """The same network in int8, as the TFLite converter would make it.

        Args:
            samples: for the ranges.
            per_channel: whether convolutions have a scale per output channel.
            border: type of input and output.
        """
        ranges, shapes = self._ranges(samples)
        net = Net(*self.items[0].shape)
        net.items = [Item(i.name, shapes.get(k, i.shape), i.dtype, i.data) for k, i in enumerate(self.items)]
        net.operators = [
            Call(o.kind, list(o.inputs), o.output, o.fields, o.options, o.more) for o in self.operators
        ]
        net.top = self.top
        for index, item in enumerate(net.items):
            if item.data is None:
                low, high = ranges[index]
                scale = np.float32((high - low) / 255)
                item.dtype, item.scale, item.zero = "int8", scale, np.round(-128 - low / scale)
        for o in net.operators:
            net._quantize_constants(o, per_channel)
        if border != "int8":
            net._wrap(border)
        return net

    def _ranges(self, samples: Array) -> tuple[dict[int, tuple[float, float]], dict[int, list[int]]]:
        """Range and shape of every activation, by index."""
        runner = interpreter(self.bytes(), preserve=True)
        found: dict[int, list[float]] = defaultdict(lambda: [0.0])
        shapes: dict[int, list[int]] = {}
        for sample in samples:
            runner.set_tensor(runner.get_input_details()[0]["index"], sample[None])
            runner.invoke()
            for index, item in enumerate(self.items):
                if item.data is None:
                    values = runner.get_tensor(index)
                    shapes[index] = list(values.shape)
                    found[index] += [float(values.min()), float(values.max()), 1e-3]
        for o in self.operators:
            if o.kind in FIXED:
                found[o.output] = list(FIXED[o.kind])
        changed = True
        while changed:  # what shares a scale shares a range
            changed = False
            for o in self.operators:
                if o.kind in ONE_SCALE:
                    group = [i for i in (*o.inputs, o.output, *o.more) if i in found]
                    merged = [v for i in group for v in found[i]]
                    ends = [min(merged), max(merged)]
                    for i in group:
                        if [min(found[i]), max(found[i])] != ends:
                            found[i], changed = ends, True
        return {i: (min(v), max(v)) for i, v in found.items()}, shapes

    def _quantize_constants(self, o: Operator, per_channel: bool) -> None:
        floats = [
            i
            for i in o.inputs
            if i >= 0 and self.items[i].data is not None and self.items[i].dtype == "float32"
        ]
        for place, index in enumerate(floats):
            item = self.items[index]
            data = item.data
            assert data is not None
            if o.kind in WEIGHTED and place == 0:
                axis = WEIGHTED[o.kind]
                rest = tuple(i for i in range(data.ndim) if i != axis)
                peak = np.abs(data).max(axis=rest, keepdims=True)
                if not per_channel or o.kind == "FULLY_CONNECTED":
                    peak = np.full_like(peak, peak.max())
                scale = (peak / 127).astype(np.float32)
                item.data = np.clip(np.round(data / scale), -127, 127).astype(np.int8)
                item.dtype, item.axis = "int8", axis
                item.scale = scale.reshape(-1) if (peak != peak.flat[0]).any() else scale.reshape(-1)[:1]
                item.zero = np.zeros(len(item.scale))
            elif o.kind in WEIGHTED:
                x = o.inputs[2] if o.kind == "TRANSPOSE_CONV" else o.inputs[0]
                item.scale = (self.items[x].scale * self.items[floats[0]].scale).astype(np.float32)  # type: ignore
                item.data = np.round(data / item.scale).astype(np.int32)
                item.dtype, item.zero = "int32", np.zeros(len(item.scale))
            else:
                low, high = min(0.0, float(data.min())), max(1e-3, float(data.max()))
                item.scale = np.float32((high - low) / 255)
                item.zero = np.round(-128 - low / item.scale)
                item.data = np.clip(np.round(data / item.scale) + item.zero, -128, 127).astype(np.int8)
                item.dtype = "int8"

    def _wrap(self, border: str) -> None:
        """Put QUANTIZE before, DEQUANTIZE or QUANTIZE behind."""
        first, last = self.items[0], self.items[self.top]
        inside = Item("inside", first.shape, "int8", None, first.scale, first.zero)
        self.items.append(inside)
        for o in self.operators:
            o.inputs = [len(self.items) - 1 if i == 0 else i for i in o.inputs]
        self.operators.insert(0, Call("QUANTIZE", [0], len(self.items) - 1))
        after = Item("after", last.shape, border)
        if border == "uint8":
            first.dtype, first.zero = "uint8", np.asarray(first.zero) + 128
            after.scale, after.zero = last.scale, np.asarray(last.zero) + 128
        else:
            self.items[0] = Item(first.name, first.shape)
        self.items.append(after)
        kind = "QUANTIZE" if border == "uint8" else "DEQUANTIZE"
        self.operators.append(Call(kind, [self.top], len(self.items) - 1))
        self.top = len(self.items) - 1


# -- from graphs ---------------------------------------------------------------------------------------------------


def of_graph(graph: Graph) -> Net:
    """A float network of ours, folded, as a TFLite converter would write it; flattening needs no copy."""
    shape = graph[graph.input].shape
    net = Net(1, *shape)
    made = {graph.input: 0}
    for node in graph.nodes:
        assert isinstance(node, Operator)
        net.back(made[node.inputs[0]])
        _add(net, graph, node, made)
        made[node.y] = net.top
    return net


def _add(net: Net, graph: Graph, node: Operator, made: dict[str, int]) -> None:
    act = ACTIVATIONS[getattr(node, "low", None), getattr(node, "high", None)]
    match node:
        case Conv2d() | DepthwiseConv2d():
            pad = _padded(net, graph, node)
            w, b = graph[node.w].value, graph[node.b].value
            assert w is not None
            fields = {"padding": pad, "strideH": node.stride[0], "strideW": node.stride[1], "dilationHFactor": 1,
                      "dilationWFactor": 1, "fusedActivationFunction": act}  # fmt: skip
            if isinstance(node, Conv2d):
                net.op("CONV_2D", net.constant(w), net.constant(b), **fields)
            else:
                times = len(w) // graph[node.x].channels
                w = w.transpose(3, 1, 2, 0)
                net.op("DEPTHWISE_CONV_2D", net.constant(w), net.constant(b), depthMultiplier=times, **fields)
        case Linear():
            w, b = (net.constant(graph[t].value) for t in (node.w, node.b))
            net.op("FULLY_CONNECTED", w, b, fusedActivationFunction=act)
        case MaxPool2d() | AvgPool2d():
            kind = "MAX_POOL_2D" if isinstance(node, MaxPool2d) else "AVERAGE_POOL_2D"
            excites = not all(isinstance(n, Flatten) for n in graph.nodes if node.y in n.inputs)
            if excites and kind == "AVERAGE_POOL_2D":
                net.op("MEAN", net.ints(1, 2), keepDims=True)
            else:
                k, s = node.kernel, node.stride
                net.op(kind, filterHeight=k[0], filterWidth=k[1], strideH=s[0], strideW=s[1], padding=VALID)
        case Add():
            net.op("ADD", made[node.b], fusedActivationFunction=act)
        case Mul():
            net.op("MUL", made[node.b], fusedActivationFunction=act)
        case Activation(function=Function.HARD_SIGMOID):
            net.op("ADD", net.constant(np.float32([3.0])), fusedActivationFunction=RELU6)
            net.op("MUL", net.constant(np.float32([1 / 6])))
        case Activation(function=Function.HARD_SWISH):
            net.op("HARD_SWISH")
        case Flatten():
            net.flatten(graph[node.y].size)
        case _:
            raise TypeError(type(node).__name__)


def _padded(net: Net, graph: Graph, node: Conv2d | DepthwiseConv2d) -> int:
    """SAME where that is the layer's padding; else VALID, behind a PAD if there is any."""
    x, w, (top, left, bottom, right) = graph[node.x].shape, graph[node.w].shape, node.padding
    same = [padding_of(x[i], w[1 + i], node.stride[i], 1, SAME) for i in (0, 1)]
    if same == [(top, bottom), (left, right)]:
        return SAME
    if any(node.padding):
        net.op("PAD", net.constant([[0, 0], [top, bottom], [left, right], [0, 0]], "int32"))
    return VALID
