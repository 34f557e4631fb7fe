"""How many samples a training learns from, against what was asked for: said where it is off by more than a fifth."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from command_line import Cli, save
from mcugrad.errors import McugradWarning
from mcugrad.share import FACTOR, Share
from networks import Dense, model, write_onnx

COUNT = 400


def few_that_never_fit() -> tuple[np.ndarray, np.ndarray]:
    """Four samples, each a hundred times; two in a hundred have another value."""
    random = np.random.default_rng(3)
    x = np.eye(4, dtype=np.float32)[random.integers(0, 4, COUNT)]
    y = x @ np.asarray([[-1], [0], [0.5], [1]], np.float32)
    wrong = random.permutation(COUNT)[:8]
    y[wrong] = 0.2 - y[wrong]
    return x, y


def fitted(**options: Any) -> tuple[list[mg.Epoch], list[str]]:
    x, y = few_that_never_fit()
    net = model((4,), (Dense(1),))
    trainer = mg.compile(net, calibration=x, loss="mse", typical_labels=y, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = trainer.fit(x, y, epochs=40, rate=0.1, schedule="constant")
    return history, [str(each.message) for each in caught if issubclass(each.category, McugradWarning)]


def test_fewer_than_asked() -> None:
    history, (said,) = fitted(sparse=mg.Sparse(samples=0.5))
    taken = sum(epoch.taken for epoch in history)
    assert taken < 0.4 * 40 * COUNT
    assert said.startswith(
        f"50 % of the samples were asked for, {taken / 160:.2g} % were learned from ({taken:,} of 16,000): "
    )
    assert "raised 64 times at most" in said
    assert history[-1].notes == (said,)
    assert all(not epoch.notes for epoch in history[:-1]), "only the whole training keeps the share"


@pytest.mark.parametrize(
    "options",
    [{}, {"sparse": mg.Sparse(samples=0.1)}, {"sparse": mg.Sparse(samples=0.5), "rule": mg.Update(batch=2)}],
    ids=["all", "a tenth", "batches"],
)
def test_as_many_as_asked(options: dict[str, Any]) -> None:
    history, said = fitted(**options)
    assert said == []
    if not options:
        assert [epoch.taken for epoch in history] == [COUNT] * 40


FOUND: dict[str, tuple[float, int, int, int, int, str | None]] = {
    # share asked for, batch, steps, taken, warm-up, what is said
    "a fifth fewer": (0.25, 1, 10_000, 2000, 0, None),
    "more than that": (
        0.25,
        1,
        10_000,
        1990,
        0,
        "25 % of the samples were asked for, 20 % were learned from",
    ),
    "by the factor": (0.25, 1, 10_000, 1400, 0, r"64 times at most \(9.5 at the end\); try .* samples=0.45"),
    "hardly any": (0.5, 1, 10_000, 0, 0, r"0 % were learned from \(0 of 10,000\): .* samples=1,"),
    "by the warm-up": (0.25, 1, 10_000, 1400, 5000, "a warm-up of 5,000 steps; try a shorter one"),
    "more": (0.25, 1, 10_000, 3100, 0, "31 % were learned from .* try a smaller samples="),
    "by chance": (0.25, 1, 100, 12, 0, None),
    "by chance, in batches": (0.25, 16, 1600, 160, 0, None),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_is_said(case: str) -> None:
    asked, batch, steps, taken, warmup, said = FOUND[case]
    share = Share(asked, batch)
    share.count(steps // 2, taken // 2)
    share.count(steps - steps // 2, taken - taken // 2)
    found = share.notes({FACTOR: np.asarray([9.5], np.float32)}, warmup)
    assert len(found) == (said is not None)
    assert said is None or re.search(said, found[0])


def test_the_command_line_says_it(cli: Cli, tmp_path: Path) -> None:
    x, y = few_that_never_fit()
    net = write_onnx(tmp_path / "net.onnx", (4,), (Dense(1),))
    data = save(tmp_path / "data.npz", x, y)
    given = ("train", str(net), "--data", data, "--loss", "mse", "--sparse-samples", "0.5", "--epochs", "40")
    result = cli(*given, "--rate", "0.1", "--schedule", "constant", "--json")
    (said,) = result.facts["training_notes"]
    assert said.startswith("50 % of the samples were asked for, ")
    assert sum(epoch["taken"] for epoch in result.facts["epochs"]) < 0.4 * 16_000
