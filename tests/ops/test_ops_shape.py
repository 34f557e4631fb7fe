"""Networks that branch and join: forward passes, gradients, and executors that agree to the last bit."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad.errors import ModelError
from mcugrad.graph import ActivationScale, ErrorScale
from mcugrad.graph.node import Operator
from mcugrad.graph.spec import check
from mcugrad.ops.joining.concat import Concat
from mcugrad.ops.joining.mul import Mul
from mcugrad.ops.movement.reshape import Reshape
from mcugrad.ops.movement.slice import Pad, Slice
from mcugrad.ops.movement.upsample2d import Upsample2d
from mcugrad.ops.pooling.avgpool2d import AvgPool2d, Weights
from mcugrad.passes.calibrate import run_float
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.trainer import Trainer
from networks import corners
from shape_nets import NETWORKS, SIZE, Net
from thoroughness import turns

EVERY_NETWORK = pytest.mark.parametrize("name", NETWORKS)
mcu = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the emulator is not installed")
Array = np.ndarray


@cache
def trainer(name: str, train: str = "all") -> Trainer:
    x, _ = corners(64, SIZE)
    return mg.compile(NETWORKS[name](), calibration=x, train=train, rule="sr16", rate=0.01, seed=3)


# -- whole networks --------------------------------------------------------------------------------------------


@EVERY_NETWORK
def test_it_learns(name: str) -> None:
    x, y = corners(1500 if name == "averages" else 400, SIZE)
    history = trainer(name).fit(x, y, epochs=3, schedule="constant")
    assert history[-1].loss < 0.7 * np.log(4), [epoch.loss for epoch in history]


@EVERY_NETWORK
@pytest.mark.parametrize("train", ["all", "last:1"])
def test_the_twin_equals_the_reference(name: str, train: str) -> None:
    x, y = corners(10, SIZE, seed=1)
    trainer(name, train).verify(x, y, on="reference")


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(("name", "core"), turns(NETWORKS, ["cortex-m0plus", "cortex-m4f"]))
def test_emulated_cores_equal_the_twin(name: str, core: str) -> None:
    x, y = corners(6, SIZE, seed=2)
    trainer(name).verify(x, y, on=core)


LEAST_COSINE = {"residual": 0.98, "largest": 0.97}
"""Where the bends of the loss lie elsewhere in 8 bits: near zero after a sum, and which of two values is larger."""

# -- against real arithmetic -----------------------------------------------------------------------------------


class Probe:
    """One training step of the reference at a learning rate of 0, its ranges settled, in real numbers."""

    def __init__(self, name: str, sample: int) -> None:
        built = trainer(name)
        x, y = corners(60, SIZE, seed=4)
        self.graph, self.label = built.build.graph, int(y[sample])
        data, rate = (built.quantize(x), y.astype(np.uint32)), np.zeros(400, np.float32)
        twin, runner = HostTwin(built.build.compiled), ReferenceRunner(built.build.compiled)
        twin.init()
        twin.train(*data, np.full(len(rate), sample, np.uint32), rate)
        runner.restore(twin.state())
        runner.train(*data, np.asarray([sample], np.uint32), rate[:1])
        self.values = runner._values
        self.known = run_float(self.graph.with_nodes(self.forward_nodes()), x[sample : sample + 1])

    def activation(self, tensor: str) -> Array | None:
        quant = self.graph[tensor].quant
        value = self.values.get("x" if tensor == self.graph.input else tensor)
        if value is None or not isinstance(quant, ActivationScale):
            return None
        scale = self.values.get(f"{quant.owner}_scale", quant.scale)
        return (value.astype(np.float64) - quant.zero).reshape(self.graph[tensor].shape) * scale

    def error(self, tensor: str) -> Array | None:
        """The gradient that an int8 error stands for."""
        error = f"{tensor}_e"
        if error not in self.graph.tensors or self.values.get(error) is None:
            return None
        quant = self.graph[error].quant
        assert isinstance(quant, ErrorScale)
        scale = self.values[f"{quant.carrier}_scale"] if quant.carrier else np.ones(1)
        steps = self.values[error].astype(np.float64).reshape(-1, len(scale))
        return (steps / scale * self.values[f"{quant.owner}_c"][0]).reshape(self.graph[tensor].shape)

    def mask(self, tensor: str) -> Array:
        """Where the activation function that made a tensor has a slope."""
        quant, value = self.graph[tensor].quant, self.activation(tensor)
        assert value is not None
        low = -np.inf if quant.low is None else quant.low
        high = np.inf if quant.high is None else quant.high
        return (value > low + quant.scale / 2) & (value < high - quant.scale / 2)

    def forward_nodes(self) -> list[Operator]:
        return [n for n in self.graph.nodes if isinstance(n, Operator)]

    def losses(self, tensor: str, batch: Array) -> Array:
        """Loss in real arithmetic for each value that a tensor might have had."""
        count = len(batch)
        changed = {tensor: batch}
        for node in self.forward_nodes():
            if tensor == node.y or not changed.keys() & set(node.inputs):
                continue
            arguments = []
            for t in node.inputs:
                value = changed.get(t, self.graph[t].value)
                arguments.append(np.repeat(self.known[t], count, axis=0) if value is None else value)
            changed[node.y] = node.forward(*arguments)
        logits = changed[self.graph.output].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        return np.log(np.exp(logits).sum(axis=1)) - logits[:, self.label]

    def gradient(self, tensor: str) -> Array:
        """Central differences of the loss."""
        start = self.known[tensor][0]
        step = 0.005 * max(float(np.abs(start).max()), 0.1)
        moves = np.eye(start.size).reshape(start.size, *start.shape) * step
        batch = np.concatenate([start + moves, start - moves]).astype(np.float32)
        losses = self.losses(tensor, batch)
        return ((losses[: start.size] - losses[start.size :]) / (2 * step)).reshape(start.shape)


@EVERY_NETWORK
def test_activations_are_near_the_real_ones(name: str) -> None:
    probe = Probe(name, 50)
    compared = 0
    for node in probe.forward_nodes():
        found = probe.activation(node.y)
        if found is not None:
            error = np.abs(found - probe.known[node.y][0]).max() / max(
                np.abs(probe.known[node.y]).max(), 1e-3
            )
            assert error < 0.08, f"{node.y} is off by {error:.1%}"
            compared += 1
    assert compared >= len(NETWORKS[name]().layers)


@EVERY_NETWORK
def test_errors_point_where_the_loss_falls(name: str) -> None:
    directions: dict[str, list[Array]] = {}
    for sample in (50, 53, 57):
        probe = Probe(name, sample)
        for node in probe.forward_nodes():
            found = probe.error(node.y)
            if found is not None and node.y != probe.graph.output and probe.activation(node.y) is not None:
                expected = probe.gradient(node.y) * probe.mask(node.y)
                directions.setdefault(node.y, []).append(np.stack([found.reshape(-1), expected.reshape(-1)]))
    assert len(directions) >= len(NETWORKS[name]().layers) - 1
    for tensor, pairs in directions.items():
        lengths = np.asarray([[np.linalg.norm(v) for v in pair] for pair in pairs])
        cosines = [float(p[0] @ p[1]) for p in pairs] / lengths.prod(axis=1)
        assert np.median(cosines) >= LEAST_COSINE.get(name, 0.99), f"{tensor}: cosines {cosines}"
        ratio = float(np.median(lengths[:, 0] / lengths[:, 1]))
        assert 0.95 < ratio < 1.05, f"{tensor}: length {ratio:.3f}"


@EVERY_NETWORK
def test_its_graph_is_legal(name: str) -> None:
    check(trainer(name).model.graph)
    check(trainer(name).build.graph)


def test_what_cannot_be_negative_keeps_all_levels() -> None:
    graph = trainer("averages").build.graph
    pools = [n.y for n in graph.nodes if isinstance(n, AvgPool2d)]
    assert [graph[y].quant.zero for y in pools] == [-128, -128]
    assert all(graph[y].tracked for y in pools)


# -- operators -------------------------------------------------------------------------------------------------


def test_float_forward() -> None:
    x = np.random.default_rng(0).normal(0, 1, (2, 4, 6, 3)).astype(np.float32)
    names = {"name": "n", "x": "x", "y": "y"}
    pool = AvgPool2d(**names, kernel=(2, 2), stride=(2, 2))
    np.testing.assert_allclose(
        pool.forward(x), x.reshape(2, 2, 2, 3, 2, 3).mean(axis=(2, 4)), rtol=1e-5, atol=1e-6
    )
    whole = AvgPool2d(**names, kernel=(4, 6))
    np.testing.assert_allclose(whole.forward(x)[:, 0, 0], x.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)
    border = {"kernel": (3, 3), "padding": (1, 1, 1, 1)}
    corner = x[:, :2, :2].sum(axis=(1, 2))
    inside = AvgPool2d(**names, **border).forward(x)[:, 0, 0]
    counted = AvgPool2d(**names, **border, count_padding=True).forward(x)[:, 0, 0]
    np.testing.assert_allclose(inside, corner / 4, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(counted, corner / 9, rtol=1e-5, atol=1e-6)
    mul = Mul(name="n", a="a", b="b", y="y", low=0.0)
    np.testing.assert_array_equal(mul.forward(x, x[:, 0, 0]), np.maximum(x * x[:, :1, :1], 0))
    part = Slice(**names, start=(1, 0, 0), stop=(4, 6, 3), step=(2, 3, 1), whole_channels=True)
    np.testing.assert_array_equal(part.forward(x), x[:, 1::2, ::3])
    assert part.shape(x.shape[1:]) == (2, 2, 3)
    padded = Pad(**names, before=(1, 0, 2), after=(0, 3, 0)).forward(x)
    assert padded.shape == (2, 5, 9, 5)
    np.testing.assert_array_equal(padded[:, 1:, :6, 2:], x)
    larger = Upsample2d(**names, factor=(2, 3)).forward(x)
    np.testing.assert_array_equal(
        larger, np.kron(x.transpose(0, 3, 1, 2), np.ones((2, 3))).transpose(0, 2, 3, 1)
    )
    np.testing.assert_array_equal(Reshape(**names, to=(2, 2, 18)).forward(x), x.reshape(2, 2, 2, 18))
    joined = Concat(name="n", xs=("a", "b"), y="y", axis=1, axes=3)
    np.testing.assert_array_equal(joined.forward(x, larger[:, :4]), np.concatenate([x, larger[:, :4]], 2))


def test_weights_of_averages_are_exact() -> None:
    weights = Weights.of(np.asarray([2, 3, 3, 2, 0]), None)
    assert (weights.values.tolist(), weights.whole, weights.least) == ([3, 2, 2, 3, 0], 6, 2)
    counted = Weights.of(np.asarray([2, 3]), 3)
    assert (counted.values.tolist(), counted.whole) == ([1, 1], 3)


WRONG: list[tuple[Operator, tuple[Any, ...], str]] = [
    (Mul(name="n", a="a", b="b", y="y"), ((4, 4, 3), (4, 4, 1)), "product of"),
    (Concat(name="n", xs=("a", "b"), y="y", axis=2, axes=3), ((4, 4, 3), (4, 5, 3)), "cannot be joined"),
    (Concat(name="n", xs=("a", "b"), y="y", axis=1, axes=1), ((3,), (3,)), "cannot be joined"),
    (
        Slice(name="n", x="x", y="y", start=(0, 2, 0), stop=(4, 2, 3), step=(1, 1, 1), whole_channels=True),
        ((4, 4, 3),),
        "empty",
    ),
    (
        Slice(name="n", x="x", y="y", start=(0, 0, 1), stop=(4, 4, 3), step=(1, 1, 1), whole_channels=True),
        ((4, 4, 3),),
        "of 3 channels",
    ),
    (Pad(name="n", x="x", y="y", before=(0, -1, 0), after=(0, 0, 0)), ((4, 4, 3),), "padding of"),
    (Upsample2d(name="n", x="x", y="y", factor=(2, 0)), ((4, 4, 3),), "whole factors"),
    (Reshape(name="n", x="x", y="y", to=(5, 10)), ((50,),), "cannot take the shape"),
    (AvgPool2d(name="n", x="x", y="y", kernel=(2, 2)), ((50,),), "pooling of"),
]


@pytest.mark.parametrize(("node", "shapes", "text"), WRONG)
def test_shapes_that_do_not_fit(node: Operator, shapes: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ModelError, match=text):
        node.shape(*shapes)


def test_an_average_that_could_overflow_is_refused() -> None:
    net = Net((26, 26, 1))
    x = net.on(AvgPool2d, net.conv("input", 2), kernel=(13, 13), padding=(6, 6, 6, 6))
    samples = np.random.default_rng(0).random((4, 26, 26, 1), np.float32)
    with pytest.raises(ModelError, match="overflow"):
        mg.compile(net.model(x), calibration=samples)
