"""Writes the tables of docs/results.md and docs/training.md, and the plots, from benchmarks/results/*.json."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import dead
import features
import instructions
import memory
import peers
import silent
import steps
import tradeoff
import twin
from bars import RESULTS, ROOT, Results, read

import kernels

sys.path.insert(0, str(Path(__file__).with_name("accuracy")))

import auto
import depth
import drift
import hundred
import labels
import policies
import published
import scratch
import speakers
import transfer
from harness import Suite

DOCUMENTS = (ROOT / "docs/results.md", ROOT / "docs/training.md")
IMAGES = ROOT / "docs/images"
SUITES: tuple[Suite, ...] = (
    scratch.SUITE,
    transfer.SUITE,
    hundred.SUITE,
    published.SUITE,
    depth.SUITE,
    drift.SUITE,
    speakers.SUITE,
    labels.SUITE,
    policies.SUITE,
)
SECTIONS: dict[str, tuple[str, Callable[[Results], str]]] = {
    "twin": ("twin", twin.table),
    "instructions": ("instructions", instructions.table),
    "kernels": ("kernels", kernels.table),
    "steps": ("steps", steps.table),
    "peers": ("peers", peers.table),
    "partial": ("instructions", instructions.partial_table),
    "updates": ("instructions", instructions.update_table),
    "dead": ("dead", dead.table),
    "boards": ("instructions", instructions.board_table),
    "memory": ("instructions", instructions.memory_table),
    "steps_ram": ("memory", memory.case_table),
    "plans": ("memory", memory.plan_table),
    "buys": ("memory", memory.buys_table),
    "features": ("features", features.table),
    "tradeoff-memory": ("tradeoff", tradeoff.memory_table),
    "tradeoff-time": ("tradeoff", tradeoff.time_table),
    "tradeoff-parts": ("tradeoff", tradeoff.partial_table),
    "auto": ("accuracy_auto", auto.table),
    **({"silent": ("silent", silent.table)} if (RESULTS / "silent.json").is_file() else {}),
    **{
        marker: (suite.results.stem, table)
        for suite in SUITES
        if suite.results.is_file()
        for marker, table in suite.tables.items()
    },
}
"""Marker in a document: name of the results and what makes a table of them."""


def origin(results: Results) -> str:
    """Where the numbers come from, one line."""
    runs = results.get("runs", [results])
    commits = ", ".join(dict.fromkeys(run["commit"] for run in runs))
    machines = "; ".join(dict.fromkeys(run["machine"] for run in runs))
    return f"`{results['command']}`, commit {commits}, {machines}"


def filled(texts: list[str], folder: Path) -> list[str]:
    """The documents with every table made anew from the results in a folder."""
    for marker, (name, table) in SECTIONS.items():
        results = read(folder / f"{name}.json")
        if not results:
            raise SystemExit(f"error: there are no results in {folder / name}.json")
        begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
        places = [i for i, text in enumerate(texts) for _ in range(text.count(begin))]
        if len(places) != 1:
            raise SystemExit(f"error: the documents have {len(places)} places for {marker}")
        block = f"{begin}\n{table(results)}\n\n{origin(results)}\n{end}"
        before, _, rest = texts[places[0]].partition(begin)
        texts[places[0]] = before + block + rest.partition(end)[2]
    return texts


def plot(results: Path, images: Path) -> None:
    """Draws what there are results for, and the working memory as it is planned today. Needs the extra `report`."""
    (images / "memory.svg").write_text(memory.picture(), encoding="utf-8")
    for suite in SUITES:
        found = read(results / suite.results.name)
        if found:
            for name, draw in suite.plots.items():
                draw(found, images / name)
    tradeoff.plot(read(results / "tradeoff.json"), images / "tradeoff.svg")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a table is out of date"
    )
    parser.add_argument(
        "--plots", action="store_true", help="draw docs/images/*.svg, too, but for the demo's"
    )
    options = parser.parse_args()
    check = options.check
    before = [document.read_text(encoding="utf-8") for document in DOCUMENTS]
    after = filled(before.copy(), RESULTS)
    for document, old, new in zip(DOCUMENTS, before, after, strict=True):
        if check and new != old:
            where = document.relative_to(ROOT)
            print(f"{where} is out of date: python benchmarks/write_results.py", file=sys.stderr)
            return 1
        if not check:
            document.write_text(new, encoding="utf-8")
    if options.plots:
        plot(RESULTS, IMAGES)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
