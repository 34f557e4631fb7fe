"""Importing networks that branch and join: what comes in, and what is folded, equals onnxruntime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from onnx import helper

from mcugrad.graph import ActivationScale, Graph
from mcugrad.graph.spec import check
from mcugrad.importers.onnx import load_onnx
from mcugrad.model import Model
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.joining.add import Add
from mcugrad.options import Options
from mcugrad.passes.calibrate import Calibration, run_float
from mcugrad.passes.fold import fold
from mcugrad.pipeline import build, calibrate
from mcugrad.run.reference import ReferenceRunner
from mcugrad.training.rules import updates
from onnx_nets import Array, Net, assert_close, dags, join, net_shape, ours, refused, runtime

I64 = np.int64


def imported(net: Net, opset: int = 17) -> Graph:
    """The folded graph, proven equal to onnxruntime before and after folding, on random samples."""
    model = net.bytes(opset)
    before = check(load_onnx(model))
    after = check(fold(before))
    x: Array = net.rng.normal(size=(3, *net_shape(net))).astype(np.float32)
    expected = runtime(model, x)
    if expected.ndim > 2:
        expected = np.moveaxis(expected, 1, -1)
    for graph in (before, after):
        assert_close(ours(graph, x), expected.reshape(3, -1))
    return after


@settings(max_examples=100)
@given(dags())
def test_random_networks(net: Net) -> None:
    imported(net)


# -- patterns -------------------------------------------------------------------------------------------------------


def functions(graph: Graph) -> list[str]:
    """Names of the tabulated functions."""
    return [n.function.name for n in graph.nodes if isinstance(n, Activation)]


def expression(build: Callable[[Net, str], None]) -> Graph:
    """A layer, an activation function written as arithmetic, and another layer."""
    net = Net("batch", 6).fc(6, 6)
    build(net, net.top)
    return imported(net.fc(6, 2))


def gelu(net: Net, x: str, *, tail_first: bool = False, divide: bool = True) -> None:
    if divide:
        net.op("Div", np.float32(np.sqrt(2)))
    else:
        net.op("Mul", np.float32(np.sqrt(0.5)))
    net.op("Erf").op("Add", np.float32(1), side=1 if divide else 0)
    if tail_first:
        one, net.top = net.top, x
        net.op("Mul", np.float32(0.5))
        join(net, "Mul", net.top, one)
    else:
        join(net, "Mul", x, net.top)
        net.op("Mul", np.float32(0.5))


def gelu_tanh(net: Net, x: str) -> None:
    net.op("Pow", np.float32(3)).op("Mul", np.float32(0.044715))
    join(net, "Add", x, net.top)
    net.op("Mul", np.float32(np.sqrt(2 / np.pi))).op("Tanh").op("Add", np.float32(1))
    inner, net.top = net.top, x
    net.op("Mul", np.float32(0.5))
    join(net, "Mul", net.top, inner)


def hard_swish(net: Net, x: str) -> None:
    net.op("Add", np.float32(3)).op("Clip", np.float32(0), np.float32(6))
    join(net, "Mul", x, net.top)
    net.op("Div", np.float32(6))


def gated(net: Net, x: str, gate: str, **attributes: float) -> None:
    net.op(gate, **attributes)
    join(net, "Mul", net.top, x)


PATTERNS: dict[str, tuple[str, Callable[[Net, str], None]]] = {
    "gelu": ("GELU", gelu),
    "gelu, halved first": ("GELU", lambda net, x: gelu(net, x, tail_first=True, divide=False)),
    "gelu by tanh": ("GELU_TANH", gelu_tanh),
    "silu": ("SILU", lambda net, x: gated(net, x, "Sigmoid")),
    "hard swish": ("HARD_SWISH", hard_swish),
    "hard swish by hard sigmoid": (
        "HARD_SWISH",
        lambda net, x: gated(net, x, "HardSigmoid", alpha=1 / 6, beta=0.5),
    ),
    "hard sigmoid": (
        "HARD_SIGMOID",
        lambda net, x: (
            net.op("Add", np.float32(3)).op("Clip", np.float32(0), np.float32(6)).op("Div", np.float32(6)),
            None,
        )[1],
    ),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_functions_written_as_arithmetic(name: str) -> None:
    function, build = PATTERNS[name]
    graph = expression(build)
    assert functions(graph) == [function]
    assert len(graph.nodes) == 3
    assert any("recognised in arithmetic" in note for note in graph.notes)


def test_a_leaky_relu_by_a_maximum() -> None:
    net = Net("batch", 6).fc(6, 6)
    x = net.top
    net.op("Mul", np.float32(0.1))
    join(net, "Max", x, net.top)
    assert [type(n).__name__ for n in imported(net.fc(6, 2)).nodes] == ["Linear", "PRelu", "Linear"]


def test_arithmetic_whose_inner_values_are_used_elsewhere_stays() -> None:
    net = Net("batch", 6).fc(6, 6)
    x = net.top
    net.op("Sigmoid")
    gate = net.top
    join(net, "Mul", x, gate)
    join(net, "Add", net.top, gate)
    assert functions(imported(net.fc(6, 2))) == ["SIGMOID"]


# -- layouts -------------------------------------------------------------------------------------------------------


def test_sequences() -> None:
    net = Net("batch", 3, 20).conv(3, 4, (5,), pads=[2, 2], strides=[2]).norm(4).op("Relu")
    net.op("MaxPool", kernel_shape=[3], strides=[2], pads=[1, 1]).conv(1, 8, (3,), group=4)
    net.op("AveragePool", kernel_shape=[3]).op("ConvTranspose", net.normal(8, 2, 4), strides=[2], pads=[1, 1])
    graph = imported(net.op("Flatten").fc(4, 3))
    assert graph[graph.input].shape == (1, 20, 3)
    assert "the device takes its input channels last, (1, 20, 3): x.transpose(0, 2, 1)" in graph.notes


def test_sequences_with_channels_last_and_layers_on_channels() -> None:
    net = Net("batch", 20, 3).op("MatMul", np.ones((3, 4)) * 0.3).op("Add", np.arange(4) * 0.1)
    net.op("Relu").op("Transpose", perm=[0, 2, 1]).conv(4, 2, (3,)).op("ReduceMean", axes=[2], keepdims=0)
    model = net.fc(2, 3).bytes()
    graph = check(fold(check(load_onnx(model))))
    assert graph[graph.input].shape == (1, 20, 3)
    x = net.rng.normal(size=(3, 20, 3)).astype(np.float32)
    assert_close(ours(graph, x.transpose(0, 2, 1)), runtime(model, x))


def test_images_without_channels() -> None:
    net = Net("batch", 9, 7).op("Unsqueeze", np.asarray([1], I64)).conv(1, 2).op("Flatten").fc(70, 3)
    model = net.bytes()
    graph = check(fold(check(load_onnx(model))))
    assert graph[graph.input].shape == (9, 7, 1)
    x = net.rng.normal(size=(3, 9, 7)).astype(np.float32)
    assert_close(ours(graph, x.reshape(3, 1, 9, 7)), runtime(model, x))


def test_layers_on_the_channels_of_maps() -> None:
    net = Net("batch", 3, 5, 4).op("Transpose", perm=[0, 2, 3, 1]).op("MatMul", np.eye(3, 4) + 0.1)
    net.op("Relu").op("Transpose", perm=[0, 3, 1, 2]).conv(4, 2).op("Flatten")
    assert [n.name for n in imported(net.fc(12, 2)).nodes] == ["conv1", "conv2", "flatten1", "fc1"]
    net = Net("batch", 3, 20).op("MatMul", np.eye(4, 3) + 0.1, side=1).op("Flatten").fc(80, 2)
    assert [n.name for n in imported(net).nodes] == ["conv1", "flatten1", "fc1"]


def test_vectors_become_maps_and_back() -> None:
    net = Net("batch", 6).fc(6, 8).op("Reshape", np.asarray([-1, 8, 1, 1], I64))
    net.op("ConvTranspose", net.normal(8, 3, 4, 4)).op("Relu").op("Resize", None, np.float32([1, 1, 2, 2]))
    graph = imported(net.conv(3, 1, pads=[1, 1, 1, 1]).op("Sigmoid"))
    assert graph[graph.output].shape == (64,)
    net = (
        Net("batch", 2, 4, 4).conv(2, 3).op("Flatten").op("Relu").op("Reshape", np.asarray([0, 3, 2, 2], I64))
    )
    imported(net.conv(3, 2, (2, 2)).op("Flatten").fc(2, 2))


@pytest.mark.parametrize("kind", ["Relu", "Elu", "LeakyRelu", "Identity", "norm"])
def test_decoders_have_their_vectors_in_our_order(kind: str) -> None:
    net = Net("batch", 5).fc(5, 24)
    net = net.norm(24) if kind == "norm" else net.op(kind)
    net.op("Reshape", np.asarray([-1, 4, 2, 3], I64)).conv(4, 2, (2, 2))
    imported(net.op("Sigmoid"))
    net = Net("batch", 2, 4, 4).conv(2, 3).op("Flatten").fc(12, 8).op("Unsqueeze", np.asarray([2], I64))
    net.op("Reshape", np.asarray([1, 2, 4], I64))
    imported(net.conv(2, 3, (2,)))


def test_vectors_that_somebody_else_reads_keep_their_order() -> None:
    net = Net("batch", 5).fc(5, 24)
    x = net.top
    net.op("Reshape", np.asarray([-1, 4, 2, 3], I64)).conv(4, 24, (2, 3)).op("Flatten")
    join(net, "Add", net.top, x)
    assert "its input is (1, 4, 2, 3) with the axes in another order" in refused(net).what


def test_maps_as_outputs_are_flattened_in_the_devices_order() -> None:
    graph = imported(Net("batch", 2, 6, 6).conv(2, 3))
    assert graph[graph.output].shape == (48,)
    note = "the device gives its outputs channels last, (4, 4, 3), one after the other"
    assert note in graph.notes
    net = Net("batch", 2, 6, 6).conv(2, 3).op("Flatten")
    assert "the device gives its outputs channels last" in " ".join(load_onnx(net.bytes()).notes)


def test_flattened_maps_side_by_side() -> None:
    net = Net("batch", 2, 6, 6).conv(2, 3)
    left = net.top
    net.op("Flatten")
    first, net.top = net.top, left
    net.op("MaxPool", kernel_shape=[2, 2]).op("Flatten")
    join(net, "Concat", first, net.top, axis=1)
    imported(net.op("Relu").fc(75, 3))


def test_split_and_squeeze_and_excite_on_vectors() -> None:
    net = Net("batch", 4, 5, 5)
    net.nodes.append(helper.make_node("Split", ["x"], ["a", "b"], name="split", axis=1))
    net.top = "a"
    net.conv(2, 4, pads=[1, 1, 1, 1])
    x = net.top
    net.op("GlobalAveragePool").op("Flatten").fc(4, 4).op("HardSigmoid")
    net.op("Reshape", np.asarray([0, 4, 1, 1], I64))
    join(net, "Mul", net.top, x)
    net.conv(4, 2, (1, 1))
    join(net, "Sub", net.top, "b")
    imported(net.op("Relu").op("Flatten").fc(50, 3))


def test_values_added_to_themselves_and_sums_of_several() -> None:
    net = Net("batch", 5).fc(5, 4)
    x = net.top
    net.op("Relu")
    y = net.top
    join(net, "Add", y, y)
    join(net, "Sum", net.top, x, y)
    graph = imported(net.op("Clip", np.float32(-1), np.float32(2)).fc(4, 2))
    assert [(n.low, n.high) for n in graph.nodes if isinstance(n, Add)][-1] == (-1.0, 2.0)


def test_values_in_different_orders_are_refused() -> None:
    net = Net("batch", 2, 6, 6).conv(2, 3)
    x = net.top
    net.op("Transpose", perm=[0, 1, 3, 2])
    join(net, "Add", net.top, x)
    assert (
        "Add of (1, 3, 4, 4) and (1, 3, 4, 4) values that lie in memory in different orders"
        in refused(net).what
    )
    net = Net("batch", 2, 6, 6).conv(2, 3).op("Flatten")
    x = net.top
    net.fc(48, 48)
    join(net, "Add", net.top, x)
    assert "different orders" in refused(net.fc(48, 2)).what
    net = Net("batch", 4).fc(4, 4)
    x = net.top
    join(net, "Concat", net.top, x, axis=0)
    assert "joins samples" in refused(net).where
    net = Net("batch", 4).fc(4, 4)
    x = net.top
    join(net, "MatMul", net.top, x)
    assert "multiplies two computed values" in refused(net).where


# -- the device ---------------------------------------------------------------------------------------------------


@settings(max_examples=12)
@given(dags())
def test_random_networks_train_on_the_device(net: Net) -> None:
    model = Model(fold(load_onnx(net.bytes())), "net.onnx", "0" * 64)
    x = np.moveaxis(net.rng.normal(size=(24, *net_shape(net))).astype(np.float32), 1, -1)
    result = build(model, calibrate(model, x, Calibration()), Options("all", updates("sr8"), 0, 0.01))
    graph = check(result.graph)
    runner = ReferenceRunner(result.compiled)
    given, out = (result.graph[t].quant for t in (graph.input, graph.output))
    assert isinstance(given, ActivationScale)
    assert isinstance(out, ActivationScale)
    codes = np.clip(np.rint(x / given.scale) + given.zero, -128, 127).astype(np.int8).reshape(24, -1)
    found = (runner.predict(codes).astype(np.float64) - out.zero) * out.scale
    assert np.abs(found - run_float(model.graph, x)[graph.output]).max() < 12 * out.scale
    order, rates = np.arange(4, dtype=np.uint32), np.full(4, 0.01, np.float32)
    assert np.isfinite(runner.train(codes, np.zeros(24, np.uint32), order, rates).loss).all()
