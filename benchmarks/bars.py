"""What every benchmark shares: where results are kept, what they say of their origin, and the bars they must clear.

A benchmark is `python benchmarks/<name>.py`: it prints a table, writes `--json FILE`, and exits with 1 when a bar is
missed, naming it. `--check` judges the results that are there without running anything again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results"

Results = dict[str, Any]


@dataclass(frozen=True)
class Bar:
    """A claim and whether it holds.

    Attributes:
        claim: what is compared, with its unit: `sr16, 3 x 20,000: mean test accuracy, %`.
        value: what was found; None if there is no result yet.
        limit: what it must reach.
        at_least: whether `limit` is the least that is allowed, or the most.
    """

    claim: str
    value: float | None
    limit: float
    at_least: bool = True

    @property
    def holds(self) -> bool:
        """Whether the claim is true."""
        if self.value is None:
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        found = "no result" if self.value is None else f"{self.value:,.2f}".rstrip("0").rstrip(".")
        sign = ">=" if self.at_least else "<="
        return f"{'ok  ' if self.holds else 'MISS'}  {self.claim}: {found} (bar {sign} {self.limit:g})"


def judge(bars: Sequence[Bar]) -> int:
    """Prints every bar; the exit code: 0, or 1 when one is missed."""
    print()
    for bar in bars:
        print(bar)
    missed = [bar.claim for bar in bars if not bar.holds]
    if missed:
        print(f"\n{len(missed)} of {len(bars)} bars missed: {'; '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


WORSE = 0.02
"""By how much counts may grow."""


def told_worse(worse: Sequence[str], name: str, most: float = WORSE) -> int:
    """1, with a message, where something that is counted again takes more than a share more than committed."""
    if worse:
        print(f"worse by more than {most:.0%}: {'; '.join(worse)}", file=sys.stderr)
        print(f"if this is meant: python benchmarks/{name}.py, and commit the results", file=sys.stderr)
    return 1 if worse else 0


def arguments(name: str, about: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(prog=f"python benchmarks/{name}.py", description=about)
    default = RESULTS / f"{name}.json"
    parser.add_argument("--json", type=Path, default=default, metavar="FILE", help="where results are kept")
    parser.add_argument("--check", action="store_true", help="judge the results in FILE, run nothing")
    return parser


def main(
    options: argparse.Namespace,
    run: Callable[[argparse.Namespace], None],
    table: Callable[[Results], str],
    bars: Callable[[Results], Sequence[Bar]],
) -> int:
    """Runs unless `--check` was given, prints the table, judges the bars."""
    if not options.check:
        run(options)
    elif not options.json.is_file():
        print(f"error: there are no results in {options.json}", file=sys.stderr)
        return 1
    results = read(options.json)
    print(table(results))
    return judge(bars(results))


def read(path: Path) -> Results:
    """Results from a file; {} if it does not exist."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write(path: Path, results: Results) -> None:
    """Keeps results, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def origin() -> dict[str, str]:
    """What a result says of where it comes from: command, commit, machine."""
    return {"command": command(), "commit": commit(), "machine": machine()}


def command() -> str:
    """The command line, as one would type it in the project's folder."""
    words = [Path(word).name if os.path.isabs(word) else word for word in sys.argv[1:]]  # noqa: PTH117
    script = Path(sys.argv[0]).resolve()
    name = script.relative_to(ROOT).as_posix() if script.is_relative_to(ROOT) else script.name
    return shlex.join(["python", name, *words])


def commit() -> str:
    """The commit that is checked out, with `+` if a file of the library or a benchmark differs from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "src", "benchmarks/*.py")
    return (git("rev-parse", "--short=10", "HEAD") or "unknown") + ("+" if changed else "")


def machine() -> str:
    """Model of the processor and the number of its cores."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
        model = found.group(1) if found else model
    return f"{model}, {os.cpu_count()} cores"


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; the first column is text, the others are numbers, aligned so that it reads well as plain text."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )
