"""Fashion-MNIST from scratch: test accuracy of fashion_cnn trained by the host twin, and by float32 SGD beside it.

Batch 1, learning rate 0.01 falling to 0 along a cosine, three seeds; a seed sets weights, order and the device's random
numbers. `3 x 20,000` is three epochs over the first 20,000 training images, `12 x 60,000` twelve over all of them.
Accuracy after the last epoch, on all 10,000 test images. What has been run is not run again: delete a run from the
file, or the file, to repeat it. Float32 needs PyTorch and is left out without it.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from functools import partial
from typing import Any

import numpy as np
from bars import Bar, Results, arguments, commit, machine, main, markdown, origin, read, write

import mcugrad as mg
from mcugrad.training.schedules import rates
from networks import fashion_cnn, fashion_mnist

RATE = 0.01
SEEDS = (0, 1, 2)
SCHEDULES = {"3 x 20,000": (3, 20_000), "12 x 60,000": (12, 60_000)}
RULES = {"sr8": "8-bit weights", "sr16": "16-bit weights", "float32": "PyTorch, SGD"}
BARS = {
    ("sr16", "3 x 20,000"): 86.0,
    ("sr8", "3 x 20,000"): 85.5,
    ("sr16", "12 x 60,000"): 90.0,
    ("sr8", "12 x 60,000"): 87.5,
}
PUBLISHED = {"uint8": 76.1, "mixed": 79.9, "float32": 84.0}
"""Deutel et al., arXiv 2407.10734, Fashion-MNIST from scratch on their own small CNN with four trainable layers."""


def train(schedule: str, rule: str, seed: int, images: dict[str, Any]) -> list[float]:
    """Test accuracy after each epoch."""
    epochs, count = SCHEDULES[schedule]
    x, y = images["x_train"][:count], images["y_train"][:count]
    test = images["x_test"], images["y_test"]
    if rule == "float32":
        return _train_float(epochs, seed, (x, y), test)
    trainer = mg.compile(fashion_cnn(seed), calibration=x[:256], rule=rule, rate=RATE, seed=seed)
    history = trainer.fit(x, y, epochs=epochs, schedule="cosine", validation=test, seed=seed)
    return [epoch.validation_accuracy or 0.0 for epoch in history]


def _train_float(epochs: int, seed: int, samples: tuple[Any, Any], test: tuple[Any, Any]) -> list[float]:
    """The same order and rates as `Trainer.fit`."""
    from float32 import FloatTrainer, tensors

    trainer, random = FloatTrainer(seed), np.random.default_rng(seed)
    (x, y), held_out = tensors(*samples), tensors(*test)
    count = len(y)
    rate_of = rates(RATE, "cosine", epochs * count).reshape(epochs, count)
    found = []
    for epoch in range(epochs):
        trainer.train(x, y, random.permutation(count), rate_of[epoch])
        found.append(trainer.accuracy(*held_out))
    return found


def run(options: argparse.Namespace) -> None:
    results = read(options.json) or {**origin(), "runs": []}
    have = {(run["schedule"], run["rule"], run["seed"]) for run in results["runs"]}
    torch = importlib.util.find_spec("torch") is not None
    wanted = [
        (schedule, rule, seed)
        for schedule in SCHEDULES
        if not options.quick or schedule == "3 x 20,000"
        for seed in SEEDS[: 1 if options.quick else None]
        for rule in options.rules.split(",")
        if (rule != "float32" or torch) and (schedule, rule, seed) not in have
    ]
    images = fashion_mnist() if wanted else {}
    for schedule, rule, seed in wanted:
        start = time.perf_counter()
        accuracy = train(schedule, rule, seed, images)
        seconds = time.perf_counter() - start
        print(f"{schedule}  {rule:8} seed {seed}: {100 * accuracy[-1]:.2f} %  ({seconds:.0f} s)", flush=True)
        results["runs"].append(
            {
                "schedule": schedule,
                "rule": rule,
                "seed": seed,
                "accuracy": [round(value, 4) for value in accuracy],
                "commit": commit(),
                "machine": machine(),
            }
        )
        results["runs"].sort(key=lambda run: (run["schedule"], run["rule"], run["seed"]))
        write(options.json, results)


def final(results: Results, schedule: str, rule: str) -> list[float]:
    """Test accuracy in percent, one entry per seed."""
    runs = [r for r in results["runs"] if (r["schedule"], r["rule"]) == (schedule, rule)]
    return [100 * r["accuracy"][-1] for r in sorted(runs, key=lambda r: r["seed"])]


def table(results: Results) -> str:
    rows = []
    for schedule in SCHEDULES:
        for rule, what in RULES.items():
            found = final(results, schedule, rule)
            if found:
                spread = f"{max(found) - min(found):.2f}" if len(found) > 1 else ""
                each = ", ".join(f"{value:.2f}" for value in found)
                rows.append((f"`{rule}`, {what}", schedule, f"{np.mean(found):.2f}", spread, each))
    return markdown(("weights", "samples", "mean %", "max - min", "each seed"), rows)


def bars(results: Results, *, quick: bool = False) -> list[Bar]:
    found = []
    for (rule, schedule), limit in BARS.items():
        values = final(results, schedule, rule)
        if quick and schedule != "3 x 20,000":
            continue
        mean = float(np.mean(values)) if values else None
        found.append(Bar(f"{rule}, {schedule}: mean test accuracy, %", mean, limit))
    return found


if __name__ == "__main__":
    parser = arguments("scratch", __doc__)
    parser.add_argument("--quick", action="store_true", help="3 x 20,000 with one seed; some 20 seconds")
    parser.add_argument("--rules", default=",".join(RULES), help="which of them, with commas")
    options = parser.parse_args()
    raise SystemExit(main(options, run, table, partial(bars, quick=options.quick)))
