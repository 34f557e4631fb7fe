"""Importing TFLite: what comes in equals LiteRT, in float32 and in int8."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tflite", reason="the package tflite is not installed")
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

import mcugrad as mg
from litert_says import agreement, errors, ours, runtime
from mcugrad.graph import ActivationScale, Graph, WeightScale
from mcugrad.graph.spec import check
from mcugrad.importers.tflite import load_tflite
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.convolution.grouped_conv2d import GroupedConv2d
from mcugrad.ops.linear.linear import Linear
from mcugrad.ops.movement.flatten import Flatten
from mcugrad.ops.movement.slice import Pad
from mcugrad.ops.pooling.avgpool2d import AvgPool2d
from mcugrad.passes.fold import fold
from mcugrad.zoo import data
from tflite_nets import NETS, SAMPLES, residual, samples
from tflite_writer import RELU, RELU6, SAME, Net


def imported(net: Net, *, fast: bool = False) -> Graph:
    """The graph, proven equal to LiteRT on random samples."""
    model = net.bytes()
    graph = check(load_tflite(model))
    x = samples(net)
    np.testing.assert_allclose(ours(graph, x), runtime(model, x, fast=fast), rtol=1e-4, atol=1e-4)
    return graph


LAYERS: dict[str, Callable[[], Net]] = {
    "CONV_2D": lambda: Net(1, 14, 14, 3).conv(3, 16, s=2, act=RELU),
    "CONV_2D, two": lambda: Net(1, 14, 14, 1).conv(1, 16, s=2, act=RELU).conv(16, 16),
    "DEPTHWISE_CONV_2D": lambda: Net(1, 14, 14, 4).depthwise(4, 2, s=2, act=RELU6),
    "FULLY_CONNECTED": lambda: Net(1, 80).fc(80, 40),
    "MAX_POOL_2D": lambda: Net(1, 14, 14, 4).pool("MAX"),
    "AVERAGE_POOL_2D": lambda: Net(1, 14, 14, 4).pool("AVERAGE", 3, 2, SAME),
    "MEAN": lambda: (n := Net(1, 14, 14, 4)).op("MEAN", n.ints(1, 2)),
    "ADD": lambda: Net(1, 14, 14, 4).op("RELU6").op("ADD", 0),
    "SUB": lambda: Net(1, 14, 14, 4).op("RELU6").op("SUB", 0),
    "MUL": lambda: Net(1, 14, 14, 4).op("RELU6").op("MUL", 0),
    "ADD of a constant": lambda: (n := Net(1, 14, 14, 4)).op("ADD", n.constant(np.float32([0.3, 0, -2, 1]))),
    "MUL by a constant": lambda: (n := Net(1, 14, 14, 4)).op(
        "MUL", n.constant(np.float32([0.31, 0, -2.3, 1]))
    ),
    "CONCATENATION": lambda: Net(1, 14, 14, 4).op("RELU").op("CONCATENATION", 0, axis=3),
    "RELU6": lambda: Net(1, 14, 14, 4).op("RELU6"),
    "RELU_N1_TO_1": lambda: Net(1, 14, 14, 4).op("RELU_N1_TO_1"),
}
"""Layers by themselves."""
ROUGH = {"leaky relu": 0.85, "prelu, negative slopes": 0.98, "transposed, small kernel": 0.98}
"""Networks with a layer that LiteRT rounds in another way, and how much is equal: see docs/arithmetic.md."""
NO_INT8 = ("elu",)


@pytest.mark.parametrize("name", NETS)
def test_float(name: str) -> None:
    imported(NETS[name](), fast=name == "elu")


@pytest.mark.parametrize("name", LAYERS)
def test_int8_layer(name: str) -> None:
    net = LAYERS[name]()
    x = samples(net)
    whole = net.int8(x)
    assert agreement(whole, x).equal == 1
    assert agreement(whole, x, fast=False).worst <= 1


@pytest.mark.parametrize("name", [n for n in NETS if n not in NO_INT8])
@pytest.mark.parametrize("per_channel", [True, False], ids=["channel", "tensor"])
def test_int8_network(name: str, per_channel: bool) -> None:
    net = NETS[name]()
    x = samples(net, 200)
    found = agreement(net.int8(x[:SAMPLES], per_channel=per_channel), x)
    assert found.worst <= (1 if name in ROUGH else 0)
    assert found.top1 >= 0.995
    assert found.equal >= ROUGH.get(name, 1)


@pytest.mark.parametrize("function", ["HARD_SWISH", "TANH", "GELU", "LEAKY_RELU", "RELU"])
def test_int8_functions_keep_scales(function: str) -> None:
    """Of x and of y, whatever both are."""
    net = Net(1, 5, 5, 3)
    net.op(function, **({"alpha": 0.2} if function == "LEAKY_RELU" else {}))
    x = samples(net) * 3
    whole = net.int8(x)
    graph = fold(load_tflite(whole.bytes()))
    for tensor, item in ((graph.input, whole.items[0]), (graph.output, whole.items[whole.top])):
        quant = graph[tensor].quant
        assert isinstance(quant, ActivationScale)
        assert (np.float32(quant.scale), quant.zero) == (item.scale, item.zero)
    found = agreement(whole, x)
    assert found.worst <= 1
    assert found.equal >= (0.8 if function == "LEAKY_RELU" else 1)


def test_int8_keeps_scales() -> None:
    net = NETS["convolutions"]()
    graph = check(load_tflite((small := net.int8(samples(net))).bytes()))
    stored = {item.name: item for item in small.items}
    for tensor, name in (("input", "x"), ("conv1_y", "conv_2d_0"), ("fc1_y", "fully_connected_3")):
        quant = graph[tensor].quant
        assert isinstance(quant, ActivationScale)
        assert (np.float32(quant.scale), quant.zero) == (stored[name].scale, stored[name].zero)
    weights = graph["conv1_w"]
    assert isinstance(weights.quant, WeightScale)
    kernel = small.items[small.operators[0].inputs[1]]
    assert np.array_equal(weights.quant.scales, kernel.scale)  # type: ignore[arg-type]
    assert weights.value is not None
    assert np.array_equal(np.round(weights.value / weights.quant.scales[:, None, None, None]), kernel.data)  # type: ignore
    assert graph["conv1_b"].quant is None


@pytest.mark.parametrize("border", ["uint8", "float32"])
def test_borders_of_another_type(border: str) -> None:
    net = NETS["convolutions"]()
    x = samples(net)
    inside, wrapped = (load_tflite(net.int8(x, border=b).bytes()) for b in ("int8", border))
    assert [n.name for n in wrapped.nodes] == [n.name for n in inside.nodes]
    assert {k: t.quant for k, t in wrapped.tensors.items() if isinstance(t.quant, ActivationScale)} == {
        k: t.quant for k, t in inside.tensors.items() if isinstance(t.quant, ActivationScale)
    }


def test_compiled_without_another_calibration(tmp_path: Path) -> None:
    net = residual("ADD")
    x = samples(net)
    path = tmp_path / "Net 1.tflite"
    path.write_bytes(net.int8(x).bytes())
    model = mg.load(path)
    assert (model.name, model.source, model.input_shape, model.classes) == (
        "net_1",
        "Net 1.tflite",
        (6, 6, 2),
        3,
    )
    trainer = mg.compile(model, calibration=x * 7, train="last:1")
    kept = load_tflite(path)
    built = trainer.build.graph
    for name, tensor in kept.tensors.items():
        if isinstance(tensor.quant, ActivationScale) and not built[name].tracked:
            quant = built[name].quant
            assert isinstance(quant, ActivationScale)
            assert (quant.scale, quant.zero) == (tensor.quant.scale, tensor.quant.zero)
    trainer.fit(x, np.arange(len(x)) % 3, epochs=1)


def test_structures() -> None:
    def kinds(name: str) -> list[type]:
        return [type(n) for n in load_tflite(NETS[name]().bytes()).nodes]

    assert kinds("groups")[0] is GroupedConv2d
    assert kinds("groups of one")[0] is DepthwiseConv2d
    assert kinds("sequence") == [Conv2d, AvgPool2d, Flatten, Linear]
    assert kinds("padding")[1] is Pad
    folded = fold(load_tflite(NETS["padding"]().bytes())).nodes[1]
    assert isinstance(folded, Conv2d)
    assert folded.padding == (0, 2, 1, 1)


@pytest.mark.parametrize("kind", ["SOFTMAX", "LOGISTIC"])
def test_a_probability_at_the_end_is_left_out(kind: str) -> None:
    net = Net(1, 8).fc(8, 3).op(kind)
    graph = check(load_tflite(net.bytes()))
    assert [n.name for n in graph.nodes] == ["fc1"]
    word = "softmax" if kind == "SOFTMAX" else "sigmoid"
    note = f"{kind} at the end left out: the outputs are logits, and the loss has its own {word}"
    assert graph.notes == (note,)
    for border in ("int8", "uint8", "float32"):
        whole = check(load_tflite(net.int8(samples(net), border=border).bytes()))
        assert [n.name for n in whole.nodes] == ["fc1"]


def test_float16_weights() -> None:
    net = Net(1, 8)
    w = net.constant(net.normal(3, 8), "float16")
    net.op("DEQUANTIZE", w).operators[-1].inputs = [w]
    graph = check(load_tflite(net.op("FULLY_CONNECTED", 0, net.top, -1).bytes()))
    assert [n.name for n in graph.nodes] == ["fc1"]
    assert np.array_equal(graph["fc1_w"].value, net.items[w].data.astype(np.float32))  # type: ignore


def test_weights_in_8_bits_of_a_float_network() -> None:
    net = Net(1, 8).fc(8, 3)
    item = net.items[1]
    assert item.data is not None
    item.scale, item.zero, item.dtype = np.float32(0.02), np.zeros(1), "int8"
    item.data = np.clip(np.round(item.data / 0.02), -127, 127).astype(np.int8)
    graph = check(load_tflite(net.bytes()))
    assert graph.notes == ("weights converted from int8 to float32",)
    assert graph["fc1_w"].quant is None
    assert np.array_equal(graph["fc1_w"].value, item.data * np.float32(0.02))  # type: ignore[arg-type]


def test_names_and_batch() -> None:
    net = Net(4, 6, 6, 1).conv(1, 2, act=RELU).op("RESHAPE")
    net.operators[-1].inputs.append(net.ints(4, 72))
    graph = check(load_tflite(net.fc(72, 3).bytes(), name="My Net!"))
    assert graph.name == "my_net"
    assert [(n.name, n.source) for n in graph.nodes] == [
        ("conv1", "conv_2d_0"),
        ("flatten1", "reshape_1"),
        ("fc1", "fully_connected_2"),
    ]
    assert graph.notes == ("batch size 4 set to 1: the device takes one sample at a time",)


def test_what_the_output_does_not_need_is_left_out() -> None:
    net = Net(1, 8).fc(8, 4)
    kept = net.top
    net.op("ARG_MAX").outputs = [kept]
    assert [n.name for n in load_tflite(net.bytes()).nodes] == ["fc1"]


@pytest.mark.slow
@pytest.mark.parametrize("fast", [True, False], ids=["fast", "reference"])
@pytest.mark.parametrize("pool", ["MAX", "AVERAGE"])
def test_real_samples(pool: str, fast: bool) -> None:
    digits = data.load("digits")
    x = digits.x_test.reshape(-1, 8, 8, 1).astype(np.float32) / 16
    net = Net(1, 8, 8, 1).conv(1, 8, act=RELU).depthwise(8, 2, s=2, act=RELU6).conv(16, 16, (1, 1), act=RELU)
    branch = net.top
    net.conv(16, 16).op("ADD", branch, fusedActivationFunction=RELU).pool(pool).flatten(64).fc(64, 10)
    whole = net.int8(x[:SAMPLES])
    found = agreement(whole, x, fast=fast)
    assert found.worst <= (1 if fast else 3), "the reference kernels round twice"
    assert found.top1 >= (0.995 if fast else 0.98)
    ours_off, litert_off = errors(whole, net, x, fast=fast)
    assert ours_off <= 1.02 * litert_off
