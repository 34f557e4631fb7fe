"""Which recordings to label: drawn, or those that the delivered network is least sure of.

The worlds of drift.py, all layers, `sr12`, its replay with memory and its augmentation. `drawn`: as there, n labelled
samples at random. `least sure`: of all samples of the new world that are there to learn from, the n to which the
delivered network gives the least confidence (`Trainer.confidence`; on the device `<name>_watch` tells it), so that a
person is asked for those labels alone.

What comes back of many speakers is little and differs from seed to seed, so they have more seeds than other worlds, and
more choices: what the network is sure of is learned as it predicts it, or it passes over its samples more often.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adaptation
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bars import Results, markdown
from harness import SEEDS, Suite, main, select
from worlds import WORLDS, world_of

CHOICES = ("drawn", "least sure")
SIZES = (64, 256)
SURE, LONGER, SURE_LONGER = (
    "least sure, others as predicted",
    "least sure, longer",
    "least sure, others as predicted, longer",
)
LONG = 60
"""Passes over the samples that are trained longer."""
MANY = "speech speakers"
MORE_SEEDS = tuple(range(12))
MORE = {
    ("drawn", adaptation.ABOUT): "drawn",
    ("least sure", adaptation.ABOUT): "least sure",
    (SURE, adaptation.ABOUT): "least sure, and the others as the delivered network predicts them",
    (LONGER, adaptation.ABOUT): f"least sure, {LONG} passes",
    (SURE_LONGER, adaptation.ABOUT): f"least sure, and the others as predicted, {LONG} passes",
    ("drawn", adaptation.EVERYTHING): "all that are there to learn from",
}
"""Choice and labels of many speakers."""


@dataclass(frozen=True)
class Run:
    """An adaptation: to what, from how many labels, of which samples, with which luck."""

    world: str
    choice: str
    n: int
    seed: int


def matrix(everything: bool) -> list[Run]:
    """Every world and choice with every seed; many speakers with more of both."""
    runs = [
        Run(world, choice, n, seed) for world in WORLDS for n in SIZES for choice in CHOICES for seed in SEEDS
    ]
    more = [Run(MANY, choice, n, seed) for choice, n in MORE for seed in MORE_SEEDS]
    return list(dict.fromkeys(runs + more))


def adapts(run: Run) -> adaptation.Run:
    """The run of drift.py."""
    return adaptation.run_of(run.world, "all", adaptation.MAIN, run.n, adaptation.BOTH, run.seed)


def perform(run: Run) -> dict[str, Any]:
    """Adapts; accuracy in both worlds, before and after, and how many of the labels correct a prediction."""
    change = adapts(run)
    new, kept = adaptation.chosen(change)
    trainer, begin, *_ = adaptation.delivered(change.world, change.train, change.method, change.seed)
    trainer.state = begin
    x, y = adaptation.shaped(trainer.model, world_of(run.world).new)
    predicted = trainer.predict(x)
    if run.choice != "drawn":
        new = np.argsort(trainer.confidence(x), kind="stable")[: run.n]
    corrections = int((predicted != y)[new].sum())
    passes = LONG if run.choice in (LONGER, SURE_LONGER) else adaptation.PASSES
    labels = y
    if run.choice in (SURE, SURE_LONGER):
        labels = predicted.copy()
        labels[new] = y[new]
        new = np.arange(len(y))
    found = adaptation.adapted(change, new, kept, labels=labels, passes=passes)
    return {**found, "corrections": corrections}


def table(results: Results) -> str:
    """What comes back and what is forgotten, by what is labelled."""
    rows = []
    for world, what in WORLDS.items():
        for n in SIZES:
            found = [select(results, world=world, n=n, choice=choice) for choice in CHOICES]
            if all(found):
                cells = (" / ".join((*adaptation.triple(each), _corrections(each))) for each in found)
                rows.append((f"{what}, {n} labels", *cells))
    what = "new world, % / recovered, % / forgotten, points / labels that correct"
    return markdown(("world", *(f"{choice}: {what}" for choice in CHOICES)), rows)


def speakers_table(results: Results) -> str:
    """Many speakers: what comes back, by what is labelled and learned, with how much of it is chance."""
    rows = []
    for (choice, n), what in MORE.items():
        entries = select(results, MORE_SEEDS, world=MANY, n=n, choice=choice)
        if len(entries) > 1:
            each = [adaptation.recovered([entry]) for entry in entries]
            known = [share for share in each if share is not None]
            error = np.std(known, ddof=1) / np.sqrt(len(known))
            new, recovered, forgotten = adaptation.triple(entries)
            by_seed = ", ".join(f"{share:.0f}" for share in known)
            rows.append((what, new, f"{recovered} ± {error:.0f}", forgotten, by_seed))
    heads = ("new world, %", "recovered, % ± standard error", "forgotten, points", "recovered, %, each seed")
    return markdown(("labels", *heads), rows)


def _corrections(entries: Sequence[dict[str, Any]]) -> str:
    return f"{np.mean([entry['corrections'] for entry in entries]):.0f}"


SUITE = Suite(
    name="labels",
    about=str(__doc__),
    run=Run,
    matrix=matrix,
    perform=perform,
    tables={"labels": table, "labels-speakers": speakers_table},
    needs=lambda run: adaptation.needs(adapts(run)),
    prepare=adaptation.prepare,
    group=lambda run: (run.world, run.seed),
)

if __name__ == "__main__":
    raise SystemExit(main(SUITE))
