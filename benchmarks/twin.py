"""Training speed of the host twin against PyTorch: the same network, batch 1, one thread, in one process.

PyTorch is eager float32 SGD. The contestants take turns of about half a second each, so that whatever else the machine
does meets them alike; a ratio is taken within each round, and the table gives the median of the rounds.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import numpy as np
from bars import Bar, Results, arguments, main, markdown, origin, write

import mcugrad as mg
from networks import fashion_cnn, few_images

RATE = 0.01
RULES = ("sr8", "sr16")
FASTER = 8.0
"""Bar: times the training steps per second of PyTorch."""

Train = Callable[[int], None]


def twin(rule: str) -> Train:
    """Takes so many training steps on the host twin."""
    x, y = few_images()
    trainer = mg.compile(fashion_cnn(0), calibration=x, rule=rule, rate=RATE)
    samples, labels = trainer.quantize(x), trainer.labels(y, len(y))

    def train(steps: int) -> None:
        order = (np.arange(steps) % len(y)).astype(np.uint32)
        trainer.twin.train(samples, labels, order, np.full(steps, RATE, np.float32))

    return train


def pytorch() -> Train:
    """Takes so many training steps in float32."""
    from float32 import FloatTrainer, tensors

    images, (x, y) = FloatTrainer(0), tensors(*few_images())

    def train(steps: int) -> None:
        images.train(x, y, np.arange(steps) % len(y), np.full(steps, RATE))

    return train


def seconds(train: Train, steps: int) -> float:
    start = time.perf_counter()
    train(steps)
    return time.perf_counter() - start


def run(options: argparse.Namespace) -> None:
    from float32 import version

    contestants = {"float32": pytorch(), **{rule: twin(rule) for rule in RULES}}
    turns = {}
    for name, train in contestants.items():
        seconds(train, 300)  # warm up
        turns[name] = max(1, round(options.turn / seconds(train, 300) * 300))
    rounds = []
    for index in range(options.rounds):
        names = list(contestants)[:: 1 if index % 2 else -1]
        rounds.append({name: turns[name] / seconds(contestants[name], turns[name]) for name in names})
    results = {
        **origin(),
        "pytorch": version(),
        "load": round(os.getloadavg()[0], 1),
        "steps_per_second": rounds,
    }
    write(options.json, results)


def ratios(results: Results, rule: str) -> np.ndarray:
    """How many times as many steps per second as PyTorch, by round."""
    return np.asarray([each[rule] / each["float32"] for each in results["steps_per_second"]])


def table(results: Results) -> str:
    rows = []
    for name in ("float32", *RULES):
        speed = [each[name] for each in results["steps_per_second"]]
        found = ratios(results, name)
        spread = "" if name == "float32" else f"{found.min():.2f} to {found.max():.2f}"
        what = f"PyTorch {results['pytorch']}, float32" if name == "float32" else f"host twin, `{name}`"
        rows.append(
            (what, f"{np.median(speed):,.0f}", f"{max(speed):,.0f}", f"{np.median(found):.2f}", spread)
        )
    head = (
        "who",
        "steps per second",
        "in the best round",
        "times PyTorch, median",
        "lowest to highest round",
    )
    return markdown(head, rows)


def bars(results: Results) -> list[Bar]:
    return [
        Bar(
            f"host twin, {rule}: times PyTorch's steps per second",
            float(np.median(ratios(results, rule))),
            FASTER,
        )
        for rule in RULES
    ]


if __name__ == "__main__":
    parser = arguments("twin", __doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--turn", type=float, default=0.5, help="seconds of each contestant in a round")
    raise SystemExit(main(parser.parse_args(), run, table, bars))
