"""Silence: whether trainings that come to nothing say so, in configurations drawn at random.

A rule, momentum, a batch, a policy, what trains and a rate between 0.0001 and 1 are drawn for each training of three
epochs over 1,347 digits: by digits_cnn as delivered, on digits that it knows or that are upside down, and by ResNet-8
with new weights. A training has come to nothing if in the end fewer than 15 % of the held-out digits are right, or 20
points fewer than before. It says so if it ends with a note, or with an error. A false alarm is a note after a training
that ends with 95 % or more right, and with no fewer than before less half a point; one that diverged, and put back the
state that was there, is none.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from bars import Bar, Results, arguments, main, markdown, origin, read, write

import mcugrad as mg
from mcugrad.zoo import data, model_path, nets
from mcugrad.zoo.worlds import upside_down

COUNT, SEED = 500, 13
EPOCHS = 3
TASKS = ("known", "upside down", "new weights")
RULES = ("sr8", "sr10", "sr12", "sr16", "qas", "standardized", "mixed", "float32")
MOMENTA = (0.0, 0.0, 0.5, 0.9, 0.99)
BATCHES = (1, 1, 8, 48)
POLICIES = ("all", "all", "topk", "sampled", "rooted", "split", "single", "both")
SHARES = (0.1, 0.25, 0.5)
TRAINS = ("all", "all", "last:2", "last:1")
KEPT_EVERY = 20
"""Trainings after which the results are written."""
DIVERGED = "training diverged in epoch"
CHANCE, FALLEN = 0.15, 0.2
GOOD, KEPT = 0.95, 0.005


def drawn(count: int = COUNT) -> list[dict[str, Any]]:
    """Configurations, the first of them the same for every count."""
    random = np.random.default_rng(SEED)
    found = []
    for seed in range(count):
        pick = lambda of: of[int(random.integers(len(of)))]  # noqa: E731
        one = {
            "task": pick(TASKS),
            "rule": pick(RULES),
            "momentum": pick(MOMENTA),
            "batch": pick(BATCHES),
            "policy": pick(POLICIES),
            "share": pick(SHARES),
            "train": pick(TRAINS),
            "rate": float(f"{10 ** random.uniform(-4, 0):.2g}"),
            "seed": seed,
        }
        if one["rule"] in ("standardized", "mixed", "float32"):
            one["momentum"] = 0.0
        if one["rule"] in ("mixed", "float32"):
            one["batch"] = 1
        if one["train"] == "last:1":
            one["policy"] = "all"
        found.append(one)
    return found


@cache
def samples(task: str) -> tuple[Any, Any, Any, Any]:
    """What is learned and what is held out; values 0 to 1."""
    found = data.load("digits")
    x, x_test = (part[..., None].astype(np.float32) / 16 for part in (found.x_train, found.x_test))
    if task == "upside down":
        x, x_test = upside_down(x), upside_down(x_test)
    return x, found.y_train, x_test, found.y_test


@cache
def network(task: str) -> mg.Model:
    """What begins."""
    if task != "new weights":
        return mg.load(model_path("digits_cnn"))
    with tempfile.TemporaryDirectory() as folder:
        path = nets.write("resnet8", Path(folder) / "net.onnx", input_shape=(8, 8, 1), classes=10)
        return mg.load(path)


def trained(one: dict[str, Any]) -> dict[str, Any]:
    """Accuracy before and after, and what was said."""
    x, y, x_test, y_test = samples(one["task"])
    options: dict[str, Any] = {}
    if one["rule"] in ("mixed", "float32"):
        options["precision"] = one["rule"]
    else:
        options["rule"] = mg.Update(one["rule"], momentum=one["momentum"], batch=one["batch"])
    if one["policy"] != "all":
        options["sparse"] = mg.Sparse(one["share"], policy=one["policy"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mg.McugradWarning)
        trainer = mg.compile(
            network(one["task"]), calibration=x[:256], train=one["train"], seed=one["seed"], **options
        )
        before = trainer.evaluate(x_test, y_test)
        try:
            history = trainer.fit(x, y, epochs=EPOCHS, rate=one["rate"], seed=one["seed"])
            said = list(history[-1].notes)
        except mg.UsageError as error:
            said = [str(error)]
        after = trainer.evaluate(x_test, y_test)
    return {**one, "before": round(before, 4), "after": round(after, 4), "said": said}


def came_to_nothing(one: dict[str, Any]) -> bool:
    """Whether a training ended at chance, or far below where it began."""
    return one["after"] < CHANCE or one["after"] < one["before"] - FALLEN


def run(options: argparse.Namespace) -> None:
    """Trains all; goes on where it was stopped, if that was at the same commit."""
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    before, where = read(options.json), origin()
    same = before.get("commit") == where["commit"]
    found: list[dict[str, Any]] = before["trainings"][: options.count] if same else []
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        for one in pool.map(trained, drawn(options.count)[len(found) :], chunksize=1):
            found.append(one)
            if came_to_nothing(one) and not one["said"]:
                print("silent:", one, flush=True)
            if len(found) % KEPT_EVERY == 0:
                write(options.json, {**where, "trainings": found})
    write(options.json, {**where, "trainings": found})


def silent(results: Results) -> list[dict[str, Any]]:
    """Trainings that came to nothing and did not say so."""
    return [one for one in results["trainings"] if came_to_nothing(one) and not one["said"]]


def alarms(results: Results) -> list[dict[str, Any]]:
    """Trainings that ended well and were said to be odd."""
    noted = [one for one in results["trainings"] if one["said"] and not one["said"][0].startswith(DIVERGED)]
    return [one for one in noted if one["after"] >= max(GOOD, one["before"] - KEPT)]


def table(results: Results) -> str:
    """What became of the trainings of each task."""
    rows = []
    for task in TASKS:
        part = {"trainings": [one for one in results["trainings"] if one["task"] == task]}
        every = part["trainings"]
        nothing = sum(map(came_to_nothing, every))
        good = sum(one["after"] >= max(GOOD, one["before"] - KEPT) for one in every)
        rows.append((task, len(every), nothing, len(silent(part)), good, len(alarms(part))))
    return markdown(("task", "trainings", "came to nothing", "silent", "ended well", "false alarms"), rows)


def bars(results: Results) -> list[Bar]:
    """Nothing collapses in silence, and what is good is left in peace."""
    return [
        Bar("configurations", len(results["trainings"]), COUNT),
        Bar("came to nothing in silence", len(silent(results)), 0, at_least=False),
        Bar("false alarms", len(alarms(results)), 0, at_least=False),
    ]


if __name__ == "__main__":
    parser = arguments("silent", __doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes")
    parser.add_argument("--count", type=int, default=COUNT, metavar="N", help="configurations")
    sys.exit(main(parser.parse_args(), run, table, bars))
