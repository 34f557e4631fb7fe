"""Importing networks that branch and join: what comes in, and what is folded, equals onnxruntime."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from mcugrad.graph import Graph
from mcugrad.graph.spec import check
from mcugrad.importers.onnx import load_onnx
from mcugrad.passes.fold import fold
from onnx_nets import Array, Net, assert_close, dags, net_shape, ours, runtime

I64 = np.int64


def imported(net: Net, opset: int = 17) -> Graph:
    """The folded graph, proven equal to onnxruntime before and after folding, on random samples."""
    model = net.bytes(opset)
    before = check(load_onnx(model))
    after = check(fold(before))
    x: Array = net.rng.normal(size=(3, *net_shape(net))).astype(np.float32)
    expected = runtime(model, x)
    if expected.ndim > 2:
        expected = np.moveaxis(expected, 1, -1)
    for graph in (before, after):
        assert_close(ours(graph, x), expected.reshape(3, -1))
    return after


@settings(max_examples=100)
@given(dags())
def test_random_networks(net: Net) -> None:
    imported(net)
