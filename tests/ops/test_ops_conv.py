"""Depthwise, grouped and transposed convolutions: what they compute, what they learn, and that all executors agree."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcugrad as mg
from kernels.convolution import CASES
from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator, Shape, Tensor
from mcugrad.model import Model
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.conv2d_s8 import conv2d_s8, conv2d_update
from mcugrad.ops.convolution.conv_transpose2d import ConvTranspose2d
from mcugrad.ops.convolution.convolution_s8 import Convolution
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.convolution.grouped_conv2d import GroupedConv2d
from mcugrad.ops.convolution.pointwise_s8 import pointwise_s8, pointwise_update
from mcugrad.ops.linear.linear import Linear
from mcugrad.ops.movement.flatten import Flatten
from mcugrad.ops.normalization.batch_norm import BatchNorm
from mcugrad.passes.calibrate import run_float
from mcugrad.passes.fold import fold
from mcugrad.run.reference import ReferenceRunner
from mcugrad.trainer import Trainer
from networks import corners
from thoroughness import turns

Array = np.ndarray
Layer = tuple[type[Operator], Shape, dict[str, Any]]
PAD = {"padding": (1, 1, 1, 1), "low": 0.0}
NAMES = {"x": "x", "y": "y", "w": "w", "b": "b", "name": "layer"}

CORES = ["cortex-m4f", "cortex-m0plus"]
mcu = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the emulator is not installed")


# -- float ---------------------------------------------------------------------------------------------------------

GEOMETRIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "stride beyond the kernel": {"stride": (4, 5)},
    "asymmetric padding": {"padding": (2, 0, 1, 3), "stride": (2, 1)},
    "dilation": {"dilation": (2, 3), "padding": (2, 3, 2, 3)},
    "all of it": {"stride": (2, 3), "dilation": (3, 2), "padding": (4, 1, 2, 5)},
}


def sides(out: int, in_per_group: int, groups: int) -> list[tuple[int, int, int]]:
    """(output channel, input channel, index among the inputs it reads) of every connection."""
    per = out // groups
    return [(o, o // per * in_per_group + i, i) for o in range(out) for i in range(in_per_group)]


def by_loops(layer: Convolution, x: Array, w: Array, b: Array) -> Array:
    """One sample by the definition, a loop per index."""
    transposed = isinstance(layer, ConvTranspose2d)
    height, width, out = layer.shape(x.shape, w.shape, b.shape)
    y = np.zeros((height, width, out)) + b
    small = x.shape[:2] if transposed else (height, width)
    large = (height, width) if transposed else x.shape[:2]
    for p, q, ky, kx in np.ndindex(*small, *w.shape[1:3]):
        row = p * layer.stride[0] - layer.padding[0] + ky * layer.dilation[0]
        column = q * layer.stride[1] - layer.padding[1] + kx * layer.dilation[1]
        if not (0 <= row < large[0] and 0 <= column < large[1]):
            continue
        for o, c, i in sides(out, w.shape[3], x.shape[2] // w.shape[3]):
            if transposed:
                y[row, column, o] += w[o, ky, kx, i] * x[p, q, c]
            else:
                y[p, q, o] += w[o, ky, kx, i] * x[row, column, c]
    return y


KINDS: dict[str, tuple[type[Convolution], dict[str, Any], Shape, int]] = {
    "depthwise": (DepthwiseConv2d, {}, (3, 3, 2, 1), 3),
    "depthwise, 2 each": (DepthwiseConv2d, {}, (6, 2, 3, 1), 3),
    "one channel": (DepthwiseConv2d, {}, (4, 3, 3, 1), 1),
    "2 groups": (GroupedConv2d, {"groups": 2}, (6, 3, 2, 2), 4),
    "transposed": (ConvTranspose2d, {}, (3, 3, 2, 2), 2),
    "transposed, longer": (ConvTranspose2d, {"output_padding": (1, 2)}, (2, 2, 3, 3), 3),
}


def float_case(kind: str, geometry: str) -> tuple[Convolution, Array, Array, Array]:
    cls, fields, w_shape, channels = KINDS[kind]
    random = np.random.default_rng(3)
    layer = cls(**NAMES, **fields, **GEOMETRIES[geometry])
    x = random.normal(size=(2, 5, 7, channels)).astype(np.float32)
    w = random.normal(size=w_shape).astype(np.float32)
    return layer, x, w, random.normal(size=w_shape[0]).astype(np.float32)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("kind", KINDS)
def test_forward_is_the_definition(kind: str, geometry: str) -> None:
    layer, x, w, b = float_case(kind, geometry)
    y = layer.forward(x, w, b)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, [by_loops(layer, sample, w, b) for sample in x], rtol=1e-4, atol=1e-5)


@pytest.mark.torch
@pytest.mark.parametrize("geometry", ["plain", "stride beyond the kernel", "dilation"])
@pytest.mark.parametrize("kind", KINDS)
def test_forward_is_that_of_pytorch(kind: str, geometry: str, torch: ModuleType) -> None:
    layer, x, w, b = float_case(kind, geometry)
    function = torch.nn.functional.conv2d
    options: dict[str, Any] = {
        "stride": layer.stride,
        "dilation": layer.dilation,
        "padding": layer.padding[:2],
    }
    weights = w.transpose(0, 3, 1, 2)
    if isinstance(layer, ConvTranspose2d):
        function, weights = torch.nn.functional.conv_transpose2d, w.transpose(3, 0, 1, 2)
        options["output_padding"] = layer.output_padding
        if any(
            p >= max(s, d) for p, s, d in zip(layer.output_padding, layer.stride, layer.dilation, strict=True)
        ):
            pytest.skip("PyTorch allows less output padding than the definition")
    else:
        options["groups"] = x.shape[3] // w.shape[3]
    maps = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    y = function(maps, torch.from_numpy(np.ascontiguousarray(weights)), torch.from_numpy(b), **options)
    np.testing.assert_allclose(layer.forward(x, w, b), y.numpy().transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-5)


def test_depthwise_is_a_grouped_convolution() -> None:
    layer, x, w, b = float_case("depthwise, 2 each", "all of it")
    grouped = GroupedConv2d(
        **NAMES, groups=3, stride=layer.stride, dilation=layer.dilation, padding=layer.padding
    )
    np.testing.assert_allclose(layer.forward(x, w, b), grouped.forward(x, w, b), rtol=1e-4, atol=1e-5)


def test_linear_on_the_last_axis_is_a_pointwise_convolution() -> None:
    random = np.random.default_rng(0)
    x, w, b = (random.normal(size=s).astype(np.float32) for s in ((2, 3, 5, 4), (6, 4), (6,)))
    y = Conv2d(**NAMES).forward(x, w.reshape(6, 1, 1, 4), b)
    np.testing.assert_allclose(y, x @ w.T + b, rtol=1e-4, atol=1e-5)


def test_pointwise_kernels_equal_those_of_other_windows() -> None:
    kernels = ((conv2d_s8, pointwise_s8), (conv2d_update, pointwise_update))

    @given(st.one_of(*(CASES[f"mcg_{pointwise.__name__}"] for _, pointwise in kernels)))
    @settings(max_examples=30)
    def run(arguments: dict[str, Any]) -> None:
        any_window, pointwise = kernels["factor" in arguments]
        scratch = {"patch": np.zeros(arguments["g"].taps, np.int16)}
        expected = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in arguments.items()}
        any_window(**expected, **scratch)
        pointwise(**arguments)
        for name in ("y", "peak", "w", "residual", "w_scale"):
            np.testing.assert_array_equal(arguments.get(name), expected.get(name))

    run()


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (DepthwiseConv2d(**NAMES), ((5, 5, 3), (4, 3, 3, 1), (4,)), "depthwise convolution"),
        (DepthwiseConv2d(**NAMES), ((5, 5, 3), (3, 3, 3, 3), (3,)), "depthwise convolution"),
        (DepthwiseConv2d(**NAMES), ((2, 5, 3), (3, 3, 3, 1), (3,)), "a window 3 wide does not fit"),
        (GroupedConv2d(**NAMES, groups=2), ((5, 5, 3), (4, 3, 3, 1), (4,)), "in 2 groups"),
        (GroupedConv2d(**NAMES, groups=2), ((5, 5, 4), (5, 3, 3, 2), (5,)), "in 2 groups"),
        (ConvTranspose2d(**NAMES), ((5, 5, 3), (4, 3, 3, 2), (4,)), "transposed convolution of"),
        (ConvTranspose2d(**NAMES, padding=(2, 0, 2, 0)), ((1, 5, 3), (4, 3, 3, 3), (4,)), "a map of -1 x 7"),
    ],
)
def test_shapes_that_do_not_match(layer: Convolution, shapes: tuple[Shape, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layer.shape(*shapes)


# -- networks ------------------------------------------------------------------------------------------------------


def chain(shape: Shape, layers: tuple[Layer, ...]) -> Model:
    """A network of one layer after the other, with random weights of the shapes given."""
    random = np.random.default_rng(0)
    tensors = {"input": Tensor(name="input", shape=shape)}
    nodes: list[Any] = []
    x = "input"
    for i, (cls, w, fields) in enumerate(layers, 1):
        name = f"layer{i}"
        node: Any
        if cls is Flatten:
            node = Flatten(name=name, x=x, y=f"{name}_y")
            y_shape = node.shape(tensors[x].shape)
        else:
            node = cls(name=name, x=x, y=f"{name}_y", w=f"{name}_w", b=f"{name}_b", **fields)
            y_shape = node.shape(tensors[x].shape, w, (w[0],))
            bound = 1.7 / np.sqrt(np.prod(w[1:]))
            for part, value in (
                ("w", random.uniform(-bound, bound, w)),
                ("b", random.uniform(-0.1, 0.1, w[0])),
            ):
                value = value.astype(np.float32)
                tensors[f"{name}_{part}"] = Tensor(name=f"{name}_{part}", shape=value.shape, value=value)
        tensors[node.y] = Tensor(name=node.y, shape=y_shape)
        nodes.append(node)
        x = node.y
    return Model(Graph("net", tuple(nodes), tensors, "input", x), "net.onnx", "0" * 64)


FLAT: Layer = (Flatten, (), {})
NETWORKS: dict[str, tuple[Layer, ...]] = {
    "depthwise": (
        (Conv2d, (7, 3, 3, 1), {"stride": (2, 2), **PAD}),
        (DepthwiseConv2d, (7, 3, 3, 1), {"padding": (2, 0, 1, 1), "low": 0.0, "high": 6.0}),
        (Conv2d, (9, 1, 1, 7), {"low": 0.0}),
        (DepthwiseConv2d, (9, 3, 3, 1), {"stride": (2, 2), **PAD}),
        FLAT,
        (Linear, (4, 108), {}),
    ),
    "multiplier": (
        (Conv2d, (3, 3, 3, 1), {"stride": (2, 2), **PAD}),
        (DepthwiseConv2d, (9, 3, 3, 1), {"dilation": (2, 1), "stride": (1, 2), **PAD}),
        FLAT,
        (Linear, (4, 108), {}),
    ),
    "groups": (
        (Conv2d, (6, 3, 3, 1), {"stride": (2, 2), **PAD}),
        (GroupedConv2d, (8, 3, 3, 3), {"groups": 2, **PAD}),
        (GroupedConv2d, (12, 2, 2, 2), {"groups": 4, "stride": (2, 2), "low": 0.0}),
        FLAT,
        (Linear, (4, 108), {}),
    ),
    "transposed": (
        (Conv2d, (5, 3, 3, 1), {"stride": (4, 4), **PAD}),
        (ConvTranspose2d, (6, 3, 3, 5), {"stride": (2, 2), "output_padding": (1, 1), **PAD}),
        (ConvTranspose2d, (4, 2, 2, 6), {"stride": (1, 2), "padding": (0, 1, 1, 0), "low": 0.0}),
        FLAT,
        (Linear, (4, 264), {}),
    ),
    "one pixel": (
        (Conv2d, (6, 3, 3, 1), {"stride": (4, 4), **PAD}),
        (Conv2d, (10, 3, 3, 6), {"low": 0.0}),
        (Conv2d, (15, 1, 1, 10), {"stride": (2, 2), "low": 0.0}),
        FLAT,
        (Linear, (4, 15), {}),
    ),
    "sequence": (
        (Conv2d, (6, 1, 5, 1), {"stride": (1, 4), "low": 0.0}),
        (DepthwiseConv2d, (6, 1, 3, 1), {"padding": (0, 2, 0, 0), "low": 0.0}),
        (ConvTranspose2d, (5, 1, 4, 6), {"stride": (1, 2), "padding": (0, 1, 0, 1), "low": 0.0}),
        FLAT,
        (Linear, (4, 350), {}),
    ),
}


def data(name: str, count: int) -> tuple[Array, Array]:
    x, y = corners(count)
    return (x.reshape(count, 1, -1, 1), y) if name == "sequence" else (x, y)


@cache
def trainer(name: str, rule: str = "sr16") -> Trainer:
    x, _ = data(name, 64)
    return mg.compile(chain(x.shape[1:], NETWORKS[name]), calibration=x, rule=rule)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_learns(name: str) -> None:
    this = trainer(name)
    x, y = data(name, 600)
    this.twin.init()
    first, *_, last = this.fit(x, y, epochs=4, rate=0.02)
    this.twin.init()
    assert last.loss < 0.6 * first.loss


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(
    ("name", "way"),
    turns(NETWORKS, [*zip(["sr16", "sr8"] * 2, CORES + CORES[::-1], strict=True)]),
)
def test_every_executor_holds_the_same_bytes(name: str, way: tuple[str, str]) -> None:
    """By every rule, and on every core, three networks."""
    rule, core = way
    x, y = data(name, 10)
    trainer(name, rule).verify(x, y, on=["reference", core], rate=0.02)


def test_on_a_map_of_one_pixel_it_is_a_fully_connected_layer() -> None:
    """Weights are read once there, so that copies for other kernels would cost more than they are for."""
    called = {(call.node, call.kernel.name) for call in trainer("one pixel").build.compiled.program.calls}
    for node, kernel in {"": "_s8", "_grad_input": "_grad_input_s8", "_update": "_update"}.items():
        assert (f"layer3{node}", f"mcg_linear{kernel}") in called
        assert (f"layer2{node}", f"mcg_conv2d{kernel}") in called


def test_a_pixel_with_something_beside_it_is_none() -> None:
    """Here the only window lies beside the only pixel."""
    layers: tuple[Layer, ...] = (
        (Conv2d, (5, 12, 12, 1), {"low": 0.0}),
        (Conv2d, (6, 1, 1, 5), {"stride": (3, 3), "padding": (1, 1, 1, 1)}),
        FLAT,
        (Linear, (4, 6), {}),
    )
    x, y = data("corners", 64)
    this = mg.compile(chain(x.shape[1:], layers), calibration=x, rule="sr8")
    assert "mcg_conv2d_s8" in {c.kernel.name for c in this.build.compiled.program.calls if c.node == "layer2"}
    this.verify(x[:6], y[:6], on=["reference"], rate=0.02)


def loss_of(graph: Graph, x: Array, labels: Array) -> float:
    """The sum over samples."""
    logits = run_float(graph, x)[graph.output].astype(np.float64)
    most = logits.max(axis=1, keepdims=True)
    scores = np.log(np.exp(logits - most).sum(axis=1)) + most[:, 0]
    return float((scores - logits[np.arange(len(labels)), labels]).sum())


def float_gradient(graph: Graph, layer: Any, x: Array, labels: Array, places: Array) -> Array:
    """Derivatives of the losses' sum by some of a layer's weights, by differences; what comes before it stays."""
    value, width = graph[layer.w].value, 1e-3
    assert value is not None
    names = [n.name for n in graph.nodes]
    x = x if layer.x == graph.input else run_float(graph, x)[layer.x]
    graph = replace(graph, nodes=graph.nodes[names.index(layer.name) :], input=layer.x)
    result = []
    for place in places:
        ends = []
        for sign in (1, -1):
            moved = value.copy()
            moved.flat[place] += sign * width
            ends.append(loss_of(graph.changed(layer.w, value=moved), x, labels))
        result.append((ends[0] - ends[1]) / (2 * width))
    return np.asarray(result)


def real_weights(state: dict[str, Array], tensor: str, rows: int) -> Array:
    master = state[tensor].astype(np.float64) + (
        state[f"{tensor}_residual"].reshape(-1) / 256.0 - 0.5
    ).reshape(state[tensor].shape)
    return (master.reshape(rows, -1) * state[f"{tensor}_scale"].astype(np.float64)[:, None]).reshape(-1)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_point_where_those_in_float_do(name: str) -> None:
    """The first layer's weights move as the errors tell that came through all the others."""
    this = trainer(name)
    x, y = data(name, 40)
    graph = this.model.graph
    samples, labels = this.quantize(x), y.astype(np.uint32)
    runner = ReferenceRunner(this.build.compiled)
    runner.init()
    # Ranges of errors settle while next to nothing is learnt.
    runner.train(samples, labels, np.arange(40, dtype=np.uint32), np.full(40, 1e-7, np.float32))
    begin = {k: v.copy() for k, v in runner.state().items()}
    for n in this.model.layers:  # the float network with the weights that the kernels read
        scale = begin[f"{n.w}_scale"].reshape(-1, *[1] * (len(graph[n.w].shape) - 1))
        graph = graph.changed(n.w, value=begin[n.w].reshape(graph[n.w].shape).astype(np.float32) * scale)
    layers = [n for n in this.model.layers if not isinstance(n, Linear)]
    random = np.random.default_rng(0)
    places = {n.w: random.permutation(graph[n.w].size)[:60] for n in layers}
    moved = {n.w: np.zeros(len(places[n.w])) for n in layers}
    expected = {n.w: float_gradient(graph, n, x[:20], y[:20], places[n.w]) for n in layers}
    for i in range(20):
        runner.restore(begin)
        runner.train(samples, labels, np.asarray([i], np.uint32), np.asarray([0.01], np.float32))
        end = runner.state()
        for n in layers:
            rows = graph[n.w].shape[0]
            step = real_weights(begin, n.w, rows) - real_weights(end, n.w, rows)
            moved[n.w] += step[places[n.w]]
    for n in layers:
        a, b = moved[n.w], expected[n.w]
        cosine = float(a @ b / np.sqrt((a @ a) * (b @ b)))
        assert cosine > 0.99, f"{n.name}: {cosine:.4f}"


