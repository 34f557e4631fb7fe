"""What kernels and steps cost: counted where they should be, judged by the worse compiler, and bars that are missed."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcugrad import toolchain
from mcugrad.zoo.nets import Net

FOLDER = Path(__file__).parents[2] / "benchmarks"

MISSED: dict[str, dict[str, str]] = {}
"""Passes of layers whose kernels take more than they must, by core. It only gets shorter: strike out what holds."""
ODD: set[str] = set()
"""Odd layers that cost too many times as much as their even neighbours, as the claims of their bars say."""


STEPS: dict[str, str] = {
    "scratch CNN": "cheaper",
    "MCUNet 128x128x3, last two blocks and head": "step",
}
"""Networks whose training steps or predictions take more than they must, stack included. It only gets shorter."""
TWIN: set[str] = set()
"""Rules whose steps on the host are not fast enough yet. It only gets shorter."""
CLAIMS = {
    "step": "a training step, millions of instructions",
    "predict": "a prediction, millions of instructions",
    "cheaper": "backward at 10% of the updates, times cheaper",
    "stack": "stack, B",
}


@pytest.mark.mcu
def test_every_pass_of_a_layer_is_counted_once_by_each_rule(benchmark: Any) -> None:
    kernels, layers = benchmark("kernels"), benchmark("layer_calls")
    small = layers.Layer("small", (8, 3, 3), partial(Net.conv, out=4, kernel=3))
    calls = kernels.called([small])
    assert [which for _, which, _ in calls] == ["forward", "input gradient", "sr8", "sr12", "sr16"]
    assert small.macs == 3 * 3 * 3 * 3 * 8 * 4
    together = [*{each.call.kernel.name: each.call.kernel for _, _, each in calls}.values()]
    cases = {case["pass"]: case for case in kernels.counted(calls, "cortex-m4f", "zig", together=together)}
    assert set(cases) == set(kernels.PASSES)
    for case in cases.values():
        assert small.macs / 2 < case["instructions"] < 40 * small.macs
        assert 0.5 * case["instructions"] < case["cycles"] < 3 * case["instructions"]
        assert 0 < case["stack"] < 4096
    first = replace(small, first=True)
    assert [which for _, which, _ in kernels.called([first])] == ["forward", "sr8", "sr12", "sr16"]


@pytest.mark.mcu
def test_a_kernel_that_is_wrong_is_not_counted(benchmark: Any) -> None:
    kernels, layers = benchmark("kernels"), benchmark("layer_calls")
    small = layers.Layer("small", (4,), partial(Net.fc, out=3))
    (call, *_) = kernels.called([small])
    call[2].changed["y"][0] += 1
    with pytest.raises(SystemExit, match="small, forward on cortex-m4f: y is not as by the reference"):
        kernels.counted([call], "cortex-m4f", "zig")


def test_the_worse_compiler_counts(benchmark: Any) -> None:
    kernels = benchmark("kernels")
    one = {"layer": kernels.POINTWISE, "pass": "forward", "macs": 100, "cycles": 60}
    cases = [
        {**one, "core": core, "compiler": compiler, "instructions": count}
        for core in ("cortex-m4f", "cortex-m7")
        for compiler, count in (("zig", 90), ("arm-none-eabi-gcc", 97))
    ]
    found = {bar.claim: bar for bar in kernels.bars({"cases": cases})}
    on_m4 = found[f"cortex-m4f, {kernels.POINTWISE}, forward: instructions per MAC"]
    assert (on_m4.value, on_m4.holds) == (0.97, False)
    on_m7 = found[f"cortex-m7, {kernels.POINTWISE}, forward: cycles per MAC"]
    assert (on_m7.value, on_m7.holds) == (0.6, True)
    assert "0.90 / 0.97 (0.95; 0.87)" in kernels.table({"cases": cases})
    nothing = f"cortex-m4f, {kernels.FC}, forward: instructions per MAC"
    assert not found[nothing].holds
    assert "no result" in str(found[nothing])


def test_kernels_miss_the_bars_that_are_known_and_no_others(benchmark: Any) -> None:
    kernels = benchmark("kernels")
    missed = {
        bar.claim for bar in kernels.bars(kernels.read(FOLDER / "results/kernels.json")) if not bar.holds
    }
    known = {
        f"{core}, {layer}, {which}: {'cycles' if core in kernels.IN_CYCLES else 'instructions'} per MAC"
        for core, layers in MISSED.items()
        for layer, passes in layers.items()
        for which in passes.split(", ")
    } | ODD
    assert sorted(missed - known) == []


def test_all_that_is_committed_was_counted_for_all_layers_cores_and_compilers(benchmark: Any) -> None:
    kernels = benchmark("kernels")
    cases = kernels.read(FOLDER / "results/kernels.json")["cases"]
    found = {(c["core"], c["compiler"], c["layer"], c["pass"]) for c in cases}
    wanted = {
        (core, compiler, layer.name, which)
        for core in kernels.CORES
        for compiler in kernels.COMPILERS
        for layer in kernels.LAYERS
        for which in kernels.PASSES
        if not (layer.first and which == "input gradient")
    }
    assert found == wanted
    assert len(cases) == len(wanted)
    assert all((case["cycles"] is None) == (case["core"] == "cortex-m55") for case in cases)


def test_steps_miss_the_bars_that_are_known_and_no_others(benchmark: Any) -> None:
    steps = benchmark("steps")
    missed = {bar.claim for bar in steps.bars(steps.read(FOLDER / "results/steps.json")) if not bar.holds}
    known = {f"{name}: {CLAIMS[each]}" for name, which in STEPS.items() for each in which.split(", ")}
    assert sorted(missed - known) == []


def test_the_twin_misses_the_bars_that_are_known_and_no_others(benchmark: Any) -> None:
    """Eight times PyTorch's steps per second is what it is held to; three times is what is promised."""
    twin = benchmark("twin")
    results = benchmark("bars").read(FOLDER / "results/twin.json")
    assert {bar.claim for bar in twin.bars(results) if not bar.holds} <= TWIN
    assert all(float(np.median(twin.ratios(results, rule))) >= 3 for rule in twin.RULES)


