"""Importing int8 networks: scales are kept, and the device computes what the file says, as onnxruntime does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import mcugrad as mg
import quantizing
from exact_onnx import exact_outputs
from mcugrad.errors import DataError
from mcugrad.graph import ActivationScale, Graph, WeightScale
from mcugrad.graph.spec import check
from mcugrad.importers.onnx import load_onnx
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.passes.assign_precision import assign_precision
from mcugrad.passes.fold import fold
from mcugrad.passes.quantize import without_scale
from onnx_nets import Array, Net, join, net_shape, refused, runtime


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Samples for onnxruntime's calibration."""

    def __init__(self, x: Array) -> None:
        self.samples: Iterator[dict[str, Array]] = iter([{"x": sample[None]} for sample in x])

    def get_next(self) -> dict[str, Array] | None:
        return next(self.samples, None)


def quantized(net: Net, folder: Any, x: Array, **options: Any) -> bytes:
    """The network as onnxruntime quantizes it."""
    source, quantized = folder / "float.onnx", folder / "int8.onnx"
    source.write_bytes(net.bytes())
    quantize_static(source, quantized, Reader(x), **options)
    data: bytes = quantized.read_bytes()
    return data


def device_outputs(graph: Graph, x: Array) -> Array:
    """What the device computes for samples in the file's order, in real units."""
    given, out = graph[graph.input].quant, graph[graph.output].quant
    assert isinstance(given, ActivationScale)
    assert isinstance(out, ActivationScale)
    x = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x.transpose(0, 2, 1)[:, None] if x.ndim == 3 else x
    codes = np.clip(np.rint(x / np.float32(given.scale)) + given.zero, -128, 127).astype(np.int8)
    found = quantizing.reference(graph).predict(codes.reshape(len(x), -1)).astype(np.float64)
    return (found - out.zero) * out.scale


# -- against exact integers, and onnxruntime where it is exact -------------------------------------------------------


def chain() -> Net:
    net = Net("batch", 2, 8, 8).conv(2, 4, pads=[1, 1, 1, 1]).op("Relu")
    net.op("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).conv(4, 6).op("Relu").op("Flatten")
    return net.fc(24, 5)


def residual() -> Net:
    net = Net("batch", 2, 8, 8).conv(2, 4, pads=[1, 1, 1, 1]).op("Relu")
    shared = net.top
    net.conv(4, 4, pads=[1, 1, 1, 1])
    join(net, "Add", shared, net.top)
    return net.op("Relu").op("GlobalAveragePool").op("Flatten").fc(4, 5)


def separable() -> Net:
    net = (
        Net("batch", 3, 8, 8).conv(1, 6, group=3, pads=[1, 1, 1, 1]).op("Clip", np.float32(0), np.float32(6))
    )
    net.conv(6, 4, (1, 1)).op("AveragePool", kernel_shape=[2, 2], strides=[2, 2]).op("Flatten")
    return net.fc(64, 5)


def joined() -> Net:
    net = Net("batch", 2, 6, 6).conv(2, 3, pads=[1, 1, 1, 1])
    left = net.top
    net.op("Relu").conv(3, 3, (1, 1))
    join(net, "Concat", left, net.top, axis=1)
    return net.op("MaxPool", kernel_shape=[2, 2]).op("LeakyRelu", alpha=0.25).op("Flatten").fc(150, 4)


def sequence() -> Net:
    net = Net("batch", 3, 20).conv(3, 4, (5,), pads=[2, 2], strides=[2]).op("Relu")
    return net.op("MaxPool", kernel_shape=[2], strides=[2]).op("Flatten").fc(20, 4)


NETS = {"chain": chain, "residual": residual, "separable": separable, "joined": joined, "sequence": sequence}
CLOSE = {"joined": (1, 0.7)}
"""Largest difference in steps, and share of equal outputs, where not all are equal: LeakyReLU has its input's scale
here before it is rescaled."""
CLOSE_TO_ONNXRUNTIME = {**CLOSE, "separable": (2, 0.5)}
"""A quarter of all averages of four are ties, which onnxruntime rounds in a way of its own where pooling keeps the
scale; its optimized and plain kernels differ by 2 steps, too."""
FORMATS = {"qdq": QuantFormat.QDQ, "operators": QuantFormat.QOperator}
TYPES = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}


