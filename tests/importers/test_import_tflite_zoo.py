"""Whole networks as int8 TFLite files, on real samples: what comes in computes what LiteRT does."""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tflite", reason="the package tflite is not installed")
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
pytest.importorskip("sklearn", reason="the digits come with scikit-learn")

import mcugrad as mg
from litert_says import agreement, codes, runtime
from mcugrad.importers.onnx import load_onnx
from mcugrad.passes.fold import fold
from mcugrad.zoo import data, model_path, nets
from tflite_writer import Array, Net, of_graph

SAMPLES = 32
VIEWS = {"autoencoder": (64,), "inertial_cnn": (64, 1), "mlp": (64,), "vibration_cnn": (1024, 1)}
"""Shapes in which networks see a digit; others see a picture of 32 x 32."""


def digits(name: str, channels: int) -> Array:
    """Handwritten digits as a network takes them, mean 0 and variance 1."""
    shape = VIEWS.get(name, (32, 32, 1))
    pixels = data.load("digits").x_test[:SAMPLES].reshape(-1, 8, 8).astype(np.float32)
    if np.prod(shape) == 1024:
        pixels = np.kron(pixels, np.ones((1, 4, 4), np.float32))
    x = (pixels - pixels.mean()) / pixels.std()
    return np.repeat(x.reshape(-1, *shape), channels, axis=-1) if channels > 1 else x.reshape(-1, *shape)


def quantized(name: str) -> tuple[Net, Array]:
    """An untrained network in int8, and samples."""
    wanted = nets.about(name).input_shape
    x = digits(name, wanted[-1] if len(wanted) == 3 else 1)
    graph = fold(load_onnx(nets.build(name, samples=x)))
    x = x.reshape(-1, *graph[graph.input].shape)
    return of_graph(graph).int8(x), x


ADDS_CONSTANTS = "mbednet"
"""In its hard sigmoids, which LiteRT rounds in another way now and then: compared layer by layer."""


@pytest.mark.parametrize("name", [n for n in nets.names() if n != ADDS_CONSTANTS])
def test_network(name: str) -> None:
    """Equal, also where weights are random and layers many, so that one code would become many."""
    found = agreement(*quantized(name))
    assert found.equal == 1


def trained() -> tuple[Net, Array]:
    """`digits_cnn` in int8, and all 360 digits that it has not seen."""
    known = data.load("digits")
    x_train, x = (1 - v.reshape(-1, 8, 8, 1).astype(np.float32) / 16 for v in (known.x_train, known.x_test))
    return of_graph(fold(load_onnx(model_path("digits_cnn").read_bytes()))).int8(x_train[:100]), x


def test_trained_network() -> None:
    net, x = trained()
    found = agreement(net, x)
    assert found.outputs == x.shape[0] * 10
    assert found.equal == 1


# -- the comparison that is published --------------------------------------------------------------------------------


@pytest.fixture
def litert(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """benchmarks/litert.py."""
    path = list(sys.path)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    yield importlib.import_module("litert")
    for name in ("litert", "bars"):
        sys.modules.pop(name, None)
    sys.path[:] = path


def test_layers_of_a_network_that_adds_constants(litert: Any, tmp_path: Path) -> None:
    net, x = quantized(ADDS_CONSTANTS)
    path = tmp_path / "net.tflite"
    path.write_bytes(net.bytes())
    q = codes(x, net.items[0].scale, net.items[0].zero).reshape(len(x), -1)
    expected = runtime(net.bytes(), q, fast=True).astype(np.int64)
    trainer = mg.compile(mg.load(path), train="none")
    found, firsts = litert.layerwise(net, trainer, q, range(8), expected)
    assert found["largest_in_layers"] <= 1
    assert set(found["layers_differ"]) <= {"DepthwiseConv2d"}, "a constant for every channel"
    assert sum(found["layers_differ"].values()) < 0.001 * found["compared"]
    assert all(title.startswith("add_") for title in firsts.values())


def test_published_comparison(litert: Any, tmp_path: Path) -> None:
    net, x = trained()
    found = litert.compare(net, x, tmp_path)
    whole = agreement(net, x)
    assert found["outputs_equal"] == whole.equal
    assert found["largest_difference"] == whole.worst
    assert found["compared"] > 10_000
    assert found["largest_in_layers"] == 0
    assert found["unexplained"] == 0


def test_a_layer_that_differs_is_found(litert: Any, tmp_path: Path) -> None:
    net, x = trained()
    changed = copy.deepcopy(net)
    second = [o for o in changed.operators if o.kind == "CONV_2D"][1]
    bias = changed.items[second.inputs[2]]
    assert bias.data is not None
    bias.data = bias.data + 1000
    path = tmp_path / "changed.tflite"
    path.write_bytes(changed.bytes())
    q = codes(x[:2], net.items[0].scale, net.items[0].zero).reshape(2, -1)
    trainer = mg.compile(mg.load(path), train="none")
    expected = runtime(net.bytes(), q, fast=True).astype(np.int64)
    found, firsts = litert.layerwise(net, trainer, q, [0, 1], expected)
    title = f"{net.items[second.output].name}  Conv2d"
    assert firsts == {0: title, 1: title}
    assert set(found["layers_differ"]) == {"Conv2d"}, "layers behind it get LiteRT's activations, and equal"
