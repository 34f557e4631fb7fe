"""Freezing: what `train=` selects, which scales follow, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mcugrad.errors import UsageError
from mcugrad.graph import ActivationScale, Graph
from mcugrad.graph.spec import check
from mcugrad.importers.onnx import load_onnx
from mcugrad.passes.fold import fold
from mcugrad.passes.freeze import Train, freeze
from mcugrad.training.rules import updates
from onnx_nets import Net
from quantizing import quantized

RULE = updates("sr8")
ALL = "conv1, conv2, fc1, fc2"


@pytest.fixture(scope="module")
def graph() -> Graph:
    net = Net("batch", 1, 6, 6).conv(1, 3).op("Relu").conv(3, 2).op("MaxPool", kernel_shape=[2, 2])
    net.op("Flatten").fc(2, 5).op("Relu").fc(5, 4)
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 1)).astype(np.float32)
    return quantized(fold(load_onnx(net.bytes())), x)


@pytest.mark.parametrize(
    ("train", "layers"),
    [
        ("all", ["conv1", "conv2", "fc1", "fc2"]),
        ("none", []),
        ("last:1", ["fc2"]),
        ("last:3", ["conv2", "fc1", "fc2"]),
        ("last:4", ["conv1", "conv2", "fc1", "fc2"]),
        ("fc1", ["fc1"]),
        ("fc2,conv1", ["conv1", "fc2"]),
        (["fc2", "conv2"], ["conv2", "fc2"]),
        (("fc1",), ["fc1"]),
    ],
)
def test_selection(graph: Graph, train: Train, layers: list[str]) -> None:
    frozen = check(freeze(graph, train, RULE))
    trainable = [t.name for t in frozen.tensors.values() if t.trainable]
    assert sorted(trainable) == sorted(f"{name}_{kind}" for name in layers for kind in "wb")
    assert {t.rule for t in frozen.tensors.values() if t.trainable and t.name.endswith("_w")} <= {"sr8"}
    assert not any(t.trainable for t in graph.tensors.values())


def test_biases_alone(graph: Graph) -> None:
    frozen = check(freeze(graph, "bias", RULE))
    assert [t.name for t in frozen.tensors.values() if t.trainable] == [
        "conv1_b",
        "conv2_b",
        "fc1_b",
        "fc2_b",
    ]
    assert not any(t.rule for t in frozen.tensors.values() if t.name.endswith("_w"))


def test_scales_follow_from_the_first_trained_layer_on(graph: Graph) -> None:
    frozen = freeze(graph, ["conv2"], RULE)
    assert [t.name for t in frozen.tensors.values() if t.tracked] == ["conv2_y", "fc1_y", "fc2_y"]
    assert frozen["conv1_y"].quant == graph["conv1_y"].quant
    zeros = {}
    for name in ("conv2_y", "pool1_y", "flatten1_y", "fc1_y", "fc2_y"):
        quant = frozen[name].quant
        assert isinstance(quant, ActivationScale)
        zeros[name] = quant.zero
    assert zeros == {"conv2_y": 0, "pool1_y": 0, "flatten1_y": 0, "fc1_y": -128, "fc2_y": 0}
    assert frozen["flatten1_y"].quant == frozen["conv2_y"].quant


REFUSED: list[tuple[Train, str]] = [
    ("last:0", "train='last:0': N must be from 1 to 4, the number of layers with weights"),
    ("last:5", "train='last:5': N must be from 1 to 4, the number of layers with weights"),
    ("last:-1", "train='last:-1': N must be from 1 to 4, the number of layers with weights"),
    ("last:", "train='last:': N must be from 1 to 4, the number of layers with weights"),
    ("last", "train='last': N must be from 1 to 4, the number of layers with weights"),
    ("last:x", "train='last:x': N must be from 1 to 4, the number of layers with weights"),
    ("last:\u00b2", "train='last:\u00b2': N must be from 1 to 4, the number of layers with weights"),
    ("", "train='' names nothing in this model"),
    ("fc9", "train='fc9' names nothing in this model"),
    ("fc1,fc9", "train='fc1,fc9' names nothing in this model"),
    ("pool1", "train='pool1' names nothing in this model"),
    ([], "train=[] leaves nothing to train"),
    (2, "train=2 is neither a text nor a list of layers"),  # type: ignore[list-item]
    (None, "train=None is neither a text nor a list of layers"),  # type: ignore[list-item]
    (["fc1", "fc9", "x"], "train= names no layer of this model: 'fc9', 'x'"),
]


@pytest.mark.parametrize(("train", "what"), REFUSED)
def test_what_is_refused(graph: Graph, train: Train, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        freeze(graph, train, RULE)
    assert caught.value.what == what
    assert caught.value.where == "train"
    assert ALL in caught.value.hint


def test_a_network_without_weights() -> None:
    net = Net(1, 1, 4, 4).op("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).op("Flatten")
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 1)).astype(np.float32)
    graph = quantized(fold(load_onnx(net.bytes())), x)
    assert freeze(graph, "none", RULE).nodes == graph.nodes
    for train in ("all", "bias", "last:1"):
        with pytest.raises(UsageError, match="no layer with weights, so there is nothing to train"):
            freeze(graph, train, RULE)
