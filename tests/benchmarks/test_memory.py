"""RAM of training steps: no plan grows unnoticed, and bars that are missed are known."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from mcugrad.zoo import nets
from thoroughness import LONG

RESULTS = Path(__file__).parents[2] / "benchmarks/results/memory.json"
CASES = (
    "scratch CNN",
    "MLP 784-64-10",
    "conv8-pool-conv16-pool-fc10, 28x28",
    "MCUNet 128x128x3, last two blocks and head",
    *(
        f"MbedNet {size}, last 5{precision}"
        for size in ("32x32x3", "49x40x1")
        for precision in ("", ", mixed", ", float32")
    ),
    "WDCNN 1024x1, last 5",
    "MbedNet 32x32x3, last 5, 12 % of the channels",
    "MCUNet 128x128x3, last two blocks and head, 25 % of the channels",
)
RAM = "RAM of a training step, KB"
MISSED = {f"{name}: {RAM}" for name in (*CASES[3:11], CASES[12])}
"""It only gets shorter: strike out what holds. Weights that train are more than the bar by themselves from the fourth
case on, as long as all channels train; of MCUNet working memory and sample alone are."""


LIKE_OTHERS = {CASES[i] for i in (5, 6, 7, 12)} | {"mobilenet_v2_035", "mobilenet_v1_025"}
"""Plans that change with others: of the same network at another precision, size or share, or of one like mcunet."""


@pytest.mark.parametrize(
    "name", [name for name in (*CASES, *nets.names()) if LONG or name not in LIKE_OTHERS]
)
def test_working_memory_has_not_grown(name: str, benchmark: Any) -> None:
    """By more than 1 %; if it is meant: python benchmarks/memory.py, and commit the results."""
    memory = benchmark("memory")
    kept = memory.read(RESULTS)
    assert memory.grown({part: [c for c in kept[part] if c["network"] == name] for part in kept_parts}) == []


kept_parts = ("cases", "plans")


def test_what_has_grown_is_said_with_both_numbers(benchmark: Any) -> None:
    memory = benchmark("memory")
    kept = copy.deepcopy(memory.read(RESULTS))
    cases = [c for c in kept["cases"] if c["network"] == "MLP 784-64-10"]
    plans = [c for c in kept["plans"] if c["network"] == "mlp"]
    before = cases[0]["plan"]["arena"], plans[0]["train"]["arena"]
    cases[0]["plan"]["arena"] -= before[0] // 50
    plans[0]["train"]["arena"] -= before[1] // 50
    assert memory.grown({"cases": cases, "plans": plans}) == [
        f"MLP 784-64-10: arena {before[0] - before[0] // 50:,} -> {before[0]:,} B",
        f"mlp, train: arena {before[1] - before[1] // 50:,} -> {before[1]:,} B",
    ]


def test_all_cases_are_there_and_their_parts_add_up(benchmark: Any) -> None:
    memory = benchmark("memory")
    kept = memory.read(RESULTS)
    assert tuple(memory.NETWORKS) == CASES
    assert [c["network"] for c in kept["cases"]] == list(CASES)
    assert [c["network"] for c in kept["plans"]] == list(nets.names())
    for c in kept["cases"]:
        assert c["ram"] == c["model"] + c["sample"] + c["stack"]
        assert c["model"] == c["state"] + c["arena"] + 4
        assert c["weight_count"] <= c["weights"] <= c["state"]
        assert c["plan"]["bound"] <= c["plan"]["arena"] <= c["arena"]
        assert c["plan"]["ram"] == c["plan"]["arena"] + c["state"] + 4 + c["sample"]


def test_bars_that_are_missed_are_known_and_no_others(benchmark: Any) -> None:
    memory = benchmark("memory")
    bars = memory.bars(memory.read(RESULTS))
    assert sorted({bar.claim for bar in bars if not bar.holds} - MISSED) == []


def test_weights_alone_are_more_than_some_bars_allow(benchmark: Any) -> None:
    """Of these no plan can hold the bar: what trains is in RAM."""
    memory = benchmark("memory")
    for c in memory.read(RESULTS)["cases"][3:11]:
        assert c["weights"] > memory.NETWORKS[c["network"]].most


def test_rows_in_flash_leave_weights_that_keep_a_bar(benchmark: Any) -> None:
    """A fixed part of the channels trains: with hardly more of them MbedNet would take more than its bar."""
    memory = benchmark("memory")
    whole, part = (memory.NETWORKS[name] for name in (CASES[4], CASES[11]))
    assert (part.model, part.train, part.most) == (whole.model, whole.train, whole.most)
    model, stack = part.model(), 1024
    assert memory.plan_of(memory.programs_of(model, part.options))["ram"] + stack <= part.most
    more = memory.replace(part, share=part.share + 0.01)
    assert memory.plan_of(memory.programs_of(model, more.options))["ram"] + stack > part.most


def test_weights_shrink_with_the_channels_that_train(benchmark: Any) -> None:
    memory = benchmark("memory")
    kept = {c["network"]: c for c in memory.read(RESULTS)["cases"]}
    whole, part = kept[CASES[3]], kept[CASES[12]]
    assert part["weights"] < 0.26 * whole["weights"]
    assert part["arena"] == whole["arena"]
    assert part["arena"] + part["sample"] > memory.NETWORKS[CASES[12]].most


def test_the_picture_is_of_what_is_planned_today(benchmark: Any) -> None:
    """If this is meant: python benchmarks/write_results.py --plots, and look at it."""
    committed = RESULTS.parents[2] / "docs/images/memory.svg"
    assert committed.read_text(encoding="utf-8") == benchmark("memory").picture()


@pytest.mark.mcu
def test_a_case_is_counted_on_the_firmware(benchmark: Any) -> None:
    memory = benchmark("memory")
    found = memory.case("MLP 784-64-10")
    assert found["weights"] == found["weight_count"] == 784 * 64 + 64 * 10
    assert 0 < found["stack"] < 4096
    assert found["flash"] > found["constants"] + found["initial_state"]


def test_more_working_memory_never_takes_more_instructions(benchmark: Any) -> None:
    """And where a prediction by LeNet has 4 KB more, it takes far less, today as well."""
    memory = benchmark("memory")
    plans = {c["network"]: c for c in memory.read(RESULTS)["plans"]}
    for plan in plans.values():
        for way in ("predict", "train"):
            parts = [0.0, *plan[way]["buys"].values()]
            assert parts == sorted(parts)
            assert parts[-1] < 1
    fresh = memory.zoo_plan("lenet")["predict"]["buys"]
    assert fresh == pytest.approx(plans["lenet"]["predict"]["buys"], abs=0.02)  # as far as prices may be off
    assert fresh["4"] > 0.5
