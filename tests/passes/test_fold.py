"""Folding changes no result: against the graph before and onnxruntime; what cannot be folded stays, as a layer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from mcugrad.errors import ModelError
from mcugrad.graph import Graph
from mcugrad.graph.spec import check
from mcugrad.importers.onnx import load_onnx
from mcugrad.ops.activation.clip import Clip
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.joining.add import Add
from mcugrad.ops.movement.slice import Pad
from mcugrad.ops.normalization.batch_norm import BatchNorm
from mcugrad.passes.fold import fold
from onnx_nets import Array, Net, assert_close, join, net_shape, networks, ours, runtime
from thoroughness import LONG


def folded(net: Net) -> Graph:
    """The folded graph, proven equal to the unfolded one and to onnxruntime on random samples."""
    model = net.bytes()
    before = check(load_onnx(model))
    after = check(fold(before))
    assert not any(isinstance(n, BatchNorm) for n in after.nodes)
    x: Array = net.rng.normal(size=(4, *net_shape(net))).astype(np.float32)
    expected = runtime(model, x)
    assert_close(ours(before, x), expected)
    assert_close(ours(after, x), expected)
    return after


def layers(graph: Graph) -> list[tuple[str, float | None, float | None]]:
    """Layers with weights, with their bounds."""
    return [(n.name, n.low, n.high) for n in graph.nodes if isinstance(n, Weighted)]


def refused(net: Net) -> ModelError:
    """The error of folding."""
    graph = load_onnx(net.bytes())
    with pytest.raises(ModelError) as caught:
        fold(graph)
    return caught.value


@settings(max_examples=150 if LONG else 60)
@given(networks())
def test_random_networks_keep_their_results(case: tuple[Net, tuple[int, ...]]) -> None:
    folded(case[0])


def test_batch_norm_and_relu_go_into_the_layer_before() -> None:
    net = Net(1, 2, 5, 5).conv(2, 3).norm(3).op("Relu").op("Flatten").fc(27, 4).norm(4)
    net.op("Clip", np.float32(0), np.float32(6)).fc(4, 2)
    graph = folded(net)
    assert layers(graph) == [("conv1", 0.0, None), ("fc1", 0.0, 6.0), ("fc2", None, None)]
    assert graph.notes[-1] == "2 normalizations folded into the weights of the layers beside"
    assert not [t for t in graph.tensors if t.startswith("bn")]


def test_batch_norm_at_the_end() -> None:
    graph = folded(Net(1, 6).fc(6, 4).norm(4))
    assert graph.output == "fc1_y"


def test_two_batch_norms_in_a_row() -> None:
    folded(Net(1, 6).fc(6, 4).norm(4).norm(4))
    folded(Net(1, 6).norm(6).norm(6).fc(6, 4))


def test_activation_function_moves_before_pooling_and_flattening() -> None:
    net = Net(1, 1, 6, 6).conv(1, 2).op("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]).op("Relu")
    net.op("Flatten").op("Clip", None, np.float32(1)).fc(32, 3)
    assert layers(folded(net))[0] == ("conv1", 0.0, 1.0)


@pytest.mark.parametrize(
    ("first", "second", "result"),
    [((0, 6), (None, 1), (0.0, 1.0)), ((None, 2), (-1, 8), (-1.0, 2.0)), ((-1, 1), (-3, 3), (-1.0, 1.0))],
)
def test_clip_after_clip(
    first: tuple[float, float], second: tuple[float, float], result: tuple[float, float]
) -> None:
    net = Net(1, 6).fc(6, 4)
    for bounds in (first, second):
        net.op("Clip", *(None if b is None else np.float32(b) for b in bounds))
    assert layers(folded(net))[0][1:] == result


def test_batch_norm_after_pooling_goes_before_it_if_no_factor_is_negative() -> None:
    net = Net(1, 1, 6, 6).conv(1, 2).op("MaxPool", kernel_shape=[2, 2]).norm(2, positive=True).op("Relu")
    graph = folded(net.op("Flatten").fc(18, 3))
    assert layers(graph)[0] == ("conv1", 0.0, None)


def test_batch_norm_with_a_negative_factor_after_pooling_goes_into_the_next_layer() -> None:
    net = Net(1, 1, 6, 6).conv(1, 2).op("Relu").op("MaxPool", kernel_shape=[2, 2])
    net.op("BatchNormalization", -np.ones(2), np.ones(2), np.ones(2), np.ones(2))
    folded(net.conv(2, 3).op("Flatten").fc(3, 3))


def test_batch_norm_at_the_input_goes_into_the_next_layer() -> None:
    folded(Net(1, 2, 5, 5).norm(2).conv(2, 3, strides=[2, 1], dilations=[1, 2]).op("Flatten").fc(6, 2))
    folded(Net(1, 5).norm(5).fc(5, 2))
    folded(Net(1, 2, 5, 5).norm(2, positive=True).op("MaxPool", kernel_shape=[2, 2]).op("Flatten").fc(32, 2))


def test_batch_norm_without_a_shift_goes_into_a_padded_convolution() -> None:
    net = Net(1, 2, 5, 5).op("Mul", np.float32(0.5)).conv(2, 3, pads=[1, 0, 2, 1])
    folded(net.op("Flatten").fc(72, 2))


def test_batch_norm_after_flattening() -> None:
    folded(Net(1, 2, 4, 4).conv(2, 3).op("Relu").op("Flatten").norm(12).fc(12, 3))
    folded(Net(1, 2, 4, 4).conv(2, 3).op("Flatten").norm(12).fc(12, 3))
    folded(Net(1, 2, 3, 3).conv(2, 3).op("Flatten").norm(3).op("Relu").fc(3, 3))


def test_arithmetic_with_constants() -> None:
    net = Net(1, 2, 5, 5).op("Sub", np.float32([[[0.4]], [[0.5]]])).op("Div", np.float32([[[0.2]], [[0.3]]]))
    net.conv(2, 3, bias=False).op("Add", net.normal(1, 3, 1, 1), side=1).op("Relu").op("Flatten")
    net.op("Mul", net.normal(27), side=1).op("Sub", net.normal(1), side=1).fc(27, 4)
    net.op("Sub", net.normal(4)).op("Add", net.normal(1, 1))
    assert len(folded(net).nodes) == 3


def own(graph: Graph) -> list[str]:
    """Layers that batch-norms became."""
    return [n.name for n in graph.nodes if isinstance(n, DepthwiseConv2d)]


def test_batch_norm_after_activation_before_padding_becomes_a_layer() -> None:
    net = Net(1, 1, 6, 6).conv(1, 2).op("Relu").norm(2).conv(2, 2, pads=[1, 1, 1, 1])
    graph = folded(net.op("Flatten").fc(32, 2))
    assert own(graph) == ["bn1"]
    assert graph.notes[-1] == (
        "1 normalization becomes a layer of its own: batchnormalization_2 (an activation function between conv1 and "
        "it, and conv2 after it pads with zeros)"
    )


def test_activation_functions_without_a_layer_before_stay() -> None:
    net = Net(1, 2, 6, 6).op("Relu").op("MaxPool", kernel_shape=[2, 2]).op("Clip", np.float32(-1)).conv(2, 2)
    graph = folded(net.op("Relu").norm(2).op("Relu").op("Flatten").fc(18, 2).op("Relu").norm(2))
    assert [(n.name, n.low, n.high) for n in graph.nodes if isinstance(n, Clip)] == [("relu1", 0.0, None)]
    assert layers(graph) == [
        ("conv1", 0.0, None),
        ("bn1", 0.0, None),
        ("fc1", 0.0, None),
        ("bn2", None, None),
    ]


def test_negative_factors_around_pooling_need_a_layer() -> None:
    minus = [-np.ones(2), *np.ones((3, 2))]
    net = Net(1, 1, 6, 6).conv(1, 2).op("MaxPool", kernel_shape=[2, 2]).op("BatchNormalization", *minus)
    graph = folded(net.op("Relu").op("Flatten").fc(18, 2))
    assert own(graph) == ["bn1"]
    assert "a negative factor after pool1, and no layer with weights right after it" in graph.notes[-1]
    net = Net(1, 2, 6, 6).op("BatchNormalization", *minus).op("MaxPool", kernel_shape=[2, 2])
    graph = folded(net.op("Flatten").fc(50, 2))
    assert own(graph) == ["bn1"]
    assert "no layer with weights before it, and a negative factor before pool1" in graph.notes[-1]


def test_several_factors_per_channel_need_a_layer() -> None:
    graph = folded(Net(1, 2, 4, 4).conv(2, 3).op("Flatten").norm(12).op("Relu").fc(12, 3))
    assert own(graph) == ["bn1"]
    assert "several factors per channel after flatten1" in graph.notes[-1]
    assert layers(graph)[1] == ("bn1", 0.0, None)


def test_average_pooling_lets_factors_and_padding_pass() -> None:
    net = Net(1, 1, 6, 6).conv(1, 2).op("AveragePool", kernel_shape=[2, 2], pads=[1, 1, 0, 0]).norm(2)
    assert own(folded(net.op("Flatten").fc(32, 2))) == []
    window = {"kernel_shape": [2, 2], "pads": [1, 1, 0, 0], "count_include_pad": 1}
    net = Net(1, 1, 6, 6).conv(1, 2).op("AveragePool", **window).norm(2)
    assert own(folded(net.op("Relu").op("Flatten").fc(32, 2))) == ["bn1"]


def test_nothing_is_folded_past_a_value_that_several_nodes_read() -> None:
    net = Net(1, 2, 5, 5).conv(2, 2, (1, 1))
    shared = net.top
    net.norm(2).op("Relu")
    join(net, "Add", shared, net.top)
    graph = folded(net.op("Relu").op("Flatten").fc(50, 3))
    assert own(graph) == ["bn1"]
    assert layers(graph)[:2] == [("conv1", None, None), ("bn1", 0.0, None)]
    assert [(n.low, n.high) for n in graph.nodes if isinstance(n, Add)] == [(0.0, None)]
    assert "several nodes read what conv1 computes" in graph.notes[-1]
    net = Net(1, 2, 5, 5).conv(2, 2, (1, 1))
    shared = net.top
    net.op("Relu")
    join(net, "Concat", shared, net.top, axis=1)
    graph = folded(net.op("Flatten").fc(100, 3))
    assert [n.name for n in graph.nodes if isinstance(n, Clip)] == ["relu1"]
    assert layers(graph)[0] == ("conv1", None, None)


@pytest.mark.parametrize("group", [1, 2, 4])
def test_batch_norm_before_grouped_convolutions(group: int) -> None:
    net = Net(1, 4, 5, 5).norm(4).conv(4 // group, 8, group=group).op("Flatten").fc(72, 2)
    assert "bn1" not in own(folded(net))


def test_batch_norm_around_transposed_convolutions() -> None:
    weights = np.random.default_rng(0).normal(size=(2, 3, 2, 2))
    net = Net(1, 2, 4, 4).op("Mul", np.float32([[[2]], [[3]]])).op("ConvTranspose", weights, strides=[2, 2])
    assert own(folded(net.norm(3).op("Relu").op("Flatten").fc(192, 2))) == []
    net = Net(1, 2, 4, 4).norm(2).op("ConvTranspose", weights).op("Flatten")
    assert own(folded(net.fc(75, 2))) == ["bn1"]


def test_padding_goes_into_the_convolution() -> None:
    pads = np.asarray([0, 0, 1, 0, 0, 0, 2, 1], np.int64)
    graph = load_onnx(Net(1, 2, 5, 5).op("Relu").op("Pad", pads).op("Relu").conv(2, 3).op("Flatten").bytes())
    graph = fold(graph)
    (layer,) = (n for n in graph.nodes if isinstance(n, Conv2d))
    assert layer.padding == (1, 0, 2, 1)
    assert not [n for n in graph.nodes if isinstance(n, Pad)]


def test_bounds_that_leave_a_constant_are_refused() -> None:
    error = refused(Net(1, 6).fc(6, 4).op("Relu").op("Clip", None, np.float32(0)).fc(4, 2))
    assert error.what == "activation functions one after the other leave the constant 0"
    assert error.where == "clip_2  Clip"


def test_overflow_is_refused() -> None:
    huge = [np.full(4, 3e38), *np.ones((3, 4))]
    error = refused(Net(1, 6).fc(6, 4).op("BatchNormalization", *huge).op("Mul", np.float32(100)))
    assert error.what == "folding into fc1 gives weights that are not finite"


def test_a_folded_graph_stays_as_it_is() -> None:
    graph = folded(Net(1, 6).fc(6, 4).op("Relu").fc(4, 2))
    assert fold(graph).nodes == graph.nodes
