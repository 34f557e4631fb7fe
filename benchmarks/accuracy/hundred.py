"""A hundred classes: the transfer suite on 102 species of flowers and on 100 things.

MbedNet, its last five layers drawn anew and trained by the host twin, as in transfer.py: for `flowers102` pretrained on
Tiny ImageNet, 64x64; for `tiny100`, which stands in for CIFAR-100, on every other of its own samples, 32x32. Each
method has the rate that `--tune` finds best by an eighth of the device's samples that it does not learn.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import transfer
from transfer import Run

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bars import Bar, Results, markdown
from harness import (
    RULES,
    SEEDS,
    TRIED_STANDARDIZED,
    TUNING_SEED,
    WHAT,
    Suite,
    behind,
    final,
    main,
    rates_table,
    select,
    spread,
)

EPOCHS = {"flowers102": 10, "tiny100": 5}
"""Over the device's 2,040 and 5,000 samples."""
TRIED = (0.002, 0.005, 0.01, 0.02)
TUNED = ("sr8", "sr12", "standardized", "qas", "float32")
LIKE = {"sr10": "sr8", "sr16": "sr12", "mixed": "float32"}
"""Rules that have the rate of another one."""
RATES = {
    "flowers102": {"sr8": 0.01, "sr12": 0.005, "float32": 0.005, "standardized": 0.002, "qas": 0.02},
    "tiny100": {"sr8": 0.005, "sr12": 0.02, "float32": 0.01, "standardized": 0.002, "qas": 0.02},
}
"""Of those that `--tune` tries the lowest within half a point of the best."""
PARTS = (("sampled", 0.5), ("sampled", 0.1))
PARTIAL = ("sr12", "sr8", "mixed")
"""Rules whose partial updates are shown."""
PUBLISHED = {
    "uint8": (74.6, 40.4),
    "mixed": (83.8, 54.4),
    "float32": (85.2, 54.5),
    "offline": (89.7, 59.8),
    "mixed, 50 %": (83.7, 53.9),
    "mixed, 10 %": (82.5, 53.5),
}
"""Deutel et al., arXiv 2407.10734: flowers, cifar100; their network, samples and test sets."""


def rate_of(name: str, rule: str) -> float:
    """The learning rate that the tables are made with; of what has not been tuned, one in the middle."""
    if rule == "offline":
        return transfer.OFFLINE["rate"]
    return RATES[name].get(LIKE.get(rule, rule), 0.002)


def epochs_of(name: str, rule: str) -> int:
    """How often the device's samples are seen."""
    return int(transfer.OFFLINE["epochs"]) if rule == "offline" else EPOCHS[name]


def matrix(everything: bool) -> list[Run]:
    """Runs of the tables, those first that matter most; there are no others."""
    plan = [(rule, "full", 1.0) for rule in ("sr12", "float32", "sr8", "mixed")]
    plan += [(rule, *part) for rule in PARTIAL for part in PARTS]
    plan += [(rule, "full", 1.0) for rule in ("sr16", "standardized", "qas", "sr10", "offline")]
    return [
        Run(name, *what, epochs_of(name, what[0]), rate_of(name, what[0]), seed)
        for what in plan
        for name in EPOCHS
        for seed in SEEDS
    ]


def tuning() -> list[Run]:
    """The methods that have rates of their own at every rate."""
    return [
        Run(name, rule, "full", 1.0, EPOCHS[name], rate, TUNING_SEED)
        for name in EPOCHS
        for rule in TUNED
        for rate in (TRIED_STANDARDIZED if rule == "standardized" else TRIED)
    ]


def perform(run: Run) -> dict[str, Any]:
    """Trains; rates are judged by samples that are neither learned nor in the test set."""
    if run.seed != TUNING_SEED:
        return transfer.perform(run)
    x, y = transfer.device_samples(run.data)
    order = np.random.default_rng(run.seed).permutation(len(y))
    judges, mine = np.split(order, [len(y) // 8])
    return transfer.trained(run, x[mine], y[mine], x[judges], y[judges])


def finals(
    results: Results, name: str, rule: str, policy: str = "full", share: float = 1.0, by: str = "accuracy"
) -> list[float]:
    """Accuracy of each seed in percent, as the tables are made."""
    what = {"data": name, "method": rule, "policy": policy, "share": share}
    entries = select(results, **what, rate=rate_of(name, rule), epochs=epochs_of(name, rule))
    return [final(entry, by) for entry in entries if by in entry]


def table(results: Results) -> str:
    """Methods by sets, published numbers below."""
    rows: list[tuple[str, ...]] = []
    for rule in ("offline", "float32", "mixed", *reversed(RULES)):
        for policy, share in (("full", 1.0), *(PARTS if rule in PARTIAL else ())):
            flowers, things = (spread(finals(results, name, rule, policy, share)) for name in EPOCHS)
            mean = spread(finals(results, "flowers102", rule, policy, share, "per_class"))
            part = WHAT[rule] if policy == "full" else f"{policy} from {share:.0%}"
            rows.append((f"`{rule}`, {part}", flowers, mean, things))
    for how, (flowers, things) in PUBLISHED.items():
        rows.append((f"published, {how}", f"{flowers:.1f}", "", f"{things:.1f}"))
    return markdown(("method", "flowers102", "mean of classes", "tiny100 / cifar100"), rows)


def bars(results: Results) -> list[Bar]:
    """What must be reached, mean of the seeds; published are 10.6 and 14.1 points below float32."""
    found = []
    for name in EPOCHS:
        whole = finals(results, name, "float32")
        for rule, policy, share, points in (
            ("sr12", "full", 1.0, 1.0),
            ("sr16", "full", 1.0, 1.0),
            ("sr8", "full", 1.0, 2.5),
        ):
            less = behind(whole, finals(results, name, rule, policy, share))
            found.append(Bar(f"{name}: {rule} below float32, points", less, points, at_least=False))
    return found


SUITE = Suite(
    name="hundred",
    about=str(__doc__),
    run=Run,
    matrix=matrix,
    tuning=tuning,
    perform=perform,
    tables={"hundred": table, "hundred-rates": lambda results: rates_table(results, tuning())},
    bars=bars,
    needs=lambda run: run.data,
    prepare=transfer.prepare,
)

if __name__ == "__main__":
    raise SystemExit(main(SUITE))
