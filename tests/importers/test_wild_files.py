"""Networks as people have them: how converters write them, and what is said about those that are not supported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tflite", reason="the package tflite is not installed")
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

from test_import_quantized import QuantType, device_outputs, quantized

import litert_says
import mcugrad as mg
import onnx_nets
import quantizing
import tflite_writer
from mcugrad.errors import ModelError
from mcugrad.graph import ActivationScale, WeightScale
from mcugrad.graph.spec import check
from mcugrad.importers.onnx import load_onnx
from mcugrad.importers.shared import hints
from mcugrad.importers.tflite import load_tflite
from mcugrad.passes.calibrate import run_float
from mcugrad.passes.fold import fold
from onnx_nets import helper
from tflite_writer import RELU, VALID, Array

Onnx = onnx_nets.Net
Lite = tflite_writer.Net


def normal(*shape: int) -> Array:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def refused(source: Onnx | Lite) -> ModelError:
    """The error with which a file is refused."""
    load = load_onnx if isinstance(source, Onnx) else load_tflite
    with pytest.raises(ModelError) as caught:
        load(source.bytes())
    return caught.value


# -- quantized files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 3])
@pytest.mark.parametrize("kind", ["conv", "depthwise", "fc"])
def test_a_vector_of_scales_runs_along_the_only_axis(kind: str, axis: int) -> None:
    net = Lite(1, 8, 8, 2)
    net = net.depthwise(2, 2) if kind == "depthwise" else net.conv(2, 4)
    whole = net.flatten(256).fc(256, 3).int8(normal(8, 8, 8, 2))
    bias = whole.operators[-1 if kind == "fc" else 0].inputs[2]
    if kind != "fc":
        assert np.size(whole.items[bias].scale) > 1
    before = load_tflite(whole.bytes())
    whole.items[bias].axis = axis
    after = load_tflite(whole.bytes())
    assert before.nodes == after.nodes
    for name, tensor in before.tensors.items():
        assert tensor.quant is None or repr(tensor.quant) == repr(after[name].quant)
        assert tensor.value is None or np.array_equal(tensor.value, after[name].value)  # type: ignore[arg-type]


def asymmetric(net: Lite, samples: Array, kind: str) -> Lite:
    """The network in 8 bits as TensorFlow 1 made it: one scale and zero point for all weights of a layer.

    The zero point is far from the middle, so that whoever forgets it is far off.
    """
    whole = net.int8(samples, per_channel=False)
    for call in whole.operators:
        if call.kind not in tflite_writer.WEIGHTED:
            continue
        index = call.inputs[1]
        real, item, bias = net.items[index].data, whole.items[index], call.inputs[2]
        assert real is not None
        low, high = float(real.min()), float(real.max()) * 3
        scale = np.float32((high - low) / 255)
        zero = np.round(-low / scale) - (0 if kind == "uint8" else 128)
        codes = np.round(real / scale) + zero
        item.data, item.dtype = codes.astype(kind), kind
        item.scale, item.zero = np.atleast_1d(scale), np.atleast_1d(zero)
        unit = np.atleast_1d(scale * whole.items[call.inputs[0]].scale)
        values = net.items[bias].data
        assert values is not None
        whole.items[bias].data = np.round(values / unit).astype(np.int32)
        whole.items[bias].scale, whole.items[bias].zero = unit, np.zeros(1)
    return whole


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_tflite_weights_with_a_zero_point_are_quantized_anew(kind: str) -> None:
    net = Lite(1, 6, 6, 2).conv(2, 4, act=RELU).depthwise(4).flatten(144).fc(144, 3)
    samples = normal(24, 6, 6, 2)
    whole = asymmetric(net, samples, kind)
    if kind == "uint8":  # activations, too
        for item in whole.items:
            if item.dtype == "int8":
                item.dtype, item.zero = "uint8", np.asarray(item.zero) + 128
    graph = check(fold(load_tflite(whole.bytes())))
    assert graph.notes[-1].startswith(
        "weights of 3 layers, conv1 to fc1, are not symmetric int8 per output channel"
    )
    made = check(quantizing.quantized(graph, None))
    assert isinstance(made["fc1_w"].quant, WeightScale)
    real = litert_says.runtime(net.bytes(), samples)
    given, out = made[made.input].quant, made[made.output].quant
    assert isinstance(given, ActivationScale)
    assert isinstance(out, ActivationScale)
    found = litert_says.device(made, litert_says.codes(samples, given.scale, given.zero))
    found = (found.astype(np.float64) - out.zero) * out.scale
    assert np.abs(found - real).max() < 0.05 * np.abs(real).max()


@pytest.mark.parametrize("kind", ["QInt8", "QUInt8"])
def test_onnx_weights_with_a_zero_point_are_quantized_anew(kind: str, tmp_path: Path) -> None:
    net = Onnx("batch", 2, 6, 6).conv(2, 4, pads=[1, 1, 1, 1]).op("Relu").op("Flatten").fc(144, 3)
    for weights in net.weights:
        if weights.name.endswith(".0"):
            values = np.abs(onnx_nets.numpy_helper.to_array(weights)) - np.float32(0.02)
            weights.CopyFrom(onnx_nets.numpy_helper.from_array(values, weights.name))
    samples = normal(24, 2, 6, 6)
    data = quantized(
        net,
        tmp_path,
        samples,
        weight_type=QuantType[kind],
        activation_type=QuantType[kind],
        extra_options={"WeightSymmetric": False},
    )
    graph = check(fold(load_onnx(data)))
    assert sum("are not symmetric int8 per output channel in the file" in n for n in graph.notes) == 1
    assert graph["fc1_w"].quant is None
    made = check(quantizing.quantized(graph, None))
    assert isinstance(made["fc1_w"].quant, WeightScale)
    real = onnx_nets.runtime(net.bytes(), samples)
    assert np.abs(device_outputs(made, samples) - real).max() < 0.05 * np.abs(real).max()


# -- channels first in TFLite --------------------------------------------------------------------------------------


def first_input(net: Lite) -> Lite:
    """A network whose input is channels first, turned by its first operator."""
    return net.op("TRANSPOSE", net.ints(0, 2, 3, 1))


BORN_IN_PYTORCH: dict[str, Callable[[], Lite]] = {
    "input and flatten": lambda: (
        (n := first_input(Lite(1, 3, 6, 5)).conv(3, 4, act=RELU))
        .op("TRANSPOSE", n.ints(0, 3, 1, 2))
        .flatten(120)
        .fc(120, 3)
    ),
    "a transpose around every layer": lambda: (
        (n := first_input(Lite(1, 3, 6, 6)).conv(3, 4, act=RELU))
        .op("TRANSPOSE", n.ints(0, 3, 1, 2))
        .op("TRANSPOSE", n.ints(0, 2, 3, 1))
        .pool("MAX")
        .op("TRANSPOSE", n.ints(0, 3, 1, 2))
        .op("ADD", n.constant(normal(4, 1, 1)))
        .op("RELU6")
        .op("TRANSPOSE", n.ints(0, 2, 3, 1))
        .depthwise(4)
        .op("TRANSPOSE", n.ints(0, 3, 1, 2))
        .op("MEAN", n.ints(2, 3), keepDims=False)
        .fc(4, 3)
    ),
    "padding as PyTorch has it": lambda: (
        (n := Lite(1, 3, 6, 6))
        .op("PAD", n.constant([[0, 0], [0, 0], [1, 1], [1, 1]], "int32"))
        .op("TRANSPOSE", n.ints(0, 2, 3, 1))
        .conv(3, 4, pad=VALID)
        .op("TRANSPOSE", n.ints(0, 3, 1, 2))
        .flatten(144)
        .fc(144, 3)
    ),
    "a signal": lambda: (
        (n := Lite(1, 3, 16))
        .op("TRANSPOSE", n.ints(0, 2, 1))
        .op("EXPAND_DIMS", n.ints(1))
        .conv(3, 4, (1, 3), act=RELU)
        .op("SQUEEZE", squeezeDims=[1])
        .op("TRANSPOSE", n.ints(0, 2, 1))
        .op("STRIDED_SLICE", n.ints(0, 0, -1), n.ints(0, 0, 0), n.ints(1, 1, 1), beginMask=3, endMask=3,
            shrinkAxisMask=4)
        .fc(4, 3)
    ),
    "outputs that stay a map": lambda: (
        (n := first_input(Lite(1, 3, 4, 5)).conv(3, 2)).op("TRANSPOSE", n.ints(0, 3, 1, 2))
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BORN_IN_PYTORCH)
@pytest.mark.parametrize("int8", [False, True], ids=["float", "int8"])
def test_channels_first_in_tflite(what: str, int8: bool) -> None:
    net = BORN_IN_PYTORCH[what]()
    x = normal(16, *net.items[0].shape[1:])
    order = (0, *range(2, x.ndim), 1)
    ours = x.transpose(order)
    used = net.int8(x) if int8 else net
    graph = check(fold(check(load_tflite(used.bytes()))))
    assert any(note.startswith("the device takes its input channels last") for note in graph.notes)
    if int8:
        quant, out = graph[graph.input].quant, used.items[used.top]
        assert isinstance(quant, ActivationScale)
        codes = litert_says.codes(x, quant.scale, quant.zero)
        expected = litert_says.runtime(used.bytes(), codes, fast=True).astype(np.int64)
        found = litert_says.device(graph, codes.transpose(order)).astype(np.int64)
        assert out.dtype == "int8"
    else:
        expected = litert_says.runtime(net.bytes(), x)
        found = run_float(graph, ours.reshape(len(x), *graph[graph.input].shape))[graph.output]
    if what.startswith("outputs"):  # the device gives them channels last
        expected = expected.reshape(len(x), 2, 4, 5).transpose(0, 2, 3, 1).reshape(len(x), -1)
    if int8:
        assert np.array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_softmax_whose_shape_follows_from_arithmetic_is_left_out() -> None:
    net = Lite(1, 8).fc(8, 3).op("SOFTMAX", beta=1.0)
    scores = net.top
    shape = net.op("SHAPE", scores, outType=2).top
    net.items[shape].dtype = "int32"
    graph = load_tflite(net.back(scores).op("RESHAPE", scores, shape).bytes())
    assert [n.name for n in graph.nodes] == ["fc1"]
    assert any("SOFTMAX at the end left out" in note for note in graph.notes)


# -- what the message names ----------------------------------------------------------------------------------------


def svdf() -> Lite:
    net = Lite(1, 8)
    net.items.append(tflite_writer.Item("state", [1, 12]))
    state = len(net.items) - 1
    return net.op("SVDF", 0, net.constant(normal(4, 8)), net.constant(normal(4, 3)), -1, state, rank=1).fc(
        4, 2
    )


def lstm(kind: str) -> Lite:
    net = Lite(1, 4, 8)
    net.items.append(tflite_writer.Item("tfl.pseudo_qconst", [1, 6]))
    return net.op(kind, 0, *[-1] * 3, len(net.items) - 1, options="").flatten(24).fc(24, 2)


def custom(name: str) -> Lite:
    net = Lite(1, 8)
    net.items.append(tflite_writer.Item("scratch", [512]))
    return net.op(name, 0, len(net.items) - 1)


def recurrent(kind: str, gates: int) -> Onnx:
    net = Onnx(1, 5, 4)
    net.op(kind, normal(1, gates * 3, 4), normal(1, gates * 3, 3), hidden_size=3)
    return net


def two(net: Onnx, kind: str, other: str, **attributes: int) -> Onnx:
    """An operator on a value and what another operator makes of it."""
    onnx_nets.join(net, kind, net.top, net.op(other).top, **attributes)
    return net


NAMED: dict[str, tuple[Callable[[], Onnx | Lite], str, str]] = {
    "svdf": (svdf, "SVDF: operator is not supported", hints.RECURRENT),
    "lstm": (lambda: lstm("UNIDIRECTIONAL_SEQUENCE_LSTM"), "LSTM: operator is not supported", hints.RECURRENT),
    "rnn": (lambda: lstm("UNIDIRECTIONAL_SEQUENCE_RNN"), "RNN: operator is not supported", hints.RECURRENT),
    "onnx lstm": (lambda: recurrent("LSTM", 4), "LSTM: operator is not supported", hints.RECURRENT),
    "onnx gru": (lambda: recurrent("GRU", 3), "GRU: operator is not supported", hints.RECURRENT),
    "vela": (lambda: custom("ethos-u"), "ethos-u: operator is not supported", hints.VELA),
    "edge tpu": (lambda: custom("edgetpu-custom-op"), "edgetpu-custom-op: ", hints.VELA),
    "flex": (lambda: custom("FlexErf"), "FlexErf: operator is not supported", hints.TF_OPERATORS),
    "boxes": (lambda: custom("TFLite_Detection_PostProcess"), "PostProcess: ", hints.DETECTION),
    "audio": (lambda: custom("SignalRfft"), "SignalRfft: operator", hints.IN_FRONT),
    "other": (lambda: custom("MyOwn"), "MyOwn: operator is not supported", hints.CUSTOM),
    "while": (lambda: Lite(1, 8).fc(8, 3).op("WHILE", options=""), "WHILE: operator", hints.CONTROL),
    "l2": (lambda: Lite(1, 8).fc(8, 3).op("L2_NORMALIZATION"), "L2_NORM", hints.UNIT_LENGTH),
    "onnx l2": (lambda: Onnx(1, 8).fc(8, 3).op("LpNormalization"), "LpNorm", hints.UNIT_LENGTH),
    "layer norm": (lambda: Onnx(1, 8).op("LayerNormalization", normal(8)), "LayerNorm", hints.NORMS),
    "instance norm": (
        lambda: Onnx(1, 2, 4, 4).op("InstanceNormalization", normal(2), normal(2)), "InstanceNorm", hints.NORMS,
    ),
    "softmax inside": (lambda: Lite(1, 8).fc(8, 3).op("SOFTMAX").fc(3, 2), "only supported at the end", hints.SOFTMAX),
    "onnx softmax inside": (
        lambda: Onnx(1, 8).fc(8, 3).op("Softmax").fc(3, 2), "only supported at the end", hints.SOFTMAX,
    ),
    "bilinear": (
        lambda: (n := Lite(1, 4, 4, 2)).op("RESIZE_BILINEAR", n.ints(8, 8)), "RESIZE_BILINEAR", hints.BILINEAR,
    ),
    "onnx bilinear": (
        lambda: Onnx(1, 2, 4, 4).op("Resize", None, np.float32([1, 1, 2, 2]), mode="linear"),
        "mode linear; only nearest", hints.BILINEAR,
    ),
    "pixel shuffle": (lambda: Onnx(1, 4, 4, 4).op("DepthToSpace", blocksize=2), "DepthToSpace", hints.SUBPIXEL),
    "mirrored": (
        lambda: (n := Lite(1, 4, 4, 2)).op("MIRROR_PAD", n.constant(np.ones((4, 2)), "int32"), mode=0),
        "MIRROR_PAD", hints.ZEROS,
    ),
    "dilated": (
        lambda: (n := Lite(1, 4, 4, 2)).op("SPACE_TO_BATCH_ND", n.ints(2, 2), n.constant(np.zeros((2, 2)), "int32")),
        "SPACE_TO_BATCH_ND", hints.DILATED,
    ),
    "groups": (
        lambda: Onnx(1, 4, 4, 4).op("ConvTranspose", normal(4, 2, 2, 2), group=2), "group is 2", hints.GROUPS,
    ),
    "indices": (lambda: Onnx(1, 4, 4, 4).op("GatherND", np.int64([[0]])), "GatherND: ", hints.INDICES),
    "norm in steps": (
        lambda: two(Onnx(1, 8).fc(8, 8), "Div", "Sqrt").op("ReduceMean", axes=[1]), "computed", hints.NORMS,
    ),
    "live statistics": (
        lambda: Onnx(1, 2, 4, 4).op("BatchNormalization", *normal(4, 2), training_mode=1), "training_mode",
        hints.STATISTICS,
    ),
    "recurrent in steps": (
        lambda: two(Onnx(1, 8).fc(8, 8), "Concat", "Tanh", axis=0), "joins samples",
        hints.STEPS,
    ),
    "root": (lambda: Onnx(1, 8).op("Sqrt"), "Sqrt: operator is not supported", hints.IN_FRONT),
    "trees": (
        lambda: Onnx(1, 8).op("Normalizer", domain="ai.onnx.ml"), "operator of ai.onnx.ml is not", hints.TREES,
    ),
    "products": (
        lambda: Lite(1, 4, 4).op("BATCH_MATMUL", 0, 0), "multiplies two computed values", hints.MATRIX,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", NAMED)
def test_the_message_names_the_cause(what: str) -> None:
    make, where, hint = NAMED[what]
    net = make()
    if isinstance(net, Onnx) and what == "trees":
        model = net.model()
        model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
        with pytest.raises(ModelError) as caught:
            load_onnx(model.SerializeToString())
        error = caught.value
    else:
        error = refused(net)
    assert "cannot be translated" in error.what
    assert where in error.where
    assert error.hint == hint


def test_several_inputs_or_outputs_and_integers_come_later() -> None:
    two = Lite(1, 8).fc(8, 3)
    two.outputs = [two.top, 1]
    assert refused(two).hint == hints.SEVERAL
    net = Onnx(1, 8).fc(8, 3)
    net.inputs.append(helper.make_tensor_value_info("other", net.kind, (1, 8)))
    assert refused(net).what.startswith("the model has 2 inputs: x, other; exactly 1 is supported")
    assert refused(net).hint == hints.SEVERAL
    assert refused(Lite(1, 8, dtype="int32").op("RELU")).hint == hints.INTEGERS
    words = Onnx(1, 8, kind=7)
    assert refused(words.op("Identity")).what.startswith("input x is int64; float is needed")
    assert refused(words).hint == hints.INTEGERS


def test_a_tensor_that_nothing_computes_is_named_where_its_operator_is_supported() -> None:
    net = Lite(1, 8).fc(8, 3)
    net.items.append(tflite_writer.Item("missing", [1, 3]))
    error = refused(net.op("ADD", len(net.items) - 1))
    assert error.where == "add_1  ADD: missing is read but neither computed before nor constant"


# -- all the way ---------------------------------------------------------------------------------------------------


def test_a_network_born_in_pytorch_trains(tmp_path: Path) -> None:
    net = first_input(Lite(1, 2, 8, 8)).conv(2, 4, act=RELU).pool("MAX")
    net.op("TRANSPOSE", net.ints(0, 3, 1, 2)).op("GATHER", net.ints(3, 0, 1), axis=1).flatten(48).fc(48, 2)
    path = tmp_path / "born.tflite"
    path.write_bytes(net.bytes())
    x = normal(64, 8, 8, 2)
    y = (x[..., 0].mean(axis=(1, 2)) > 0).astype(np.int64)
    trainer = mg.compile(mg.load(path), calibration=x, train="all", rate=0.01)
    losses = [epoch.loss for epoch in trainer.fit(x, y, epochs=3)]
    assert losses[-1] < losses[0]
