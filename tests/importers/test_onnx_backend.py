"""ONNX's own test cases of single operators: what the importer takes in must compute what the standard says."""

from __future__ import annotations

import importlib
import pkgutil
import re
import warnings
from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.backend.test.case import node as cases

from mcugrad.errors import ModelError
from mcugrad.graph.spec import check
from mcugrad.importers.onnx import load_onnx
from mcugrad.importers.onnx.operators import HIDDEN, RULES
from mcugrad.passes.calibrate import run_float
from mcugrad.passes.fold import fold

Array = np.ndarray[Any, Any]

SLOPE = 0.5
NO_FLOATS = "not one float value and constants"
"""The case is about integers, strings or sequences, or about constants alone."""


@cache
def collected() -> dict[str, Any]:
    """Test cases of the operators that have a rule."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in pkgutil.iter_modules(cases.__path__):
            if module.name.replace("_", "") in {kind.lower() for kind in RULES}:  # the others take seconds
                importlib.import_module(f"{cases.__name__}.{module.name}")
    found = {}
    for case in cases._NodeTestCases:
        kinds = {n.op_type for n in case.model.graph.node}
        if len(kinds) == 1 and kinds <= set(RULES) - set(HIDDEN):
            found[case.name] = case
    return found


def as_constants(case: Any) -> tuple[onnx.ModelProto, Array, Array] | None:
    """The case with its first float input alone, the others as constants; None if there is none."""
    inputs, outputs = case.data_sets[0]
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph = model.graph
    if not inputs or not isinstance(outputs[0], np.ndarray) or len(inputs) != len(graph.input):
        return None
    if any(isinstance(v, list | str) or v is None for v in inputs):
        return None
    inputs = [np.asarray(v) for v in inputs]
    x, y = inputs[0], np.asarray(outputs[0])
    if x.dtype.kind != "f" or x.ndim == 0 or y.dtype.kind != "f":
        return None
    if x.ndim == 1:  # a list of numbers becomes a sample
        x, y = x[None], y[None]
        graph.input[0].type.tensor_type.shape.dim.insert(0, onnx.TensorShapeProto.Dimension(dim_value=1))
    for value, data in zip(list(graph.input)[1:], inputs[1:], strict=True):
        graph.initializer.append(numpy_helper.from_array(data, value.name))
        graph.input.remove(value)
    del graph.output[1:]
    if len(graph.node) == 1:  # so that something computes where the case is about a shape
        graph.node.append(helper.make_node("LeakyRelu", [graph.output[0].name], ["end"], alpha=SLOPE))
        graph.output[0].name = "end"
        y = np.where(y < 0, SLOPE * y, y)
    return model, x, y


def outcome(name: str) -> str:
    """`equal`, or why the case is not taken in."""
    found = as_constants(collected()[name])
    if found is None:
        return NO_FLOATS
    model, x, expected = found
    try:
        graph = check(fold(check(load_onnx(model.SerializeToString()))))
    except ModelError as error:
        return f"{error.what}: {error.where}"
    real = x.astype(np.float32)
    assert graph[graph.input].size * len(x) == x.size, "the batch is the first axis"
    if len(expected) != len(x):  # the batch is gone
        expected = expected[None]
    for layout in arrangements(real, graph[graph.input].shape):
        y = run_float(graph, layout)[graph.output]
        if any(matches(y, e) for e in arrangements(expected.astype(np.float32), y.shape[1:])):
            return "equal"
    raise AssertionError(f"{name} computes something else")


def arrangements(x: Array, shape: tuple[int, ...]) -> list[Array]:
    """A batch as the device may have it: axes in any order, then its shape."""
    orders = permutations(range(1, x.ndim))
    return [x.transpose(0, *order).reshape(len(x), *shape) for order in orders if x[0].size == np.prod(shape)]


def matches(actual: Array, expected: Array) -> bool:
    return bool(np.allclose(actual, expected, rtol=1e-3, atol=1e-5))


REASONS = (
    NO_FLOATS,
    "input .* dimensions; 2",  # scalars, lists, volumes
    "dimension 1 of input .* is 0",
    "the graph is empty",  # nothing to compute: Identity, Dropout, a softmax
    "constant of shape",  # elementwise with a constant of every pixel, or of more axes than the value
    "Concat: a constant is among",
    "it is empty or reaches outside",
    "ConvTranspose: group is 2",
    "[Ee]lu: alpha is 2; at most 1.99",
    "indices of shape",
    "Softmax: only supported at the end",
    "a bound is not one number|leave a constant",
    "Sum: several constants",
    "Gemm: transA is set",
    "MatMul: weights have",
    "mixes axes or changes the batch",
    "reduces the batch, too",
    "over channels and height, but not width",
    "Resize: mode (linear|cubic)|not every pixel repeated|Resize: keep_aspect_ratio_policy",
    "Pad: mode (edge|reflect|wrap)|pads with another value",
    "Slice: counts backwards|reaches outside, moves samples",
    "axis .* the batch|moves the batch|the batch would come last",
    "training_mode is set",
    "several scales for one activation",
    "its scale|its zero point|quantizes to",
    "second output is used",
    "divides by a computed value",
    "Expand of .* to",
    "only [-.\\d]+ is supported",
)
"""Why cases are refused, as patterns: volumes, other samples' values, interpolation, and what no network needs."""


@pytest.fixture(scope="module")
def results() -> dict[str, str]:
    return {name: outcome(name) for name in collected()}


def test_cases_are_equal_or_refused_with_a_known_reason(results: dict[str, str]) -> None:
    known = re.compile("|".join(REASONS))
    surprising = {
        name: found for name, found in results.items() if found != "equal" and not known.search(found)
    }
    assert not surprising
    assert sum(found == "equal" for found in results.values()) >= 135


def test_operators_have_a_case_that_is_equal(results: dict[str, str]) -> None:
    equal = {
        n.op_type
        for name, found in results.items()
        if found == "equal"
        for n in collected()[name].model.graph.node
    }
    in_networks = {"Cast", "Concat", "DequantizeLinear", "Expand", "Pad", "QuantizeLinear"}  # tested there
    at_the_end = {"LogSoftmax", "Softmax"}
    assert set(RULES) - set(HIDDEN) - equal <= in_networks | at_the_end