def normalised(first: bool) -> Graph:
    """A depthwise convolution with a batch-norm before or behind it."""
    random = np.random.default_rng(0)
    values = {"w": random.normal(size=(3, 2, 2, 1)), "b": random.normal(size=3)}
    values |= {k: random.uniform(0.5, 2, 3) for k in ("gamma", "beta", "mean", "variance")}
    tensors = {k: Tensor(name=k, shape=v.shape, value=v.astype(np.float32)) for k, v in values.items()}
    shapes = {"input": (4, 4, 3), "between": (4, 4, 3) if first else (3, 3, 3), "output": (3, 3, 3)}
    tensors |= {k: Tensor(name=k, shape=v) for k, v in shapes.items()}
    names = (
        [("between", "output"), ("input", "between")]
        if first
        else [("input", "between"), ("between", "output")]
    )
    (x, y), (norm_x, norm_y) = names
    layer = DepthwiseConv2d(name="layer", x=x, y=y, w="w", b="b")
    statistics = {k: k for k in ("gamma", "beta", "mean", "variance")}
    norm = BatchNorm(name="norm", x=norm_x, y=norm_y, epsilon=1e-5, **statistics)
    return Graph("net", (norm, layer) if first else (layer, norm), tensors, "input", "output")


@pytest.mark.parametrize("first", [True, False])
def test_batch_norm_beside_a_depthwise_convolution_is_folded(first: bool) -> None:
    graph = normalised(first)
    x = np.random.default_rng(1).normal(size=(2, 4, 4, 3)).astype(np.float32)
    folded = fold(graph)
    assert not any(isinstance(n, BatchNorm) for n in folded.nodes)
    np.testing.assert_allclose(
        run_float(folded, x)[folded.output], run_float(graph, x)["output"], rtol=1e-4, atol=1e-5
    )


def test_sums_that_could_overflow_are_refused() -> None:
    x = np.random.default_rng(0).normal(size=(8, 1, 40_000, 1)).astype(np.float32)
    layers: tuple[Layer, ...] = (
        (DepthwiseConv2d, (1, 1, 20_000, 1), {"stride": (1, 20_000)}),
        FLAT,
        (Linear, (2, 2), {}),
    )
    with pytest.raises(ModelError, match="a sum of 20000 products can overflow"):
        mg.compile(chain((1, 40_000, 1), layers), calibration=x)


def test_a_transposed_convolution_sums_fewer_products_than_it_has_weights() -> None:
    """With stride 64 no two taps of 64 meet, so 20 000 weights of a channel are no 20 000 terms."""
    x = np.random.default_rng(0).normal(size=(8, 1, 2, 400)).astype(np.float32)
    layers: tuple[Layer, ...] = (
        (ConvTranspose2d, (1, 1, 64, 400), {"stride": (1, 64)}),
        FLAT,
        (Linear, (2, 128), {}),
    )
    mg.compile(chain((1, 2, 400), layers), calibration=x)
