"""mcugrad inspect: what is in a network, and what training it would take of a device."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcugrad.commands.options import Board, Json, Name, Network
from mcugrad.commands.output import Output, demand_places

if TYPE_CHECKING:
    from mcugrad.footprint import Footprint, Room
    from mcugrad.model import Model
    from mcugrad.options import Options
    from mcugrad.targets import Target
    from mcugrad.ways import Footprints

FEW = 5
"""Layers of a network up to which every way to train is shown."""


_PICTURE = (
    "Write the working memory over time, a prediction beside a training step, to this .svg file: all layers by sr8, or "
    "as many as fit --target."
)


def inspect(
    model: Network,
    target: Board = None,
    name: Name = None,
    picture: Annotated[Path | None, typer.Option("--picture", metavar="FILE.svg", help=_PICTURE)] = None,
    json: Json = False,
) -> None:
    """Show a network's layers, and the memory that training it takes. Needs no data."""
    from mcugrad import targets
    from mcugrad.commands.inputs import network
    from mcugrad.files import write_file
    from mcugrad.ways import DEEP

    output = Output(json)
    demand_places(files=[picture])
    found = network(model, name)
    goal = None if target is None else targets.load(target)
    layers = layer_facts(found)
    with output.busy("planning memory for ways to train"):
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
    _show_choices(output, choices, goal, size_of(found))
    if len(found.layers) > DEEP:
        output.say(
            f"\nmore than {DEEP} layers with weights: mcugrad compile --recompute says what that saves"
        )
    shown = None
    if picture is not None:
        way, text = drawn(found, goal)
        write_file(picture, text)
        shown = {"path": str(picture), "train": way, "rule": "sr8" if way != "none" else None}
        how = "a prediction alone" if way == "none" else f"--train {way} --rule sr8"
        output.say(f"\n{picture}: working memory over time, {how}")
    output.finish(
        {
            "model": found.name,
            "source": found.source,
            "sha256": found.digest,
            "input_shape": list(found.input_shape),
            "input_bytes": size_of(found),
            "classes": found.classes,
            "parameters": found.parameters,
            "macs": found.macs,
            "layers": layers,
            "notes": list(found.graph.notes),
            "target": None if goal is None else goal.name,
            "choices": choices,
            "picture": shown,
        }
    )


def size_of(model: Model) -> int:
    """Bytes of a sample as the device takes it."""
    return math.prod(model.input_shape)


def drawn(model: Model, target: Target | None) -> tuple[str, str]:
    """The most that a target takes, by the rule that takes least, and an SVG of its working memory over time.

    Args:
        model: the network.
        target: what it has to fit; None for nothing.
    """
    from mcugrad.footprint import Room
    from mcugrad.options import Budget, Options
    from mcugrad.pipeline import spent
    from mcugrad.report.arena import picture
    from mcugrad.training.rules import updates
    from mcugrad.ways import Footprints, made_up, planned_sizes

    scales = made_up(model)
    options = Options("all", updates("sr8"), seed=0, rate=0.01, budget=Budget.on(target))
    way = "all" if model.layers else "none"
    if target is not None:
        way = Footprints(model, scales, options).most(options.updates, Room.of(target)) or "none"
    programs = planned_sizes(model, scales, replace(options, train=way))
    return way, picture(*spent(programs, options.budget))


def layer_facts(model: Model) -> list[dict[str, Any]]:
    """Every layer for JSON."""
    from mcugrad.graph import Operator
    from mcugrad.ops.core.weighted import Weighted

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
    """Memory of the ways to train that one would choose from. Sizes do not depend on ranges, so these are made up.

    By the rules that take most and least, all layers and half as many each time; by those between, all layers; by each
    the most that fits; biases alone; nothing. Every number of layers by every rule where there are at most `FEW`. All
    layers also where calls may run again, and, where more fit a target then, the most of them by the smallest rule.

    Args:
        model: the network.
        target: what it has to fit; None for nothing.
        like: whose loss they have, and whose budget; cross-entropy, and the usual one, without.
    """
    from mcugrad.footprint import Room
    from mcugrad.options import Budget, Options
    from mcugrad.training.rules import updates
    from mcugrad.training.rules.family import FAMILY
    from mcugrad.ways import DEEP, Footprints, made_up

    graph, room = made_up(model), None if target is None else Room.of(target)
    plain = Options("all", updates("sr16"), seed=0, rate=0.01, budget=Budget.on(target))
    like = like or plain
    like = replace(plain, loss=like.loss, label_scale=like.label_scale, budget=like.budget)
    sizes, again = Footprints(model, graph, like), Footprints(model, graph, replace(like, recompute=True))
    rules = [rule.name for rule in reversed(FAMILY)]
    count = len(model.layers)
    every = ["all", *(f"last:{n}" for n in range(count - 1, 0, -1))] if count else []
    pairs: list[tuple[str, str]] = []
    for rule in rules:
        ways = set(every if count <= FEW else sizes.halvings() if rule in (rules[0], rules[-1]) else ["all"])
        if room is not None and (most := sizes.most(updates(rule), room)):
            ways.add(most)
            if rule == rules[-1] and count <= DEEP and (more := again.most(updates(rule), room, known=most)):
                ways.add(more)
        pairs += [(way, rule) for way in every if way in ways]
    pairs += [("bias", ""), ("none", "")]
    return [_choice(sizes, again, way, rule, room) for way, rule in pairs]


