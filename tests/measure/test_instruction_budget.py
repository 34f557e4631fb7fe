"""Budgets: no core needs more instructions than the committed results say, and the documents show those results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from thoroughness import LONG

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"


def run(*words: str) -> None:
    """Runs a benchmark's script as a user does; what it says is the message when it fails."""
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(words)}\n{done.stdout}{done.stderr}", pytrace=False)


@pytest.mark.mcu
def test_no_more_instructions_than_committed() -> None:
    """Counted anew: 2 % more than in benchmarks/results/instructions.json is too much."""
    pytest.importorskip("unicorn", reason="the emulator is not installed")
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    run("benchmarks/instructions.py", "--check-fresh")


QUICK: dict[str, tuple[str, ...]] = {
    "prices": ("--cores", "cortex-m0plus", "cortex-m4f", "cortex-m7"),
    "kernels": ("--cores", "cortex-m0plus", "cortex-m4f", "cortex-m55"),
    "steps": ("--only", "scratch CNN", "ResNet-8, 32x32x3", "DS-CNN, 49x10", "MLP 784-64-10"),
}
"""What is counted anew where not all is: cores with bodies of their own, and networks that have every kind of layer."""


@pytest.mark.mcu
@pytest.mark.parametrize("name", sorted(QUICK))
def test_no_kernel_and_no_step_takes_more_than_committed(name: str) -> None:
    """Counted anew: 2 % more than in benchmarks/results is too much, and a price that is 5 % off."""
    pytest.importorskip("unicorn", reason="the emulator is not installed")
    run(f"benchmarks/{name}.py", "--check-fresh", *(() if LONG else QUICK[name]))


RESULTS = {
    path.stem for path in (BENCHMARKS / "results").glob("*.json") if not path.stem.startswith("accuracy_")
} - {"zoo", "kernels", "steps", "peers", "memory", "tradeoff", "twin"}
"""Those, and the accuracy suites, have tests of their own."""


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_committed_results_clear_their_bars(name: str) -> None:
    run(f"benchmarks/{name}.py", "--check")


def test_documents_show_the_committed_results() -> None:
    run("benchmarks/write_results.py", "--check")
