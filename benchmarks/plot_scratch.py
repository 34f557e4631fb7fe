"""Plots test accuracy over epochs from the committed results: plot_scratch.py [out.svg]. Needs the extra `report`."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

RESULTS = Path(__file__).parent / "results/scratch.json"
OUT = Path(__file__).parents[1] / "docs/images/scratch.svg"
SCHEDULE = "12 x 60,000"
COLOURS = {"float32": "#59636e", "sr16": "#0a7d68", "sr8": "#8a6d1f"}


def main(out: Path) -> None:
    curves = defaultdict(list)
    for run in json.loads(RESULTS.read_text())["runs"]:
        if run["schedule"] == SCHEDULE:
            curves[run["rule"]].append([100 * a for a in run["accuracy"]])
    mpl.rcParams.update({"svg.hashsalt": "mcugrad", "font.family": "sans-serif", "axes.spines.top": False})
    figure, axes = plt.subplots(figsize=(7, 3.6))
    for rule, runs in curves.items():
        epochs = range(1, len(runs[0]) + 1)
        middle = [sum(values) / len(runs) for values in zip(*runs, strict=True)]
        axes.plot(
            epochs, middle, color=COLOURS[rule], label=f"{rule}, mean of {len(runs)} seeds", linewidth=2
        )
        low = [min(values) for values in zip(*runs, strict=True)]
        high = [max(values) for values in zip(*runs, strict=True)]
        axes.fill_between(epochs, low, high, color=COLOURS[rule], alpha=0.15, linewidth=0)
    axes.set(xlabel="epochs of 60,000 samples, batch 1", ylabel="test accuracy, %", ylim=(80, 92))
    axes.grid(axis="y", alpha=0.3)
    axes.spines["right"].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(out, metadata={"Date": None}, bbox_inches="tight")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
