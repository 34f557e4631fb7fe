"""The table of what a legal graph is: real pipelines obey it at every stage, and each rule catches its bug."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import quantizing
from mcugrad.graph import Graph, Precision, WeightScale
from mcugrad.graph.spec import MEANING, STRUCTURE, IllegalGraphError, check, violations
from mcugrad.importers.onnx import load_onnx
from mcugrad.passes.backward import backward
from mcugrad.passes.fold import fold
from mcugrad.passes.freeze import freeze
from mcugrad.passes.prune import prune
from mcugrad.training.losses import Loss
from mcugrad.training.rules import Update, updates
from onnx_nets import Net


@pytest.fixture(scope="module")
def floating() -> Graph:
    net = Net("batch", 2, 6, 6)
    net.conv(2, 3, pads=[1, 1, 1, 1]).norm(3).op("Relu").op("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    return load_onnx(net.op("Flatten").fc(27, 5).op("Relu").fc(5, 4).bytes())


@pytest.fixture(scope="module")
def quantized(floating: Graph) -> Graph:
    x = np.random.default_rng(0).normal(size=(20, 6, 6, 2)).astype(np.float32)
    return quantizing.quantized(fold(floating), x)


@pytest.mark.parametrize("train", ["all", "bias", "none", "last:1", "last:2", ["conv1"]])
def test_every_pass_gives_a_legal_graph(floating: Graph, quantized: Graph, train: str | list[str]) -> None:
    check(floating)
    check(fold(floating))
    check(quantized)
    frozen = check(freeze(quantized, train, updates("sr8")))
    trained = check(backward(frozen, Loss()))
    pruned = check(prune(trained))
    assert len(pruned.nodes) <= len(trained.nodes)


def node(graph: Graph, name: str, /, **changes: object) -> Graph:
    """The graph with fields of one node changed."""
    return graph.with_nodes(replace(n, **changes) if n.name == name else n for n in graph.nodes)  # type: ignore[arg-type]


def scale(graph: Graph, tensor: str, **changes: object) -> Graph:
    """The graph with fields of one tensor's quantization changed."""
    quant = graph[tensor].quant
    assert quant is not None
    return graph.changed(tensor, quant=replace(quant, **changes))  # type: ignore[arg-type]


