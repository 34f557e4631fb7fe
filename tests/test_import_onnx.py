"""Importing ONNX: what comes in equals onnxruntime, what cannot come in is refused with a reason."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from onnx import TensorProto, helper, numpy_helper

from mcugrad.errors import McugradError, ModelError
from mcugrad.graph import Graph
from mcugrad.graph.spec import check
from mcugrad.importers import _read
from mcugrad.importers.onnx import load_onnx
from mcugrad.ops.clip import Clip
from mcugrad.ops.conv2d import Conv2d
from mcugrad.ops.maxpool2d import MaxPool2d
from mcugrad.passes.fold import fold
from mcugrad.passes.quantize import run_float
from onnx_nets import Array, Net, assert_close, net_shape, networks, ours, runtime

I64 = np.int64


def imported(net: Net, opset: int = 17) -> Graph:
    """The graph, proven equal to onnxruntime on random samples."""
    model = net.bytes(opset)
    graph = check(load_onnx(model))
    x: Array = net.rng.normal(size=(3, *net_shape(net))).astype(np.float32)
    assert_close(ours(graph, x), runtime(model, x).reshape(3, -1))
    return graph


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


# -- what comes in -----------------------------------------------------------------------------------------


def test_the_shipped_network() -> None:
    path = Path(_read.__file__).parents[1] / "zoo/models/digits_cnn.onnx"
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
        ("mcg_math.onnx", "mcg_math_model"),
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


@pytest.mark.parametrize("target", [[0, -1], [-1, 48], [1, 48], [1, -1], [0, 48]])
def test_reshape_that_flattens(target: list[int]) -> None:
    net = Net("batch", 2, 6, 6).conv(2, 3).op("Reshape", np.asarray(target, I64)).fc(48, 2)
    assert [n.name for n in imported(net).nodes] == ["conv1", "flatten1", "fc1"]


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
        helper.make_node("Concat", ["n1", net.const("rest", np.asarray([-1], I64))], ["target"], axis=0),
        helper.make_node("Reshape", [net.top, "target"], ["flat"]),
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


def test_shared_weights_become_copies() -> None:
    net = Net(1, 4).fc(4, 4).op("Relu")
    net.nodes.append(helper.make_node("Gemm", [net.top, "gemm_0.0", "gemm_0.1"], ["y"], transB=1))
    net.top = "y"
    assert imported(net).notes == ("fc1 and fc2 share weights in the file; here each trains its own copy",)


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
    assert refused(path).what.startswith("the model ")
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


# -- what is refused: the file -----------------------------------------------------------------------------


def test_file_errors(tmp_path: Path) -> None:
    error = refused(tmp_path / "none.onnx")
    assert error.what == "the model file does not exist"
    assert error.where == str(tmp_path / "none.onnx")
    assert refused(tmp_path).what.startswith("the model file cannot be read: ")
    assert refused("nul\0.onnx").what.startswith("the model file cannot be read: ")
    assert refused(b"").what == "the model file is empty: 0 bytes"
    assert (
        refused(b"PK\x03\x04 zip").what == "not an ONNX file but a zip archive, perhaps a PyTorch checkpoint"
    )
    assert refused(b"\x89HDF\r\n").what == "not an ONNX file but an HDF5 file, perhaps from Keras"
    assert refused(b"version https://git-lfs").what == "not an ONNX file but a Git LFS pointer"
    assert refused(b"\x1c\0\0\0TFL3").what == "this is a TFLite file, not ONNX"
    assert refused(b"\xff" * 40).what == "not an ONNX file, or damaged: its 40 bytes cannot be decoded"
    assert refused(b"\x08\x08").what == "not an ONNX file: its 2 bytes hold no graph with an operator set"
    data = small().bytes()
    assert (
        refused(data[:-7]).what
        == f"not an ONNX file, or damaged: its {len(data) - 7} bytes cannot be decoded"
    )


def test_weights_of_the_wrong_size() -> None:
    def shorter(model: onnx.ModelProto) -> None:
        model.graph.initializer[1].raw_data = b"12345678"

    error = refused(spoilt(small(), shorter))
    assert error.what.startswith("the model ")


def test_operator_set_errors() -> None:
    newest = onnx.defs.onnx_opset_version()
    assert refused(small().bytes(newest + 70)).what == (
        f"the model needs operator set {newest + 70}; the installed onnx {onnx.__version__} knows 1 to {newest}"
    )
    old = Net(1, 2, 4, 4).op("Relu", consumed_inputs=[0]).op("Flatten").fc(32, 2)
    assert refused(old.bytes(5)).what.startswith("operator set 5 cannot be converted to 13: ")

    def other(model: onnx.ModelProto) -> None:
        model.opset_import[0].domain = "com.microsoft"

    assert refused(spoilt(small(), other)).what == "the model uses no standard ONNX operators"


def test_structure_errors() -> None:
    def no_nodes(model: onnx.ModelProto) -> None:
        del model.graph.node[:]

    def dangling(model: onnx.ModelProto) -> None:
        model.graph.node[0].input[0] = "nowhere"

    def cycle(model: onnx.ModelProto) -> None:
        model.graph.node[0].input[0] = model.graph.node[2].output[0]

    def two_inputs(model: onnx.ModelProto) -> None:
        model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, 4]))

    def no_input(model: onnx.ModelProto) -> None:
        del model.graph.input[:]
        model.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 2, 6, 6), np.float32), "x"))

    def two_outputs(model: onnx.ModelProto) -> None:
        model.graph.output.append(
            helper.make_tensor_value_info("relu_1.out", TensorProto.FLOAT, [1, 3, 4, 4])
        )

    assert refused(spoilt(small(), no_nodes)).what == "the graph is empty: it has no nodes"
    for change in (dangling, cycle):
        assert refused(spoilt(small(), change)).what.startswith(
            "the model is not valid ONNX: Nodes in a graph must"
        )
    assert (
        refused(spoilt(small(), two_inputs)).what == "the model has 2 inputs: x, mask; exactly 1 is supported"
    )
    assert refused(spoilt(small(), no_input)).what == "the model has 0 inputs: none; exactly 1 is supported"
    what = "the model has 2 outputs: gemm_3.out, relu_1.out; exactly 1 is supported"
    assert refused(spoilt(small(), two_outputs)).what == what
    assert refused(Net(1, 4).op("Identity")).what == "the graph is empty: no node computes anything"
    unused = Net(1, 4).op("Relu")
    unused.top = unused.const("c", np.zeros((1, 4)))
    assert refused(unused).what == "the graph is empty: nothing lies between input and output"


def test_sparse_weights() -> None:
    def sparse(model: onnx.ModelProto) -> None:
        values = numpy_helper.from_array(np.ones(1, np.float32), "sparse")
        indices = numpy_helper.from_array(np.zeros(1, I64), "indices")
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))

    error = refused(spoilt(small(), sparse))
    assert (error.what, error.where) == ("1 weight tensors are sparse", "sparse")


def test_input_errors() -> None:
    dynamic = refused(Net("batch", 3, "height", 32).op("Flatten"))
    assert (
        dynamic.what == "dimension 2 of input x is dynamic (height); only the batch, dimension 0, may be free"
    )
    assert "export with a fixed input size" in dynamic.hint
    unnamed = Net("batch", 3, 2, 2).op("Flatten")
    unnamed.inputs[0].type.tensor_type.shape.dim[1].Clear()
    assert refused(unnamed).what.startswith("dimension 1 of input x is dynamic (unnamed)")
    assert refused(Net("batch", 0).op("Relu")).what.startswith("dimension 1 of input x is 0;")
    signal = refused(Net("batch", 3, 40).op("Flatten"))
    assert signal.what == (
        "input x has 3 dimensions; 2 (batch, features) or 4 (batch, channels, height, width) are supported"
    )
    assert signal.hint == "signals may enter as (batch, channels, 1, length)"
    assert refused(Net().op("Relu")).what.startswith("input x has 0 dimensions")
    assert refused(Net(1, 4, kind=TensorProto.INT8).op("Identity")).what == "input x is int8; float is needed"
    assert refused(Net("batch", 1 << 30).op("Relu")).what == (
        "input x has 1073741824 values; at most 16777216 are supported"
    )


# -- what is refused: nodes --------------------------------------------------------------------------------


def test_all_unsupported_operators_are_listed() -> None:
    net = (
        Net(1, 2, 6, 6)
        .conv(2, 3)
        .op("HardSwish", name="act1")
        .op("AveragePool", kernel_shape=[2, 2], name="pool")
    )
    net.op("Sigmoid", name="act2").op("Celu", name="act3").op("Flatten").fc(27, 2)
    error = refused(net)
    assert error.what == "4 of 7 nodes cannot be translated"
    assert error.where == (
        "act1  HardSwish: operator is not supported;  pool  AveragePool: operator is not supported;  "
        "act2  Sigmoid: operator is not supported;  act3  Celu: operator is not supported"
    )
    assert error.hint == "ReLU or ReLU6; MaxPool, or a convolution with a stride"
    foreign = Net(1, 4).op("Relu", domain="com.acme")
    model = foreign.model()
    model.opset_import.append(helper.make_opsetid("com.acme", 1))
    error = refused(model.SerializeToString())
    assert error.what == "1 node cannot be translated"
    assert error.where == "relu_0  Relu: operator of com.acme is not supported"
    assert error.hint.startswith("supported are Add, BatchNormalization, ")


def test_residual_networks_are_refused() -> None:
    net = Net(1, 4).fc(4, 4).op("Relu")
    net.nodes.append(helper.make_node("Add", ["relu_1.out", "gemm_0.out"], ["sum"], name="residual"))
    net.top = "sum"
    error = refused(net.fc(4, 2))
    assert error.where == "residual  Add: joins two branches; only a chain of layers is supported"


REASONS = {
    "group is 2; only 1 is supported": lambda: Net(1, 2, 6, 6).conv(1, 2, group=2),
    "1-D convolution; only 2-D is supported": lambda: Net(1, 2, 6, 6).conv(2, 2, (3,)),
    "kernel_shape [3, 2] differs from the weights [2, 2, 3, 3]": lambda: Net(1, 2, 6, 6).conv(
        2, 2, kernel_shape=[3, 2]
    ),
    "strides has 1 entries, 2-D needs 2": lambda: Net(1, 2, 6, 6).conv(2, 2, strides=[1]),
    "strides [0, 1] is outside 1 to 32767": lambda: Net(1, 2, 6, 6).conv(2, 2, strides=[0, 1]),
    "pads [-1, 0, 0, 0] is outside 0 to 32767": lambda: Net(1, 2, 6, 6).conv(2, 2, pads=[-1, 0, 0, 0]),
    "dilations [1, 4294967296] is outside": lambda: Net(1, 2, 6, 6).conv(2, 2, dilations=[1, 1 << 32]),
    "auto_pad FULL is unknown": lambda: Net(1, 2, 6, 6).conv(2, 2, auto_pad="FULL"),
    "weights of shape (0, 2, 3, 3) are empty": lambda: Net(1, 2, 6, 6).op("Conv", np.zeros((0, 2, 3, 3))),
    "3-D pooling; only 2-D is supported": lambda: Net(1, 2, 6, 6).op("MaxPool", kernel_shape=[2, 2, 2]),
    "axes [1] are not height and width": lambda: Net(1, 2, 6, 6).op("ReduceMax", axes=[1]),
    "transA is set": lambda: Net(1, 4).op("Gemm", np.eye(1, 4), transA=1),
    "weights have 1 dimensions, 2 are needed": lambda: Net(1, 4).op("MatMul", np.ones(4)),
    "weights of shape (4, 0) are empty": lambda: Net(1, 4).op("MatMul", np.zeros((4, 0))),
    "weights stand on the left": lambda: Net(1, 4).op("MatMul", np.ones((2, 1)), side=1),
    "bounds 2 and 1 leave a constant": lambda: Net(1, 4).op("Clip", np.float32(2), np.float32(1)),
    "a bound is not one number": lambda: Net(1, 4).op("Clip", np.ones(4)),
    "a bound is NaN": lambda: Net(1, 4).op("Clip", np.float32(np.nan)),
    "variance + epsilon is -0.5, not positive": lambda: Net(1, 4).op(
        "BatchNormalization", *np.ones((3, 4)), np.full(4, -1.5), epsilon=1.0
    ),
    "training_mode is set": lambda: Net(1, 4).op("BatchNormalization", *np.ones((4, 4)), training_mode=1),
    "divides by a computed value": lambda: Net(1, 4).op("Div", np.ones(4), side=1),
    "divides by zero": lambda: Net(1, 4).op("Div", np.zeros(4)),
    "casts to int8": lambda: Net(1, 4).op("Cast", to=TensorProto.INT8),
    "perm [0, 2, 1, 3] is neither": lambda: Net(1, 2, 6, 6).op("Transpose", perm=[0, 2, 1, 3]),
    "only supported at the end": lambda: Net(1, 4).op("Softmax").fc(4, 2),
    "operator is not supported": lambda: Net(1, 2, 6, 6).op(
        "Pad", np.asarray([0, 0, 1, 1] * 2, I64), mode="edge"
    ),
}


@pytest.mark.parametrize("reason", REASONS)
def test_reasons(reason: str) -> None:
    net = REASONS[reason]()
    assert f": {reason}" in refused(net.op("Relu")).where


def test_second_outputs_and_computed_weights() -> None:
    net = Net(1, 4, 4, 4)
    net.nodes.append(helper.make_node("MaxPool", ["x"], ["y", "i"], name="pool", kernel_shape=[2, 2]))
    net.nodes.append(helper.make_node("Add", ["y", "i"], ["z"]))
    net.top = "z"
    assert "pool  MaxPool: its second output is used" in refused(net).where
    net = Net(1, 4)
    net.nodes.append(helper.make_node("Relu", ["x"], ["w"]))
    net.nodes.append(helper.make_node("Gemm", ["x", "w"], ["z"], name="fc", transB=1))
    net.top = "z"
    assert refused(net).where == "fc  Gemm: w is computed; weights and options must be constant"
    net = Net(1, 4)
    net.nodes.append(helper.make_node("RandomNormal", [], ["r"], name="noise", shape=[1, 4]))
    net.nodes.append(helper.make_node("Relu", ["r"], ["z"]))
    net.top = "z"
    assert refused(net).where == "noise  RandomNormal: operator is not supported"
    net.nodes = [helper.make_node("Celu", [net.const("c", np.ones((1, 4)))], ["r"])]
    net.nodes.append(helper.make_node("Relu", ["r"], ["z"]))
    assert refused(net).where == "r  Celu: operator is not supported"


def test_dropout_in_training_mode() -> None:
    net = Net(1, 4).op("Dropout", np.float32(0.5), np.bool_(True)).fc(4, 2)
    assert ": training_mode is set; export after net.eval()" in refused(net).where


# -- what is refused: values and shapes --------------------------------------------------------------------


def test_weights_that_are_not_finite() -> None:
    w = np.ones((3, 2, 3, 3))
    w[0, 0, 0, :2] = np.nan, np.inf
    net = Net(1, 2, 6, 6).op("Conv", w, np.ones(3)).op("Flatten").op("Gemm", np.full((48, 2), -np.inf))
    error = refused(net)
    assert error.what == "2 weight tensors hold NaN or infinite values"
    assert error.where == "conv_0.0 of conv_0: 2 of 54;  gemm_2.0 of gemm_2: 96 of 96"
    one = refused(Net(1, 4, kind=TensorProto.DOUBLE).op("MatMul", np.full((4, 1), 1e300)))
    assert one.what == "1 weight tensor holds NaN or infinite values"


def test_arithmetic_beyond_float32() -> None:
    error = refused(Net(1, 4).op("Gemm", np.full((4, 2), 3e38), alpha=10.0))
    assert error.what == "8 of 8 values of fc1_w are beyond float32"
    assert (
        refused(Net(1, 4).op("Div", np.full(4, 1e-45))).what
        == "4 of 4 values of bn1_gamma are beyond float32"
    )


SHAPES = {
    "convolution of a (6, 6, 2) map with weights (3, 3, 3, 4) and bias (3,): the shapes": lambda: Net(
        1, 2, 6, 6
    ).conv(4, 3),
    "a window 3 wide does not fit into 2 + 0 + 0 of padding": lambda: Net(1, 1, 2, 6).conv(1, 1),
    "fully connected layer on (8,) values with weights (2, 9)": lambda: Net(1, 8).fc(9, 2),
    "fully connected layer on (6, 6, 2) values": lambda: Net(1, 2, 6, 6).op("MatMul", np.ones((6, 2))),
    "Conv needs a (batch, channels, height, width) map; its input is (1, 8)": lambda: Net(1, 8).conv(1, 1),
    "MaxPool needs a (batch, channels, height, width) map": lambda: Net(1, 8).op(
        "MaxPool", kernel_shape=[2, 2]
    ),
    "batch-norm over 2 channels with statistics": lambda: Net(1, 2, 6, 6).norm(3),
    "Reshape from (1, 2, 6, 6) to (1, 12, 6)": lambda: Net(1, 2, 6, 6).op(
        "Reshape", np.asarray([1, 12, 6], I64)
    ),
    "Reshape from (1, 8) to (2, 4)": lambda: Net("n", 8).op("Reshape", np.asarray([-1, 4], I64)),
    "Flatten from (1, 2, 6, 6) to (12, 6)": lambda: Net(1, 2, 6, 6).op("Flatten", axis=3),
    "Transpose of (1, 4, 4, 2) by (0, 2, 3, 1) mixes": lambda: (
        Net(1, 2, 6, 6).conv(2, 2).op("Transpose", perm=[0, 2, 3, 1]).op("Transpose", perm=[0, 2, 3, 1])
    ),
    "a constant of shape (2, 4, 4) against 2 channels": lambda: (
        Net(1, 2, 6, 6).conv(2, 2).op("Mul", np.ones((2, 4, 4)))
    ),
    "a constant of shape (3,) against 2 channels": lambda: Net(1, 8).op("Gemm", np.ones((8, 2)), np.ones(3)),
    "Softmax over axis 1 of (1, 2, 6, 6)": lambda: Net(1, 2, 6, 6).op("Relu").op("Softmax", axis=1),
    "an output of 67108864 values": lambda: Net(1, 1, 4096, 4096).conv(1, 4, (1, 1)),
    "1 of 2 pooling windows lie in the padding": lambda: Net(1, 1, 4, 4).op(
        "MaxPool", kernel_shape=[2, 2], pads=[2, 0, 0, 0], strides=[4, 4]
    ),
    "the output is a (1, 3, 4, 4) map; one vector": lambda: Net(1, 2, 6, 6).conv(2, 3),
    "the output is a flattened map of 48 values": lambda: Net(1, 2, 6, 6).conv(2, 3).op("Flatten"),
}


@pytest.mark.parametrize("what", SHAPES)
def test_shapes_that_do_not_match(what: str) -> None:
    assert what in refused(SHAPES[what]()).what


def test_constants_too_large_to_compute() -> None:
    net = Net(1, 4)
    huge = net.const("shape", np.asarray([1 << 20, 1 << 20], I64))
    net.nodes.append(helper.make_node("ConstantOfShape", [huge], ["big"]))
    net.nodes.append(helper.make_node("MatMul", ["x", "big"], ["y"], name="fc"))
    net.top = "y"
    error = refused(net)
    assert "big  ConstantOfShape: operator is not supported" in error.where
    assert "fc  MatMul: joins two branches" in error.where
    net.nodes[0] = helper.make_node("ConstantOfShape", [net.const("nine", np.ones(9, I64))], ["big"])
    assert "ConstantOfShape" in refused(net).where


# -- nothing else escapes ----------------------------------------------------------------------------------


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


@pytest.mark.parametrize("change", [damaged, distorted])
@pytest.mark.parametrize("opset", [9, 17])
def test_damaged_files_raise_nothing_but_our_errors(opset: int, change: Any) -> None:
    net = Net("batch", 2, 6, 6).conv(2, 3, pads=[1, 1, 1, 1]).norm(3).op("Relu")
    net.op("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).op("Reshape", np.asarray([0, -1], I64)).fc(27, 4)
    data = net.op("Softmax", axis=1).bytes(opset)
    load_onnx(data)
    rng = np.random.default_rng(opset)
    messages = []
    for _ in range(300):
        try:
            check(fold(load_onnx(change(rng, data))))
        except McugradError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert all(messages)
