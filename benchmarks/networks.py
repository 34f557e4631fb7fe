"""The networks that the benchmarks train, as ONNX files, and their data."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import mcugrad as mg
from mcugrad.zoo import data

Arrays = dict[str, np.ndarray]

SHAPES = {"conv1": (16, 1, 3, 3), "conv2": (32, 16, 3, 3), "fc1": (64, 1568), "fc2": (10, 64)}
"""Weights of fashion_cnn as PyTorch and ONNX order them; 105,866 parameters with the biases."""


def fashion_weights(seed: int) -> Arrays:
    """Weights and biases drawn as PyTorch's layers draw them: uniform in +-1/sqrt(fan in)."""
    random = np.random.default_rng(seed)
    found: Arrays = {}
    for name, shape in SHAPES.items():
        bound = 1 / np.sqrt(np.prod(shape[1:]))
        found[f"{name}.weight"] = random.uniform(-bound, bound, shape).astype(np.float32)
        found[f"{name}.bias"] = random.uniform(-bound, bound, shape[0]).astype(np.float32)
    return found


def fashion_onnx(seed: int) -> bytes:
    """fashion_cnn: conv 3x3/2, 16 - relu - conv 3x3/2, 32 - relu - fc 64 - relu - fc 10; images 1x28x28 in [0, 1]."""

    def layer(kind: str, name: str, source: str, **attributes: object) -> onnx.NodeProto:
        return helper.make_node(kind, [source, f"{name}.weight", f"{name}.bias"], [name], name, **attributes)

    half = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}
    nodes = [
        layer("Conv", "conv1", "image", **half),
        helper.make_node("Relu", ["conv1"], ["relu1"]),
        layer("Conv", "conv2", "relu1", **half),
        helper.make_node("Relu", ["conv2"], ["relu2"]),
        helper.make_node("Flatten", ["relu2"], ["flat"]),
        layer("Gemm", "fc1", "flat", transB=1),
        helper.make_node("Relu", ["fc1"], ["relu3"]),
        layer("Gemm", "fc2", "relu3", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "fashion_cnn",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("fc2", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(value, name) for name, value in fashion_weights(seed).items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def fashion_cnn(seed: int) -> mg.Model:
    """The network, loaded as a user's file is."""
    return _loaded("fashion_cnn", fashion_onnx(seed))


def one_linear(inputs: int, outputs: int) -> mg.Model:
    """A network of one fully connected layer."""
    random = np.random.default_rng(0)
    bound = 1 / np.sqrt(inputs)
    weights = random.uniform(-bound, bound, (outputs, inputs)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "fc.weight", "fc.bias"], ["y"], "fc", transB=1)],
        "one_linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", inputs])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", outputs])],
        [
            numpy_helper.from_array(weights, "fc.weight"),
            numpy_helper.from_array(np.zeros(outputs, np.float32), "fc.bias"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return _loaded("one_linear", model.SerializeToString())


def _loaded(name: str, source: bytes) -> mg.Model:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.onnx"
        path.write_bytes(source)
        return mg.load(path)


def fashion_mnist() -> Arrays:
    """Fashion-MNIST with images (n, 28, 28, 1) in [0, 1]."""
    found = data.load("fashion_mnist")
    parts = {name: getattr(found, name) for name in ("x_train", "y_train", "x_test", "y_test")}
    for name in ("x_train", "x_test"):
        parts[name] = parts[name][..., None] / np.float32(255)
    return parts


def few_images() -> tuple[np.ndarray, np.ndarray]:
    """The first 32 test images of Fashion-MNIST (MIT licence, Zalando SE) as above, for what needs no more."""
    with np.load(Path(__file__).with_name("fashion_32.npz")) as found:
        return found["x"][..., None] / np.float32(255), found["y"].astype(np.int64)
