"""What `mg.advise` chooses within 64 KiB of RAM, beside every last:N by every rule that fits, each at its own rate.

Networks are trained offline in an old world and meet a new one (`worlds.py`), of which 1,024 labelled samples, or all
that there are, are learned from in 5 passes. By hand every way that fits is compiled and trained with `rate="auto"`;
advised is one way, found from the same samples, trained at the rate that was found with it. Accuracy is that on test
samples of the new world; time is that of processors, building twins left out on neither side.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from adaptation import Run, needs, pretrained, shaped
from bars import Bar, Results, arguments, main, markdown, origin, read, write
from harness import SEEDS, loaded
from worlds import world_of

import mcugrad as mg
from mcugrad import toolchain
from mcugrad.choosing import RULES
from mcugrad.errors import FitError

WORLDS = ("cwru 3 hp", "har watch")
"""Of the bars: what is advised was not chosen by them."""
CHOSEN_BY = ("cwru 1 hp", "har wearers", "mnist turned", "speech speakers")
"""Worlds that said how to choose."""
RAM = "64K"
SAMPLES = 1024
EPOCHS = 5
SHARE = 0.1
"""Of the time of trying all by hand that the advice may take."""
ADVISED = "advised"

Case = dict[str, Any]


def trained(
    model: mg.Model, world: str, seed: int, options: dict[str, Any]
) -> tuple[mg.Trainer | None, float]:
    """A way to train, and its accuracy in the new world; no trainer where it does not fit."""
    here = world_of(world)
    x, y = (part[_drawn(here.new, seed)] for part in shaped(model, here.new))
    calibration = shaped(model, here.train)[0][:256]
    options = {"rate": "auto", "ram": RAM, **options}
    try:
        made = mg.compile(model, calibration=calibration, prefer="speed", seed=seed, **options)
    except FitError:
        return None, 0.0
    made.fit(x, y, epochs=EPOCHS, seed=seed)
    return made, made.evaluate(*shaped(model, here.new_test))


def _drawn(samples: Any, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(len(samples[1]))[:SAMPLES]


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function gives, and the seconds of processor time that it and what it started took.

    Other work on the computer lengthens a clock's seconds, these hardly.
    """
    start = os.times()
    found = function()
    return found, sum(os.times()[:4]) - sum(start[:4])


def delivered(world: str, seed: int) -> mg.Model:
    """The network that knows the old world."""
    return loaded(pretrained(needs(Run(world, "all", "sr12", 0, 0, 0.0, seed))))


def by_hand(world: str, seed: int) -> list[Case]:
    """All ways that fit."""
    model = delivered(world, seed)
    count = len(model.layers)
    found = []
    for number in range(count, 0, -1):
        train = "all" if number == count else f"last:{number}"
        for rule in RULES:
            options = {"train": train, "rule": rule}
            (made, accuracy), seconds = timed(lambda options=options: trained(model, world, seed, options))
            if made is not None:
                found.append({**options, "accuracy": round(accuracy, 4), "seconds": round(seconds, 2)})
    return found


def advised(world: str, seed: int) -> Case:
    """What is advised."""
    model = delivered(world, seed)
    here = world_of(world)
    x, y = (part[_drawn(here.new, seed)] for part in shaped(model, here.new))
    calibration = shaped(model, here.train)[0][:256]
    advice, seconds = timed(
        lambda: mg.advise(model, x, y, ram=RAM, epochs=EPOCHS, calibration=calibration, seed=seed)
    )
    made, accuracy = trained(model, world, seed, advice.options)
    assert made is not None
    before = mg.compile(model, calibration=calibration, train="none").evaluate(*shaped(model, here.new_test))
    return {
        "train": ADVISED,
        "rule": advice.best.text.replace(" by ", " "),
        "accuracy": round(accuracy, 4),
        "seconds": round(seconds, 2),
        "before": round(before, 4),
    }