@pytest.mark.mcu
def test_a_network_is_counted_by_both_compilers_and_in_part(benchmark: Any, tmp_path: Path) -> None:
    steps = benchmark("steps")
    missing = set(steps.COMPILERS) - set(toolchain.firmware_compilers())
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    path = tmp_path / "steps.json"
    name = "MLP 784-64-10"
    steps.NETWORKS = {name: replace(steps.NETWORKS[name], samples=1, cheaper=1.0, predict=0.2)}
    steps.run(argparse.Namespace(json=path, only=None))
    results = steps.read(path)
    found = {case["compiler"]: case for case in results["cases"]}
    assert set(found) == set(steps.COMPILERS)
    for case in found.values():
        assert case["macs"] == 784 * 64 + 64 * 10
        assert case["macs"] < case["predict"] < case["step"] < 60 * case["macs"]
        assert 0 < case["partial_backward"] < case["step"] - case["predict"]
        assert case["arena"] < case["ram"]
    held = {bar.claim: bar for bar in steps.bars(results)}
    worse = max(case["predict"] for case in found.values())
    assert held[f"{name}: a prediction, millions of instructions"].value == worse / 1e6
    assert held[f"{name}: backward at 10% of the updates, times cheaper"].holds
    assert name in steps.table(results)
    assert steps.check_fresh(results, None) == 0
    found["zig"]["step"] /= 1.03
    assert steps.check_fresh(results, [name]) == 1


@pytest.mark.parametrize("name", ["kernels", "steps", "memory"])
def test_check_judges_what_is_there(script: Any, name: str, tmp_path: Path) -> None:
    done = script(name, "--check")
    missed = "\nMISS  " in done.out
    assert done.code == (1 if missed else 0), done.err
    assert ("bars missed" in done.err) == missed
    none = script(name, "--check", "--json", str(tmp_path / "none.json"))
    assert none.code == 1
    assert "there are no results in" in none.err
