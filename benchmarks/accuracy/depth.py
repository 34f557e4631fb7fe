"""Depth: networks of 4 to 53 layers, all of which train, from pretrained weights to another world and from scratch.

A network is pretrained offline in float in the old world (PyTorch, batch-norms live, then folded): photographs of
CIFAR-10 for four architectures, whose camera then hangs upside down; keywords, which new speakers say; motion of the
phone, which becomes a watch (MbedNet and ResNet-8 in one dimension). The host twin takes `PASSES` passes over samples
of the new world, batch 1, the rate falling to 0 along a cosine. From scratch, new weights take `EPOCHS` over the
samples of the old world. Each method has the rate that `--tune` finds best (depth_rates.py), by samples that are
neither learned nor tested; rate 0 is what one gets who names none. Three seeds set the order and the device's random
numbers.

Another computer, or another PyTorch, pretrains another network, some tenths of a point apart: runs of a task go
together only if they began with the same one, which `before` and `old_before` tell.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import mcugrad as mg
from mcugrad.zoo import nets

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import depth_errors
from bars import Bar, Results, markdown
from depth_rates import rate_of
from harness import (
    DEFAULT,
    SEEDS,
    TUNING_SEED,
    Suite,
    behind,
    compiled_with,
    error,
    final,
    fit,
    fitted_with,
    loaded,
    main,
    mean,
    method,
    rates_table,
    select,
    spread,
)
from worlds import Samples, World, world_of


@dataclass(frozen=True)
class Task:
    """What a network shall learn.

    Attributes:
        network: of the zoo.
        layers: with weights.
        world: of worlds.py.
        learned: samples of the new world that are learned; others of it judge rates.
    """

    network: str
    layers: int
    world: str
    learned: int


PRETRAINED = {
    "MobileNetV2-0.35 photographs": Task("mobilenet_v2_035", 53, "cifar10 ceiling", 1_000),
    "MbedNet photographs": Task("mbednet", 54, "cifar10 ceiling", 1_000),
    "MobileNetV1-0.25 photographs": Task("mobilenet_v1_025", 28, "cifar10 ceiling", 1_000),
    "ResNet-8 photographs": Task("resnet8", 10, "cifar10 ceiling", 1_000),
    "DS-CNN keywords": Task("ds_cnn", 10, "speech speakers", 400),
    "MbedNet motion": Task("mbednet", 54, "har watch", 1_000),
}
SCRATCH = {
    "MbedNet from scratch": Task("mbednet", 54, "cifar10 ceiling", 6_000),
    "ResNet-8 from scratch": Task("resnet8", 10, "har watch", 1_800),
}
TASKS = PRETRAINED | SCRATCH
PASSES, EPOCHS = 5, 3
FIRST = 25
"""Steps in which every layer changes."""
PRETRAINING = {"epochs": 30, "rate": 0.003, "seed": 0}
RULES = ("sr12", "sr16", "sr8")
METHODS = ("float32", *RULES)
TUNED = ("float32", "sr12", "sr8")
TRIED = (0.001, 0.003, 0.009)
BEYOND = (0.0003, 0.027)
AT_END = (
    "MobileNetV1-0.25 photographs",
    "ResNet-8 photographs",
    "DS-CNN keywords",
    "MbedNet motion",
    "ResNet-8 from scratch",
)
"""Tried beyond those, for tasks of which some method was best at their end."""
QUICK = ("DS-CNN keywords", "MbedNet motion", "ResNet-8 from scratch")
"""Every rate is tried by three seeds: a run takes seconds, and those that judge are few."""
CLOSE = {
    "ResNet-8 photographs": (0.001, 0.003),
    "MobileNetV1-0.25 photographs": (0.001, 0.003),
    "MbedNet from scratch": (0.003, 0.009),
}
"""Rates that are tried by three seeds: one alone did not tell them apart."""
PARTS = (("updates", 0.1), ("updates", 0.25), ("samples", 0.25))
"""Partial updates with the policy that one gets who names none, and whole samples that are left out."""
LONGER = ("updates, four times the passes", 0.25)
LONG = ("ResNet-8 photographs", "MbedNet photographs")
"""Tasks on which a quarter of the updates is also given as many as the whole has: is it the steps that it lacks?"""


@dataclass(frozen=True)
class Run:
    """A training: of what, by what, how much of it each step, with which luck."""

    task: str
    method: str
    part: str
    share: float
    rate: float
    seed: int


def matrix(everything: bool) -> list[Run]:
    """Runs of the tables, those first that matter most; there are no others."""
    plan = [(rule, "all", 1.0) for rule in METHODS]
    plan += [("sr12", *part) for part in PARTS]
    runs = [Run(task, *what, rate_of(task, *what), seed) for what in plan for task in TASKS for seed in SEEDS]
    runs += [Run(task, "sr12", "all", 1.0, DEFAULT, seed) for task in TASKS for seed in SEEDS]
    return runs + [Run(t, "sr12", *LONGER, rate_of(t, "sr12", *LONGER), seed) for t in LONG for seed in SEEDS]


def tuning() -> list[Run]:
    """What has a rate of its own, at every rate."""
    plan = [(rule, "all", 1.0) for rule in TUNED] + [("sr12", *part) for part in PARTS]
    tried = [(rate, task) for rate in TRIED for task in TASKS]
    tried += [(rate, task) for rate in BEYOND for task in AT_END]
    return [
        Run(task, *what, rate, TUNING_SEED + count)
        for rate, task in tried
        for what in plan
        for count in range(3 if task in QUICK or rate in CLOSE.get(task, ()) else 1)
    ]


def _part(part: str, share: float) -> dict[str, Any]:
    """How `mg.compile` is told what takes part in a step."""
    if part.startswith("updates"):
        return {"sparse": mg.Sparse(share)}
    if part == "samples":
        return {"sparse": mg.Sparse(samples=share)}
    return {}


# -- networks --------------------------------------------------------------------------------------------------------


def _start(task: str) -> bytes:
    """The network before it has learned anything, as an ONNX file."""
    what, here = TASKS[task], world_of(TASKS[task].world)
    # One for a signal, which nets.build would refuse where the architecture is known for images.
    net = nets.Net(what.network, np.moveaxis(here.train[0][:128], -1, 1), 0)
    nets.about(what.network).layers(net, here.classes)
    return net.onnx()


@cache
def delivered(task: str) -> bytes:
    """The network that training begins with, as an ONNX file; pretrained if it is not there yet."""
    if task in SCRATCH:
        return _start(task)
    import pretrain
    from sets import load

    world = TASKS[task].world
    settings = {**PRETRAINING, "variety": load(world.split()[0]).variety}
    label = f"depth_{TASKS[task].network}_{world.replace(' ', '_')}"
    return pretrain.pretrained(label, _start(task), *world_of(world).train, **settings)


def prepare(task: str) -> None:
    """Pretrains."""
    delivered(task)


def samples(task: str, seed: int) -> tuple[Samples, Samples, Samples]:
    """What is learned, what judges rates, and what is tested; drawn by the seed."""
    here: World = world_of(TASKS[task].world)
    x, y = here.train if task in SCRATCH else here.new
    order, count = np.random.default_rng(seed).permutation(len(y)), TASKS[task].learned
    mine, rest = order[:count], order[count:]
    return (x[mine], y[mine]), (x[rest], y[rest]), here.test if task in SCRATCH else here.new_test


# -- runs ------------------------------------------------------------------------------------------------------------


def perform(run: Run) -> dict[str, Any]:
    """Trains; accuracy in the world that is learned, before and after, and in the old one at delivery."""
    model = loaded(delivered(run.task))
    learned, judges, tested = ((x.reshape(-1, *model.input_shape), y) for x, y in samples(run.task, run.seed))
    old = world_of(TASKS[run.task].world).test
    trainer = mg.compile(
        model,
        calibration=world_of(TASKS[run.task].world).train[0][:256].reshape(-1, *model.input_shape),
        train="all",
        seed=run.seed,
        **compiled_with(run.rate),
        **method(run.method),
        **_part(run.part, run.share),
    )
    counted = run.method in RULES and run.part == "all" and run.rate != DEFAULT
    silent = _silent(trainer, *learned) if counted else None
    before = trainer.evaluate(*tested)
    old_before = trainer.evaluate(old[0].reshape(-1, *model.input_shape), old[1])
    epochs = (EPOCHS if run.task in SCRATCH else PASSES) * (4 if run.part == LONGER[0] else 1)
    done = fit(
        trainer,
        *learned,
        epochs=epochs,
        seed=run.seed,
        watch=lambda epoch: None,
        **fitted_with(run.rate),
    )
    found: dict[str, Any] = {
        "accuracy": trainer.evaluate(*tested),
        **({"rest": trainer.evaluate(*judges)} if len(judges[1]) else {}),
        "before": before,
        "old_before": old_before,
    }
    found = {name: round(float(value), 4) for name, value in found.items()}
    if silent is not None:
        found["silent"] = silent
    return found if done == epochs else {**found, "diverged": done + 1}


def _silent(trainer: mg.Trainer, x: Any, y: Any) -> int:
    """Layers without one changed weight after `FIRST` steps; the state is as before."""
    begin = trainer.state
    names = depth_errors.silent(trainer, trainer.twin, x[:FIRST], y[:FIRST], FIRST)
    trainer.twin.restore(begin)
    return len(names)


# -- what is found ---------------------------------------------------------------------------------------------------


def entries_of(
    results: Results,
    task: str,
    rule: str,
    part: str = "all",
    share: float = 1.0,
    *,
    rate: float | None = None,
) -> list[dict[str, Any]]:
    """One for each seed, at the rate that the tables are made with or another."""
    wanted = rate_of(task, rule, part, share) if rate is None else rate
    return select(results, task=task, method=rule, part=part, share=share, rate=wanted)


def finals(results: Results, *what: Any, rate: float | None = None) -> list[float]:
    """Test accuracy of each seed in percent."""
    return [final(entry) for entry in entries_of(results, *what, rate=rate)]


def table(results: Results) -> str:
    """Methods by tasks."""
    rows = []
    for task, what in TASKS.items():
        first = entries_of(results, task, "float32")
        cells = [spread(finals(results, task, rule)) for rule in METHODS]
        known, new = (_mean_of(first, name) for name in ("old_before", "before"))
        started = "new weights" if task in SCRATCH else f"{known} / {new}"
        rows.append(
            (
                f"{task}, {what.layers} layers",
                started,
                *cells,
                spread(finals(results, task, "sr12", rate=DEFAULT)),
            )
        )
    heads = [f"`{rule}`" for rule in METHODS]
    return markdown(("network, task", "delivered: old / new world", *heads, "`sr12`, no rate named"), rows)


def parts_table(results: Results) -> str:
    """Shares of the updates by tasks, `sr12`."""
    rows = [
        (
            f"{task}, {what.layers} layers",
            "chance" if task in SCRATCH else _mean_of(entries_of(results, task, "sr12"), "before"),
            spread(finals(results, task, "sr12")),
            *(spread(finals(results, task, "sr12", *part)) for part in (*PARTS, LONGER)),
        )
        for task, what in TASKS.items()
    ]
    return markdown(
        (
            "network, task",
            "delivered",
            "all",
            *(f"{share:.0%} of {part}" for part, share in (*PARTS, LONGER)),
        ),
        rows,
    )


def behind_table(results: Results) -> str:
    """By how much partial updates, and who names no rate, end below whole updates at the tuned rate, by seeds."""
    kinds = {
        f"{share:.0%} of updates": ("updates", share, None) for part, share in PARTS if part == "updates"
    }
    rows = []
    for task in TASKS:
        full, cells = finals(results, task, "sr12"), []
        for part, share, rate in (*kinds.values(), ("all", 1.0, DEFAULT)):
            each = [
                a - b
                for a, b in zip(full, finals(results, task, "sr12", part, share, rate=rate), strict=False)
            ]
            told = ", ".join(f"{points:.1f}" for points in each)
            cells.append(f"{mean(each):.2f} ± {error(each):.2f} ({told})" if len(each) > 1 else "-")
        rows.append((task, *cells))
    return markdown(("points below whole updates at the tuned rate", *kinds, "no rate named"), rows)


def _mean_of(entries: list[dict[str, Any]], name: str) -> str:
    value = mean([final(entry, name) for entry in entries])
    return "-" if value is None else f"{value:.2f}"


def bars(results: Results) -> list[Bar]:
    """What must be reached on every task, mean of the seeds."""
    found = []
    for task, what in TASKS.items():
        whole = finals(results, task, "float32")
        for rule, points in (("sr12", 1.0), ("sr16", 1.0), ("sr8", 2.5)):
            less = behind(whole, finals(results, task, rule))
            found.append(Bar(f"{task}: {rule} below float32, points", less, points, at_least=False))
        full = finals(results, task, "sr12")
        for part, share in (each for each in PARTS if each[0] == "updates"):
            part_of = finals(results, task, "sr12", part, share)
            points = 3.0 if share > 0.1 else 2.0 if what.layers <= 10 else 6.0
            name = f"{task}: {share:.0%} of {part}"
            found.append(Bar(f"{name} below all, points", behind(full, part_of), points, at_least=False))
            if task in PRETRAINED:
                before = [final(e, "before") for e in entries_of(results, task, "sr12", part, share)]
                found.append(
                    Bar(f"{name} below delivered, points", behind(before, part_of), 0, at_least=False)
                )
        named = behind(full, finals(results, task, "sr12", rate=DEFAULT))
        found.append(Bar(f"{task}: no rate named below tuned, points", named, 1.5, at_least=False))
        entries = [e for rule in RULES for e in entries_of(results, task, rule)]
        most = max((e["silent"] for e in entries), default=None)
        found.append(Bar(f"{task}: layers that {FIRST} steps leave as they are", most, 0, at_least=False))
    return found


SUITE = Suite(
    name="depth",
    about=str(__doc__),
    run=Run,
    matrix=matrix,
    tuning=tuning,
    perform=perform,
    tables={
        "depth": table,
        "depth-parts": parts_table,
        "depth-behind": behind_table,
        "depth-rates": lambda results: rates_table(results, tuning(), "rest"),
    },
    bars=bars,
    needs=lambda run: run.task,
    prepare=prepare,
)

if __name__ == "__main__":
    raise SystemExit(main(SUITE))
