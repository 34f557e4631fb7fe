"""mcugrad inspect: what is in a network, and what training it would take of a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcugrad.commands.options import Board, Json, Name, Network
from mcugrad.commands.output import Output

if TYPE_CHECKING:
    from mcugrad.compiler import Options
    from mcugrad.graph import Graph
    from mcugrad.model import Model
    from mcugrad.targets import Target


def inspect(model: Network, target: Board = None, name: Name = None, json: Json = False) -> None:
    """Show a network's layers, and the memory of every way to train it. Needs no data."""
    from mcugrad import targets
    from mcugrad.commands.inputs import network

    output = Output(json)
    found = network(model, name)
    goal = None if target is None else targets.load(target)
    layers = layer_facts(found)
    with output.busy("planning memory for every way to train"):
        choices = choice_facts(found, goal)
    shape = "x".join(map(str, found.input_shape))
    output.say(
        f"{found.name}: {shape} -> {found.classes} classes, {found.parameters:,} parameters, "
        f"{found.macs:,} multiply-accumulates",
        strong=True,
    )
    columns = ("layer", "what", "parameters", "MACs")
    rows = [(i["name"], i["what"], f"{i['parameters']:,}", f"{i['macs']:,}") for i in layers]
    output.table("layers", columns, rows, "llrr")
    if found.graph.notes:
        output.say("\nnotes")
        for note in found.graph.notes:
            output.say(f"  {note}")
    _show_choices(output, choices, goal)
    output.finish(
        {
            "model": found.name,
            "source": found.source,
            "sha256": found.digest,
            "input_shape": list(found.input_shape),
            "classes": found.classes,
            "parameters": found.parameters,
            "macs": found.macs,
            "layers": layers,
            "notes": list(found.graph.notes),
            "target": None if goal is None else goal.name,
            "choices": choices,
        }
    )


def layer_facts(model: Model) -> list[dict[str, Any]]:
    """Every layer for JSON."""
    from mcugrad.graph import Operator
    from mcugrad.ops.weighted import Weighted

    graph = model.graph
    return [
        {
            "name": node.name,
            "what": node.describe(graph),
            "source": node.source,
            "output_shape": list(graph[node.y].shape),
            "parameters": graph[node.w].size + graph[node.b].size if isinstance(node, Weighted) else 0,
            "macs": node.macs(graph),
        }
        for node in graph.nodes
        if isinstance(node, Operator)
    ]


def choice_facts(model: Model, target: Target | None, like: Options | None = None) -> list[dict[str, Any]]:
    """Memory of every choice of `train` and `rule`. Sizes do not depend on ranges, so these are made up.

    Args:
        model: the network.
        target: what it has to fit; None for nothing.
        like: whose loss they have; cross-entropy without.
    """
    import numpy as np

    from mcugrad.compiler import Options, quantized
    from mcugrad.passes.calibrate import Calibration
    from mcugrad.training.rules import updates
    from mcugrad.training.rules.family import FAMILY

    made_up = np.random.default_rng(0).standard_normal((4, *model.input_shape), np.float32)
    graph = quantized(model, made_up, Calibration("minmax"))
    ways = ["all", *(f"last:{n}" for n in range(len(model.layers) - 1, 0, -1))]
    pairs = [(way, rule) for rule in reversed([r.name for r in FAMILY]) for way in ways] + [
        ("bias", ""),
        ("none", ""),
    ]
    like = like or Options("all", updates("sr16"), seed=0, rate=0.01)
    return [
        _choice(
            model,
            graph,
            rule,
            Options(way, updates(rule or "sr16"), 0, 0.01, like.loss, like.target),
            target,
        )
        for way, rule in pairs
    ]


def _choice(model: Model, graph: Graph, rule: str, options: Options, target: Target | None) -> dict[str, Any]:
    from mcugrad.compiler import STACK_RESERVE, build
    from mcugrad.errors import ModelError

    facts: dict[str, Any] = {"train": options.train, "rule": rule or None}
    try:
        made = build(model, graph, options)
    except ModelError as error:
        return {**facts, "ram_bytes": None, "constants_bytes": None, "fits": False, "problem": error.what}
    fits = target is None or (
        made.ram + STACK_RESERVE <= target.ram.bytes and made.constants <= target.flash.bytes
    )
    return {
        **facts,
        "ram_bytes": made.ram,
        "constants_bytes": made.constants,
        "fits": fits if target else None,
    }


def _show_choices(output: Output, choices: list[dict[str, Any]], target: Target | None) -> None:
    from mcugrad.compiler import STACK_RESERVE, kib

    rows = []
    for choice in choices:
        ram, constants = choice["ram_bytes"], choice["constants_bytes"]
        sizes = (kib(ram), kib(constants)) if ram is not None else (choice["problem"], "")
        verdict = () if target is None else ("yes" if choice["fits"] else "no",)
        rows.append((choice["train"], choice["rule"] or "", *sizes, *verdict))
    columns: tuple[str, ...] = ("train", "rule", "RAM", "constants")
    title = "RAM with one sample, and constants in flash: counted, exact; stack and code come on top"
    if target is not None:
        columns = (*columns, "fits")
        title += (
            f"\n{target.name} has {kib(target.ram.bytes)} of RAM, of which {kib(STACK_RESERVE)} are kept for "
            f"the stack, and {kib(target.flash.bytes)} of flash"
        )
    output.table(title, columns, rows, "llrrl")
