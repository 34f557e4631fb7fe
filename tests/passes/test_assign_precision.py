"""Which precision every operator gets, before there is any scale; and what cannot be computed in it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad.errors import ModelError, UsageError
from mcugrad.graph import ActivationScale, Float32, Graph, Operator, Shape
from mcugrad.graph.spec import check
from mcugrad.importers.onnx import load_onnx
from mcugrad.ops.core.dequantize import Dequantize
from mcugrad.passes.assign_precision import Wanted, assign_precision
from mcugrad.passes.calibrate import Calibration
from mcugrad.passes.fold import fold
from mcugrad.passes.freeze import Train
from mcugrad.passes.quantize import calibrated, quantize, without_scale
from mcugrad.pipeline import build, calibrate
from networks import Conv, Dense, Pool, model, samples
from onnx_nets import Net


@pytest.fixture(scope="module")
def graph() -> Graph:
    net = Net("batch", 1, 6, 6).conv(1, 3).op("Relu").conv(3, 2).op("MaxPool", kernel_shape=[2, 2])
    return fold(load_onnx(net.op("Flatten").fc(2, 5).op("Relu").fc(5, 4).bytes()))


def precisions(graph: Graph) -> dict[str, str]:
    """By name of the node; what is brought to real units has a `*`."""
    operators = [n for n in graph.nodes if isinstance(n, Operator)]
    assert len(operators) == len(graph.nodes)
    return {
        n.name + "*" * isinstance(n, Dequantize): "none" if n.precision is None else n.precision.text
        for n in operators
    }


LAYERS = ("conv1", "conv2", "pool1", "flatten1", "fc1", "fc2")


@pytest.mark.parametrize(
    ("wanted", "train", "first"),
    [
        ("int8", "all", None),
        ("float32", "none", "input"),
        ("float32", "last:1", "input"),
        ("mixed", "none", None),
        ("mixed", "all", "input"),
        ("mixed", "bias", "input"),
        ("mixed", "last:3", "conv1_y"),
        ("mixed", "last:2", "flatten1_y"),
        ("mixed", ["conv2"], "conv1_y"),
        ("mixed", "last:1", "fc1_y"),
    ],
)
def test_float32_begins_where_something_trains(
    graph: Graph, wanted: Wanted, train: Train, first: str | None
) -> None:
    assert set(precisions(graph).values()) == {"none"}
    found = precisions(check(assign_precision(graph, wanted, train)))
    start = len(LAYERS) if first is None else LAYERS.index(first[:-2]) + 1 if first != "input" else 0
    expected = dict.fromkeys(LAYERS[:start], "int8")
    if first is not None:
        expected[f"{first}_to_float*"] = "float32"
    assert list(found.items()) == list((expected | dict.fromkeys(LAYERS[start:], "float32")).items())


@pytest.mark.parametrize("train", ["last:0", "fc9"])
def test_what_names_nothing_is_refused(graph: Graph, train: str) -> None:
    with pytest.raises(UsageError, match="train="):
        assign_precision(graph, "mixed", train)


def test_only_what_is_int8_needs_a_scale(graph: Graph) -> None:
    def missing(wanted: Wanted, train: Train) -> list[str]:
        return without_scale(assign_precision(graph, wanted, train))

    assert missing("int8", "all") == ["input", "conv1_y", "conv2_y", "fc1_y", "fc2_y"]
    assert missing("mixed", "last:2") == ["input", "conv1_y", "conv2_y"]
    assert missing("float32", "none") == ["input"]


def test_scales_of_a_file_are_dropped_where_it_computes_in_float32(graph: Graph) -> None:
    given = ActivationScale(0.1, 0, "fc1_y")
    known = graph.changed("fc1_y", quant=given)
    assert assign_precision(known, "mixed", "last:1")["fc1_y"].quant == given
    assert assign_precision(known, "mixed", "last:2")["fc1_y"].quant is None


def test_no_value_has_a_scale_that_nothing_needs(graph: Graph) -> None:
    """Nothing is quantized that is not computed in int8, at no time."""
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 1)).astype(np.float32)
    assigned = assign_precision(graph, "mixed", "last:2")
    scales = calibrated(assigned, x, Calibration())
    assert list(scales) == ["input", "conv1_y", "conv2_y"]
    made = check(quantize(assigned, scales))
    for name in ("flatten1_y_real", "fc1_y", "fc2_y", "fc1_w", "fc2_w"):
        assert isinstance(made[name].quant, Float32), name


def test_a_model_keeps_the_scales_that_it_needs() -> None:
    net = model((2, 9, 12), (Conv(4, (3, 3), (2, 2)), Pool(), Dense(9, "relu"), Dense(4)))
    x, _ = samples(net, 8)
    kept = {
        (p, t): list(mg.compile(net, calibration=x, precision=p, train=t).build.scales)
        for p, t in (("int8", "last:1"), ("mixed", "last:1"), ("mixed", "last:2"), ("float32", "all"))
    }
    assert list(kept.values()) == [
        ["input", "conv1_y", "fc1_y", "fc2_y"],
        ["input", "conv1_y", "fc1_y"],
        ["input", "conv1_y"],
        ["input"],
    ]


def test_scales_that_nothing_needs_are_not_looked_at() -> None:
    """States of mixed models used to hold those of all activations."""
    net = model((2, 9, 12), (Conv(4, (3, 3), (2, 2)), Pool(), Dense(9, "relu"), Dense(4)))
    x, _ = samples(net, 8)
    made = mg.compile(net, calibration=x, precision="mixed", train="last:1")
    every = calibrate(net, x, Calibration())
    assert every.keys() > made.build.scales.keys()
    assert {tensor: every[tensor] for tensor in made.build.scales} == made.build.scales
    again = build(net, every, made.options)
    assert again.compiled.fingerprint == made.build.compiled.fingerprint
    assert again.compiled.files == made.build.compiled.files


@dataclass(frozen=True, kw_only=True)
class Unheard(Operator):
    """An operator without any file that says how it is computed."""

    x: str

    INPUTS = ("x",)
    passes_scale = True
    keeps_channels = True

    def shape(self, *inputs: Shape) -> Shape:
        return (prod(inputs[0]),)

    def forward(self, *inputs: Any) -> Any:
        return inputs[0].reshape(len(inputs[0]), -1)

    def macs(self, graph: Graph) -> int:
        return 0

    def describe(self, graph: Graph) -> str:
        return "unheard"


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_what_cannot_be_computed_is_listed(graph: Graph, precision: Wanted) -> None:
    node = Unheard(name="flatten1", source="/flat", x="pool1_y", y="flatten1_y")
    strange = graph.with_nodes(node if n.name == "flatten1" else n for n in graph.nodes)
    with pytest.raises(ModelError) as caught:
        assign_precision(strange, precision, "all")
    assert caught.value.what == f"an operator cannot be computed in {precision}"
    assert caught.value.where == "/flat  Unheard"
    assert caught.value.hint == "a network without"