def on_grid(net: Net) -> Net:
    """Round weights to sixteenths: sums of float32 are exact in every order, so ranges are those of every processor."""
    for tensor in net.weights:
        value = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(np.rint(value * 16) / np.float32(16), tensor.name))
    return net


def case(name: str, form: str, kind: str, folder: Path, **options: Any) -> tuple[bytes, Graph, Array]:
    """A quantized file, what is made of it, and samples."""
    net = on_grid(NETS[name]())
    x = np.rint(net.rng.normal(size=(48, *net_shape(net))) * 16).astype(np.float32) / 16
    model = quantized(
        net,
        folder,
        x[:32],
        quant_format=FORMATS[form],
        activation_type=TYPES[kind],
        weight_type=QuantType.QInt8,
        **options,
    )
    return model, check(quantizing.quantized(check(fold(check(load_onnx(model)))), None)), x


def assert_agree(graph: Graph, x: Array, expected: Array, most: float, equal: float) -> None:
    """Our outputs are at most so many steps off, at least so many are equal, and no class that is clear differs."""
    found, out = device_outputs(graph, x), graph[graph.output].quant
    assert isinstance(out, ActivationScale)
    steps = np.abs(found - expected) / out.scale
    assert steps.max() < most + 0.01
    assert (steps < 0.5).mean() >= equal
    clear = np.sort(expected, axis=1)
    clear = clear[:, -1] - clear[:, -2] > 1.5 * out.scale
    assert (found.argmax(axis=1) == expected.argmax(axis=1))[clear].all()


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", NETS)
def test_outputs_are_what_the_file_says(
    name: str, form: str, kind: str, per_channel: bool, tmp_path: Path
) -> None:
    model, graph, x = case(name, form, kind, tmp_path, per_channel=per_channel)
    assert_agree(graph, x, exact_outputs(model, x), *CLOSE.get(name, (0, 1)))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", NETS)
def test_outputs_are_those_of_onnxruntime(name: str, form: str, kind: str, tmp_path: Path) -> None:
    """With weights of 7 bits: without VNNI, onnxruntime adds two products in 16 bits, and those of 8 bits saturate."""
    model, graph, x = case(name, form, kind, tmp_path, per_channel=True, reduce_range=True)
    weights = [numpy_helper.to_array(t) for t in onnx.load_from_string(model).graph.initializer]
    assert max(np.abs(w.astype(int)).max() for w in weights if w.dtype == np.int8 and w.ndim > 1) == 64
    assert_agree(graph, x, runtime(model, x), *CLOSE_TO_ONNXRUNTIME.get(name, (0, 1)))


def test_scales_and_codes_are_kept(tmp_path: Path) -> None:
    net = chain()
    x = net.rng.normal(size=(16, *net_shape(net))).astype(np.float32)
    data = quantized(net, tmp_path, x, per_channel=True, weight_type=QuantType.QInt8)
    constants = {t.name: numpy_helper.to_array(t) for t in onnx.load_from_string(data).graph.initializer}
    graph = fold(load_onnx(data))
    quant = graph["conv1_w"].quant
    assert isinstance(quant, WeightScale)
    np.testing.assert_array_equal(quant.scales, constants["conv_0.0_scale"])
    value = graph["conv1_w"].value
    assert value is not None
    codes = np.rint(value / quant.scales[:, None, None, None])
    np.testing.assert_array_equal(codes.transpose(0, 3, 1, 2), constants["conv_0.0_quantized"])
    given = graph[graph.input].quant
    assert isinstance(given, ActivationScale)
    assert given.scale == float(constants["x_scale"])
    assert given.zero == int(constants["x_zero_point"])
    assert without_scale(assign_precision(graph, "int8")) == []
    assert isinstance(graph.nodes[0], Conv2d)
    assert graph.nodes[0].low == 0.0


