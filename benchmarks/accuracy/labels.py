"""Which recordings to label: drawn, or those that the delivered network is least sure of.

The worlds of drift.py, all layers, `sr12`, its replay with memory and its augmentation. `drawn`: as there, n labelled
samples at random. `least sure`: of all samples of the new world that are there to learn from, the n to which the
delivered network gives the least confidence (`Trainer.confidence`; on the device `<name>_watch` tells it), so that a
person is asked for those labels alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drift
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bars import Results, markdown
from harness import SEEDS, Suite, main, select
from worlds import WORLDS, world_of

CHOICES = ("drawn", "least sure")
SIZES = (64, 256)


@dataclass(frozen=True)
class Run:
    """An adaptation: to what, from how many labels, of which samples, with which luck."""

    world: str
    choice: str
    n: int
    seed: int


def matrix(everything: bool) -> list[Run]:
    """Every world and choice with every seed."""
    return [
        Run(world, choice, n, seed) for world in WORLDS for n in SIZES for choice in CHOICES for seed in SEEDS
    ]


def adaptation(run: Run) -> drift.Run:
    """The run of drift.py."""
    replay, memory, augment = drift.BOTH
    rate = drift.rate_of(run.world, "all", drift.MAIN, memory, augment)
    return drift.Run(run.world, "all", drift.MAIN, run.n, replay, rate, run.seed, memory, augment)


def perform(run: Run) -> dict[str, Any]:
    """Adapts; accuracy in both worlds, before and after, and how many of the labels correct a prediction."""
    change = adaptation(run)
    new, kept = drift.chosen(change)
    trainer, begin, *_ = drift.delivered(change.world, change.train, change.method, change.seed)
    trainer.state = begin
    x, y = drift.shaped(trainer.model, world_of(run.world).new)
    if run.choice == "least sure":
        new = np.argsort(trainer.confidence(x), kind="stable")[: run.n]
    corrections = int((trainer.predict(x[new]) != y[new]).sum())
    return {**drift.adapted(change, new, kept), "corrections": corrections}


def table(results: Results) -> str:
    """What comes back and what is forgotten, by what is labelled."""
    rows = []
    for world, what in WORLDS.items():
        for n in SIZES:
            found = [select(results, world=world, n=n, choice=choice) for choice in CHOICES]
            if all(found):
                cells = (" / ".join((*drift.triple(each), _corrections(each))) for each in found)
                rows.append((f"{what}, {n} labels", *cells))
    what = "new world, % / recovered, % / forgotten, points / labels that correct"
    return markdown(("world", *(f"{choice}: {what}" for choice in CHOICES)), rows)


def _corrections(entries: Sequence[dict[str, Any]]) -> str:
    return f"{np.mean([entry['corrections'] for entry in entries]):.0f}"


SUITE = Suite(
    name="labels",
    about=str(__doc__),
    run=Run,
    matrix=matrix,
    perform=perform,
    tables={"labels": table},
    needs=lambda run: drift.needs(adaptation(run)),
    prepare=drift.prepare,
    group=lambda run: (run.world, run.seed),
)

if __name__ == "__main__":
    raise SystemExit(main(SUITE))
