"""benchmarks/accuracy/auto.py: what is advised stands beside all ways by hand, and which bars it misses is known."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

RESULTS = Path(__file__).parents[2] / "benchmarks/results/accuracy_auto.json"
MISSED = {"har watch: advised above the best by hand, points"}
"""It only gets shorter: strike out what holds."""


@pytest.fixture
def auto(benchmark: Any) -> ModuleType:
    found: ModuleType = benchmark("auto")
    return found


def test_every_seed_has_the_advice_and_the_same_ways_by_hand(auto: ModuleType) -> None:
    kept = auto.read(RESULTS)
    for world in (*auto.WORLDS, *auto.CHOSEN_BY):
        found = auto.ways(kept, world)
        assert {len(runs) for runs in found.values()} == {len(auto.SEEDS)}
        assert (auto.ADVISED, "") in found
        assert {rule for train, rule in found if train == "last:1"} == set(auto.RULES)


def test_bars_that_are_missed_are_known(auto: ModuleType) -> None:
    missed = {bar.claim for bar in auto.bars(auto.read(RESULTS)) if not bar.holds}
    assert missed - MISSED == set()


def test_bars_compare_with_the_best_by_hand_and_with_the_time_of_all(auto: ModuleType) -> None:
    def run(train: str, rule: str, accuracy: float, seconds: float) -> dict[str, Any]:
        return {
            "world": "har watch",
            "seed": 0,
            "train": train,
            "rule": rule,
            "accuracy": accuracy,
            "seconds": seconds,
            "before": 0.1,
        }

    results = {"cases": [run("all", "sr8", 0.8, 6.0), run("last:1", "sr8", 0.7, 4.0)]}
    results["cases"].append(run(auto.ADVISED, "all sr8", 0.79, 0.9))
    bars = {bar.claim: bar for bar in auto.bars(results) if bar.claim.startswith("har watch")}
    assert bars["har watch: advised above the best by hand, points"].value == pytest.approx(-1)
    share = bars["har watch: time of the advice, of all by hand"]
    assert share.value == pytest.approx(0.09)
    assert share.holds