def run(options: argparse.Namespace) -> None:
    warnings.simplefilter("ignore", mg.McugradWarning)
    results = read(options.json) if options.json.exists() else {}
    cases = results.get("cases", [])
    for world in options.only or (*WORLDS, *CHOSEN_BY):
        for seed in SEEDS:
            here = {"world": world, "seed": seed}
            mine = [c for c in cases if here.items() <= c.items() and c["train"] != ADVISED]
            if not mine or options.again:
                mine = [{**here, **each} for each in by_hand(world, seed)]
            others = [c for c in cases if not here.items() <= c.items()]
            cases = [*others, *mine, {**here, **advised(world, seed)}]
            compiler = f"zig {toolchain.find_compiler('zig').version}"
            write(options.json, {**origin(), "compiler": compiler, "cases": cases})
            print(f"{world}, seed {seed}: {cases[-1]}", flush=True)


def ways(results: Results, world: str) -> dict[tuple[str, str], list[Case]]:
    """Runs by what trains and by which rule; of the advice together, whatever was chosen."""
    found: dict[tuple[str, str], list[Case]] = {}
    for each in results.get("cases", []):
        if each["world"] == world:
            rule = "" if each["train"] == ADVISED else each["rule"]
            found.setdefault((each["train"], rule), []).append(each)
    return found


def _mean(cases: list[Case], key: str) -> float:
    return float(np.mean([each[key] for each in cases]))


def best(results: Results, world: str) -> tuple[str, str] | None:
    """The way by hand with the best mean accuracy."""
    tried = {way: runs for way, runs in ways(results, world).items() if way[0] != ADVISED}
    return max(tried, key=lambda way: _mean(tried[way], "accuracy"), default=None)


def table(results: Results) -> str:
    rows = []
    for world in (*WORLDS, *CHOSEN_BY):
        found, hand = ways(results, world), best(results, world)
        if hand is None:
            continue
        tried = [each for way, runs in found.items() if way[0] != ADVISED for each in runs]
        chosen = found[ADVISED, ""]
        rows.append(
            (
                world,
                f"{100 * _mean(chosen, 'before'):.1f}",
                f"{100 * _mean(chosen, 'accuracy'):.1f}, {' / '.join(dict.fromkeys(each['rule'] for each in chosen))}",
                f"{100 * _mean(found[hand], 'accuracy'):.1f}, {' '.join(hand)}",
                f"{100 * _mean(tried, 'accuracy'):.1f}",
                f"{_mean(chosen, 'seconds'):.1f}",
                f"{sum(each['seconds'] for each in tried) / len(chosen):.1f}, {len(tried) // len(chosen)} ways",
            )
        )
    head = (
        *("world", "before, %", "advised, %", "best by hand, %", "mean by hand, %"),
        *("time of the advice, processor s", "of all by hand, s"),
    )
    return markdown(head, rows)


def bars(results: Results) -> list[Bar]:
    found = []
    for world in WORLDS:
        each, hand = ways(results, world), best(results, world)
        chosen = each.get((ADVISED, ""), [])
        gain = 100 * (_mean(chosen, "accuracy") - _mean(each[hand], "accuracy")) if hand and chosen else None
        found.append(Bar(f"{world}: advised above the best by hand, points", gain, 0))
        spent = sum(run["seconds"] for way, runs in each.items() if way[0] != ADVISED for run in runs)
        share = sum(run["seconds"] for run in chosen) / spent if spent else None
        found.append(Bar(f"{world}: time of the advice, of all by hand", share, SHARE, at_least=False))
    return found


if __name__ == "__main__":
    parser = arguments("accuracy_auto", __doc__)
    parser.add_argument(
        "--only", nargs="+", choices=(*WORLDS, *CHOSEN_BY), metavar="WORLD", help="worlds to run"
    )
    parser.add_argument(
        "--again", action="store_true", help="train by hand again, too; else only advise anew"
    )
    raise SystemExit(main(parser.parse_args(), run, table, bars))
