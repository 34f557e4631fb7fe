"""What the TFLite importer refuses, and how it says so."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tflite", reason="the package tflite is not installed")
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

import mcugrad as mg
from mcugrad.errors import McugradError, ModelError, ToolError
from mcugrad.graph.spec import check
from mcugrad.importers.tflite import load_tflite
from mcugrad.zoo import model_path
from tflite_writer import RELU, TANH, Net


def refused(source: Net | bytes | Path) -> ModelError:
    """The error with which a model is refused."""
    with pytest.raises(ModelError) as caught:
        load_tflite(source.bytes() if isinstance(source, Net) else source)
    return caught.value


def _small() -> Net:
    return Net(1, 6, 6, 1).conv(1, 2, act=RELU).flatten(72).fc(72, 3)


def _samples(net: Net) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(20, *net.items[0].shape[1:])).astype(np.float32)


def test_unsupported_operators_are_listed_at_once() -> None:
    net = Net(1, 6, 6, 1).conv(1, 2).op("L2_NORMALIZATION").op("SOFTMAX").op("DETECT").op("ARG_MAX")
    error = refused(net)
    assert error.what == "4 of 5 operators cannot be translated"
    assert error.where == (
        "l2_normalization_1  L2_NORMALIZATION: operator is not supported;  "
        "softmax_2  SOFTMAX: only supported at the end;  "
        "detect_3  DETECT: operator is not supported;  "
        "arg_max_4  ARG_MAX: operator is not supported"
    )
    assert error.hint == (
        "scaling vectors to length 1 comes in a later version; until then the network up to there, and its outputs "
        "divided by their length by whoever compares them; "
        "softmax as the last layer alone; in between, as in attention, it comes in a later version; "
        "the network without what follows its class scores: predict finds the largest of them"
    )


def test_a_single_unsupported_operator() -> None:
    error = refused(Net(1, 4).fc(4, 3).op("COS"))
    assert error.what == "1 operator cannot be translated"
    assert error.hint.startswith("supported are ABS, ADD, ADD_N, ")


def test_problems_of_supported_operators() -> None:
    net = Net(1, 6, 6, 2)
    net.op("FULLY_CONNECTED", 0, 0)
    assert (
        refused(net).where
        == "fully_connected_0  FULLY_CONNECTED: x is computed; weights and options must be constant"
    )
    net = _small()
    net.items[1].shape = [2, 3, 3, 1, 1]
    assert "5 dimensions" in refused(net).what or "weights of shape (2, 3, 3, 1, 1)" in refused(net).where
    net = Net(1, 4).op("DIV", 0, 0)
    assert refused(net).where == "div_0  DIV: divides by a computed value"
    net = Net(1, 4)
    assert refused(net.op("DIV", net.constant([1.0, 0.0, 2.0, 1.0]))).where.endswith("divides by zero")
    net = Net(1, 4, 4, 1)
    net.op("RESIZE_NEAREST_NEIGHBOR", net.ints(8, 8), alignCorners=True)
    assert refused(net).where.endswith("align_corners is set")
    net = Net(1, 4, 4, 1)
    assert "whole factors" in refused(net.op("RESIZE_NEAREST_NEIGHBOR", net.ints(6, 8))).what


def test_shapes_that_do_not_fit() -> None:
    error = refused(Net(1, 6, 6, 1).conv(1, 2).flatten(71).fc(71, 3))
    assert error.what == "RESHAPE from (1, 6, 6, 2) to (1, 71)"
    assert error.where == "reshape_1  RESHAPE"
    error = refused(Net(1, 6, 6, 1).conv(1, 2).fc(71, 3))
    assert error.what.startswith("fully connected layer on (72,) values with weights (3, 71)")
    net = Net(1, 6, 6, 1).conv(1, 2)
    first = net.top
    assert "do not match" in refused(net.conv(2, 3).op("MUL", first)).what
    net = Net(1, 6, 6, 1).conv(1, 2)
    first = net.top
    assert refused(net.conv(2, 3).op("ADD", first)).what.startswith("sum of (6, 6, 3) and (6, 6, 2)")
    net = Net(1, 6, 6, 2).conv(2, 3)
    error = refused(net.op("TRANSPOSE", net.ints(0, 3, 1, 2)).conv(6, 2))
    assert error.what == (
        "CONV_2D needs a (batch, height, width, channels) map; its input is (1, 3, 6, 6) with the axes in another order"
    )
    net = Net(1, 6, 6, 2)
    assert refused(net.op("TRANSPOSE", net.ints(1, 0, 2, 3))).what.startswith(
        "TRANSPOSE from (1, 6, 6, 2) to (6, "
    )
    net = Net(1, 6, 6, 2).conv(2, 3)
    assert refused(net.op("MEAN", net.ints(3, 1))).what.startswith(
        "MEAN over channels and height, but not width"
    )
    net = Net(2, 6, 6, 2)
    assert refused(net.op("MEAN", net.ints(0))).what == (
        "MEAN over axes [0] of (1, 6, 6, 2) takes samples together, or a flattened map"
    )
    net = Net(1, 6, 6, 2)
    assert refused(net.op("SLICE", net.ints(0, 5, 0, 0), net.ints(1, 3, 6, 2))).what.startswith(
        "SLICE of (1, 6, 6, 2) values reaches outside"
    )
    net = Net(1, 40)
    net.op("GATHER", net.ints(*(i * i % 40 for i in range(40))), axis=1)
    assert refused(net).what.endswith(" regular parts; 16 are supported")
    net = Net(2, 6, 6, 2)
    assert refused(net.op("RESHAPE", net.ints(6, 12))).what == (
        "RESHAPE from (1, 6, 6, 2) to (6, 12) mixes axes or changes the batch"
    )
    assert refused(Net(1, 2, 3, 4, 5).op("RELU")).what.startswith("input x has shape (1, 2, 3, 4, 5); 2 to 4")


def test_an_activation_function_that_layers_cannot_end_in() -> None:
    assert refused(Net(1, 6, 6, 1).conv(1, 2, act=TANH)).what == "CONV_2D ends in activation function 4"


def test_inputs_and_outputs() -> None:
    net = _small()
    net.outputs = [2, net.top]
    assert refused(net).what == "the model has 2 outputs; exactly 1 is supported"
    net = _small()
    net.items[0].signature = [-1, -1, 6, 1]
    assert refused(net).what == "dimension 1 of input x is dynamic; only the batch may be free"
    net = _small()
    net.operators[0].inputs[0] = net.operators[1].output
    assert refused(net).what == "reshape_1 is read but neither computed before nor constant"
    net = _small()
    net.operators[1].output = net.operators[0].output
    assert refused(net).what.startswith("the model is damaged: conv_2d_0 is computed twice")
    net = _small()
    net.operators.clear()
    assert refused(net).what == "the graph is empty: nothing lies between input and output"


def test_types() -> None:
    net = Net(1, 4, dtype="int16").fc(4, 3)
    assert refused(net).what == "1 of 2 activations are int16; float32, int8 and uint8 are supported"
    net = Net(1, 4, dtype="int8").fc(4, 3)
    net.items[net.top].dtype = "int8"
    whole = Net(1, 4).fc(4, 3).int8(np.ones((3, 4), np.float32))
    whole.items[whole.top].scale = None
    assert refused(whole).what.startswith("fully_connected_0 is int8 with 0 scales")
    whole = Net(1, 4).fc(4, 3).int8(np.ones((3, 4), np.float32))
    whole.items[0].scale = np.asarray([-1.0])
    assert refused(whole).what == "1 of 1 scales of x are not positive numbers"


def test_networks_with_state_are_refused_by_their_operators() -> None:
    net = Net(1, 4).fc(4, 3)
    scores = net.top
    net.op("CALL_ONCE", 0).op("VAR_HANDLE").operators[-1].inputs = []
    net.op("READ_VARIABLE", net.top, options="").op("ADD", scores, net.top)
    error = refused(net)
    assert error.what == "2 of 4 operators cannot be translated"
    assert error.hint == "a network without state that is kept between samples: one sample in, one output out"


def test_weights_that_are_not_finite() -> None:
    net = Net(1, 4).fc(4, 3)
    assert net.items[1].data is not None
    net.items[1].data[1, 2] = np.nan
    assert refused(net).what == "1 of 12 values of constant_1 are NaN or infinite"


def test_codes_that_would_change_their_meaning() -> None:
    net = Net(1, 6, 6, 1).conv(1, 2, act=RELU).flatten(72).fc(72, 3).int8(np.ones((2, 6, 6, 1), np.float32))
    net.items[net.operators[1].output].scale = np.float32(0.5)
    assert refused(net).what.startswith("RESHAPE moves int8 codes but its input has scale ")


def test_other_files(tmp_path: Path) -> None:
    assert refused(b"").what == "not a TFLite file: its 0 bytes lack the identifier TFL3"
    error = refused(tmp_path / "none.tflite")
    assert (error.what, error.where) == ("the model file does not exist", str(tmp_path / "none.tflite"))
    path = tmp_path / "net.tflite"
    path.write_bytes(b"nothing that anybody could read")
    with pytest.raises(ModelError, match="not a TFLite file: its 31 bytes lack the identifier TFL3"):
        mg.load(path)
    path.write_bytes(model_path("digits_cnn").read_bytes())
    assert mg.load(path).classes == 10, "what is in a file counts more than its name"
    path = tmp_path / "net.onnx"
    path.write_bytes(_small().bytes())
    assert mg.load(path).classes == 3
    with pytest.raises(McugradError, match="example= belongs to a module"):
        mg.load(path, example=np.zeros((1, 6, 6, 1)))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _small().bytes()
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(ToolError, match="needs the package tflite") as caught:
        load_tflite(model)
    assert caught.value.hint == "pip install 'mcugrad[tflite]'"


def test_damaged_files_are_refused_or_read() -> None:
    rng = np.random.default_rng(0)
    net = Net(1, 6, 6, 2).conv(2, 4, act=RELU)
    branch = net.top
    net.depthwise(4, s=1).op("ADD", branch).pool("AVERAGE").op(
        "PRELU", net.constant([[[0.1, 0.2, 0.3, 0.4]]])
    )
    net.op("STRIDED_SLICE", net.ints(0, 0, 1, 0), net.ints(1, 2, 3, 4), net.ints(1, 1, 1, 1)).flatten(16).fc(
        16, 3
    )
    files = [net.op("SOFTMAX").bytes(), net.int8(_samples(net), border="uint8").bytes()]
    extremes = [b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x00"]
    read = 0
    slowest = 0.0
    for i in range(2000):
        data = bytearray(files[i % 2])
        kind = i // 2 % 4
        if kind == 0:
            del data[rng.integers(len(data)) :]
        for place in rng.integers(len(data), size=rng.integers(1, 6)) if data and kind else ():
            if kind == 1:
                data[place] ^= 1 << int(rng.integers(8))
            elif kind == 2:
                data[place] = int(rng.integers(256))
            else:
                data[place : place + 4] = extremes[rng.integers(4)]
        begin = time.process_time()
        with contextlib.suppress(ModelError):
            check(load_tflite(bytes(data)))
            read += 1
        slowest = max(slowest, time.process_time() - begin)
    assert read > 100
    assert slowest < 5
