"""Writes the tables of docs/results.md from benchmarks/results/*.json; `--check` fails if they are not up to date."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable

import instructions
import scratch
import twin
from bars import RESULTS, ROOT, Results, read

DOCUMENT = ROOT / "docs/results.md"
SECTIONS: dict[str, tuple[str, Callable[[Results], str]]] = {
    "scratch": ("scratch", scratch.table),
    "twin": ("twin", twin.table),
    "instructions": ("instructions", instructions.table),
    "boards": ("instructions", instructions.board_table),
    "memory": ("instructions", instructions.memory_table),
}
"""Marker in the document: name of the results and what makes a table of them."""


def origin(results: Results) -> str:
    """Where the numbers come from, one line."""
    runs = results.get("runs", [results])
    commits = ", ".join(dict.fromkeys(run["commit"] for run in runs))
    machines = "; ".join(dict.fromkeys(run["machine"] for run in runs))
    return f"`{results['command']}`, commit {commits}, {machines}"


def filled(text: str) -> str:
    """The document with every table made anew."""
    for marker, (name, table) in SECTIONS.items():
        results = read(RESULTS / f"{name}.json")
        if not results:
            raise SystemExit(f"error: there are no results of {name}; python benchmarks/{name}.py")
        begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
        block = f"{begin}\n{table(results)}\n\n{origin(results)}\n{end}"
        text, count = re.subn(f"{begin}.*?{end}", lambda _, block=block: block, text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"error: {DOCUMENT.name} has {count} places for {marker}")
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a table is out of date"
    )
    check = parser.parse_args().check
    before = DOCUMENT.read_text(encoding="utf-8")
    after = filled(before)
    if check and after != before:
        print("docs/results.md is out of date: python benchmarks/write_results.py", file=sys.stderr)
        return 1
    if not check:
        DOCUMENT.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