def test_training_goes_on_from_the_file(tmp_path: Path) -> None:
    net = chain()
    x = net.rng.normal(size=(16, *net_shape(net))).astype(np.float32)
    path = tmp_path / "int8.onnx"
    path.write_bytes(quantized(net, tmp_path, x, weight_type=QuantType.QInt8))
    model = mg.load(path)
    trainer = mg.compile(model, train="all", rule="sr16")
    samples, labels = x.transpose(0, 2, 3, 1), np.arange(16) % 5
    trainer.fit(samples, labels, epochs=40, rate=0.05)
    assert trainer.evaluate(samples, labels) > 0.5
    trainer.verify(samples[:4], labels[:4], on="reference")


# -- what a file may look like ----------------------------------------------------------------------------------------


def scaled(net: Net, scale: float, zero: Any = 0) -> Net:
    """Append QuantizeLinear and DequantizeLinear."""
    constants = (np.float32(scale), np.int8(zero))
    return net.op("QuantizeLinear", *constants).op("DequantizeLinear", *constants)


def test_missing_scales_are_calibrated_or_asked_for() -> None:
    net = scaled(Net("batch", 4), 0.05).fc(4, 3).op("Relu").fc(3, 2)
    graph = fold(load_onnx(scaled(net, 0.1).bytes()))
    assert without_scale(assign_precision(graph, "int8")) == ["fc1_y"]
    with pytest.raises(DataError) as caught:
        quantizing.quantized(graph, None)
    assert caught.value.what == (
        "an activation has no scale in the file, and there are no calibration samples"
    )
    assert caught.value.where == "fc1_y"
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    done = check(quantizing.quantized(graph, x))
    quant = done["input"].quant
    assert isinstance(quant, ActivationScale)
    assert quant.scale == float(np.float32(0.05))


def test_values_that_only_move_are_rescaled_where_scales_differ() -> None:
    net = scaled(scaled(Net("batch", 2, 4, 4), 0.05).op("MaxPool", kernel_shape=[2, 2]), 0.02)
    graph = fold(load_onnx(scaled(net.op("Flatten").fc(18, 2), 0.1).bytes()))
    assert [n.name for n in graph.nodes] == ["pool1", "pool1_rescale", "flatten1", "fc1"]
    scales = {n.y: graph[n.y].quant.scale for n in graph.nodes}  # type: ignore[attr-defined, union-attr]
    assert [round(s, 4) for s in scales.values()] == [0.05, 0.02, 0.02, 0.1]
    check(quantizing.quantized(graph, None))


def test_a_scale_behind_moved_values_is_that_of_what_computes_them() -> None:
    net = scaled(Net("batch", 2, 6, 6), 0.05).conv(2, 3).op("Relu").op("MaxPool", kernel_shape=[2, 2])
    graph = fold(load_onnx(scaled(scaled(net, 0.02, -128).op("Flatten").fc(27, 2), 0.1).bytes()))
    assert [n.name for n in graph.nodes] == ["conv1", "pool1", "flatten1", "fc1"]
    quant = graph["conv1_y"].quant
    assert isinstance(quant, ActivationScale)
    assert (round(quant.scale, 4), quant.zero, quant.low) == (0.02, -128, 0.0)


def test_two_scales_in_a_row() -> None:
    net = scaled(scaled(scaled(Net("batch", 4), 0.05).fc(4, 3), 0.1), 0.01)
    graph = fold(load_onnx(net.bytes()))
    assert [n.name for n in graph.nodes] == ["fc1", "rescale1"]


