"""What files compute from constants alone is computed when they are read; what one importer can do, the other can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tflite", reason="the package tflite is not installed")
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

from test_importers_alike import Onnx, both, ints, parts

import onnx_nets
from mcugrad.errors import ModelError
from mcugrad.graph.spec import check
from mcugrad.importers.onnx import load_onnx, static
from mcugrad.importers.tflite import constants
from mcugrad.passes.fold import fold

SAME_AS = {
    "BROADCAST_TO": "Expand", "CONCATENATION": "Concat", "EXPAND_DIMS": "Unsqueeze", "FILL": "ConstantOfShape",
    "FLOOR_DIV": "Floor", "FLOOR_MOD": "Mod", "GREATER_EQUAL": "GreaterOrEqual", "LESS_EQUAL": "LessOrEqual",
    "LOGICAL_AND": "And", "LOGICAL_NOT": "Not", "LOGICAL_OR": "Or", "MAXIMUM": "Max", "MINIMUM": "Min",
    "NOT_EQUAL": "Not", "PACK": "Concat", "RSQRT": "Reciprocal", "SELECT": "Where", "SELECT_V2": "Where",
    "SQUARE": "Pow", "STRIDED_SLICE": "Slice", "SUM": "ReduceSum", "ZEROS_LIKE": "ConstantOfShape",
}  # fmt: skip
"""What TFLite's operators on constants are in ONNX, where it is not the same name."""


def test_constants_that_one_importer_computes_the_other_computes() -> None:
    missing = [
        kind
        for kind in sorted(constants.COMPUTED)
        if SAME_AS.get(kind, kind.title().replace("_", "")) not in static.FOLDABLE
    ]
    assert not missing


FOUR = np.float32([0.5, -1.5, 2, 0.25])
CONSTANTS: dict[str, Callable[[Onnx], Onnx]] = {
    "Abs": lambda n: n.op("Abs"),
    "And": lambda n: (
        n.op("Greater", np.float32(0)).op("And", np.array([True, True, False, True])).op("Cast", to=1)
    ),
    "Clip": lambda n: n.op("Clip", np.float32(0), np.float32(1)),
    "Exp": lambda n: n.op("Exp"),
    "Gemm": lambda n: n.op("Unsqueeze", ints(0)).op(
        "Gemm", n.normal(4, 4), np.float32([1, 2, 3, 4]), transB=1, alpha=0.5, beta=2.0
    ),
    "GreaterOrEqual": lambda n: n.op("GreaterOrEqual", np.float32(0.5)).op("Cast", to=1),
    "Less": lambda n: n.op("Less", np.float32(0.5)).op("Not").op("Cast", to=1),
    "LessOrEqual": lambda n: n.op("LessOrEqual", np.float32(0.5)).op("Cast", to=1),
    "Log": lambda n: n.op("Abs").op("Log"),
    "Mod": lambda n: n.op("Cast", to=7).op("Mod", ints(7, 7, 3, 2)).op("Cast", to=1),
    "Or": lambda n: (
        n.op("Less", np.float32(0)).op("Or", np.array([True, False, False, False])).op("Cast", to=1)
    ),
    "Range": lambda n: (
        n.op("ReduceMax", keepdims=0).op("Cast", to=7).op("Range", ints(10)[0], ints(2)[0]).op("Cast", to=1)
    ),
    "ReduceL2": lambda n: n.op("ReduceL2", axes=[0]),
    "ReduceMax": lambda n: n.op("ReduceMax", axes=[-1]),
    "ReduceMean": lambda n: n.op("Reshape", ints(2, 2)).op("ReduceMean", axes=[0, 1], keepdims=0),
    "ReduceMin": lambda n: n.op("ReduceMin", keepdims=0),
    "ReduceProd": lambda n: n.op("ReduceProd", axes=[0]),
    "ReduceSum": lambda n: n.op("Reshape", ints(4, 1)).op("ReduceSum", ints(-1), keepdims=0),
    "Relu": lambda n: n.op("Relu"),
    "Sigmoid": lambda n: n.op("Sigmoid"),
    "Sign": lambda n: n.op("Sign"),
    "Softplus": lambda n: n.op("Softplus"),
    "Split": lambda n: parts(n, 0, 1, 3),
    "Tanh": lambda n: n.op("Tanh"),
    "Tile": lambda n: n.op("Slice", ints(1), ints(3), ints(0)).op("Tile", ints(2)),
}


@pytest.mark.parametrize("kind", CONSTANTS)
def test_onnx_computes_constants(kind: str) -> None:
    """Parameters behind a function, as PyTorch's exporters write them: `x * torch.exp(self.scale)`."""
    net = Onnx("batch", 4).fc(4, 4)
    top = net.top
    net.top = net.const("four", FOUR)
    factor = CONSTANTS[kind](net).top
    net.top = top
    model = both(net, "Mul", lambda n: set_top(n, factor)).fc(4, 2).bytes()
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    graph = check(fold(check(load_onnx(model))))
    assert len(graph.nodes) <= 3
    np.testing.assert_allclose(onnx_nets.ours(graph, x), onnx_nets.runtime(model, x), rtol=1e-5, atol=1e-5)


def set_top(net: Onnx, value: str) -> Onnx:
    net.top = value
    return net


@pytest.mark.parametrize(
    ("kind", "values"),
    [("Range", (np.float32(0), np.float32(1e12), np.float32(1))), ("Range", (ints(0)[0], ints(9)[0], ints(0)[0])),
     ("Tile", (FOUR, ints(1 << 40)))],
)  # fmt: skip
def test_constants_that_would_fill_the_memory_are_refused(kind: str, values: tuple[Any, ...]) -> None:
    net = Onnx("batch", 4).fc(4, 4)
    top = net.top
    net.top = net.const("first", values[0])
    factor = net.op(kind, *values[1:]).top
    net.top = top
    with pytest.raises(ModelError, match=f"{kind}: "):
        load_onnx(both(net, "Mul", lambda n: set_top(n, factor)).bytes())
