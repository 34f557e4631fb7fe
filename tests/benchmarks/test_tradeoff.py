"""benchmarks/tradeoff.py: that every way to train is counted, on what fits, and what accuracy it stands beside."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from networks import Conv, Dense, model

MISSED = {
    *(f"{name}, mixed: RAM of a step, KB" for name in ("cifar10", "animals", "har", "cwru", "tiny100")),
    *(f"{name}, float32: RAM of a step, KB" for name in ("har", "cwru")),
    "cwru, sr8: RAM of a step, KB",
    "cwru, sr12: a step on imxrt1062, ms",
}
"""It only gets shorter: strike out what holds."""
RESULTS = Path(__file__).parents[2] / "benchmarks/results/tradeoff.json"


@pytest.fixture
def tradeoff(benchmark: Any) -> ModuleType:
    found: ModuleType = benchmark("tradeoff")
    return found


@pytest.fixture
def kept(tradeoff: ModuleType) -> dict[str, Any]:
    found: dict[str, Any] = tradeoff.read(RESULTS)
    return found


def test_every_way_is_there_once(tradeoff: ModuleType, kept: dict[str, Any]) -> None:
    wanted = [(name, *way) for name, task in tradeoff.TASKS.items() for way in tradeoff.ways(task)]
    assert sorted((c["task"], c["method"], c["share"]) for c in kept["cases"]) == sorted(wanted)


def test_every_way_of_a_suite_has_an_accuracy(tradeoff: ModuleType, kept: dict[str, Any]) -> None:
    without = {c["task"] for c in kept["cases"] if tradeoff.accuracy(c) is None}
    assert without == {name for name, task in tradeoff.TASKS.items() if task.finals is None}


def test_a_way_has_costs_where_it_fits_and_nowhere_else(tradeoff: ModuleType, kept: dict[str, Any]) -> None:
    """What misses a board is what needs more RAM or flash than it has; the stack of its own is not known then."""
    for c in kept["cases"]:
        assert c["ram"] == c["maps"] + c["learned"] + 4 + c.get("stack", 0)
        for name in tradeoff.BOARDS:
            board = tradeoff.targets.load(name)
            if name in c["boards"]:
                assert c["ram"] <= board.ram.bytes
                assert c["flash"] <= board.flash.bytes
                assert (
                    0
                    < c["boards"][name]["predict"]["instructions"]
                    < c["boards"][name]["step"]["instructions"]
                )


def test_bars_that_are_missed_are_known(tradeoff: ModuleType, kept: dict[str, Any]) -> None:
    assert {bar.claim for bar in tradeoff.bars(kept) if not bar.holds} <= MISSED


@pytest.mark.mcu
def test_a_step_of_a_batch_is_the_mean_over_it(tradeoff: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven of eight steps of `qas` add up, one changes weights: the mean lies between them."""
    net = model((1, 8, 8), (Conv(4, stride=(2, 2)), Dense(3)))
    task = tradeoff.Task(lambda: net, "last:1", None, tradeoff.Published())
    monkeypatch.setattr(tradeoff, "TASKS", {"small": task})
    monkeypatch.setattr(tradeoff, "BOARDS", ("nrf52840",))
    found = tradeoff.case("small", "qas", 1.0)
    alone = tradeoff.case("small", "sr8", 1.0)
    assert set(found["boards"]) == {"nrf52840"}
    step, other = (c["boards"]["nrf52840"]["step"]["instructions"] for c in (found, alone))
    assert step != other
    assert step != round(step)
