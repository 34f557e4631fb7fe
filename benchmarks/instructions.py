"""Exact instruction counts of a prediction and of a training step on every core, and the RAM that training needs.

Counted under emulation of firmware built by zig -O3, mean over 8 real samples, from the weights at delivery; the same
sources give the same counts on every computer. Cycles are estimated from them and public instruction timings at zero
wait states. `--check-fresh` counts a few cases again and fails when one got worse by more than 2 %; running without
options writes the new counts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from bars import Bar, Results, arguments, main, markdown, origin, read, write
from counting import instructions

import mcugrad as mg
from mcugrad import toolchain
from mcugrad.zoo import data, model_path, nets
from networks import fashion_cnn, few_images, one_linear

SAMPLES = 8
CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4f", "cortex-m7", "cortex-m33")
BOARDS = {"rp2040": 817.0, "nrf52840": 898.0, "imxrt1062": 35.4}
"""Milliseconds of a training step as published for another CNN: Deutel et al., arXiv 2407.10734."""
NETWORKS = ("fashion_cnn", "digits_cnn")
FLOAT = "float32"
RULES = ("sr8", "sr16", FLOAT)
PARTIAL = (("fashion_cnn", "sr12"), ("fashion_cnn", FLOAT), ("ds_cnn", "sr12"))
"""Networks whose partial updates are counted, and the rule, or that all is float32; ds_cnn is depthwise separable, its
batch-norms set by the images."""
PARTIAL_CORES = ("cortex-m4f", "cortex-m0plus")
SHARES = (1.0, 0.5, 0.25, 0.1)
PUBLISHED = {1.0: "1", 0.5: "1.4 to 1.9", 0.25: "", 0.1: "4.0 to 8.7"}
"""Speed-up of the backward pass at that share as published, over seven data sets: Deutel et al., arXiv 2407.10734."""
ONE_LAYER = (1024, 16)
"""Inputs and outputs of the fully connected layer that update rules are counted on."""
UPDATES = {
    **{rule: mg.Update(rule) for rule in ("sr8", "sr10", "sr12", "sr16", "qas")},
    "standardized, batch 8": mg.Update("standardized", batch=8),
    "sr12, momentum 0.9": mg.Update("sr12", momentum=0.9),
    "sr12, momentum 0.9 in 8 bits": mg.Update("sr12", momentum=0.9, velocity_bits=8),
    "sr12, batch 8": mg.Update("sr12", batch=8),
    "sr12, batch 8, momentum 0.9": mg.Update("sr12", batch=8, momentum=0.9),
    "sr12, batch 8, momentum 0.9 in 8 bits": mg.Update("sr12", batch=8, momentum=0.9, velocity_bits=8),
    "sr12, batch 8, clip 1": mg.Update("sr12", batch=8, clip=1.0),
    "sr12, weight decay 0.0001": mg.Update("sr12", weight_decay=1e-4),
}
"""Rules and options whose cost is counted."""
FRESH = (
    ("digits_cnn", "sr16", "cortex-m33"),
    ("digits_cnn", "sr8", "cortex-m0plus"),
    ("digits_cnn", FLOAT, "cortex-m4f"),
)
"""Network, rule and core of what is counted again; fashion_cnn on a Cortex-M4F is the `scratch CNN` of steps.py."""
TOLERANCE = 0.02
EVERY = tuple(dict.fromkeys((*RULES, *(rule for _, rule in PARTIAL))))
"""Rules that steps are counted by; what an update of one layer costs is counted where all are."""
BESIDES_WEIGHTS = 12_288
"""Bar: bytes of RAM for training fashion_cnn by sr8, with `prefer="ram"`, its weights at one byte each left out."""

Case = dict[str, str | int | float | None]


@cache
def trainer(network: str, rule: str) -> tuple[mg.Trainer, np.ndarray, np.ndarray]:
    """A compiled network, and samples to count with."""
    if network == "fashion_cnn":
        model, (x, y) = fashion_cnn(0), few_images()
    else:
        digits = data.load("digits")
        model, x, y = (
            mg.load(model_path(network)),
            1 - digits.x_train[:32, ..., None] / 16,
            digits.y_train[:32],
        )
    return mg.compile(model, calibration=x, **computed(rule)), x[:SAMPLES], y[:SAMPLES]


def computed(rule: str) -> dict[str, Any]:
    """What `mg.compile` is told."""
    return {"precision": FLOAT} if rule == FLOAT else {"rule": rule}


def count(network: str, rule: str, target: str) -> Case:
    """One row of the results."""
    compiled, x, y = trainer(network, rule)
    cost = compiled.measure(x, y, target=target)
    assert cost.step is not None
    return {
        "network": network,
        "rule": rule,
        "target": target,
        "predict": cost.predict.instructions,
        "step": cost.step.instructions,
        "step_cycles": cost.step.cycles.cycles,
        "band_percent": cost.step.cycles.band_percent,
        "milliseconds": cost.step.milliseconds,
        "stack": cost.stack,
        "flash": cost.flash,
        "ram": cost.ram,
    }


@cache
def partial_trainer(network: str, rule: str, share: float) -> tuple[mg.Trainer, np.ndarray, np.ndarray]:
    """A network that updates a share of its channels, and samples to count with."""
    x, y = few_images()
    if network == "fashion_cnn":
        model = fashion_cnn(0)
    else:
        with TemporaryDirectory() as folder:
            model = mg.load(nets.write(network, Path(folder) / f"{network}.onnx", samples=x, classes=10))
    sparse = mg.Sparse(share, policy="split") if share < 1 else None
    return mg.compile(model, calibration=x, sparse=sparse, **computed(rule)), x[:SAMPLES], y[:SAMPLES]


def count_partial(network: str, rule: str, target: str, share: float) -> Case:
    """Instructions of everything that follows the forward pass."""
    compiled, x, y = partial_trainer(network, rule, share)
    cost = compiled.measure(x, y, target=target)
    assert cost.step is not None
    backward = cost.step.instructions - cost.predict.instructions
    case: Case = {"network": network, "rule": rule, "target": target, "share": share}
    return {**case, "backward": backward, "ram": cost.ram}


def count_update(name: str, target: str) -> Case:
    """Instructions per weight of a training step, less those of one that trains biases alone."""
    inputs, outputs = ONE_LAYER
    random = np.random.default_rng(0)
    x, y = random.normal(0, 1, (SAMPLES, inputs)).astype(np.float32), random.integers(0, outputs, SAMPLES)
    steps = []
    for train in ("all", "bias"):
        model = one_linear(inputs, outputs)
        cost = mg.compile(model, calibration=x, rule=UPDATES[name], train=train).measure(x, y, target=target)
        assert cost.step is not None
        steps.append(cost.step.instructions)
    return {"update": name, "target": target, "per_weight": (steps[0] - steps[1]) / (inputs * outputs)}


def besides_weights(rule: str) -> int:
    """Bytes of the model that trains fashion_cnn in the least RAM, but for one for each weight, biases left out."""
    made = mg.compile(fashion_cnn(0), calibration=few_images()[0], prefer="ram", **computed(rule))
    place = made.build.compiled.layout
    return place.size - sum(b.count for b in place.params if b.name.endswith("_w"))


def run(options: argparse.Namespace) -> None:
    results, targets, rules = read(options.json), options.targets, options.rules

    def others(what: str) -> list[Case]:
        """Those that are not counted now."""
        return [c for c in results.get(what, []) if c["target"] not in targets or c["rule"] not in rules]

    cases = others("cases")
    for network in NETWORKS:
        for rule in (each for each in RULES if each in rules):
            boards = (
                BOARDS if network == "fashion_cnn" and rule != FLOAT else ()
            )  # float32 does not fit into all
            for target in (*CORES, *boards):
                if target in targets:
                    cases.append(count(network, rule, target))
                    what = f"{network} {rule:7} {target:14}"
                    print(f"{what} {cases[-1]['step']:,.0f} instructions a step", flush=True)
    partial = others("partial")
    for network, rule in (each for each in PARTIAL if each[1] in rules):
        for target in (each for each in PARTIAL_CORES if each in targets):
            for share in SHARES:
                partial.append(count_partial(network, rule, target, share))
                what = f"{network} {rule} {share:4.0%} {target:14}"
                print(f"{what} {partial[-1]['backward']:,.0f} backward", flush=True)
    updates = results.get("updates", [])
    if set(rules) == set(EVERY):
        updates = [u for u in updates if u["target"] not in targets] + [
            count_update(name, target) for name in UPDATES for target in PARTIAL_CORES if target in targets
        ]
    order = (*CORES, *BOARDS)
    cases.sort(key=lambda c: (NETWORKS.index(c["network"]), RULES.index(c["rule"]), order.index(c["target"])))
    partial.sort(
        key=lambda c: (
            PARTIAL.index((c["network"], c["rule"])),
            PARTIAL_CORES.index(c["target"]),
            SHARES.index(c["share"]),
        )
    )
    updates.sort(key=lambda c: (list(UPDATES).index(c["update"]), PARTIAL_CORES.index(c["target"])))
    besides = {rule: besides_weights(rule) for rule in ("sr8", "sr16")}
    compiler = f"zig {toolchain.find_compiler('zig').version}"
    write(
        options.json,
        {
            **origin(),
            "compiler": compiler,
            "besides_weights": besides,
            "cases": cases,
            "partial": partial,
            "updates": updates,
        },
    )


def select(results: Results, targets: tuple[str, ...]) -> Iterator[Case]:
    return (case for case in results["cases"] if case["target"] in targets)


def table(results: Results) -> str:
    """Instructions on every core."""
    head = (
        "network, rule, core",
        "prediction",
        "training step",
        "step / prediction",
        "cycles of a step, estimated",
    )
    rows = [
        (
            f"{c['network']}, `{c['rule']}`, {c['target']}",
            f"{c['predict']:,.0f}",
            f"{c['step']:,.0f}",
            f"{c['step'] / c['predict']:.2f}",
            f"{c['step_cycles']:,} ± {c['band_percent']} %",
        )
        for c in select(results, CORES)
    ]
    return markdown(head, rows)


def partial_table(results: Results) -> str:
    """Work of the backward pass, updates included, by the share of channels that a sample updates."""
    head = ("network, core", *(f"{share:.0%} of the channels" for share in SHARES))
    rows = []
    for network, rule in PARTIAL:
        for target in PARTIAL_CORES:
            found = {
                c["share"]: c["backward"]
                for c in results["partial"]
                if (c["network"], c["rule"], c["target"]) == (network, rule, target)
            }
            cells = (f"{found[share]:,.0f} ({found[1.0] / found[share]:.1f} x)" for share in SHARES)
            rows.append((f"{network}, `{rule}`, {target}", *cells))
    rows.append(("published, speed-up alone", *PUBLISHED.values()))
    return markdown(head, rows)


def update_table(results: Results) -> str:
    """Work per weight of a training step by update rule, its gradient included."""
    rows = []
    for name in UPDATES:
        cells = (
            f"{case['per_weight']:.0f}"
            for target in PARTIAL_CORES
            for case in results["updates"]
            if (case["update"], case["target"]) == (name, target)
        )
        rule, _, options = name.partition(", ")
        rows.append((f"`{rule}`" + (f", {options}" if options else ""), *cells))
    return markdown(("rule", *(f"instructions per weight, {core}" for core in PARTIAL_CORES)), rows)


def board_table(results: Results) -> str:
    """Estimated time of a step beside the published one of another network."""
    rows = [
        (
            f"{c['target']}, `{c['rule']}`",
            f"{c['milliseconds']:.1f} ± {c['band_percent']} %",
            BOARDS[c["target"]],
        )
        for c in select(results, tuple(BOARDS))
    ]
    return markdown(
        ("board", "fashion_cnn, ms per step, estimated", "published, another CNN, uint8, ms per step"), rows
    )


def memory_table(results: Results) -> str:
    """RAM and flash on one core."""
    rows = [
        (f"{c['network']}, `{c['rule']}`", f"{c['ram']:,}", f"{c['stack']:,}", f"{c['flash']:,}")
        for c in select(results, ("cortex-m4f",))
    ]
    return markdown(
        ("network, rule", "RAM of the model, B", "stack, B", "flash, code and constants, B"), rows
    )


def bars(results: Results) -> list[Bar]:
    claim = "fashion_cnn, sr8: the least RAM for training besides one byte for each weight, B"
    return [Bar(claim, results["besides_weights"]["sr8"], BESIDES_WEIGHTS, at_least=False)]


def check_fresh(results: Results) -> int:
    """Counts a few cases again; 1 when one is worse than what is committed."""
    worse = []
    for network, rule, target in FRESH:
        kept = next(c for c in select(results, (target,)) if (c["network"], c["rule"]) == (network, rule))
        compiled, x, y = trainer(network, rule)
        found = instructions(compiled, x, y, target)
        for what in ("predict", "step"):
            change = found[what] / kept[what] - 1
            line = (
                f"{network} {rule} {target} {what}: {kept[what]:,.0f} -> {found[what]:,.0f} ({change:+.2%})"
            )
            print(line)
            if change > TOLERANCE:
                worse.append(line)
    if worse:
        compiler = toolchain.find_compiler("zig").version
        print(f"worse by more than {TOLERANCE:.0%}: {'; '.join(worse)}", file=sys.stderr)
        print(f"committed with {results['compiler']}, counted with zig {compiler}", file=sys.stderr)
        print("if this is meant: python benchmarks/instructions.py, and commit the results", file=sys.stderr)
    return 1 if worse else 0


if __name__ == "__main__":
    parser = arguments("instructions", __doc__)
    parser.add_argument("--check-fresh", action="store_true", help="count a few cases again and compare")
    every = (*CORES, *BOARDS)
    parser.add_argument(
        "--targets", nargs="+", choices=every, default=every, metavar="TARGET", help="what to count on: all"
    )
    parser.add_argument(
        "--rules", nargs="+", choices=EVERY, default=EVERY, metavar="RULE", help="by which: all"
    )
    options = parser.parse_args()
    if options.check_fresh:
        raise SystemExit(check_fresh(read(options.json)))
    raise SystemExit(main(options, run, table, bars))
