"""What LiteRT says of TFLite files, what we say, and how the two compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import interpreter as litert
from numpy.typing import NDArray

from mcugrad.graph import ActivationScale, Graph
from mcugrad.importers.tflite import load_tflite
from mcugrad.passes.calibrate import run_float
from mcugrad.passes.fold import fold
from mcugrad.passes.propagate_scales import source_of
from quantizing import reference

if TYPE_CHECKING:
    from tflite_writer import Net

Array = NDArray[Any]


def interpreter(model: bytes, *, preserve: bool = False, fast: bool = False) -> Any:
    """LiteRT, its reference kernels or those that it runs by default: XNNPACK's, where these can."""
    kind = litert.OpResolverType
    runner = litert.Interpreter(
        model_content=model,
        experimental_op_resolver_type=kind.AUTO if fast else kind.BUILTIN_REF,
        experimental_preserve_all_tensors=preserve,
    )
    runner.allocate_tensors()
    return runner


def runtime(model: bytes, x: Array, *, fast: bool = False) -> Array:
    """LiteRT's outputs for samples, one by one, (n, outputs)."""
    runner = interpreter(model, fast=fast)
    first, last = runner.get_input_details()[0], runner.get_output_details()[0]
    found = []
    for sample in x:
        runner.set_tensor(first["index"], sample.reshape(first["shape"]))
        runner.invoke()
        found.append(runner.get_tensor(last["index"]).reshape(-1).copy())
    return np.stack(found)


def ours(graph: Graph, x: Array) -> Array:
    """Outputs of a float graph, (n, outputs)."""
    folded = fold(graph)
    return run_float(folded, x.reshape(len(x), *graph[graph.input].shape))[folded.output]


def device(graph: Graph, x: Array) -> Array:
    """Outputs of a quantized graph by the integer reference that the device equals bit for bit."""
    return reference(graph).predict(x.reshape(len(x), -1))


@dataclass(frozen=True)
class Agreement:
    """How our outputs compare with LiteRT's.

    Attributes:
        worst: largest difference, in steps of LiteRT's output.
        equal: share of outputs without a difference.
        top1: share of samples with the same largest output.
        outputs: number of outputs compared.
    """

    worst: float
    equal: float
    top1: float
    outputs: int


def codes(x: Array, scale: Any, zero: Any) -> Array:
    """Real numbers as int8."""
    return np.clip(np.floor(x / scale + zero + 0.5), -128, 127).astype(np.int8)


def _both(net: Net, x: Array, fast: bool) -> tuple[Array, Array, float]:
    """Outputs of an int8 network in steps of LiteRT's output from zero: ours, LiteRT's; and the step."""
    model = net.bytes()
    graph = fold(load_tflite(model))
    quant, out = graph[graph.input].quant, graph[source_of(graph, graph.output)].quant
    assert isinstance(quant, ActivationScale)
    assert isinstance(out, ActivationScale)
    q = codes(x, quant.scale, quant.zero)
    scale, zero = interpreter(model).get_output_details()[0]["quantization"]
    expected = runtime(model, q, fast=fast).astype(np.int64) - zero
    found = (device(graph, q).astype(np.float64) - out.zero) * out.scale / scale
    return (np.round(found) if abs(scale - out.scale) < 1e-6 * scale else found), expected, scale


def agreement(net: Net, x: Array, *, fast: bool = True) -> Agreement:
    """Compare outputs of an int8 network on real samples."""
    found, expected, _ = _both(net, x, fast)
    steps = found - expected
    choice = found.argmax(axis=1)
    top = (choice == expected.argmax(axis=1)) | _tied(expected, choice)
    return Agreement(float(np.abs(steps).max()), float((steps == 0).mean()), float(top.mean()), steps.size)


def errors(net: Net, real: Net, x: Array, *, fast: bool = True) -> tuple[float, float]:
    """How far the outputs of an int8 network are from the float network's, root mean square: ours, LiteRT's."""
    found, expected, scale = _both(net, x, fast)
    wanted = runtime(real.bytes(), x) / scale
    ours_off, litert_off = (float(np.sqrt(np.mean((v - wanted) ** 2))) for v in (found, expected))
    return ours_off, litert_off


def _tied(expected: Array, choice: Array) -> Array:
    """Where LiteRT gives our choice the same largest code as its own."""
    chosen: Array = expected[np.arange(len(expected)), choice]
    return chosen == expected.max(axis=1)
