"""What a tenth of the updates does to ReLUs: channels of fashion_cnn that pass nothing, whatever they see.

Trained as the table "From scratch" has it, `12x60k` with `sr12`: all channels of every step, always a tenth, drawn by
the size of their errors (`sampled`), and drawn by the root of it with a warm-up (`rooted`). A channel is dead if its
ReLU gives 0 for each of 2,000 test images, everywhere in its map. Computed in float from the learned weights.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mcugrad as mg
from mcugrad.passes.calibrate import run_float

sys.path.insert(0, str(Path(__file__).with_name("accuracy")))

import scratch
from bars import Bar, Results, arguments, main, markdown, origin, write
from harness import SEEDS

RULE = "sr12"
POLICIES = {"full": 1.0, "fixed": 0.1, "rooted": 0.1}
IMAGES = 2_000
LAYERS = ("conv1", "conv2", "fc1")


def run(options: argparse.Namespace) -> None:
    """Trains and counts."""
    found = scratch.images("fashion_mnist")
    x, y = found["x_train"], found["y_train"]
    images, labels = found["test"]
    results: Results = {**origin(), "dead": {}, "accuracy": {}}
    for policy, share in POLICIES.items():
        rate = scratch.rate_of(scratch.FULL, RULE, policy)
        counts, accuracy = [], []
        for seed in SEEDS:
            what = scratch.Run("fashion_mnist", scratch.FULL, RULE, policy, share, rate, seed)
            trainer, _ = scratch.trained(what, x, y, lambda trainer, epoch: None)
            counts.append(dead(trainer, images[:IMAGES]))
            accuracy.append(trainer.evaluate(images, labels))
            print(f"{policy}, seed {seed}: {counts[-1]} dead, {accuracy[-1]:.2%}", flush=True)
        results["dead"][policy] = counts
        results["accuracy"][policy] = accuracy
    write(options.json, results)


def dead(trainer: mg.Trainer, x: NDArray[np.float32]) -> list[int]:
    """Channels whose output is 0 for all samples, layer by layer."""
    graph, state = trainer.model.graph, trainer.state
    learned = dict(graph.tensors)
    for node in graph.nodes:
        if node.name in (*LAYERS, "fc2"):
            for name in (node.w, node.b):
                learned[name] = replace(graph[name], value=_real(state, name))
    seen = run_float(replace(graph, tensors=learned), x)
    outputs = [seen[node.y] for node in graph.nodes if node.name in LAYERS]
    return [int((y.reshape(-1, y.shape[-1]).max(axis=0) <= 0).sum()) for y in outputs]


def _real(state: Any, name: str) -> NDArray[np.float32]:
    """Learned values in real units."""
    value = state[name].astype(np.float32)
    scale = state.get(f"{name}_scale")
    return value if scale is None else value * scale.reshape(-1, *[1] * (value.ndim - 1))


def table(results: Results) -> str:
    """Dead channels of each layer, mean of the seeds, and test accuracy."""
    rows = []
    for policy, share in POLICIES.items():
        counts = np.mean(results["dead"][policy], axis=0)
        accuracy = 100 * np.mean(results["accuracy"][policy])
        rows.append(
            (
                f"`{RULE}`, {scratch.part_of(policy, share)}",
                *(f"{count:.1f}" for count in counts),
                f"{counts.sum():.1f}",
                f"{accuracy:.2f}",
            )
        )
    heads = [f"{name} of {size}" for name, size in zip(LAYERS, (16, 32, 64), strict=True)]
    return markdown(("updates", *heads, "of all 112", "accuracy, %"), rows)


def bars(results: Results) -> list[Bar]:
    """What `rooted` is for."""
    total = {policy: float(np.mean(counts, axis=0).sum()) for policy, counts in results["dead"].items()}
    share = 100 * total["rooted"] / total["fixed"]
    return [Bar(f"{RULE}: dead channels with rooted, % of those with sampled", share, 60, at_least=False)]


if __name__ == "__main__":
    raise SystemExit(main(arguments("dead", __doc__).parse_args(), run, table, bars))