W = np.ones((3, 3, 3, 2), np.float32)
BREAK: dict[str, tuple[str, Callable[[Graph], Graph]]] = {
    "a node's name is no identifier": ("names are C identifiers", lambda g: node(g, "conv1", name="1conv")),
    "a model's name is empty": ("names are C identifiers", lambda g: replace(g, name="")),
    "two nodes share a name": ("different names", lambda g: node(g, "fc2", name="fc1")),
    "a tensor is misfiled": ("filed", lambda g: replace(g, tensors={**g.tensors, "odd": g["fc1_w"]})),
    "a tensor is unknown": ("exist", lambda g: node(g, "fc1", b="nowhere")),
    "the input is unknown": ("exist", lambda g: replace(g, input="nowhere")),
    "a tensor is defined twice": ("one definition", lambda g: node(g, "fc2", y="fc1_y")),
    "a node writes a constant": ("one definition", lambda g: node(g, "fc2", y="fc1_w")),
    "the order is wrong": ("before they are read", lambda g: g.with_nodes(reversed(g.nodes))),
    "the output is a constant": ("the output is", lambda g: replace(g, output="fc2_b")),
    "the output is read": ("reads the output", lambda g: replace(g, output="fc1_y")),
    "a shape is empty": ("empty dimension", lambda g: g.changed("fc1_y", shape=())),
    "a dimension is zero": ("empty dimension", lambda g: g.changed("input", shape=(0, 6, 2))),
    "an output has another shape": ("what the nodes give", lambda g: g.changed("fc2_y", shape=(9,))),
    "weights do not fit": (
        "what the nodes give",
        lambda g: g.changed("fc1_b", shape=(9,), value=np.zeros(9, np.float32)),
    ),
    "a constant is float64": ("finite float32", lambda g: g.changed("conv1_w", value=W.astype(np.float64))),
    "a constant has another shape": ("finite float32", lambda g: g.changed("conv1_w", value=W[:2])),
    "a constant is NaN": ("finite float32", lambda g: g.changed("conv1_w", value=W * np.nan)),
    "an activation has no scale": (
        "quantized as their kind",
        lambda g: g.changed("fc1_y", quant=None).changed("fc2_b", trainable=True),
    ),
    "a bias has a scale": (
        "quantized as their kind",
        lambda g: g.changed("fc1_b", quant=WeightScale(W[0, 0, 0])),
    ),
    "an activation has a weight's scale": (
        "their kind",
        lambda g: g.changed("input", quant=WeightScale(W[0, 0, 0])),
    ),
    "a value is stored in another precision": (
        "stored in their precision",
        lambda g: node(g, "fc1", precision=Precision.FLOAT32),
    ),
    "a network that trains has a node without precision": (
        "stored in their precision",
        lambda g: node(g, "fc1", precision=None).changed("fc2_b", trainable=True),
    ),
    "a scale is zero": ("scales are positive", lambda g: scale(g, "fc1_y", scale=0.0)),
    "a zero point is no int8": ("scales are positive", lambda g: scale(g, "fc1_y", zero=128)),
    "an owner is unknown": ("scales are positive", lambda g: scale(g, "fc1_y", owner="nowhere")),
    "an owner differs": ("scales are positive", lambda g: scale(g, "pool1_y", scale=9.0)),
    "a channel has no scale": (
        "scales are positive",
        lambda g: scale(g, "fc1_w", scales=np.ones(4, np.float32)),
    ),
    "a weight scale is NaN": (
        "scales are positive",
        lambda g: scale(g, "fc1_w", scales=np.full(5, np.nan, np.float32)),
    ),
    "an activation is trainable": ("only constants train", lambda g: g.changed("fc1_y", trainable=True)),
    "a weight trains without a rule": ("only constants train", lambda g: g.changed("fc1_w", trainable=True)),
    "a frozen weight has a rule": (
        "only constants train",
        lambda g: g.changed("fc1_w", update=Update("sr8")),
    ),
    "a weight is tracked": ("only constants train", lambda g: g.changed("fc1_w", tracked=True)),
    "pooling is tracked": ("only constants train", lambda g: g.changed("pool1_y", tracked=True)),
}


@pytest.mark.parametrize("case", BREAK)
def test_each_rule_catches_its_bug(quantized: Graph, case: str) -> None:
    part, change = BREAK[case]
    broken = change(quantized)
    assert any(part in line for line in violations(broken)), violations(broken)
    with pytest.raises(IllegalGraphError, match=r"breaks \d+ rules"):
        check(broken)


def test_backward_graphs(quantized: Graph) -> None:
    whole = check(backward(freeze(quantized, "all", updates("sr8")), Loss()))
    assert any("come before" in v for v in violations(whole.with_nodes(reversed(whole.nodes))))
    assert any("no weights" in v for v in violations(scale(whole, "fc1_y_e", carrier="fc1_b")))
    assert any("no error" in v for v in violations(scale(whole, "fc1_y_e", owner="fc1_y")))
    bare = {k: replace(t, quant=None) for k, t in whole.tensors.items()}
    assert any("in a float graph" in v for v in violations(replace(whole, tensors=bare)))


def test_a_float_graph_may_have_scales_from_its_file(quantized: Graph) -> None:
    assert not violations(quantized.changed("fc1_y", quant=None))


def test_every_rule_is_tested() -> None:
    named = {part for part, _ in BREAK.values()} | {"come before"}
    untested = [rule for rule, _ in (*STRUCTURE, *MEANING) if not any(part in rule for part in named)]
    assert not untested
