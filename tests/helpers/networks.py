"""Small networks for tests, written as ONNX files and loaded as a user's file is."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import mcugrad as mg
from mcugrad.npz import Archive
from mcugrad.trainer import Trainer
from mcugrad.zoo import data

Array = np.ndarray
Pair = tuple[int, int]


@dataclass(frozen=True)
class Conv:
    """A convolution; `act` is relu, relu6, an ONNX operator such as Tanh, or empty."""

    out: int
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    act: str = "relu"


@dataclass(frozen=True)
class Pool:
    """A max-pooling."""

    kernel: Pair = (2, 2)
    stride: Pair = (2, 2)


@dataclass(frozen=True)
class Dense:
    """A fully connected layer; maps are flattened first."""

    out: int
    act: str = ""


Layer = Conv | Pool | Dense

FASHION = (
    Conv(16, stride=(2, 2), pads=(1, 1, 1, 1)),
    Conv(32, stride=(2, 2), pads=(1, 1, 1, 1)),
    Dense(64, "relu"),
    Dense(10),
)
"""For images 1x28x28: 105,866 parameters."""


def write_onnx(
    path: Path,
    shape: tuple[int, ...],
    layers: tuple[Layer, ...],
    *,
    seed: int = 0,
    bias: float = 0.1,
    grid: float | None = None,
) -> Path:
    """A chain of layers with random weights.

    Args:
        path: where to write it.
        shape: of the input, (channels, height, width) or (features,).
        layers: first to last.
        seed: of the weights, uniform in +-sqrt(6 / fan in): they learn from the first step on.
        bias: largest bias.
        grid: round weights and biases to multiples of it, so that sums are exact in whatever order.
    """
    random = np.random.default_rng(seed)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    names = {Conv: "conv", Pool: "pool", Dense: "fc"}
    counts = dict.fromkeys(names.values(), 0)
    x, now = "x", shape

    def parameter(name: str, value: Array) -> str:
        value = value if grid is None else np.round(value / grid) * grid
        weights.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    def add(kind: str, inputs: list[str], y: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [y], y, **attributes))
        return y

    for layer in layers:
        counts[names[type(layer)]] += 1
        name = f"{names[type(layer)]}{counts[names[type(layer)]]}"
        if isinstance(layer, Pool):
            x = add("MaxPool", [x], name, kernel_shape=layer.kernel, strides=layer.stride)
            now = (now[0], *_windows(now, layer.kernel, layer.stride, (0, 0, 0, 0)))
            continue
        if isinstance(layer, Dense) and len(now) == 3:
            x, now = add("Flatten", [x], f"{name}_flat"), (int(np.prod(now)),)
        kernel = layer.kernel if isinstance(layer, Conv) else ()
        bound = np.sqrt(6 / (now[0] * int(np.prod(kernel))))
        w = parameter(f"{name}_w", random.uniform(-bound, bound, (layer.out, now[0], *kernel)))
        b = parameter(f"{name}_b", random.uniform(-bias, bias, layer.out))
        if isinstance(layer, Conv):
            x = add("Conv", [x, w, b], name, kernel_shape=kernel, strides=layer.stride, pads=layer.pads)
            now = (layer.out, *_windows(now, kernel, layer.stride, layer.pads))
        else:
            x, now = add("Gemm", [x, w, b], name, transB=1), (layer.out,)
        if layer.act == "relu":
            x = add("Relu", [x], f"{name}_relu")
        elif layer.act == "relu6":
            low, high = parameter(f"{name}_low", np.zeros(())), parameter(f"{name}_high", np.full((), 6.0))
            x = add("Clip", [x, low, high], f"{name}_relu6")
        elif layer.act:
            x = add(layer.act, [x], f"{name}_{layer.act.lower()}")
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["batch", *now])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def _windows(shape: tuple[int, ...], kernel: Pair, stride: Pair, pads: tuple[int, int, int, int]) -> Pair:
    rows, columns = ((shape[1 + i] + pads[i] + pads[2 + i] - kernel[i]) // stride[i] + 1 for i in range(2))
    return rows, columns


def model(
    shape: tuple[int, ...], layers: tuple[Layer, ...], *, name: str = "net", **options: Any
) -> mg.Model:
    """A network, written and loaded."""
    with tempfile.TemporaryDirectory() as folder:
        return mg.load(write_onnx(Path(folder) / f"{name}.onnx", shape, layers, **options))


def trainer(
    shape: tuple[int, ...], layers: tuple[Layer, ...], *, name: str = "net", **options: Any
) -> Trainer:
    """A compiled network, calibrated on `samples`; options as for `mg.compile`."""
    net = model(shape, layers, name=name)
    return mg.compile(net, calibration=samples(net, 32)[0], **options)


def samples(net: mg.Model, count: int, *, seed: int = 1) -> tuple[Array, Array]:
    """Random samples in [-1, 1] in the device's order, a third of the values 0, and random classes."""
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, (count, *net.input_shape)).astype(np.float32)
    x[random.random(x.shape) < 1 / 3] = 0
    return x, random.integers(0, net.classes, count)


def images(name: str, count: int) -> tuple[Array, Array] | None:
    """The first `count` test images of a data set, (n, h, w, 1) in [0, 1], and classes; None if it is not here."""
    found = _unpacked(name)
    if found is None:
        return None
    x, y = found[0][:count, ..., None].astype(np.float32), found[1][:count].copy()
    return x / np.float32(x.max()), y


@cache
def _unpacked(name: str) -> tuple[Array, Array] | None:
    """Once for all tests of a process, and no training images: unpacking takes longer than what most of them do."""
    file = Path(os.environ.get("MCUGRAD_DATA", "")) / f"{name}.npz"
    if file.is_file():
        parts = Archive(file, "").read(("x_test", "y_test"))
        return parts["x_test"], parts["y_test"]
    try:
        found = data.load(name, download=False)
    except mg.McugradError:
        return None
    return found.x_test, found.y_test


def corners(count: int, size: int = 12, *, seed: int = 0) -> tuple[Array, Array]:
    """Noisy images with one bright corner out of four: a task that a small network learns, made of NumPy alone."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 4, count)
    x = random.random((count, size, size, 1), np.float32) * np.float32(0.6)
    half = size // 2
    for image, corner in zip(x, y, strict=True):
        image[corner // 2 * half :, corner % 2 * half :][:half, :half] += np.float32(0.4)
    return x, y


PARTIAL_NET = (
    Conv(8, stride=(2, 2), pads=(1, 1, 1, 1)),
    Pool((2, 2), (1, 2)),
    Conv(7, (1, 1), act="relu6"),
    Conv(6, (2, 3)),
    Dense(11, "relu"),
    Dense(3),
)
"""What partial updates are tried on: odd numbers of channels, padding, strides, a kernel of 1."""
