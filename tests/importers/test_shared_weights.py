"""Weights that two layers share in a file: each trains a copy of its own, which is said where one of them trains."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
import onnx_nets
from command_line import Cli, save
from mcugrad.errors import McugradWarning
from mcugrad.graph import Graph
from mcugrad.importers.onnx import load_onnx
from mcugrad.passes.fold import fold
from onnx_nets import helper

Onnx = onnx_nets.Net


def again(net: Onnx, kind: str, weights: str, *bias: str, **attributes: Any) -> Onnx:
    """One more node with weights that the file has already."""
    net.op("Relu")
    net.nodes.append(helper.make_node(kind, [net.top, weights, *bias], ["again"], name="again", **attributes))
    net.top = "again"
    return net


def gemms() -> bytes:
    net = Onnx(1, 6).fc(6, 6)
    return again(net, "Gemm", "gemm_0.0", "gemm_0.1", transB=1).op("Relu").fc(6, 3).bytes()


def convolutions() -> bytes:
    net = Onnx(1, 4, 5, 5).conv(4, 4, pads=[1, 1, 1, 1])
    return again(net, "Conv", "conv_0.0", pads=[1, 1, 1, 1]).op("Flatten").fc(100, 3).bytes()


def transposed() -> bytes:
    """An autoencoder whose decoder is the encoder turned round."""
    net = Onnx(1, 6).fc(6, 4).op("Relu")
    net.nodes.append(helper.make_node("Transpose", ["gemm_0.0"], ["turned"], name="turned", perm=[1, 0]))
    net.nodes.append(helper.make_node("Gemm", [net.top, "turned"], ["again"], name="again", transB=1))
    net.top = "again"
    return net.op("Relu").fc(6, 3).bytes()


def normalized() -> bytes:
    """One convolution, a normalization of its own behind each use."""
    net = Onnx(1, 4, 5, 5).conv(4, 4, pads=[1, 1, 1, 1], bias=False).norm(4)
    return again(net, "Conv", "conv_0.0", pads=[1, 1, 1, 1]).norm(4).op("Flatten").fc(100, 3).bytes()


def int8() -> bytes:
    """Weights that are int8 in the file, turned into real numbers by one node for each use."""
    net = Onnx(1, 6)
    codes = net.const("codes", np.arange(-18, 18, dtype=np.int8).reshape(6, 6))
    scale, zero = net.const("scale", np.float32(0.02)), net.const("zero", np.int8(0))
    for use in ("first", "second"):
        real = f"{use}.w"
        net.nodes.append(helper.make_node("DequantizeLinear", [codes, scale, zero], [real], name=real))
        net.nodes.append(helper.make_node("Gemm", [net.top, real], [use], name=use, transB=1))
        net.top = use
        net.op("Relu")
    return net.fc(6, 3).bytes()


FILES: dict[str, Callable[[], bytes]] = {
    "two Gemms": gemms,
    "two convolutions": convolutions,
    "turned round": transposed,
    "two normalizations": normalized,
    "int8": int8,
}


def compiled(graph: Graph, train: str | Sequence[str]) -> tuple[mg.Trainer, list[str]]:
    """Compile a graph from a file; what is warned of."""
    model = mg.Model(fold(graph), "net", "0" * 64)
    x = np.random.default_rng(0).normal(size=(16, *model.input_shape)).astype(np.float32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = mg.compile(model, calibration=x, train=train)
    return made, [str(each.message) for each in caught if issubclass(each.category, McugradWarning)]


@pytest.mark.parametrize("case", FILES)
def test_two_nodes_of_an_onnx_file(case: str) -> None:
    graph = load_onnx(FILES[case]())
    first, second, _ = (layer.name for layer in mg.Model(graph, "", "").layers)
    assert graph.alike == ((first, second),)
    assert not any("same" in note for note in graph.notes), "nothing trains yet"
    made, (said,) = compiled(graph, "all")
    assert said.startswith(f"{first} and {second} have the same ")
    assert "each trains a copy of its own" in said
    assert "train='last:1'" in said
    assert said in made.build.graph.notes, "the firmware's header says it, too"
    assert compiled(graph, "last:1")[1] == compiled(graph, "none")[1] == []


def test_one_of_them_trains() -> None:
    _, (said,) = compiled(load_onnx(gemms()), "last:2")
    assert "here fc2 trains a copy of its own, and fc1 stays as it is" in said
    _, (said,) = compiled(load_onnx(gemms()), ["fc1", "fc3"])
    assert "here fc1 trains a copy of its own, and fc2 stays as it is" in said


def test_biases_alone() -> None:
    made, (said,) = compiled(load_onnx(gemms()), "bias")
    assert "trains a bias of its own" in said
    assert said in made.build.graph.notes


def test_what_is_left_to_train() -> None:
    net = again(Onnx(1, 6).fc(6, 6), "Gemm", "gemm_0.0", "gemm_0.1", transB=1)
    assert compiled(load_onnx(net.bytes()), "all")[1][0].endswith("there is no other layer that could train")
    net = again(Onnx(1, 6).fc(6, 6).fc(6, 6), "Gemm", "gemm_1.0", "gemm_1.1", transB=1)
    assert compiled(load_onnx(net.bytes()), "all")[1][0].endswith("leave them frozen: train=['fc1']")


def test_weights_that_only_look_alike() -> None:
    net = Onnx(1, 6).fc(6, 6).op("Relu").fc(6, 6).op("Relu")
    net.op("Gemm", np.zeros((6, 6), np.float32), transB=1).op("Gemm", np.zeros((6, 6), np.float32), transB=1)
    graph = load_onnx(net.bytes())
    assert graph.alike == (), "zeros are a beginning, not a layer that is used twice"
    assert compiled(graph, "all")[1] == []


def test_a_module_that_is_called_twice() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    class Twice(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(6, 6)
            self.last = torch.nn.Linear(6, 3)

        def forward(self, x: Any) -> Any:
            again = torch.relu(self.first(torch.relu(self.first(x))))
            return self.last(torch.nn.functional.linear(again, self.first.weight.t()))

    model = mg.load(Twice(), example=np.zeros((1, 6), np.float32))
    assert model.graph.alike == (("fc1", "fc2", "fc3"),)
    (said,) = compiled(model.graph, "all")[1]
    assert said.startswith("fc1, fc2 and fc3 have the same 36 weights")


@pytest.mark.parametrize("quantized", [False, True], ids=["float", "int8"])
@pytest.mark.parametrize("way", ["one tensor", "one buffer"])
def test_a_buffer_of_a_tflite_file(way: str, quantized: bool) -> None:
    pytest.importorskip("tflite", reason="the package tflite is not installed")
    from mcugrad.importers.tflite import load_tflite
    from tflite_writer import RELU, Net

    net = Net(1, 6)
    w = net.normal(6, 6, fan=6)
    first = net.constant(w)
    second = first if way == "one tensor" else net.constant(w)  # converters write equal contents once
    for weights in (first, second):
        net.op("FULLY_CONNECTED", weights, net.constant(net.normal(6)), fusedActivationFunction=RELU)
    net.fc(6, 3)
    if quantized:
        pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
        net = net.int8(np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32))
    graph = load_tflite(net.bytes())
    assert graph.alike == (("fc1", "fc2"),)
    (said,) = compiled(graph, "all")[1]
    assert said.startswith("fc1 and fc2 have the same 36 weights")


def test_the_command_line_says_it_once(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(gemms())
    rng = np.random.default_rng(0)
    data = save(tmp_path / "data.npz", rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 3, 40))
    given = (
        "compile",
        str(tmp_path / "net.onnx"),
        "--data",
        data,
        "--no-measure",
        "--out",
        str(tmp_path / "out"),
    )
    said = cli(*given).out
    assert said.count("fc1 and fc2 have the same 36 weights") == 1
    assert "same 36 weights" not in cli(*given, "--train", "last:1").out
