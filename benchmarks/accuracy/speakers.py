"""Whose words come back: what drift's 256 recordings of 59 new speakers do for recordings that are held out.

The runs are those of drift.py, world `speech speakers`, all layers, `sr12`. Recordings are told apart by whether the
256 hold the same word of the same speaker, or none of it. Held out are the test recordings of that world, and its
recordings that are neither learned nor tested.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import adaptation
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bars import Results, markdown
from harness import SEEDS, Suite, main, select
from sets import load
from worlds import world_of

WORLD = "speech speakers"
SILENCE = -1
"""In place of the speaker of a recording that has none."""
HELD_OUT = {"test": "test recordings", "rest": "neither learned nor tested"}
GROUPS = {"learned": "this word of this speaker learned", "other": "not learned", "silence": "silence"}
WAYS = ("no replay", "replay, both")


@dataclass(frozen=True)
class Run:
    """An adaptation as in drift.py: in which of its ways, with which luck."""

    way: str
    seed: int


def matrix(everything: bool) -> list[Run]:
    """Every way with every seed."""
    return [Run(way, seed) for way in WAYS for seed in SEEDS]


def adapts(run: Run) -> adaptation.Run:
    """The run of drift.py."""
    return adaptation.run_of(
        WORLD, "all", adaptation.MAIN, adaptation.ABOUT, adaptation.WAYS[run.way], run.seed
    )


@cache
def speakers() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the new world's recordings to learn from, and of its test recordings, as worlds.py tells them apart."""
    everyone = load("speech").of_test["speaker"]
    return everyone[::2], everyone[1::2]


def perform(run: Run) -> dict[str, Any]:
    """Adapts; of each group the recordings, and how many were right before and after."""
    change = adapts(run)
    chosen, _ = adaptation.chosen(change)
    here, (who, who_test) = world_of(WORLD), speakers()
    rest = np.setdiff1d(np.arange(len(who)), chosen)
    learned = set(zip(who[chosen].tolist(), here.new[1][chosen].tolist(), strict=True))
    parts = {"test": (*here.new_test, who_test), "rest": (here.new[0][rest], here.new[1][rest], who[rest])}
    adapted = adaptation.perform(change)
    trainer, begin, *_ = adaptation.delivered(WORLD, "all", adaptation.MAIN, run.seed)
    right = {"after": _right(trainer, parts)}
    trainer.state = begin
    right["before"] = _right(trainer, parts)
    found: dict[str, Any] = {"accuracy": adapted["accuracy"]}
    for part, (_, y, speaker) in parts.items():
        known = np.array([pair in learned for pair in zip(speaker.tolist(), y.tolist(), strict=True)])
        groups = {
            "learned": known & (speaker != SILENCE),
            "other": ~known & (speaker != SILENCE),
            "silence": speaker == SILENCE,
        }
        for name, which in groups.items():
            counts = [
                int(which.sum()),
                *(int(right[time][part][which].sum()) for time in ("before", "after")),
            ]
            found[f"{part} {name}"] = counts
    return found


def _right(trainer: Any, parts: dict[str, Any]) -> dict[str, NDArray[np.bool_]]:
    return {
        name: trainer.predict(adaptation.shaped(trainer.model, (x, y))[0]) == y
        for name, (x, y, _) in parts.items()
    }


def table(results: Results) -> str:
    """Recordings of all seeds, and the share of them that is right before and after."""
    rows = []
    for way in WAYS:
        entries = select(results, way=way)
        for part, where in HELD_OUT.items():
            for name, what in GROUPS.items():
                if entries:
                    count, before, after = np.sum([entry[f"{part} {name}"] for entry in entries], axis=0)
                    shares = (f"{100 * before / count:.1f}", f"{100 * after / count:.1f}")
                    gain = f"{100 * (after - before) / count:+.1f}"
                    rows.append((f"{way}: {where}, {what}", f"{count:,}", *shares, gain))
    return markdown(("way: recordings", "number, three seeds", "before, %", "after, %", "gain, points"), rows)


SUITE = Suite(
    name="speakers",
    about=str(__doc__),
    run=Run,
    matrix=matrix,
    perform=perform,
    tables={"speakers": table},
    needs=lambda run: adaptation.needs(adapts(run)),
    prepare=adaptation.prepare,
    group=lambda run: run.seed,
)

if __name__ == "__main__":
    raise SystemExit(main(SUITE))
