"""Advice on learning rates: none that a search has tried, by whatever tells that a training does not learn."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import mcugrad as mg
from mcugrad.advice import higher, lower, told
from mcugrad.errors import McugradWarning
from networks import Conv, Dense, corners, model

GRID = (0.003, 0.009, 0.027, 0.081, 0.243)


def test_rates_that_were_tried_are_not_advised() -> None:
    assert lower(0.03) == "a rate of 0.01"
    assert lower(0.03, times=10) == "a rate of 0.003"
    assert higher(0.03) == "a rate of 0.09"
    assert told(()) == ""
    assert lower(0.027, GRID) == "a rate of 0.001, below all that were tried"
    assert lower(0.027, GRID, 10) == "a rate of 0.001, below all that were tried"
    assert lower(0.003, GRID) == "a rate of 0.001", "that is below them anyway"
    assert higher(0.027, GRID) == ""
    assert higher(0.243, GRID) == "a rate of 0.73"
    assert told(GRID) == "rates from 0.003 to 0.24 were tried"


@pytest.mark.parametrize(
    "update",
    [mg.Update(), mg.Update("sr12", momentum=0.9), mg.Update("qas"), mg.Update(batch=4)],
    ids=lambda update: update.text,
)
@pytest.mark.parametrize("epochs", [1, 2])
def test_no_training_advises_a_rate_that_its_search_tried(update: mg.Update, epochs: int) -> None:
    """Of labels drawn at random nothing is learned at any rate."""
    net = model((1, 12, 12), (Conv(6, stride=(2, 2)), Dense(4)))
    x, y = corners(400)
    trainer = mg.compile(net, calibration=x, rule=update)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", McugradWarning)
        trainer.fit(x, np.random.default_rng(1).permutation(y), epochs=epochs)
    assert trainer.rate_search is not None
    texts = [str(each.message) for each in said]
    assert any("nothing has been learned" in text or "little has been learned" in text for text in texts), (
        texts
    )
    tried = [each.rate for each in trainer.rate_search.trials]
    for text in texts:
        for rate in re.findall(r"try a rate of (\S+?)[,:;]? ", text):
            assert min(abs(np.log(float(rate) / each)) for each in tried) > np.log(1.5), text