def _choice(sizes: Footprints, again: Footprints, train: str, rule: str, room: Room | None) -> dict[str, Any]:
    from mcugrad.errors import ModelError
    from mcugrad.training.rules import updates

    facts: dict[str, Any] = {"train": train, "rule": rule or None}
    try:
        found = sizes.of(train, updates(rule or "sr16"))
    except ModelError as error:
        return {
            **facts,
            "ram_bytes": None,
            "constants_bytes": None,
            "reserve_bytes": None,
            "latents_bytes": None,
            "latents_skip_instructions": None,
            "fits": False,
            "recompute": None,
            "problem": error.what,
        }
    latents = sizes.latents(train, updates(rule or "sr16"))
    return {
        **facts,
        "ram_bytes": found.ram,
        "constants_bytes": found.constants,
        "reserve_bytes": found.reserve,
        "latents_bytes": None if latents is None else latents.size,
        "latents_skip_instructions": None if latents is None else round(latents.skipped),
        "fits": found.fits(room) if room else None,
        "recompute": _recomputed(again, train, rule, found, room),
    }


def _recomputed(
    sizes: Footprints, train: str, rule: str, kept: Footprint, room: Room | None
) -> dict[str, Any] | None:
    """What a way takes where calls may run again; None where nobody looked, or it takes no less."""
    from mcugrad.training.rules import updates
    from mcugrad.ways import DEEP

    how = updates(rule or "sr16")
    if not sizes.knows(train, how) and (train != "all" or len(sizes.model.layers) > DEEP):
        return None
    found = sizes.of(train, how)
    again = sizes.again(train, how)
    if again is None or found.ram >= kept.ram:
        return None
    return {
        "ram_bytes": found.ram,
        "calls": again.calls,
        "more_instructions": round(again.more) if again.more else None,
        "more_part": again.part if again.more else None,
        "fits": found.fits(room) if room else None,
    }


def _show_choices(output: Output, choices: list[dict[str, Any]], target: Target | None, size: int) -> None:
    """The ways to train in a table; `size` are bytes of a sample."""
    from mcugrad.options import Budget
    from mcugrad.targets import kib

    rows = []
    for choice in choices:
        ram, constants = choice["ram_bytes"], choice["constants_bytes"]
        sizes = (kib(ram), kib(constants)) if ram is not None else (choice["problem"], "")
        verdict = () if target is None else ("yes" if choice["fits"] else "no",)
        stored = ("", "")
        if choice["latents_bytes"] is not None:
            skipped = choice["latents_skip_instructions"]
            stored = (f"{choice['latents_bytes']:,} B", f"{skipped:,}" if skipped else "")
        rows.append((choice["train"], choice["rule"] or "", *sizes, *verdict, *stored))
    columns: tuple[str, ...] = ("train", "rule", "RAM", "constants")
    title = "RAM with one sample, and constants in flash: counted, exact;\nstack and code come on top"
    if target is not None:
        columns = (*columns, "fits")
        kept = max(choice["reserve_bytes"] or 0 for choice in choices)
        title += (
            f"\n{target.name} has {kib(target.ram.bytes)} of RAM, {kib(kept)} of it kept for stack and caller,"
            f"\nand {kib(target.flash.bytes)} of flash"
        )
    core = Budget.core if target is None else target.core.name
    title += (
        f"\na sample in a replay buffer takes {size:,} B; with --replay-of latents"
        f"\nwhat is said here, and a step on it skips at least so many instructions"
        f"\n(estimated, {core})"
    )
    output.table(title, (*columns, "latents", "skips"), rows, "llrrlrr" if target is not None else "llrrrr")
    _show_recomputed(output, choices, core, with_target=target is not None)


def _show_recomputed(output: Output, choices: list[dict[str, Any]], core: str, *, with_target: bool) -> None:
    """Where it saves RAM that calls of the forward pass run again."""
    from mcugrad.targets import kib

    rows = []
    for choice in choices:
        if (less := choice["recompute"]) is not None:
            verdict = ("yes" if less["fits"] else "no",) * with_target
            more = ("", "")  # where no price tells
            if less["more_instructions"] is not None:
                more = f"{less['more_instructions']:,}", f"{100 * less['more_part']:.1f} %"
            rows.append((choice["train"], choice["rule"] or "", kib(less["ram_bytes"]), *verdict, *more))
    if rows:
        columns = ("train", "rule", "RAM", *(("fits",) * with_target), "instructions more", "of a step")
        title = f"with --recompute\n(instructions: estimated, {core})"
        output.table(title, columns, rows, "llr" + "l" * with_target + "rr")
