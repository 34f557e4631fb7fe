"""Time and size grow with the network, not with its square; a small file that would grow beyond reason is refused."""

from __future__ import annotations

import cProfile
import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import mcugrad as mg
import tflite_writer
from mcugrad import toolchain, ways
from mcugrad.commands.inspect import choice_facts
from mcugrad.emit.steps import TOGETHER
from mcugrad.footprint import Room
from mcugrad.importers.onnx.functions import nodes_written_out
from mcugrad.importers.shared import growth
from mcugrad.toolchain import size
from mcugrad.training.rules import updates
from mcugrad.ways import Footprints
from onnx_nets import Net, refused
from test_fit import board
from thoroughness import LONG

RATIO = 2.1
"""Calls of functions for a network twice as deep, times as many: 4 where something is quadratic."""
DEPTHS = (48, 96) if LONG else (24, 48)


def join(net: Net, kind: str, other: str, **attributes: Any) -> Net:
    net.op(kind, **attributes)
    net.nodes[-1].input.append(other)
    return net


def ended(net: Net, channels: int) -> bytes:
    return net.op("GlobalAveragePool").op("Flatten").fc(channels, 3).bytes()


def chain(depth: int) -> bytes:
    net = Net(1, 3, 4, 4)
    for i in range(depth):
        net.conv(3, 3, pads=(1, 1, 1, 1)).op("Relu" if i % 2 else "Sigmoid")
    return ended(net, 3)


