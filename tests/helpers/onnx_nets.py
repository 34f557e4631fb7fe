"""Small ONNX models for tests: hand-made ones, random ones, and what onnxruntime says about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mcugrad.errors import ModelError
from mcugrad.graph import Graph
from mcugrad.importers.onnx import load_onnx
from mcugrad.passes.calibrate import run_float

Array = NDArray[Any]


class Net:
    """A chain of nodes from one input; weights are drawn from a seeded generator."""

    def __init__(self, *shape: int | str, seed: int = 0, kind: int = TensorProto.FLOAT) -> None:
        self.rng = np.random.default_rng(seed)
        self.inputs = [helper.make_tensor_value_info("x", kind, shape)]
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.top = "x"
        self.kind = kind

    def op(
        self, kind: str, *constants: Any, side: int = 0, name: str | None = None, **attributes: Any
    ) -> Net:
        """Append a node; None leaves an optional input out."""
        name = name or f"{kind.lower()}_{len(self.nodes)}"
        inputs = ["" if c is None else self.const(f"{name}.{i}", c) for i, c in enumerate(constants)]
        inputs.insert(side, self.top)
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}.out"], name=name, **attributes))
        self.top = f"{name}.out"
        return self

    def const(self, name: str, value: Any) -> str:
        """Add an initializer; its name."""
        array = np.asarray(value)
        if array.dtype.kind == "f":
            array = array.astype(helper.tensor_dtype_to_np_dtype(self.kind))
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def normal(self, *shape: int) -> Array:
        """Random weights of a size that keeps activations near 1."""
        fan = max(1, int(np.prod(shape[1:])))
        return (self.rng.normal(size=shape) / np.sqrt(fan)).astype(np.float32)

    def conv(
        self, channels: int, out: int, kernel: tuple[int, ...] = (3, 3), bias: bool = True, **attributes: Any
    ) -> Net:
        constants = [self.normal(out, channels, *kernel)] + ([self.normal(out)] if bias else [])
        return self.op("Conv", *constants, **attributes)

    def fc(self, inputs: int, out: int) -> Net:
        return self.op("Gemm", self.normal(out, inputs), self.normal(out), transB=1)

    def norm(self, channels: int, positive: bool = False) -> Net:
        gamma = self.rng.normal(size=channels) + 0.5
        return self.op(
            "BatchNormalization",
            np.abs(gamma) if positive else gamma,
            self.rng.normal(size=channels),
            self.rng.normal(size=channels),
            self.rng.uniform(0.1, 2, size=channels),
            epsilon=1e-3,
        )

    def model(self, opset: int = 17, outputs: list[str] | None = None, **options: Any) -> onnx.ModelProto:
        found = [helper.make_tensor_value_info(o, self.kind, None) for o in outputs or [self.top]]
        graph = helper.make_graph(self.nodes, "net", self.inputs, found, self.weights)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **options
        )

    def bytes(self, opset: int = 17, **options: Any) -> bytes:
        return self.model(opset, **options).SerializeToString()


def runtime(model: bytes, x: Array, batch: int = 1) -> Array:
    """What onnxruntime computes, `batch` samples at a time, (n, classes)."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options)
    name = session.get_inputs()[0].name
    parts = [x[start : start + batch] for start in range(0, len(x), batch)]
    return np.concatenate([session.run(None, {name: part})[0] for part in parts])


def ours(graph: Graph, x: Array) -> Array:
    """What a float graph computes for samples in ONNX order."""
    x = np.asarray(x, np.float32)
    if x.ndim > 2:
        x = np.moveaxis(x, 1, -1)
    return run_float(graph, x[:, None] if x.ndim == 3 else x)[graph.output]


def refused(source: Net | bytes | str | Path) -> ModelError:
    """The error of importing."""
    with pytest.raises(ModelError) as caught:
        load_onnx(source.bytes() if isinstance(source, Net) else source)
    error = caught.value
    assert error.what
    assert error.where
    assert error.hint
    assert not error.what.endswith(".")
    return error


def small() -> Net:
    """A network with a convolution, to be spoilt."""
    return Net("batch", 2, 6, 6).conv(2, 3).op("Relu").op("Flatten").fc(48, 4)


def spoilt(net: Net, change: Any) -> bytes:
    """The network's file after a change to its protocol buffer."""
    model = net.model()
    change(model)
    data: bytes = model.SerializeToString()
    return data


def assert_close(actual: Array, expected: Array) -> None:
    """Equal to 1e-4 of the largest value."""
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= 1e-4 * max(1.0, float(np.abs(expected).max()))


