"""Whole networks as int8 TFLite files, on real samples: what comes in computes what LiteRT does."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tflite", reason="the package tflite is not installed")
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
pytest.importorskip("sklearn", reason="the digits come with scikit-learn")

from mcugrad.importers.onnx import load_onnx
from mcugrad.passes.fold import fold
from mcugrad.zoo import data, model_path, nets
from tflite_writer import Array, Net, agreement, layers_of, of_graph

SAMPLES = 32
DEEP = ("mbednet", "mcunet", "mobilenet_v2_035")
KINDS = (
    "ADD",
    "AVERAGE_POOL_2D",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "HARD_SWISH",
    "MEAN",
    "MUL",
)
"""Those that compute; ADD and MUL of two activations are tested by themselves."""
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


@pytest.mark.parametrize("name", [n for n in nets.names() if n not in DEEP])
def test_network(name: str) -> None:
    found = agreement(*quantized(name))
    assert found.worst <= 1
    assert found.top1 >= 0.995


@pytest.mark.parametrize("name", DEEP)
def test_deep_network(name: str) -> None:
    """Layer by layer; whole networks with random weights make much of one step somewhere, and of the next to none."""
    net, x = quantized(name)
    compared = differ = 0
    for layer, one, inputs in layers_of(net, x[:4], KINDS):
        found = agreement(one, inputs)
        assert found.worst <= 1, layer
        compared += found.outputs
        differ += round((1 - found.equal) * found.outputs)
    assert compared > 50_000
    assert differ <= 5e-5 * compared
    assert agreement(net, x).equal >= 0.85


def test_trained_network() -> None:
    """All 360 digits that `digits_cnn` has not seen."""
    known = data.load("digits")
    x_train, x = (1 - v.reshape(-1, 8, 8, 1).astype(np.float32) / 16 for v in (known.x_train, known.x_test))
    net = of_graph(fold(load_onnx(model_path("digits_cnn").read_bytes())))
    found = agreement(net.int8(x_train[:100]), x)
    assert found.outputs == x.shape[0] * 10
    assert found.worst <= 1
    assert found.top1 >= 0.995
