"""What a search holds out: the shares of the classes, nothing twice, and no copy of what its trials train."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

import numpy as np
import pytest

import mcugrad as mg
from mcugrad.rate_search import PARTS, _kinds, _parts
from networks import Conv, Dense, corners, model
from rate_trials import tried

Array = np.ndarray

pytestmark = pytest.mark.usefixtures("fast_twins")


@pytest.fixture(scope="module")
def net() -> mg.Model:
    return model((1, 12, 12), (Conv(6, stride=(2, 2)), Dense(4)))


@pytest.fixture(scope="module")
def compiled(net: mg.Model) -> mg.Trainer:
    """As delivered: tests take copies, so that all have one build."""
    return mg.compile(net, calibration=at_random()[0])


def at_random() -> tuple[Array, Array]:
    """Samples that have nothing to do with their classes."""
    random = np.random.default_rng(0)
    return random.random((48, 1, 12, 12)).astype(np.float32), np.arange(48) % 4


@pytest.fixture(scope="module")
def by_heart(compiled: mg.Trainer) -> float:
    """Accuracy of a training on copies of such samples."""
    x, y = at_random()
    knows = copy(compiled)
    knows.fit(np.tile(x, (20, 1, 1, 1)), np.tile(y, 20), epochs=2, rate=0.081)
    return knows.evaluate(x, y)


@pytest.mark.parametrize("classes", [None, [40, 40, 20], [97, 1, 1, 1], [1] * 20, [2] * 10])
def test_parts_have_nothing_in_common_and_leave_each_class(classes: list[int] | None) -> None:
    y = None if classes is None else np.repeat(np.arange(len(classes)), classes)
    count = 50 if y is None else len(y)
    parts = _parts(y, count, 3)
    assert len(parts) == PARTS
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together)
    assert min(map(len, parts)) >= 1
    if y is not None and max(map(int, np.bincount(y))) > 1:
        for part in parts:
            assert set(np.delete(y, part)) == set(y), "something is left to learn of every class"
    again = _parts(y, count, 3)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(parts, _parts(y, count, 4), strict=True))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("spread", [np.tile, np.repeat], ids=["tile", "repeat"])
def test_copies_of_what_is_held_out_are_not_trained(
    compiled: mg.Trainer, by_heart: float, spread: Callable[..., Array], shuffle: bool
) -> None:
    """Labels at random can be learned by heart alone, which says nothing of samples that were not seen."""
    x, y = at_random()
    order = spread(np.arange(48), 20)
    trainer = copy(compiled)
    _, trials = tried(trainer, x[order], y[order], epochs=2, shuffle=shuffle)
    assert by_heart > 0.9
    assert max(each.score for each in trials) < 0.5
    assert trainer.rate_search is not None
    assert trainer.rate_search.held_out <= 48


def test_few_samples_in_many_copies_are_looked_at_as_they_are(compiled: mg.Trainer) -> None:
    """There is nothing else to hold out, and nothing else will come: 8 readings of three switches."""
    x, y = corners(8)
    trainer = copy(compiled)
    _, trials = tried(trainer, np.tile(x, (30, 1, 1, 1)), np.tile(y, 30), epochs=2)
    assert trials
    assert trainer.rate_search is not None
    assert trainer.rate_search.held_out > 100


def test_samples_are_the_same_with_their_labels() -> None:
    x = np.asarray([[1, 2], [3, 4], [1, 2], [1, 2], [3, 4]], np.int8)
    assert _kinds((x, np.asarray([0, 1, 0, 1, 1], np.uint32))).tolist() == [0, 1, 0, 2, 1]
    assert _kinds((x, np.arange(5, dtype=np.uint32))).tolist() == [0, 1, 2, 3, 4]
    rows = np.asarray([[0, 1], [0, 0], [0, 1], [1, 1], [0, 0]], np.uint8)
    assert _kinds((x, rows)).tolist() == [0, 1, 0, 2, 1]
