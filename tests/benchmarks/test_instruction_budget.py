"""Budgets: no core needs more instructions than the committed results say, and the documents show those results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from thoroughness import LONG

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(script: Any, name: str, *words: str) -> None:
    """What a benchmark says is the message when it fails."""
    done = script(name, *words)
    if done.code != 0:
        pytest.fail(f"{' '.join((name, *words))}\n{done.out}{done.err}", pytrace=False)


QUICK: dict[str, list[tuple[str, ...]]] = {
    "instructions": [()],
    "prices": [("--in-turn", "--cores", "cortex-m0plus", "cortex-m4f")],
    "kernels": [
        ("--in-turn", "--cores", "cortex-m0plus", "cortex-m4f"),
        (
            *("--in-turn", "--cores", "cortex-m55", "--only"),
            *("pointwise 64->64, 8x8", "conv3x3 16->32, 14x14"),
        ),
        ("--in-turn", "--cores", "cortex-m7", "--only", "pointwise 64->64, 4x4"),
    ],
    "steps": [("--only", "scratch CNN", "ResNet-8, 32x32x3", "DS-CNN, 49x10")],
}
"""What is counted anew where not all is: every kernel on cores with bodies of their own, on a Cortex-M55 those with
bodies for Helium, on a Cortex-M7 a layer by its own products; and networks that have every kind of layer."""


@pytest.mark.mcu
@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize("name", sorted(QUICK))
def test_nothing_takes_more_than_committed(script: Any, name: str) -> None:
    """Counted anew: 2 % more than in benchmarks/results is too much, and a price that is 5 % off."""
    pytest.importorskip("unicorn", reason="the emulator is not installed")
    if name == "instructions":
        pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    for words in [()] if LONG else QUICK[name]:
        run(script, name, "--check-fresh", *words)


RESULTS = {
    path.stem for path in (BENCHMARKS / "results").glob("*.json") if not path.stem.startswith("accuracy_")
} - {"zoo", "kernels", "steps", "peers", "memory", "tradeoff", "twin"}
"""Those, and the accuracy suites, have tests of their own."""


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_committed_results_clear_their_bars(script: Any, name: str) -> None:
    run(script, name, "--check")


def test_documents_show_the_committed_results(script: Any) -> None:
    run(script, "write_results", "--check")
