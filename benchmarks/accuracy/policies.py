"""Policies of partial updates by depth: networks of 4, 10, 20 and 54 layers, all of which train, in 8 bits.

A network is pretrained offline in float in the old world; the host twin takes `PASSES` passes over a few hundred
samples of the new one by `sr12`, batch 1, the rate falling to 0 along a cosine: on another device (4 and 54 layers), of
new speakers (10 and 20). A policy updates 10 or 25 % of the channels, of the samples, or of both together. Each has the
rate that `--tune` finds best, by samples of the new world that are neither learned nor tested, mean of three seeds.
Three others set the order, the samples and the device's random numbers.
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

from bars import Bar, Results, markdown
from harness import (
    SEEDS,
    TUNING_SEED,
    Suite,
    behind,
    final,
    fit,
    loaded,
    main,
    mean,
    rates_table,
    select,
    spread,
)
from worlds import Samples, world_of


def ds_cnn_20(net: nets.Net, classes: int) -> None:
    """DS-CNN with nine blocks in place of four, half as wide."""
    net.conv(32, (10, 4), 2).norm().relu()
    for _ in range(9):
        net.conv(32, 3, depthwise=True).norm().relu().conv(32, 1).norm().relu()
    net.global_pool().flatten().fc(classes)


@dataclass(frozen=True)
class Task:
    """What a network shall learn.

    Attributes:
        network: of the zoo, or the one above.
        world: of worlds.py.
        learned: samples of the new world that are learned; others of it judge rates.
        epochs: of pretraining.
    """

    network: str
    world: str
    learned: int
    epochs: int = 30


TASKS = {
    "inertial_cnn 4": Task("inertial_cnn", "har watch", 600),
    "DS-CNN 10": Task("ds_cnn", "speech speakers", 400),
    "DS-CNN 20": Task("ds_cnn_20", "speech speakers", 400, 20),
    "MbedNet 54": Task("mbednet", "har watch", 600),
}
LAYERS = {task: int(task.split()[-1]) for task in TASKS}
PASSES = 5
POLICIES: dict[str, mg.Sparse | None] = {
    "all": None,
    "split 10 %": mg.Sparse(0.1, policy="split"),
    "samples 10 %": mg.Sparse(samples=0.1),
    "samples 25 %": mg.Sparse(samples=0.25),
    "split 25 %": mg.Sparse(0.25, policy="split"),
    "split 50 % x samples 20 %": mg.Sparse(0.5, policy="split", samples=0.2),
    "topk 10 %": mg.Sparse(0.1, policy="topk"),
    "sampled 10 %": mg.Sparse(0.1, policy="sampled"),
    "single 10 %": mg.Sparse(0.1, policy="single"),
    "split 50 % x samples 50 %": mg.Sparse(0.5, policy="split", samples=0.5),
}
DEFAULT = {"split 50 % x samples 20 %": 0.1, "split 50 % x samples 50 %": 0.25}
"""What `both` is, by its share."""
TRIED = (0.001, 0.003, 0.009)
RATES: dict[str, dict[str, float]] = {
    "DS-CNN 10": {
        "all": 0.001,
        "sampled 10 %": 0.001,
        "samples 10 %": 0.001,
        "samples 25 %": 0.001,
        "single 10 %": 0.001,
        "split 10 %": 0.001,
        "split 25 %": 0.003,
        "split 50 % x samples 20 %": 0.001,
        "split 50 % x samples 50 %": 0.001,
        "topk 10 %": 0.003,
    },
    "DS-CNN 20": {
        "all": 0.003,
        "sampled 10 %": 0.001,
        "samples 10 %": 0.001,
        "samples 25 %": 0.001,
        "single 10 %": 0.001,
        "split 10 %": 0.003,
        "split 25 %": 0.001,
        "split 50 % x samples 20 %": 0.003,
        "split 50 % x samples 50 %": 0.003,
        "topk 10 %": 0.003,
    },
    "MbedNet 54": {
        "all": 0.003,
        "sampled 10 %": 0.001,
        "samples 10 %": 0.003,
        "samples 25 %": 0.003,
        "single 10 %": 0.009,
        "split 10 %": 0.009,
        "split 25 %": 0.009,
        "split 50 % x samples 20 %": 0.009,
        "split 50 % x samples 50 %": 0.009,
        "topk 10 %": 0.009,
    },
    "inertial_cnn 4": {
        "all": 0.009,
        "sampled 10 %": 0.003,
        "samples 10 %": 0.009,
        "samples 25 %": 0.009,
        "single 10 %": 0.009,
        "split 10 %": 0.009,
        "split 25 %": 0.009,
        "split 50 % x samples 20 %": 0.009,
        "split 50 % x samples 50 %": 0.003,
        "topk 10 %": 0.009,
    },
}
"""Of those that `--tune` tries, by task and policy: the lowest within half a point of the best, for higher ones are
nearer to collapse, which one seed in six may show."""


@dataclass(frozen=True)
class Run:
    """A training: of what, by which policy, with which luck."""

    task: str
    policy: str
    rate: float
    seed: int


def rate_of(task: str, policy: str) -> float:
    """The learning rate that the table is made with; of what has not been tuned, one in the middle."""
    return RATES.get(task, {}).get(policy, 0.003)


def matrix(everything: bool) -> list[Run]:
    """Runs of the table; there are no others."""
    return [
        Run(task, name, rate_of(task, name), seed) for name in POLICIES for task in TASKS for seed in SEEDS
    ]


def tuning() -> list[Run]:
    """Every policy at every rate, three times: by a single one, rates on the verge of collapse may look best."""
    return [
        Run(task, name, rate, TUNING_SEED + count)
        for name in POLICIES
        for task in TASKS
        for rate in TRIED
        for count in range(3)
    ]


@cache
def delivered(task: str) -> bytes:
    """The pretrained network as an ONNX file; those of depth.py are the same files."""
    import pretrain
    from sets import load

    what, here = TASKS[task], world_of(TASKS[task].world)
    net = nets.Net(what.network, np.moveaxis(here.train[0][:128], -1, 1), 0)
    layers = ds_cnn_20 if what.network == "ds_cnn_20" else nets.about(what.network).layers
    layers(net, here.classes)
    label = f"depth_{what.network}_{what.world.replace(' ', '_')}"
    settings = {
        "epochs": what.epochs,
        "rate": 0.003,
        "seed": 0,
        "variety": load(what.world.split()[0]).variety,
    }
    return pretrain.pretrained(label, net.onnx(), *here.train, **settings)


def prepare(task: str) -> None:
    """Pretrains."""
    delivered(task)


def samples(task: str, seed: int) -> tuple[Samples, Samples, Samples]:
    """What is learned, what judges rates, and what is tested; drawn by the seed."""
    here = world_of(TASKS[task].world)
    x, y = here.new
    order, count = np.random.default_rng(seed).permutation(len(y)), TASKS[task].learned
    mine, rest = order[:count], order[count : count + 1000]
    return (x[mine], y[mine]), (x[rest], y[rest]), here.new_test


@cache
def compiled(task: str, policy: str) -> mg.Trainer:
    """A twin for all rates and seeds."""
    model = loaded(delivered(task))
    typical = world_of(TASKS[task].world).train[0][:256].reshape(-1, *model.input_shape)
    return mg.compile(model, calibration=typical, rule="sr12", sparse=POLICIES[policy])


def perform(run: Run) -> dict[str, Any]:
    """Trains; accuracy in the new world, before and after."""
    trainer = compiled(run.task, run.policy)
    shape = trainer.model.input_shape
    learned, judges, tested = ((x.reshape(-1, *shape), y) for x, y in samples(run.task, run.seed))
    trainer.twin.init()
    state = trainer.state
    state["seed"][:] = run.seed
    trainer.twin.restore(state)
    before = trainer.evaluate(*tested)
    epochs: list[mg.Epoch] = []
    done = fit(
        trainer,
        *learned,
        epochs=PASSES,
        seed=run.seed,
        watch=epochs.append,
        rate=run.rate,
        schedule="cosine",
    )
    found = {
        "accuracy": trainer.evaluate(*tested),
        **({"rest": trainer.evaluate(*judges)} if len(judges[1]) else {}),
        "before": before,
        "updated": float(np.mean([epoch.update_rate for epoch in epochs])) if epochs else 0.0,
    }
    found = {name: round(float(value), 4) for name, value in found.items()}
    return found if done == PASSES else {**found, "diverged": done + 1}


def finals(results: Results, task: str, policy: str, name: str = "accuracy") -> list[float]:
    """Of each seed, in percent."""
    wanted = select(results, task=task, policy=policy, rate=rate_of(task, policy))
    return [final(entry, name) for entry in wanted]


def table(results: Results) -> str:
    """Policies by tasks."""
    rows = [
        ("delivered", "-", *(_mean(finals(results, task, "all", "before")) for task in TASKS)),
        *(
            (
                f"`{name}`" if POLICIES[name] else name,
                _mean([n for task in TASKS for n in finals(results, task, name, "updated")]),
                *(spread(finals(results, task, name)) for task in TASKS),
            )
            for name in POLICIES
        ),
    ]
    return markdown(("policy", "updated, % of the channels", *(f"{task} layers" for task in TASKS)), rows)


def bars(results: Results) -> list[Bar]:
    """What the default policy must reach, mean of the seeds."""
    found = []
    for policy, share in DEFAULT.items():
        for task, layers in LAYERS.items():
            points = 3.0 if share > 0.1 else 2.0 if layers <= 10 else 6.0
            part, whole = finals(results, task, policy), finals(results, task, "all")
            name = f"{task} layers: {share:.0%}"
            found.append(Bar(f"{name} below all, points", behind(whole, part), points, at_least=False))
            less = behind(finals(results, task, policy, "before"), part)
            found.append(Bar(f"{name} below delivered, points", less, 0, at_least=False))
    return found


def _mean(values: list[float]) -> str:
    found = mean(values)
    return "-" if found is None else f"{found:.1f}"


SUITE = Suite(
    name="policies",
    about=str(__doc__),
    run=Run,
    matrix=matrix,
    tuning=tuning,
    perform=perform,
    tables={
        "policies": table,
        "policies-rates": lambda results: rates_table(results, tuning(), "rest"),
    },
    needs=lambda run: run.task,
    bars=bars,
    prepare=prepare,
    group=lambda run: (run.task, run.policy),
)

if __name__ == "__main__":
    raise SystemExit(main(SUITE))
