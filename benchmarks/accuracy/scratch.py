"""From scratch: fashion_cnn trained by the host twin on Fashion-MNIST and MNIST, by every rule and partial update.

Batch 1 (but for `standardized` and `qas`), learning rate falling to 0 along a cosine (with `rooted`, 12x60k, it rises
over the first tenth), three seeds; a seed sets weights, order and the device's random numbers. `3x20k` is three epochs
over the first 20,000 training images, `12x60k` twelve over all of them. Accuracy after the last epoch, on all 10,000
test images. float32 is the generated C; PyTorch's SGD with the same weights, order and rates stands beside it and is
left out where it is not installed.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import mcugrad as mg
from mcugrad.zoo import data

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bars import Bar, Results, markdown
from harness import (
    COLOURS,
    DEFAULT,
    RULES,
    SEEDS,
    TRIED_STANDARDIZED,
    TUNING_SEED,
    WHAT,
    Suite,
    behind,
    compiled_with,
    final,
    fit,
    fitted_with,
    main,
    mean,
    method,
    rates_table,
    select,
    selection,
    spread,
    svg,
)

from networks import fashion_cnn

SHORT, FULL = "3x20k", "12x60k"
PROTOCOLS = {SHORT: (3, 20_000), FULL: (12, 60_000)}
RATES = dict.fromkeys((*RULES, "float32", "pytorch"), 0.01) | {"standardized": 0.002, "qas": 0.005}
"""Of those that `--tune` tries, 3x20k on Fashion-MNIST, everything trains: the best for `standardized` and `qas`. For
sr12 and float32 0.02 is 0.7 points better after so short a training; 0.01 is for both protocols."""
OTHER_RATES = {(FULL, "standardized", "full"): 0.001} | {
    (FULL, rule, policy): rate
    for rule in ("sr12", "sr16")
    for policy, rate in (("fixed", 0.0025), ("rooted", 0.0035), ("rooted_from", 0.005))
}
"""Where another one is better: steps of size 1 are noise once the gradients are small, and so are a tenth of them, ten
times as large."""
TRIED = dict.fromkeys((*RULES, "float32"), (0.002, 0.005, 0.01, 0.02)) | {"standardized": TRIED_STANDARDIZED}
TRIED_PARTIAL = {
    "sampled": (0.005, 0.01),
    "fixed": (0.0015, 0.0025, 0.005, 0.01),
    "rooted_from": (0.005, 0.01),
    "rooted": (0.0025, 0.0035, 0.005),
}
"""Of a tenth of the updates, 12x60k."""
SHARES = (0.5, 0.25, 0.1)
POLICIES = ("topk", "sampled", "rooted_from")


def rate_of(protocol: str, rule: str, policy: str) -> float:
    """The learning rate that the tables are made with."""
    return OTHER_RATES.get((protocol, rule, policy), RATES[rule])


@dataclass(frozen=True)
class Run:
    """A training: on what, by what, how much of it each step, with which luck."""

    data: str
    protocol: str
    method: str
    policy: str
    share: float
    rate: float
    seed: int


def matrix(everything: bool) -> list[Run]:
    """Runs of the tables, those first that matter most."""
    partial = [(policy, share) for policy in ("topk", "sampled") for share in SHARES]
    rooted = [("rooted_from", share) for share in SHARES]
    methods = [*RULES, "float32"]
    plan = [
        *(("fashion_mnist", FULL, name, "full", 1.0) for name in methods),
        *(("fashion_mnist", FULL, name, "sampled", 0.1) for name in ("sr12", "sr16")),
        *(("fashion_mnist", FULL, name, "fixed", 0.1) for name in ("sr12", "sr16")),
        *(("fashion_mnist", FULL, name, "rooted", 0.1) for name in ("sr12", "sr16")),
        *(("fashion_mnist", FULL, name, "rooted_from", 0.1) for name in ("sr12", "sr16")),
        *(("fashion_mnist", SHORT, name, "full", 1.0) for name in methods),
        *(("fashion_mnist", SHORT, name, *part) for name in methods for part in partial),
        *(("fashion_mnist", SHORT, name, *part) for name in methods for part in rooted),
        *(("mnist", SHORT, name, *part) for name in RULES for part in [("full", 1.0), *partial]),
        ("mnist", SHORT, "float32", "full", 1.0),
    ]
    if importlib.util.find_spec("torch") is not None:
        plan += [("fashion_mnist", SHORT, "pytorch", "full", 1.0)]
        plan += [("fashion_mnist", FULL, "pytorch", "full", 1.0)]
    if everything:
        plan += [("mnist", FULL, name, "full", 1.0) for name in methods]
        plan += [("fashion_mnist", FULL, name, *part) for name in RULES for part in partial]
    plan = list(dict.fromkeys(plan))
    runs = [Run(*what, rate_of(*what[1:4]), seed) for what in plan for seed in SEEDS]
    return runs + [Run("fashion_mnist", FULL, "sr12", "full", 1.0, DEFAULT, seed) for seed in SEEDS]


def tuning() -> list[Run]:
    """Every rule at every rate, and what the long protocol has rates of its own for."""
    short = [
        Run("fashion_mnist", SHORT, name, "full", 1.0, rate, TUNING_SEED)
        for name in (*RULES, "float32")
        for rate in TRIED[name]
    ]
    full = [("standardized", "full", 1.0, TRIED["standardized"])]
    full += [("sr12", policy, 0.1, rates) for policy, rates in TRIED_PARTIAL.items()]
    return short + [
        Run("fashion_mnist", FULL, name, policy, share, rate, TUNING_SEED)
        for name, policy, share, rates in full
        for rate in rates
    ]


@cache
def images(name: str) -> dict[str, Any]:
    """Images (n, 28, 28, 1) in [0, 1] and labels."""
    found = data.load(name)
    return {
        "x_train": found.x_train[..., None] / np.float32(255),
        "y_train": found.y_train,
        "test": (found.x_test[..., None] / np.float32(255), found.y_test),
    }


def perform(run: Run) -> dict[str, Any]:
    """Trains; test accuracy after each epoch."""
    epochs, count = PROTOCOLS[run.protocol]
    found = images(run.data)
    x, y = found["x_train"][:count], found["y_train"][:count]
    if run.method == "pytorch":
        return {"accuracy": _pytorch(epochs, run, (x, y), found["test"])}
    accuracy: list[float] = []
    updated: list[float] = []

    def watch(trainer: mg.Trainer, epoch: mg.Epoch) -> None:
        accuracy.append(round(trainer.evaluate(*found["test"]), 4))
        updated.append(epoch.update_rate)

    trainer, done = trained(run, x, y, watch)
    share = {} if run.policy == "full" else {"update_rate": round(float(np.mean(updated or [1])), 4)}
    if done == epochs:
        return {"accuracy": accuracy, **share}
    last = round(trainer.evaluate(*found["test"]), 4)
    return {"accuracy": [*accuracy, last], "diverged": done + 1, **share}


def trained(
    run: Run, x: Any, y: Any, watch: Callable[[mg.Trainer, mg.Epoch], None]
) -> tuple[mg.Trainer, int]:
    """The trainer after all epochs, or those before training diverged, and their number."""
    epochs, count = PROTOCOLS[run.protocol]
    trainer = mg.compile(
        fashion_cnn(run.seed),
        calibration=x[:256],
        seed=run.seed,
        **compiled_with(run.rate),
        **method(run.method),
        **selection(run.policy, run.share),
    )
    is_rooted = run.policy in ("rooted", "rooted_from") and run.protocol == FULL
    warmup = epochs * count // 10 if is_rooted else 0
    schedule = mg.Schedule("cosine", warmup=warmup)
    done = fit(
        trainer,
        x,
        y,
        epochs=epochs,
        seed=run.seed,
        **fitted_with(run.rate, schedule),
        watch=lambda epoch: watch(trainer, epoch),
    )
    return trainer, done


def _pytorch(epochs: int, run: Run, samples: tuple[Any, Any], test: tuple[Any, Any]) -> list[float]:
    """The same order and rates as `Trainer.fit`."""
    from float32 import FloatTrainer, tensors

    trainer, random = FloatTrainer(run.seed), np.random.default_rng(run.seed)
    (x, y), held_out = tensors(*samples), tensors(*test)
    count = len(y)
    rate_of = run.rate * (1 + np.cos(np.pi * np.arange(epochs * count) / (epochs * count))) / 2
    rate_of = rate_of.astype(np.float32).reshape(epochs, count)
    found = []
    for epoch in range(epochs):
        trainer.train(x, y, random.permutation(count), rate_of[epoch])
        found.append(round(trainer.accuracy(*held_out), 4))
    return found


# -- what is found -------------------------------------------------------------------------------------------------


def finals(
    results: Results, name: str, rule: str, protocol: str, policy: str = "full", share: float = 1.0
) -> list[float]:
    """Test accuracy of each seed in percent, at the rate that the tables are made with."""
    return [final(entry) for entry in _entries(results, name, rule, protocol, policy, share)]


def _entries(
    results: Results, name: str, rule: str, protocol: str, policy: str, share: float
) -> list[dict[str, Any]]:
    wanted = {"data": name, "protocol": protocol, "method": rule, "policy": policy, "share": share}
    return select(results, **wanted, rate=rate_of(protocol, rule, policy))


def _default(results: Results) -> list[float]:
    """The same of who names neither rate nor schedule."""
    wanted = {"data": "fashion_mnist", "protocol": FULL, "method": "sr12", "policy": "full", "share": 1.0}
    return [final(entry) for entry in select(results, **wanted, rate=DEFAULT)]


def part_of(policy: str, share: float) -> str:
    """What is updated, as a table has it."""
    if policy == "full":
        return "all"
    if policy in ("fixed", "rooted"):
        return f"always {share:.0%}, {'rooted' if policy == 'rooted' else 'sampled'}"
    return f"{'rooted' if policy == 'rooted_from' else policy} from {share:.0%}"


def _updated(results: Results, *what: Any) -> str:
    """The share that was updated on average, in brackets, where it was not always the same."""
    entries = _entries(results, *what)
    rates = [entry["update_rate"] for entry in entries if "update_rate" in entry]
    return f" ({np.mean(rates):.1%} on average)" if rates else ""


def full_table(results: Results) -> str:
    """Everything trains, 12 epochs over all."""
    rows = []
    for name in ("fashion_mnist", "mnist"):
        for rule in ("float32", "pytorch", *reversed(RULES)):
            partial = [(p, s) for p in POLICIES for s in SHARES]
            for policy, share in (("full", 1.0), *partial, ("fixed", 0.1), ("rooted", 0.1)):
                found = finals(results, name, rule, FULL, policy, share)
                if found:
                    less = behind(finals(results, name, "float32", FULL), found)
                    part = part_of(policy, share) + _updated(results, name, rule, FULL, policy, share)
                    each = ", ".join(f"{value:.2f}" for value in found)
                    gap = "" if less is None or rule == "float32" else f"{-less:+.2f}"
                    rows.append((f"`{rule}`, {WHAT[rule]}", name, part, spread(found), gap, each))
    found = _default(results)
    gap = (
        ""
        if not found
        else f"{-float(behind(finals(results, 'fashion_mnist', 'float32', FULL), found) or 0):+.2f}"
    )
    each = ", ".join(f"{value:.2f}" for value in found)
    rows.append(("`sr12`, no rate or schedule named", "fashion_mnist", "all", spread(found), gap, each))
    return markdown(("method", "data", "updates", "%", "to float32", "each seed"), rows)


def partial_table(results: Results, name: str) -> str:
    """3x20k: rules by policies, those that were run on these data."""
    policies = [(policy, share) for policy in ("rooted_from", "sampled", "topk") for share in SHARES]
    rules = ("float32", "pytorch", *reversed(RULES))
    found = {
        part: [finals(results, name, rule, SHORT, *part) for rule in rules]
        for part in [("full", 1.0), *policies]
    }
    columns = {part: each for part, each in found.items() if any(each)}
    rows = [
        (f"`{rule}`", *(spread(each[i]) for each in columns.values()))
        for i, rule in enumerate(rules)
        if any(each[i] for each in columns.values())
    ]
    return markdown(("method", *(part_of(*part) for part in columns)), rows)


def bars(results: Results) -> list[Bar]:
    """What must be reached on Fashion-MNIST, mean of the seeds."""

    def of(rule: str, policy: str = "full", share: float = 1.0) -> list[float]:
        return finals(results, "fashion_mnist", rule, FULL, policy, share)

    found = []
    for rule, points in (("sr12", 0.3), ("sr16", 0.3), ("sr10", 0.6)):
        less = behind(of("float32"), of(rule))
        found.append(Bar(f"{FULL}: {rule} below float32, points", less, points, at_least=False))
    for rule, least in (("sr12", 90.0), ("sr16", 90.0), ("sr8", 87.5)):
        found.append(Bar(f"{FULL}: {rule}, mean test accuracy, %", mean(of(rule)), least))
    less = behind(of("sr12"), _default(results))
    found.append(Bar(f"{FULL}: sr12, nothing named, below a tuned rate, points", less, 1.5, at_least=False))
    for rule in ("sr12", "sr16"):
        for policy in ("sampled", "rooted_from", "fixed", "rooted"):
            less = behind(of(rule), of(rule, policy, 0.1))
            claim = f"{FULL}: {rule}, {part_of(policy, 0.1)} below all, points"
            found.append(Bar(claim, less, 2.0, at_least=False))
    return found


def curves(results: Results, path: Path) -> None:
    """Test accuracy over epochs."""

    def draw(axes: Any) -> None:
        for rule in ("float32", "sr16", "sr12", "sr10", "sr8", "standardized", "qas"):
            entries = select(
                results,
                data="fashion_mnist",
                protocol=FULL,
                method=rule,
                policy="full",
                rate=rate_of(FULL, rule, "full"),
            )
            runs = [[100 * a for a in entry["accuracy"]] for entry in entries if not entry.get("diverged")]
            if not runs:
                continue
            epochs = range(1, len(runs[0]) + 1)
            middle = np.mean(runs, axis=0)
            axes.plot(epochs, middle, color=COLOURS[rule], label=rule, linewidth=1.8)
            axes.fill_between(
                epochs,
                np.min(runs, axis=0),
                np.max(runs, axis=0),
                color=COLOURS[rule],
                alpha=0.12,
                linewidth=0,
            )
        axes.set(xlabel="epochs of 60,000 samples", ylabel="test accuracy, %", ylim=(72, 92))
        axes.axhline(76.1, color="#59636e", linewidth=0.8, linestyle=":")
        axes.text(12, 76.2, "published uint8, another CNN", ha="right", va="bottom", color="#59636e")
        axes.legend(frameon=False, loc="lower right", ncols=4)

    svg(path, draw)


def shares(results: Results, path: Path) -> None:
    """Accuracy over the share of structures that is updated."""

    def draw(axes: Any) -> None:
        for rule in ("sr16", "sr12", "sr8"):
            for policy, line in (("sampled", "-"), ("topk", "--")):
                points = [(1.0, mean(finals(results, "fashion_mnist", rule, SHORT)))]
                points += [
                    (s, mean(finals(results, "fashion_mnist", rule, SHORT, policy, s))) for s in SHARES
                ]
                points = [(100 * s, value) for s, value in points if value is not None]
                if len(points) > 1:
                    axes.plot(
                        *zip(*points, strict=True),
                        line,
                        marker="o",
                        markersize=3,
                        color=COLOURS[rule],
                        label=f"{rule}, {policy}",
                    )
        axes.set(
            xlabel="structures updated in each step, at least, %", ylabel="test accuracy, %", xscale="log"
        )
        axes.set_xticks([10, 25, 50, 100], ["10", "25", "50", "100"])
        axes.minorticks_off()
        axes.legend(frameon=False, loc="lower right", ncols=2)

    svg(path, draw)


SUITE = Suite(
    name="scratch",
    about=str(__doc__),
    run=Run,
    matrix=matrix,
    tuning=tuning,
    perform=perform,
    tables={
        "scratch": full_table,
        "scratch-partial": lambda results: partial_table(results, "fashion_mnist"),
        "scratch-mnist": lambda results: partial_table(results, "mnist"),
        "scratch-rates": lambda results: rates_table(results, tuning()),
    },
    bars=bars,
    plots={"accuracy_scratch.svg": curves, "accuracy_shares.svg": shares},
)

if __name__ == "__main__":
    raise SystemExit(main(SUITE))
