"""Importing ONNX: what cannot come in is refused with a reason, and no file raises anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnx_nets import Net, refused, small, spoilt

I64 = np.int64


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
    volume = refused(Net("batch", 3, 8, 8, 8).op("Flatten"))
    assert volume.what == (
        "input x has 5 dimensions; 2 (batch, features), 3 (batch, channels, length) or 4 (batch, channels, height, "
        "width) are supported"
    )
    assert volume.hint == "reshape before the network"
    assert refused(Net().op("Relu")).what.startswith("input x has 0 dimensions")
    assert (
        refused(Net(1, 4, kind=TensorProto.INT8).op("Identity")).what
        == "input x is int8; float is needed, or int8 with a scale"
    )
    assert refused(Net("batch", 1 << 30).op("Relu")).what == (
        "input x has 1073741824 values; at most 16777216 are supported"
    )


# -- what is refused: nodes --------------------------------------------------------------------------------


def test_all_unsupported_operators_are_listed() -> None:
    net = (
        Net(1, 2, 6, 6).conv(2, 3).op("Softsign", name="act1").op("LpPool", kernel_shape=[2, 2], name="pool")
    )
    net.op("Sigmoid", name="act2").op("ThresholdedRelu", name="act3").op(
        "Resize", None, np.ones(4), mode="cubic", name="up"
    )
    error = refused(net.op("Flatten").fc(27, 2))
    assert error.what == "4 of 8 nodes cannot be translated"
    assert error.where == (
        "act1  Softsign: operator is not supported;  pool  LpPool: operator is not supported;  act3  ThresholdedRelu: "
        "operator is not supported;  up  Resize: mode cubic; only nearest by whole factors is supported"
    )
    assert (
        error.hint
        == "ReLU, HardSwish, SiLU, GELU, ELU or SELU; nearest-neighbour upsampling by whole factors"
    )
    foreign = Net(1, 4).op("Relu", domain="com.acme")
    model = foreign.model()
    model.opset_import.append(helper.make_opsetid("com.acme", 1))
    error = refused(model.SerializeToString())
    assert error.what == "1 node cannot be translated"
    assert error.where == "relu_0  Relu: operator of com.acme is not supported"
    assert error.hint.startswith("supported are Abs, Add, AveragePool, ")


REASONS = {
    "group is 3, which does not divide 4 channels": lambda: Net(1, 6, 6, 6).conv(2, 4, group=3),
    "group is 2; transposed convolutions": lambda: Net(1, 2, 6, 6).op(
        "ConvTranspose", np.ones((2, 1, 3, 3)), group=2
    ),
    "3-D convolution; 1-D and 2-D are supported": lambda: Net(1, 2, 6, 6).conv(2, 2, (3, 3, 3)),
    "kernel_shape [3, 2] differs from the weights [2, 2, 3, 3]": lambda: Net(1, 2, 6, 6).conv(
        2, 2, kernel_shape=[3, 2]
    ),
    "strides has 1 entries, 2-D needs 2": lambda: Net(1, 2, 6, 6).conv(2, 2, strides=[1]),
    "strides [0, 1] is outside 1 to 32767": lambda: Net(1, 2, 6, 6).conv(2, 2, strides=[0, 1]),
    "pads [-1, 0, 0, 0] is outside 0 to 32767": lambda: Net(1, 2, 6, 6).conv(2, 2, pads=[-1, 0, 0, 0]),
    "dilations [1, 4294967296] is outside": lambda: Net(1, 2, 6, 6).conv(2, 2, dilations=[1, 1 << 32]),
    "auto_pad FULL is unknown": lambda: Net(1, 2, 6, 6).conv(2, 2, auto_pad="FULL"),
    "weights of shape (0, 2, 3, 3) are empty": lambda: Net(1, 2, 6, 6).op("Conv", np.zeros((0, 2, 3, 3))),
    "3-D pooling; 1-D and 2-D are supported": lambda: Net(1, 2, 6, 6).op("MaxPool", kernel_shape=[2, 2, 2]),
    "reduces the batch, too": lambda: Net(1, 2, 6, 6).op("ReduceMax", axes=[0, 1]),
    "transA is set": lambda: Net(1, 4).op("Gemm", np.eye(1, 4), transA=1),
    "weights have 1 dimensions, 2 are needed": lambda: Net(1, 4).op("MatMul", np.ones(4)),
    "weights of shape (4, 0) are empty": lambda: Net(1, 4).op("MatMul", np.zeros((4, 0))),
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
    "perm [0, 0, 2, 3] is no order": lambda: Net(1, 2, 6, 6).op("Transpose", perm=[0, 0, 2, 3]),
    "only supported at the end": lambda: Net(1, 4).op("Softmax").fc(4, 2),
    "mode edge; only constant zeros": lambda: Net(1, 2, 6, 6).op(
        "Pad", np.asarray([0, 0, 1, 1] * 2, I64), mode="edge"
    ),
    "pads with another value than 0": lambda: Net(1, 2, 6, 6).op(
        "Pad", np.asarray([0, 0, 1, 1] * 2, I64), np.float32(1)
    ),
    "counts backwards": lambda: Net(1, 4).op("Slice", *(np.asarray([v], I64) for v in (-1, -9, 1, -1))),
    "a constant is among what is joined": lambda: Net(1, 4).op("Concat", np.ones((1, 2)), axis=1),
    "alpha is 2; at most 1.99": lambda: Net(1, 4).op("Elu", alpha=2.0),
    "its scale quantizelinear_0.0 is 0, not positive": lambda: Net(1, 4).op("QuantizeLinear", np.float32(0)),
    "several scales for one activation": lambda: Net(1, 4).op(
        "QuantizeLinear", np.ones(4), np.zeros(4, np.int8)
    ),
    "its zero point is int16": lambda: Net(1, 4).op("QuantizeLinear", np.float32(1), np.int16(0)),
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
    net.nodes = [helper.make_node("Softsign", [net.const("c", np.ones((1, 4)))], ["r"])]
    net.nodes.append(helper.make_node("Relu", ["r"], ["z"]))
    assert refused(net).where == "r  Softsign: operator is not supported"


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
    "MatMul on (1, 3, 4, 4) mixes height or width": lambda: (
        Net(1, 2, 6, 6).conv(2, 3).op("MatMul", np.ones((4, 2)))
    ),
    "weights stand on the left": lambda: Net(1, 4).op("MatMul", np.ones((2, 1)), side=1),
    "Gemm on (1, 3, 4, 4) values": lambda: Net(1, 2, 6, 6).conv(2, 3).op("Gemm", np.ones((4, 2))),
    "Conv needs a (batch, channels, height, width) map or a (batch, channels, length) sequence": lambda: Net(
        1, 8
    ).conv(1, 1),
    "MaxPool needs a (batch, channels, height, width) map": lambda: Net(1, 8).op(
        "MaxPool", kernel_shape=[2, 2]
    ),
    "batch-norm over 2 channels with statistics": lambda: Net(1, 2, 6, 6).norm(3),
    "Reshape from (1, 3, 4, 4) to (1, 12, 4)": lambda: (
        Net(1, 2, 6, 6).conv(2, 3).op("Reshape", np.asarray([1, 12, 4], I64))
    ),
    "Reshape from (1, 8) to (2, 4)": lambda: Net(5, 8).op("Reshape", np.asarray([-1, 4], I64)),
    "Flatten from (1, 2, 6, 6) to (12, 6)": lambda: Net(5, 2, 6, 6).op("Flatten", axis=3),
    "Transpose from (1, 2, 6, 6) to (2, 1, 6, 6)": lambda: Net(1, 2, 6, 6).op("Transpose", perm=[1, 0, 2, 3]),
    "Transpose of (1, 2, 6, 6) by [1, 0, 2, 3] moves the batch": lambda: Net(5, 2, 6, 6).op(
        "Transpose", perm=[1, 0, 2, 3]
    ),
    "its input is (1, 4, 2, 4) with the axes in another order": lambda: (
        Net(1, 2, 6, 6)
        .conv(2, 2)
        .op("Transpose", perm=[0, 2, 3, 1])
        .op("Transpose", perm=[0, 2, 3, 1])
        .conv(4, 2, (1, 1))
    ),
    "Transpose of (1, 8) by [0, 2, 1]": lambda: Net(1, 8).op("Transpose", perm=[0, 2, 1]),
    "ReduceMax over channels and height, but not width, of (1, 3, 4, 4)": lambda: (
        Net(1, 2, 6, 6).conv(2, 3).op("ReduceMax", axes=[1, 2])
    ),
    "is not every pixel repeated": lambda: Net(1, 2, 6, 6).op("Resize", None, np.float32([1, 1, 1.5, 1])),
    "Slice of (1, 8) values reaches outside": lambda: Net(1, 8).op(
        "Slice", *(np.asarray([v], I64) for v in (0, 1, 5))
    ),
    "ceil_mode adds windows": lambda: Net(1, 1, 6, 6).op(
        "AveragePool",
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        ceil_mode=1,
        count_include_pad=1,
    ),
    "BatchNormalization needs a (batch, channels": lambda: (
        Net(1, 2, 6, 6).conv(2, 3).op("Transpose", perm=[0, 2, 3, 1]).norm(4)
    ),
    "DequantizeLinear of a value that is not quantized": lambda: (
        Net(1, 8).fc(8, 2).op("DequantizeLinear", np.float32(1), np.uint8(0))
    ),
    "DequantizeLinear by 2 of a value that was quantized by 1": lambda: (
        Net(1, 8).op("QuantizeLinear", np.float32(1)).op("DequantizeLinear", np.float32(2))
    ),
    "Relu of quantized integers": lambda: (
        Net(1, 8).op("QuantizeLinear", np.float32(1), np.int8(0)).op("Relu")
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
    assert "fc  MatMul: multiplies two computed values" in error.where
    net.nodes[0] = helper.make_node("ConstantOfShape", [net.const("nine", np.ones(9, I64))], ["big"])
    assert "ConstantOfShape" in refused(net).where


@pytest.mark.parametrize("opset", [9, 11, 17])
def test_windows_larger_than_the_map_before_a_slice(opset: int) -> None:
    """Shape inference of onnx 1.23 ends the process for it."""
    net = Net(1, 1, 1, 1).op("AveragePool", kernel_shape=[3, 3], name="pool")
    if opset < 10:
        net.op("Slice", starts=[1], ends=[9], axes=[2])
    else:
        net.op("Slice", *(np.asarray([v], I64) for v in (1, 9, 2, 1)))
    error = refused(net.op("Flatten").bytes(opset))
    known = ("AveragePool gives a value of shape (1, 1, -1, -1)", "a window 3 wide does not fit into 1 ")
    assert error.what.startswith(known)
    assert error.where.startswith("pool")
