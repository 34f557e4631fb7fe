"""No ONNX file raises anything but our errors, or takes long: damaged bytes, absurd numbers, wrong operators."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from mcugrad.errors import McugradError
from mcugrad.graph.spec import check
from mcugrad.importers.onnx import load_onnx
from mcugrad.passes.fold import fold
from onnx_nets import Net, join

I64 = np.int64
MUTATIONS = int(os.environ.get("MUTATIONS", "200"))
"""Of each file."""


def damaged(rng: np.random.Generator, data: bytes) -> bytes:
    """The file, cut short or with a few bytes changed, removed or inserted."""
    kind, place = rng.integers(4), int(rng.integers(len(data)))
    noise = rng.integers(256, size=int(rng.integers(1, 6)), dtype=np.uint8).tobytes()
    match kind:
        case 0:
            return data[:place]
        case 1:
            return data[:place] + noise + data[place + len(noise) :]
        case 2:
            return data[:place] + data[place + len(noise) :]
        case _:
            return data[:place] + noise + data[place:]


def distorted(rng: np.random.Generator, data: bytes) -> bytes:
    """The file, valid as a protocol buffer, with one number or name replaced by an absurd one."""
    model = onnx.load_model_from_string(data)
    graph = model.graph
    number = int(rng.choice([0, -1, 1, 2, 7, 1 << 15, 1 << 31, 1 << 62, -(1 << 62)]))
    node = graph.node[rng.integers(len(graph.node))]
    tensor = graph.initializer[rng.integers(len(graph.initializer))]
    names = [t.name for t in graph.initializer] + [o for n in graph.node for o in n.output] + ["x", ""]
    match rng.integers(6):
        case 0 if node.attribute:
            attribute = node.attribute[rng.integers(len(node.attribute))]
            if attribute.ints:
                attribute.ints[rng.integers(len(attribute.ints))] = number
            attribute.i = number
        case 1:
            kinds = [
                "Conv",
                "Gemm",
                "Reshape",
                "Expand",
                "Tile",
                "Range",
                "If",
                "Loop",
                "LSTM",
                "Squeeze",
                "Cast",
                "Add",
                "Mul",
                "Concat",
                "Slice",
                "Pad",
                "Resize",
                "ConvTranspose",
                "Split",
                "Unsqueeze",
                "PRelu",
                "QuantizeLinear",
                "DequantizeLinear",
                "QLinearConv",
            ]
            node.op_type = str(rng.choice(kinds))
        case 2:
            node.input[rng.integers(len(node.input))] = str(rng.choice(names))
        case 3 if tensor.dims:
            tensor.dims[rng.integers(len(tensor.dims))] = number
        case 4:
            tensor.data_type = int(rng.integers(25))
        case _:
            dims = graph.input[0].type.tensor_type.shape.dim
            dims[rng.integers(len(dims))].dim_value = number
    changed: bytes = model.SerializeToString()
    return changed


def chain() -> Net:
    net = Net("batch", 2, 6, 6).conv(2, 3, pads=[1, 1, 1, 1]).norm(3).op("Relu")
    net.op("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).op("Reshape", np.asarray([0, -1], I64)).fc(27, 4)
    return net.op("Softmax", axis=1)


def branching() -> Net:
    net = Net("batch", 2, 6, 6).conv(2, 4, pads=[1, 1, 1, 1]).norm(4).op("Relu")
    shared = net.top
    net.conv(1, 4, group=4, pads=[1, 1, 1, 1]).op("HardSwish")
    join(net, "Add", net.top, shared)
    shared = net.top
    net.op("GlobalAveragePool").conv(4, 4, (1, 1)).op("HardSigmoid")
    join(net, "Mul", shared, net.top)
    net.op("ConvTranspose", net.normal(4, 2, 2, 2), strides=[2, 2]).op(
        "PRelu", np.float32([[[0.1]], [[0.2]]])
    )
    join(net, "Concat", net.top, net.top, axis=1)
    net.op("Pad", np.asarray([0, 0, 1, 1, 0, 0, 0, 0], I64)).op(
        "AveragePool", kernel_shape=[3, 3], ceil_mode=1
    )
    net.op("Slice", *(np.asarray([v], I64) for v in (1, 9, 2, 2))).op(
        "Resize", None, np.float32([1, 1, 2, 1])
    )
    return net.op("Transpose", perm=[0, 2, 3, 1]).op("ReduceMean", axes=[1, 2], keepdims=0).fc(4, 3)


def sequence() -> Net:
    net = Net("batch", 3, 16).conv(3, 4, (3,), strides=[2]).op("Tanh")
    return net.op("MaxPool", kernel_shape=[2]).op("Flatten").op("Sub", np.float32(0.5)).fc(24, 3).op("Elu")


def eight_bits() -> Net:
    net = Net("batch", 2, 6, 6)

    def scaled(kind: type = np.int8) -> None:
        constants = (np.float32(0.05), kind(3))
        net.op("QuantizeLinear", *constants).op("DequantizeLinear", *constants)

    scaled()
    codes = [net.const("codes", net.rng.integers(-127, 128, (3, 2, 3, 3)).astype(np.int8))]
    codes += [net.const("steps", np.float32([0.01, 0.02, 0.03])), net.const("zeros", np.zeros(3, np.int8))]
    net.nodes.append(helper.make_node("DequantizeLinear", codes, ["kernels"], axis=0))
    net.nodes.append(helper.make_node("Conv", [net.top, "kernels"], ["map"], name="conv"))
    net.top = "map"
    net.op("Relu")
    scaled(np.uint8)
    step, zero = net.const("s", np.float32(0.05)), net.const("z", np.uint8(3))
    net.op("QuantizeLinear", np.float32(0.05), np.uint8(3))
    weights = net.const("w", net.rng.integers(0, 255, (48, 4)).astype(np.uint8))
    middle = net.const("m", np.uint8(128))
    net.op("Reshape", np.asarray([-1, 48], I64))
    inputs = [net.top, step, zero, weights, step, middle, step, zero]
    net.nodes.append(helper.make_node("QLinearMatMul", inputs, ["y"], name="fc"))
    net.top = "y"
    return net.op("DequantizeLinear", np.float32(0.05), np.uint8(3))


FILES = {"chain": chain, "branching": branching, "sequence": sequence, "eight_bits": eight_bits}


@pytest.mark.parametrize("change", [damaged, distorted])
@pytest.mark.parametrize(
    ("name", "opset"), [("chain", 9), ("chain", 17), ("branching", 17), ("sequence", 17), ("eight_bits", 17)]
)
def test_damaged_files_raise_nothing_but_our_errors(name: str, opset: int, change: Any) -> None:
    data = FILES[name]().bytes(opset)
    check(fold(load_onnx(data)))
    rng = np.random.default_rng(opset)
    messages = []
    for _ in range(MUTATIONS):
        begin = time.process_time()
        try:
            check(fold(load_onnx(change(rng, data))))
        except McugradError as error:
            messages.append(str(error))
        assert time.process_time() - begin < 20
    assert len(messages) > MUTATIONS / 4
    assert all(messages)