def test_int8_inputs_and_weights_that_are_quantized_in_the_graph() -> None:
    net = Net("batch", 4, kind=TensorProto.INT8)
    net.kind = TensorProto.FLOAT
    net.op("DequantizeLinear", np.float32(0.5), np.int8(3))
    w = net.const("w", np.float32([[1, -2, 0.4], [3, 4, 5], [0, 0.1, 1], [2, 2, 2]]))
    constants = [net.const("s", np.float32([0.1, 0.2, 0.3])), net.const("z", np.zeros(3, np.int8))]
    net.nodes.append(helper.make_node("QuantizeLinear", [w, *constants], ["q"], axis=1))
    net.nodes.append(helper.make_node("DequantizeLinear", ["q", *constants], ["d"], axis=1))
    net.nodes.append(helper.make_node("MatMul", [net.top, "d"], ["y"], name="fc"))
    net.top = "y"
    model = scaled(net, 0.25).bytes()
    graph = check(quantizing.quantized(fold(load_onnx(model)), None))
    given, quant = graph[graph.input].quant, graph["fc1_w"].quant
    assert isinstance(given, ActivationScale)
    assert isinstance(quant, WeightScale)
    assert (given.scale, given.zero) == (0.5, 3)
    np.testing.assert_allclose(quant.scales, [0.1, 0.2, 0.3], rtol=1e-6)
    # Codes of weights are at most 30, so that onnxruntime's sums of two products in 16 bits do not saturate.
    x = np.random.default_rng(0).integers(-128, 128, (20, 4)).astype(np.int8)
    real = (x.astype(np.float32) - 3) * np.float32(0.5)
    assert np.abs(device_outputs(graph, real) - runtime(model, x)).max() <= 0.26


def reason(net: Net) -> str:
    error = refused(net)
    return f"{error.what} {error.where}"


def test_what_cannot_be_kept_is_refused() -> None:
    bare = scaled(Net("batch", 4), 0.05)
    bare.const("w", np.ones((4, 2), np.uint8))
    bare.const("s", np.float32(0.1))
    bare.const("z", np.uint8(7))
    bare.nodes.append(helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"], name="weights"))
    bare.nodes.append(helper.make_node("MatMul", [bare.top, "d"], ["y"], name="fc"))
    bare.top = "y"
    bare.nodes[2].input[1] = "x"
    assert "weights  DequantizeLinear: its scale x is computed" in reason(bare)
    bare.nodes[2].input[1] = bare.const("negative", np.float32(-1))
    assert "its scale negative is -1, not positive" in reason(bare)
    bare.nodes[2].input[1] = bare.const("many", np.ones(3, np.float32))
    assert "3 scales along axis 1 of (4, 2) values" in reason(bare)
    dynamic = Net("batch", 4)
    dynamic.nodes.append(helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], name="dyn"))
    dynamic.nodes.append(helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], name="back"))
    dynamic.top = "y"
    error = refused(dynamic)
    assert "dyn  DynamicQuantizeLinear: operator is not supported" in error.where
    assert "back  DequantizeLinear" in error.where
    assert error.hint == "static quantization, with scales that are constants"


def test_fused_operators_with_missing_scales(tmp_path: Path) -> None:
    net = chain()
    x = net.rng.normal(size=(8, *net_shape(net))).astype(np.float32)
    data = quantized(net, tmp_path, x, quant_format=QuantFormat.QOperator)
    model = onnx.load_from_string(data)
    kinds = [n.op_type for n in model.graph.node]
    conv, gemm = kinds.index("QLinearConv"), kinds.index("QGemm")
    model.graph.node[conv].input[4] = model.graph.node[0].output[0]
    model.graph.node[gemm].input[1] = ""
    error = refused(model.SerializeToString())
    assert error.what.startswith("2 of ")
    assert "QLinearConv: its scale" in error.where
    assert "QGemm: its scale is missing" in error.where
