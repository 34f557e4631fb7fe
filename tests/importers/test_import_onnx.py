"""Importing ONNX: what comes in equals onnxruntime."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from onnx import TensorProto, helper, numpy_helper

from mcugrad.graph import Graph
from mcugrad.graph.spec import check
from mcugrad.importers.onnx import load_onnx, read
from mcugrad.ops.activation.clip import Clip
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.pooling.maxpool2d import MaxPool2d
from mcugrad.passes.calibrate import run_float
from mcugrad.passes.fold import fold
from onnx_nets import Array, Net, assert_close, net_shape, networks, ours, refused, runtime, small

I64 = np.int64


def imported(net: Net, opset: int = 17) -> Graph:
    """The graph, proven equal to onnxruntime on random samples."""
    model = net.bytes(opset)
    graph = check(load_onnx(model))
    x: Array = net.rng.normal(size=(3, *net_shape(net))).astype(np.float32)
    assert_close(ours(graph, x), runtime(model, x).reshape(3, -1))
    return graph


def test_the_shipped_network() -> None:
    path = Path(read.__file__).parents[2] / "zoo/models/digits_cnn.onnx"
    graph = check(load_onnx(path))
    assert graph.name == "digits_cnn"
    assert [n.name for n in graph.nodes] == [
        *("conv1", "relu1", "conv2", "relu2", "pool1", "flatten1", "fc1", "relu3", "fc2")
    ]
    assert graph[graph.input].shape == (8, 8, 1)
    assert graph[graph.output].shape == (10,)
    assert graph.notes == (
        "Softmax at the end left out: the outputs are logits, and the loss has its own softmax",
    )
    model = path.read_bytes()
    x = np.random.default_rng(0).uniform(size=(4, 1, 8, 8)).astype(np.float32)
    logits = ours(graph, x)
    probability = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert_close(probability / probability.sum(axis=1, keepdims=True), runtime(model, x))


@settings(max_examples=50)
@given(networks())
def test_random_networks(case: tuple[Net, tuple[int, ...]]) -> None:
    imported(case[0])


def test_names_sources_and_notes() -> None:
    net = Net("batch", 3, 5, 4).conv(3, 2, name="/features/0/Conv").op("Relu", name="/features/1/Relu")
    net.op("Flatten").op("Dropout", np.float32(0.5)).fc(12, 3)
    graph = load_onnx(net.bytes(), name="My Net!")
    assert graph.name == "my_net"
    assert [(n.name, n.source) for n in graph.nodes] == [
        ("conv1", "/features/0/Conv"),
        ("relu1", "/features/1/Relu"),
        ("flatten1", "flatten_2"),
        ("fc1", "gemm_4"),
    ]
    assert set(graph.tensors) == {"input", "conv1_w", "conv1_b", "fc1_w", "fc1_b"} | {
        n.y for n in graph.nodes
    }
    assert graph["conv1_w"].shape == (2, 3, 3, 3)
    assert graph.notes == (
        "1 Dropout node left out: no effect once trained",
        "the device takes its input channels last, (5, 4, 3): x.transpose(0, 2, 3, 1)",
    )


def test_unnamed_nodes_are_called_by_their_output() -> None:
    net = Net(1, 4).fc(4, 2)
    net.nodes[0].name = ""
    assert load_onnx(net.bytes()).nodes[0].source == "gemm_0.out"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Key Word.onnx", "key_word"),
        ("123.onnx", "model_123"),
        ("int.onnx", "int_model"),
        ("class.v2.onnx", "class_v2"),
        ("main.onnx", "main_model"),
        ("string.onnx", "string_model"),
        ("mcg_math.onnx", "model_mcg_math"),
        ("ünïcode.onnx", "n_code"),
        ("---.onnx", "model"),
        (f"{'long' * 30}.onnx", "long" * 10),
    ],
)
def test_file_names_become_identifiers(tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).write_bytes(small().bytes())
    assert load_onnx(str(tmp_path / file)).name == name
    assert load_onnx(tmp_path / file, name="given").name == "given"


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_automatic_padding(mode: str, stride: int) -> None:
    shape = {"SAME_UPPER": 1, "SAME_LOWER": 1, "VALID": 0, "NOTSET": 0}[mode]
    size = [-(-n // stride) if shape else (n - k) // stride + 1 for n, k in ((8, 3), (9, 4))]
    window = {"auto_pad": mode, "strides": [stride, stride]}
    net = Net(1, 2, 8, 9).conv(2, 3, (3, 4), **window).op("Flatten").fc(3 * size[0] * size[1], 2)
    imported(net)
    net = Net(1, 2, 8, 9).op("MaxPool", kernel_shape=[3, 4], **window).op("Flatten")
    imported(net.fc(2 * size[0] * size[1], 2))


def test_rounding_up_becomes_padding() -> None:
    rng = np.random.default_rng(1)
    checked = 0
    for _ in range(150):
        (h, w), kernel, strides = rng.integers(3, 9, 2), rng.integers(1, 5, 2), rng.integers(1, 5, 2)
        window = {
            "kernel_shape": kernel.tolist(),
            "strides": strides.tolist(),
            "dilations": np.where(kernel > 2, 1, rng.integers(1, 3, 2)).tolist(),
            "pads": [int(rng.integers(0, k)) for k in (*kernel, *kernel)],
            "ceil_mode": 1,
        }
        x = rng.normal(size=(1, 2, h, w)).astype(np.float32)
        net = Net(1, 2, int(h), int(w)).op("MaxPool", **window)
        expected = runtime(net.bytes(), x)
        if expected.size and expected.min() > -1e30:  # else a window sees nothing, which is refused
            graph = check(load_onnx(net.op("Flatten").fc(expected.size, 3).bytes()))
            pooled = run_float(graph, x.transpose(0, 2, 3, 1))["pool1_y"]
            assert np.array_equal(pooled, expected.transpose(0, 2, 3, 1))
            checked += 1
    assert checked > 100


def test_gemm_variants() -> None:
    imported(Net(1, 5).op("Gemm", np.eye(5, 3), alpha=2.0))
    imported(Net(1, 5).op("Gemm", np.eye(3, 5), np.float32(7), transB=1, beta=0.5))
    imported(Net(1, 5).op("Gemm", np.eye(5, 3), np.ones((1, 3)), alpha=0.5, beta=-1.0))


def test_matmul_with_and_without_bias() -> None:
    for side in (0, 1):
        net = Net(1, 5)
        graph = imported(net.op("MatMul", net.normal(5, 3)).op("Add", net.normal(3), side=side))
        assert [n.name for n in graph.nodes] == ["fc1"]
    net = Net(1, 5)
    assert not imported(net.op("MatMul", net.normal(5, 3)))["fc1_b"].value.any()  # type: ignore[union-attr]


def test_clip_bounds() -> None:
    low, high = np.float32(-0.5), np.float32(0.5)
    biggest = np.finfo(np.float32).max
    for bounds, found in {
        (low, high): (-0.5, 0.5),
        (None, high): (None, 0.5),
        (low,): (-0.5, None),
        (-biggest, high): (None, 0.5),
        (low, np.float32(np.inf)): (-0.5, None),
    }.items():
        graph = imported(Net(1, 5).fc(5, 3).op("Clip", *bounds))
        assert [(n.low, n.high) for n in graph.nodes if isinstance(n, Clip)] == [found]
    assert [n.name for n in imported(Net(1, 5).fc(5, 3).op("Clip")).nodes] == ["fc1"]


@pytest.mark.parametrize("shape", [[0, -1], [-1, 48], [1, 48], [1, -1], [0, 48]])
def test_reshape_that_flattens(shape: list[int]) -> None:
    net = Net("batch", 2, 6, 6).conv(2, 3).op("Reshape", np.asarray(shape, I64)).fc(48, 2)
    assert [n.name for n in imported(net).nodes] == ["conv1", "flatten1", "fc1"]


@pytest.mark.parametrize("batch", [-1, 0])
@pytest.mark.parametrize("opset", [11, 17])
def test_a_free_batch_written_as_a_number(batch: int, opset: int) -> None:
    """Older exporters write -1 or 0 where the batch is free."""
    net = (
        Net(batch, 2, 6, 6).op("Relu").op("Reshape", np.asarray([-1, 2, 6, 6], I64)).conv(2, 3).op("Flatten")
    )
    graph = load_onnx(net.fc(48, 2).bytes(opset))
    assert graph[graph.input].shape == (6, 6, 2)
    assert not any("batch size" in note for note in graph.notes)


def test_shapes_that_change_nothing() -> None:
    net = Net("batch", 2, 6, 6).op("Identity").op("Reshape", np.asarray([0, 2, -1, 6], I64)).conv(2, 3)
    net.op("MaxPool", kernel_shape=[4, 4]).op("Squeeze", np.asarray([2, -1], I64)).op("Flatten", axis=-1)
    graph = imported(net.op("Reshape", np.asarray([-1, 3], I64)).fc(3, 2).op("Cast", to=TensorProto.FLOAT))
    assert [n.name for n in graph.nodes] == ["conv1", "pool1", "flatten1", "fc1"]


def test_global_max_pool() -> None:
    graph = imported(Net("batch", 2, 5, 7).op("GlobalMaxPool").op("Flatten").fc(2, 2))
    assert isinstance(graph.nodes[0], MaxPool2d)
    assert graph.nodes[0].kernel == (5, 7)
    axes = np.asarray([-1, 2], I64)
    for keep in (0, 1):
        net = Net("batch", 2, 5, 7).op("ReduceMax", axes, keepdims=keep).op("Flatten").fc(2, 2)
        assert [n.name for n in imported(net, 18).nodes] == ["pool1", "flatten1", "fc1"]
        net = Net("batch", 2, 5, 7).op("ReduceMax", axes=[2, 3], keepdims=keep).op("Flatten").fc(2, 2)
        assert [n.name for n in imported(net, 13).nodes] == ["pool1", "flatten1", "fc1"]


def test_shape_arithmetic_is_computed() -> None:
    net = Net("batch", 2, 6, 6).conv(2, 3)
    net.nodes += [
        helper.make_node("Shape", [net.top], ["shape"]),
        helper.make_node("Gather", ["shape", net.const("zero", np.asarray(0, I64))], ["n"], axis=0),
        helper.make_node("Unsqueeze", ["n", net.const("axes", np.asarray([0], I64))], ["n1"]),
        helper.make_node("Concat", ["n1", net.const("rest", np.asarray([-1], I64))], ["wanted"], axis=0),
        helper.make_node("Reshape", [net.top, "wanted"], ["flat"]),
        helper.make_node("Transpose", [net.const("w", net.normal(3, 48))], ["w_t"], perm=[1, 0]),
        helper.make_node("MatMul", ["flat", "w_t"], ["logits"]),
    ]
    net.top = "logits"
    assert [n.name for n in imported(net).nodes] == ["conv1", "flatten1", "fc1"]


def test_constant_nodes_and_pads() -> None:
    net = Net("batch", 2, 5, 5)
    value = numpy_helper.from_array(np.asarray([0, 0, 1, 0, 0, 0, 1, 2], I64))
    net.nodes.append(helper.make_node("Constant", [], ["pads"], value=value))
    net.nodes.append(helper.make_node("Pad", ["x", "pads"], ["padded"]))
    net.top = "padded"
    graph = imported(net.conv(2, 3).op("Flatten").fc(75, 2))
    assert isinstance(graph.nodes[0], Conv2d)
    assert graph.nodes[0].padding == (1, 0, 1, 2)


def test_local_functions_are_inlined() -> None:
    body = helper.make_node("Relu", ["a"], ["b"])
    function = helper.make_function("local", "act", ["a"], ["b"], [body], [helper.make_opsetid("", 17)])
    net = Net(1, 4).fc(4, 3).op("act", domain="local").fc(3, 2)
    model = net.model(functions=[function])
    model.opset_import.append(helper.make_opsetid("local", 1))
    assert [n.name for n in load_onnx(model.SerializeToString()).nodes] == ["fc1", "relu1", "fc2"]


def test_channels_last_models() -> None:
    net = Net("batch", 5, 6, 2).op("Sub", np.float32([0.1, 0.2])).op("Transpose", perm=[0, 3, 1, 2])
    net.conv(2, 3).op("Transpose", perm=[0, 2, 3, 1]).op("Relu").op("Flatten").fc(36, 4)
    model = net.bytes()
    graph = check(load_onnx(model))
    assert graph[graph.input].shape == (5, 6, 2)
    assert graph.notes == ()
    x = net.rng.normal(size=(3, 5, 6, 2)).astype(np.float32)
    assert_close(ours(graph, x.transpose(0, 3, 1, 2)), runtime(model, x))
    net = (
        Net("batch", 5, 6, 1).op("Reshape", np.asarray([-1, 1, 5, 6], I64)).conv(1, 2).op("Flatten").fc(24, 2)
    )
    graph = check(load_onnx(net.bytes()))
    assert graph[graph.input].shape == (5, 6, 1)
    x = net.rng.normal(size=(3, 5, 6, 1)).astype(np.float32)
    assert_close(ours(graph, x.transpose(0, 3, 1, 2)), runtime(net.bytes(), x))


@pytest.mark.parametrize("opset", range(7, onnx.defs.onnx_opset_version() + 1))
def test_operator_sets(opset: int) -> None:
    net = Net(1, 2, 6, 6).conv(2, 3).norm(3)
    bounds = [np.float32(0), np.float32(6)]
    net = net.op("Clip", *bounds) if opset >= 11 else net.op("Clip", min=0.0, max=6.0)
    net = net.op("Dropout", np.float32(0.5)) if opset >= 12 else net.op("Dropout", ratio=0.5)
    net.op("MaxPool", kernel_shape=[2, 2]).op("Flatten").fc(27, 4)
    x = net.rng.normal(size=(2, 2, 6, 6)).astype(np.float32)
    expected = runtime(
        net.bytes(min(opset, 21)), x
    )  # newer than onnxruntime may know, but the same operators
    graph = check(load_onnx(net.op("Softmax", axis=1).bytes(opset)))
    assert_close(ours(graph, x), expected)
    assert (f"converted from operator set {opset} to 13" in graph.notes) == (opset < 13)


def test_weights_among_the_inputs() -> None:
    net = small()
    net.inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in net.weights]
    assert len(load_onnx(net.bytes()).nodes) == 4


@pytest.mark.parametrize(("kind", "name"), [(TensorProto.FLOAT16, "float16"), (TensorProto.DOUBLE, "double")])
def test_other_float_types(kind: int, name: str) -> None:
    net = Net("batch", 1, 4, 4, kind=kind).conv(1, 2).op("Relu").op("Flatten").fc(8, 2)
    graph = check(load_onnx(net.bytes()))
    assert graph.notes == (f"weights converted from {name} to float32",)
    assert graph["fc1_w"].value.dtype == np.float32  # type: ignore[union-attr]


def test_a_fixed_batch_is_set_to_one() -> None:
    net = Net(8, 1, 4, 4).conv(1, 2).op("Reshape", np.asarray([8, 8], I64)).fc(8, 2)
    graph = check(load_onnx(net.bytes()))
    assert graph.notes == ("batch size 8 set to 1: the device takes one sample at a time",)
    x = net.rng.normal(size=(8, 1, 4, 4)).astype(np.float32)
    assert_close(ours(graph, x), runtime(net.bytes(), x, batch=8))


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
def test_softmax_at_the_end(kind: str) -> None:
    net = Net(1, 4).fc(4, 3)
    expected = load_onnx(net.bytes())
    graph = load_onnx(net.op(kind, axis=-1).op("Identity").bytes())
    assert [n.name for n in graph.nodes] == [n.name for n in expected.nodes]
    assert graph.notes == (
        f"{kind} at the end left out: the outputs are logits, and the loss has its own softmax",
    )


def test_external_weights(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(small().model(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert len(load_onnx(path).nodes) == 4
    error = refused(path.read_bytes())
    assert error.what == "4 weight tensors are stored outside the model, which came as bytes without a folder"
    assert error.where == "weights.bin"
    (tmp_path / "weights.bin").write_bytes(b"short")
    assert "it takes 216 bytes at offset 0, length 216, the file has 5" in refused(path).what
    (tmp_path / "weights.bin").unlink()
    error = refused(path)
    assert error.what == "4 weight tensors are stored in files that are missing: weights.bin"
    assert error.where == "net.onnx"


@pytest.mark.torch
@pytest.mark.slow
def test_pytorch_export(torch: ModuleType, tmp_path: Path) -> None:
    nn = torch.nn
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU6(), nn.MaxPool2d(2, ceil_mode=True)),
        *(nn.Conv2d(4, 3, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(12, 5)),
    )
    net[1].running_mean.uniform_(-1, 1)
    net[1].running_var.uniform_(0.5, 2)
    net.eval()
    path = tmp_path / "net.onnx"
    torch.onnx.export(net, (torch.zeros(1, 2, 9, 9),), str(path), dynamo=True)
    x = np.random.default_rng(0).normal(size=(4, 2, 9, 9)).astype(np.float32)
    graph = check(fold(check(load_onnx(path))))
    with torch.no_grad():
        assert_close(ours(graph, x), net(torch.from_numpy(x)).numpy())
