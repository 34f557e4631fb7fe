"""int8 TFLite files beside LiteRT: whole networks on the host twin, and the layers that differ.

Layers are compared on the same inputs: LiteRT's activations, all made outputs of the file, go into each layer of ours.
A layer that differs is then one that rounds otherwise, and not one that was handed something else.
"""

from __future__ import annotations

import copy
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bars import ROOT, Results
from numpy.typing import NDArray

import mcugrad as mg
from mcugrad.graph import ActivationScale, Graph, Operator
from mcugrad.ops.activation.activation import Activation
from mcugrad.program import PREDICT, Call
from mcugrad.program.execute import execute
from mcugrad.trainer import Trainer

sys.path.append(str(ROOT / "tests/helpers"))
from litert_says import codes, interpreter, runtime
from tflite_writer import Net

LAYERWISE = 16
"""Images, besides those whose outputs differ, whose layers are compared one by one."""

Codes = NDArray[np.int8]


def compare(net: Net, x: NDArray[np.float32], folder: Path) -> Results:
    """What LiteRT, with its default kernels, and the twin make of an int8 network's file.

    Args:
        net: the network in int8.
        x: samples.
        folder: for the file.
    """
    path = folder / "litert.tflite"
    path.write_bytes(net.bytes())
    trainer = mg.compile(mg.load(path), train="none")
    first = net.items[0]
    q = codes(x, first.scale, first.zero).reshape(len(x), -1)
    ours = trainer.twin.predict(q).astype(np.int64)
    theirs = runtime(path.read_bytes(), q, fast=True).astype(np.int64)
    steps = np.abs(ours - theirs)
    differ = np.flatnonzero(steps.any(axis=1))
    chosen = sorted({*differ.tolist(), *range(min(LAYERWISE, len(q)))})
    found, firsts = layerwise(net, trainer, q, chosen, theirs)
    begun = [firsts[image] for image in differ.tolist() if image in firsts]
    largest = np.sort(theirs, axis=1)
    return {
        "images": len(q),
        "outputs_equal": float((steps == 0).mean()),
        "outputs_within_1": float((steps <= 1).mean()),
        "largest_difference": int(steps.max()),
        "top1": float((ours.argmax(axis=1) == theirs.argmax(axis=1)).mean()),
        "tied": int((largest[:, -1] == largest[:, -2]).sum()),
        "differ": len(differ),
        "unexplained": len(differ) - len(begun),
        "first_layers": dict(sorted(Counter(begun).items())),
        **found,
    }


def layerwise(
    net: Net, trainer: Trainer, q: Codes, chosen: Sequence[int], expected: NDArray[np.int64]
) -> tuple[Results, dict[int, str]]:
    """Outputs of all layers on some samples, each computed from LiteRT's inputs of the layer.

    Returns:
        What was found: outputs compared, those that differ by kind of layer, largest difference. And by sample the
        first layer that differs.
    """
    everything = copy.copy(net)
    everything.outputs = [o.output for o in net.operators]
    runner = interpreter(everything.bytes(), fast=True)
    places = {d["name"]: d["index"] for d in runner.get_output_details()}
    graph, program = trainer.build.graph, trainer.build.compiled.program
    layers = {n.name: n for n in graph.nodes if isinstance(n, Operator) and n.source in places}
    last = {call.node: i for i, call in enumerate(program.calls_of(PREDICT))}
    values = {
        name: np.zeros(b.shape, b.dtype) if b.value is None else b.value.copy()
        for name, b in program.buffers.items()
    }
    compared = worst = 0
    kinds: Counter[str] = Counter()
    firsts: dict[int, str] = {}
    for image in chosen:
        runner.set_tensor(runner.get_input_details()[0]["index"], q[image].reshape(net.items[0].shape))
        runner.invoke()
        if not np.array_equal(runner.get_tensor(places[net.items[net.top].name]).ravel(), expected[image]):
            raise RuntimeError(f"image {image}: LiteRT's result depends on which tensors are outputs")
        values[program.input] = q[image].copy()
        for i, call in enumerate(program.calls_of(PREDICT)):
            execute(call, values)
            if last[call.node] != i or call.node not in layers:
                continue
            node = layers[call.node]
            y = values[node.y].reshape(-1)
            theirs = _bounded(graph, node, call, values, runner.get_tensor(places[node.source]).reshape(-1))
            steps = np.abs(y.astype(np.int64) - theirs)
            compared += steps.size
            if steps.any():
                worst = max(worst, int(steps.max()))
                kinds[type(node).__name__] += int(np.count_nonzero(steps))
                firsts.setdefault(image, node.title)
            y[:] = theirs
    found = {"compared": compared, "largest_in_layers": worst, "layers_differ": dict(sorted(kinds.items()))}
    return found, firsts


def _bounded(
    graph: Graph, node: Operator, call: Call, values: dict[str, Any], theirs: NDArray[Any]
) -> NDArray[Any]:
    """LiteRT's outputs of a layer, as far as the function behind it, if there is one, tells them apart.

    We clip a layer where hard swish is 0 anyhow.
    """
    clip = next(
        (a for p, a in zip(call.kernel.params, call.arguments, strict=True) if p.name == "clip"), None
    )
    behind = [n for n in graph.nodes if node.y in n.inputs]
    if clip is None or not behind or not all(isinstance(n, Activation) for n in behind):
        return theirs
    quant = graph[node.y].quant
    assert isinstance(quant, ActivationScale)
    low, high = (int(v) for v in values[clip.buffer])
    return np.clip(theirs.astype(np.int64) - quant.zero, low, high) + quant.zero