@st.composite
def networks(draw: st.DrawFn, *, foldable: bool = True) -> tuple[Net, tuple[int, ...]]:
    """A random chain that ends in a fully connected layer, and the shape of a sample."""
    seed = draw(st.integers(0, 1 << 16))
    shape = (draw(st.integers(1, 3)), draw(st.integers(3, 12)), draw(st.integers(3, 12)))
    net = Net("batch", *shape, seed=seed)
    for _ in range(draw(st.integers(0, 3))):
        shape = _block(draw, net, shape)
    if draw(st.booleans()):
        net.op("Flatten")
    else:
        net.op("Reshape", np.asarray([0, -1] if draw(st.booleans()) else [-1, int(np.prod(shape))], np.int64))
    size = int(np.prod(shape))
    for _ in range(draw(st.integers(1, 2))):
        out = draw(st.integers(1, 9))
        match draw(st.sampled_from(("gemm", "gemm_t", "matmul"))):
            case "gemm":
                net.op("Gemm", net.normal(size, out), net.normal(1, out), alpha=0.5, beta=2.0)
            case "gemm_t":
                net.fc(size, out)
            case "matmul":
                net.op("MatMul", net.normal(size, out)).op(
                    "Add", net.normal(out), side=draw(st.integers(0, 1))
                )
        size = out
        if draw(st.booleans()):
            net.norm(size)
        _activation(draw, net)
    return net, tuple(net_shape(net))


def net_shape(net: Net) -> list[int]:
    """Shape of a sample."""
    return [d.dim_value for d in net.inputs[0].type.tensor_type.shape.dim[1:]]


def _activation(draw: st.DrawFn, net: Net) -> None:
    match draw(st.sampled_from(("none", "relu", "relu6", "low", "high"))):
        case "relu":
            net.op("Relu")
        case "relu6":
            net.op("Clip", np.float32(0), np.float32(6))
        case "low":
            net.op("Clip", np.float32(-0.25))
        case "high":
            net.op("Clip", None, np.float32(0.5))