def residual(depth: int) -> bytes:
    net = Net(1, 3, 4, 4)
    for _ in range(depth // 2):
        x = net.top
        net.conv(3, 3, pads=(1, 1, 1, 1)).op("Relu").conv(3, 3, pads=(1, 1, 1, 1))
        join(net, "Add", x).op("Relu")
    return ended(net, 3)


def separable(depth: int) -> bytes:
    net = Net(1, 3, 4, 4)
    for _ in range(depth // 2):
        net.op("Conv", net.normal(3, 1, 3, 3), group=3, pads=(1, 1, 1, 1)).norm(3).op("Relu")
        net.conv(3, 3, (1, 1), bias=False).norm(3).op("Relu")
    return ended(net, 3)


def dense(depth: int) -> bytes:
    net = Net(1, 2, 2, 2)
    for channels in range(2, 2 + depth):
        x = net.top
        join(net.conv(channels, 1, (1, 1)).op("Relu"), "Concat", x, axis=1)
    return ended(net, 2 + depth)


def linear(depth: int) -> bytes:
    net = Net(1, 4)
    for _ in range(depth):
        net.fc(4, 4).op("Relu")
    return net.fc(4, 3).bytes()


def tflite(depth: int) -> bytes:
    net = tflite_writer.Net(1, 4, 4, 3)
    for _ in range(depth // 2):
        x = net.top
        net.conv(3, 3).conv(3, 3).op("ADD", x, fusedActivationFunction=tflite_writer.RELU)
    return net.flatten(48).fc(48, 3).bytes()


FAMILIES: dict[str, Callable[[int], bytes]] = {
    f.__name__: f for f in (chain, residual, separable, dense, linear, tflite)
}


def load(family: str, depth: int, folder: Path) -> mg.Model:
    path = folder / f"net{depth}.{'tflite' if family == 'tflite' else 'onnx'}"
    path.write_bytes(FAMILIES[family](depth))
    return mg.load(path, name="net")


def compiled(model: mg.Model, **options: Any) -> mg.Trainer:
    x = np.random.default_rng(0).standard_normal((2, *model.input_shape)).astype(np.float32)
    return mg.compile(model, calibration=x, calibration_method="minmax", **options)


def counted(action: Callable[[], Any]) -> int:
    """Function calls that an action takes: the same on every computer, busy or not."""
    counter = cProfile.Profile()
    counter.runcall(action)
    return sum(entry.callcount for entry in counter.getstats())


@pytest.mark.parametrize("family", FAMILIES)
def test_calls_grow_with_the_depth(family: str, tmp_path: Path) -> None:
    compiled(load(family, 4, tmp_path))  # imports and caches
    counts = [counted(lambda n=n: compiled(load(family, n, tmp_path))) for n in DEPTHS]  # type: ignore[misc]
    assert counts[1] / counts[0] < RATIO, counts


def test_depth_needs_no_recursion(tmp_path: Path) -> None:
    model, limit = load("linear", 200, tmp_path), sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 150)
    try:
        trainer = compiled(model, train="all", rule="sr8")
    finally:
        sys.setrecursionlimit(limit)
    assert len(trainer.model.layers) == 201


@pytest.mark.parametrize("place", ["first", "last"])
def test_values_that_are_doubled_again_and_again(place: str) -> None:
    """2^40 ways lead through these sums."""
    net = Net(1, 8) if place == "first" else Net(1, 8).fc(8, 4)
    for _ in range(40):
        join(net, "Add", net.top)
    data = (net.fc(8, 4) if place == "first" else net).bytes()
    for options in ({}, {"sparse": None, "precision": "float32"}):
        graph = compiled_bytes(data, **options).build.graph
        assert sum("Add" in type(node).__name__ for node in graph.nodes) >= 40


def compiled_bytes(data: bytes, **options: Any) -> mg.Trainer:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        path.write_bytes(data)
        return compiled(mg.load(path), **options)


# -- files that grow ---------------------------------------------------------------------------------------------


def nested(depth: int, width: int, opset: int = 17, *, circle: bool = False) -> bytes:
    """A network of one node, which calls a function that calls a function ..., each several times."""
    model = Net(1, 4).fc(4, 4).op(f"F{depth - 1}", domain="f").fc(4, 3).model(opset)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("f", 1)]
    for level in range(depth):
        kind, domain = ("Relu", "") if level == 0 and not circle else (f"F{(level - 1) % depth}", "f")
        names = ["x", *(f"t{i}" for i in range(1, width)), "y"]
        nodes = [helper.make_node(kind, [names[i]], [names[i + 1]], domain=domain) for i in range(width)]
        model.functions.append(helper.make_function("f", f"F{level}", ["x"], ["y"], nodes, opsets))
    model.opset_import.append(opsets[1])
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("opset", [11, 17])
def test_functions_within_functions_are_counted_before_they_are_written_out(opset: int) -> None:
    assert refused(nested(12, 8, opset)).what == (
        "the network has 68,719,476,738 nodes, functions written out; at most 20,000 are supported"
    )
    assert "more than 1,000,000,000,000,000 nodes" in refused(nested(60, 8, opset)).what


def test_functions_are_counted_as_they_are_written_out() -> None:
    for depth, width in ((1, 1), (2, 3), (3, 2)):
        model = onnx.load_model_from_string(nested(depth, width))
        assert nodes_written_out(model) == 2 + width**depth
    assert sum(type(n).__name__ == "Clip" for n in compiled_bytes(nested(2, 3)).build.graph.nodes) <= 9


def test_a_function_that_calls_itself_is_refused() -> None:
    assert "calls itself" in refused(nested(3, 2, circle=True)).what


def test_shared_weights_count_as_often_as_they_are_copied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(growth, "WEIGHT_LIMIT", 200)
    net = Net(1, 8)
    shared = net.const("w", net.normal(8, 8))
    for _ in range(4):
        join(net, "MatMul", shared)
    assert refused(net).what == "the weights up to fc3_w are 208 numbers; at most 200 are supported"
    lite = tflite_writer.Net(1, 8)
    w, b = lite.constant(lite.normal(8, 8)), lite.constant(lite.normal(8))
    for _ in range(4):
        lite.op("FULLY_CONNECTED", w, b)
    path = tmp_path / "net.tflite"
    path.write_bytes(lite.bytes())
    with pytest.raises(mg.ModelError, match=r"the weights up to fc3_w are \d+ numbers; at most 200"):
        mg.load(path)


# -- generated C ---------------------------------------------------------------------------------------------------


def test_kernels_are_there_once(tmp_path: Path) -> None:
    """A step function is a list of calls, whatever the compiler would like to inline."""
    trainer = compiled(load("residual", 20, tmp_path), rule="sr16")
    text = trainer.build.compiled.files["net.c"]
    calls = Counter(call.kernel.name for call in trainer.build.compiled.program.calls)
    apart = set(re.findall(r"^MCG_APART static (?:void|int32_t|bool) (mcg_\w+)\(", text, re.MULTILINE))
    assert calls.keys() <= apart
    folder = trainer.build.compiled.folder()
    library = toolchain.build_shared([folder / "net.c"], [folder], compiler=toolchain.host_compilers()[0])
    sizes = {symbol.name: symbol.bytes for symbol in size.symbols(library)}
    program = trainer.build.compiled.program
    backward = sum(count for name, count in sizes.items() if name.startswith("net_backward"))
    assert backward < 300 * len(program.segments["backward"].calls)


def test_no_function_has_many_calls(tmp_path: Path) -> None:
    """What compilers keep on the stack between calls, addresses for the most part, does not grow with the network."""
    made = compiled(load("residual", 20, tmp_path), rule="sr16").build.compiled
    function = r"^(?:MCG_APART )?static void (net_\w+)\([^)]*\)\n\{\n(.*?)^\}"
    bodies = re.findall(function, made.files["net.c"], re.MULTILINE | re.DOTALL)
    calls = {name: re.findall(r"^    (mcg|net)_\w+\(", body, re.MULTILINE) for name, body in bodies}
    program = made.program
    assert sum(
        found.count("mcg") for name, found in calls.items() if name.startswith("net_backward_")
    ) == len(program.segments["backward"].calls)
    assert max(found.count("mcg") for found in calls.values()) <= TOGETHER
    assert calls["net_backward"].count("net") == len([n for n in calls if n.startswith("net_backward_")]) > 4


# -- what fits -----------------------------------------------------------------------------------------------------


def test_few_ways_are_tried(tmp_path: Path) -> None:
    """Their number grows with the logarithm of the number of layers; the most that fits is what trying all finds."""
    model = load("residual", 12, tmp_path)
    made = compiled(model)
    count = len(model.layers)
    ways = [f"last:{n}" for n in range(1, count)] + ["all"]
    sizes = Footprints(model, made.build.scales, made.options)
    rules = [updates(rule) for rule in ("sr8", "sr16")]
    need = {how: [sizes.least(way, how).ram + 4096 for way in ways] for how in rules}
    assert all(each == sorted(each) for each in need.values())
    for index, how in zip(range(0, count, 4), rules * 2, strict=True):
        fresh = Footprints(model, made.build.scales, made.options)
        found = fresh.most(how, Room.of(board(need[how][index])))
        assert found is not None
        assert sizes.least(found, how).ram + 4096 <= need[how][index]
        larger = ways[ways.index(found) + 1 :][:1]
        assert all(sizes.least(way, how).ram + 4096 > need[how][index] for way in larger)
        assert fresh.computed <= 2 * log2(count) + 2
        before = fresh.computed
        assert fresh.most(how, Room.of(board(need[how][index])), known=found) == found
        assert fresh.computed <= before + 1


def test_few_ways_are_looked_at_with_calls_that_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes several times as long as one without: all layers, and where more fit then, how many."""
    asked: list[str] = []
    computed = ways.Footprints._computed

    def counting(self: Footprints, options: Any) -> Any:
        asked.extend([str(options.train)] * options.recompute)
        return computed(self, options)

    monkeypatch.setattr(ways.Footprints, "_computed", counting)
    model = load("residual", 12, tmp_path)
    choice_facts(model, None)
    assert asked == ["all"]
    choice_facts(model, board(5000))
    assert len(asked) <= 1 + 3 + log2(len(model.layers))
    asked.clear()
    monkeypatch.setattr(ways, "DEEP", len(model.layers) - 1)
    assert all(choice["recompute"] is None for choice in choice_facts(model, board(5000)))
    assert not asked
