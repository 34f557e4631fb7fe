"""The benchmark of silence: what counts as silent and as a false alarm, and that it goes on where it was stopped."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def silent(benchmark: Any) -> Any:
    return benchmark("silent")


def one(before: float, after: float, *said: str) -> dict[str, Any]:
    return {"task": "known", "before": before, "after": after, "said": list(said)}


def test_what_is_silent_and_what_is_a_false_alarm(silent: Any) -> None:
    fine, chance, fell = one(0.98, 0.98), one(0.12, 0.11), one(0.98, 0.7)
    told, noted = one(0.98, 0.1, "training collapsed"), one(0.98, 0.98, "training collapsed")
    put_back = one(0.98, 0.98, "training diverged in epoch 1: w is no longer finite")
    results = {"trainings": [fine, chance, fell, told, noted, put_back, one(0.98, 0.96, "a layer sleeps")]}
    assert silent.silent(results) == [chance, fell]
    assert silent.alarms(results) == [noted]
    held = {bar.claim: bar.holds for bar in silent.bars(results)}
    assert held == {"configurations": False, "came to nothing in silence": False, "false alarms": False}
    assert "| known" in silent.table(results)


def test_it_goes_on_where_it_was_stopped_at_the_same_commit(silent: Any, tmp_path: Path) -> None:
    """What is there is kept as it is; of another commit nothing is."""
    path = tmp_path / "silent.json"
    kept = [one(0.5, 0.6), one(0.5, 0.7)]
    options = argparse.Namespace(json=path, jobs=1, count=2)
    silent.write(path, {**silent.origin(), "trainings": kept})
    silent.run(options)
    assert json.loads(path.read_text())["trainings"] == kept
    assert silent.drawn(3)[:2] == silent.drawn(2)


def test_a_training_says_what_became_of_it(silent: Any) -> None:
    wild = {**silent.drawn(1)[0], "task": "known", "rule": "float32", "policy": "all", "train": "all"}
    found = silent.trained({**wild, "momentum": 0.0, "batch": 1, "rate": 3.0})
    assert found["said"]
    assert found["before"] > 0.9


def test_what_is_committed_clears_its_bars(silent: Any) -> None:
    results = silent.read(FOLDER / "results/silent.json")
    assert [str(bar) for bar in silent.bars(results) if not bar.holds] == []