def _block(draw: st.DrawFn, net: Net, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Convolution, perhaps batch-norm, activation function and pooling, in an order that can be folded."""
    channels, *size = shape
    out = draw(st.integers(1, 4))
    kernel, size, attributes = _window(draw, size, dilated=True)
    net.conv(channels, out, kernel, bias=draw(st.booleans()), **attributes)
    first = draw(st.sampled_from(("norm", "pool", "none")))
    if first == "norm":
        net.norm(out)
    if first == "pool":
        size = _pool(draw, net, size)
        if draw(st.booleans()):
            net.norm(out, positive=True)
    _activation(draw, net)
    if draw(st.booleans()):
        size = _pool(draw, net, size)
    return (out, *size)


def _pool(draw: st.DrawFn, net: Net, size: list[int]) -> list[int]:
    kernel, size, attributes = _window(draw, size, dilated=False)
    net.op("MaxPool", kernel_shape=kernel, **attributes)
    return size


def _window(
    draw: st.DrawFn, size: list[int], dilated: bool
) -> tuple[tuple[int, ...], list[int], dict[str, Any]]:
    """Kernel, output size and attributes of a window that fits."""
    mode = draw(st.sampled_from(("NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")))
    kernel, strides, dilations, before, after, result = [], [], [], [], [], []
    for n in size:
        k = draw(st.integers(1, 3))
        s = draw(st.integers(1, k if mode.startswith("SAME") else 4))  # onnxruntime refuses to clamp at 0
        d = draw(st.integers(1, 2)) if dilated and mode in ("NOTSET", "VALID") else 1
        p = [draw(st.integers(0, k - 1)) for _ in range(2)] if mode == "NOTSET" else [0, 0]
        reach = d * (k - 1) + 1
        if mode in ("NOTSET", "VALID") and n + sum(p) < reach:
            k = d = reach = 1
            p = [0, 0]
        room = n + sum(p) - reach
        result.append(-(-n // s) if mode.startswith("SAME") else room // s + 1)
        for values, value in zip((kernel, strides, dilations, before, after), (k, s, d, *p), strict=True):
            values.append(value)
    attributes: dict[str, Any] = {"strides": strides, "dilations": dilations}
    attributes |= {"pads": before + after} if mode == "NOTSET" else {"auto_pad": mode}
    return tuple(kernel), result, attributes


# -- networks that branch and join -----------------------------------------------------------------------------------


def join(net: Net, kind: str, *values: str, **attributes: Any) -> str:
    """Append a node that reads several computed values; the name of what it computes."""
    name = f"{kind.lower()}_{len(net.nodes)}"
    net.nodes.append(helper.make_node(kind, list(values), [f"{name}.out"], name=name, **attributes))
    net.top = f"{name}.out"
    return net.top


@st.composite
def dags(draw: st.DrawFn) -> Net:
    """A random network of maps in which values have several readers, up to a vector or a map."""
    size = draw(st.sampled_from(((6, 6), (8, 5), (4, 7))))
    net = Net("batch", draw(st.integers(1, 4)), *size, seed=draw(st.integers(0, 1 << 16)))
    values = {"x": tuple(net_shape(net))}
    used: set[str] = set()
    for _ in range(draw(st.integers(2, 9))):
        net.top = draw(st.sampled_from(sorted(values)))
        used.add(net.top)
        shape = _step(draw, net, values, used)
        if shape is not None:
            values[net.top] = shape
    last = _merge(net, values, used)
    match draw(st.sampled_from(("fc", "pool", "mean", "map"))):
        case "fc":
            net.op("Flatten").fc(int(np.prod(last)), 5)
        case "pool":
            net.op("GlobalAveragePool").op("Flatten").fc(last[0], 5)
        case "mean":
            net.op("ReduceMean", axes=[2, 3], keepdims=0).fc(last[0], 5)
        case "map":
            net.conv(last[0], 3, (1, 1))
    return net


def _merge(net: Net, values: dict[str, tuple[int, ...]], used: set[str]) -> tuple[int, ...]:
    """Join all values that nobody reads, so that nothing is unused: those of one size side by side."""
    loose = [name for name in values if name not in used] or [net.top]
    total, shape = "", ()
    for name in loose:
        channels, height, width = values[name]
        net.top = name
        if total and (height, width) != shape[1:]:
            net.op("GlobalMaxPool")
            height = width = 1
            if shape[1:] != (1, 1):
                current, net.top = net.top, total
                net.op("GlobalAveragePool")
                total, net.top = net.top, current
                shape = (shape[0], 1, 1)
        total = join(net, "Concat", total, net.top, axis=1) if total else net.top
        shape = (channels + (shape[0] if shape else 0), height, width)
    net.top = total
    return shape


CURVES = ("Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "Elu", "LeakyRelu", "Softplus")


def _step(
    draw: st.DrawFn, net: Net, values: dict[str, tuple[int, ...]], used: set[str]
) -> tuple[int, ...] | None:
    """Append an operator on the value at the top; the shape of the result."""
    c, h, w = shape = values[net.top]
    alike = [name for name, s in values.items() if s == shape]
    other = draw(st.sampled_from(sorted(alike)))
    out = draw(st.integers(1, 4))
    match draw(st.sampled_from(STEPS)):
        case "conv":
            net.conv(c, out, pads=[1, 1, 1, 1])
            return out, h, w
        case "depthwise":
            net.conv(1, c * out, (3, 3), group=c, pads=[1, 1, 1, 1])
            return c * out, h, w
        case "grouped" if c % 2 == 0:
            net.conv(c // 2, 2 * out, (1, 1), group=2)
            return 2 * out, h, w
        case "transposed" if h * w < 100:
            net.op(
                "ConvTranspose", net.normal(c, out, 2, 3), net.normal(out), strides=[2, 1], pads=[0, 1, 0, 1]
            )
            return out, 2 * h, w
        case "residual":
            used.add(other)
            join(net, draw(st.sampled_from(("Add", "Sub", "Mul", "Sum"))), net.top, other)
        case "excite":
            x = net.top
            net.op("GlobalAveragePool").conv(c, c, (1, 1)).op("Sigmoid")
            join(net, draw(st.sampled_from(("Mul", "Add"))), x, net.top)
        case "concat":
            used.add(other)
            join(net, "Concat", net.top, other, axis=1)
            return 2 * c, h, w
        case "pad":
            net.op("Pad", np.asarray([0, 0, 1, 0, 0, 0, 0, 2], np.int64))
            return c, h + 1, w + 2
        case "slice" if min(h, w) > 3:
            net.op("Slice", *(np.asarray(v, np.int64) for v in ([1, 0], [99, -1], [2, -1], [2, 1])))
            return c, h // 2, w - 1
        case "upsample" if h * w < 100:
            net.op("Resize", None, np.float32([1, 1, 1, 2]), mode="nearest")
            return c, h, 2 * w
        case "max" if min(h, w) > 1:
            net.op("MaxPool", kernel_shape=[2, 2])
            return c, h - 1, w - 1
        case "average" if min(h, w) > 1:
            net.op("AveragePool", kernel_shape=[2, 2], pads=[1, 0, 0, 1], count_include_pad=out % 2)
            return shape
        case "norm":
            net.norm(c)
        case "curve":
            net.op(draw(st.sampled_from(CURVES)))
        case "prelu":
            net.op("PRelu", net.rng.uniform(0.1, 0.9, size=(c, 1, 1)))
        case "silu":
            x = net.top
            net.op("Sigmoid")
            join(net, "Mul", x, net.top)
        case _:
            net.op("Relu") if out % 2 else net.op("Clip", np.float32(-0.5), np.float32(1))
    return shape


STEPS = (
    *(
        "conv",
        "conv",
        "depthwise",
        "grouped",
        "transposed",
        "residual",
        "residual",
        "excite",
        "concat",
        "pad",
    ),
    *("slice", "upsample", "max", "average", "norm", "norm", "curve", "prelu", "silu", "clip"),
)
