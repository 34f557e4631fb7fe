"""Learning rates of the suite of deep networks: those that validation chose, and how it chooses."""

from __future__ import annotations

from bars import Results
from harness import TUNING_SEED

LIKE = {"sr16": "sr12"}
"""Rules that have the rate of another one."""
RATES: dict[str, dict[str, float]] = {
    "DS-CNN keywords": {
        "10% of updates": 0.0003,
        "25% of samples": 0.001,
        "25% of updates": 0.001,
        "float32": 0.0003,
        "sr12": 0.0003,
        "sr8": 0.0003,
    },
    "MbedNet from scratch": {
        "10% of updates": 0.009,
        "25% of samples": 0.009,
        "25% of updates": 0.009,
        "float32": 0.003,
        "sr12": 0.003,
        "sr8": 0.003,
    },
    "MbedNet motion": {
        "10% of updates": 0.009,
        "25% of samples": 0.003,
        "25% of updates": 0.009,
        "float32": 0.003,
        "sr12": 0.003,
        "sr8": 0.003,
    },
    "MbedNet photographs": {
        "10% of updates": 0.003,
        "25% of samples": 0.003,
        "25% of updates": 0.003,
        "float32": 0.003,
        "sr12": 0.003,
        "sr8": 0.003,
    },
    "MobileNetV1-0.25 photographs": {
        "10% of updates": 0.003,
        "25% of samples": 0.003,
        "25% of updates": 0.003,
        "float32": 0.003,
        "sr12": 0.003,
        "sr8": 0.003,
    },
    "MobileNetV2-0.35 photographs": {
        "10% of updates": 0.003,
        "25% of samples": 0.001,
        "25% of updates": 0.003,
        "float32": 0.003,
        "sr12": 0.003,
        "sr8": 0.003,
    },
    "ResNet-8 from scratch": {
        "10% of updates": 0.009,
        "25% of samples": 0.009,
        "25% of updates": 0.009,
        "float32": 0.027,
        "sr12": 0.027,
        "sr8": 0.009,
    },
    "ResNet-8 photographs": {
        "10% of updates": 0.001,
        "25% of samples": 0.003,
        "25% of updates": 0.003,
        "float32": 0.003,
        "sr12": 0.003,
        "sr8": 0.003,
    },
}
"""What `chosen` finds in the committed results: a test compares."""


def rate_of(task: str, rule: str, part: str = "all", share: float = 1.0) -> float:
    """The learning rate that the tables are made with; of what has not been tuned, one in the middle."""
    return RATES.get(task, {}).get(name_of(LIKE.get(rule, rule), part, share), 0.003)


def chosen(results: Results) -> dict[str, dict[str, float]]:
    """Rates by task and method, as validation has it.

    Of the rates that three seeds tried, the one with the best mean. Where one seed tried all, which may like the verge
    of collapse, the lowest within half a point of the best.
    """
    tried: dict[str, dict[str, dict[float, list[float]]]] = {}
    for entry in results["runs"]:
        run = entry["run"]
        if run["seed"] >= TUNING_SEED:
            means = tried.setdefault(run["task"], {}).setdefault(
                name_of(run["method"], run["part"], run["share"]), {}
            )
            means.setdefault(run["rate"], []).append(entry["rest"])
    return {
        task: {name: _best(rates) for name, rates in sorted(methods.items())}
        for task, methods in sorted(tried.items())
    }


def _best(tried: dict[float, list[float]]) -> float:
    most = max(len(found) for found in tried.values())
    means = {rate: sum(found) / most for rate, found in tried.items() if len(found) == most}
    best = max(means.values())
    return min(rate for rate in means if means[rate] >= best - (0.005 if most == 1 else 0))


def name_of(rule: str, part: str, share: float) -> str:
    """By which a rate is found: the rule where all is updated, else what part is; more passes share its rate."""
    return rule if part == "all" else f"{share:.0%} of {part.split(',')[0]}"
