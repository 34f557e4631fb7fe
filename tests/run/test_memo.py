"""The twin computes what frozen layers make of a sample once; nobody can tell by the bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mcugrad as mg
from mcugrad.run.host import HostTwin
from mcugrad.run.memo import Memo
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import differences
from mcugrad.trainer import Trainer
from networks import Conv, Dense, model, samples

LAYERS = (
    Conv(4, stride=(2, 2), pads=(1, 1, 1, 1)),
    Conv(8, stride=(2, 2), pads=(1, 1, 1, 1)),
    Dense(6),
    Dense(4),
)
RATES = np.full(40, 0.02, np.float32)


def trainer(**options: Any) -> Trainer:
    net = model((1, 12, 12), LAYERS)
    return mg.compile(net, calibration=samples(net, 64)[0], **{"train": "last:2", "rate": 0.02, **options})


def quantized(made: Trainer, count: int) -> tuple[NDArray[np.int8], NDArray[np.uint32]]:
    x, y = samples(made.model, count)
    return made.quantize(x), y.astype(np.uint32)


@pytest.mark.parametrize(
    "options", [{}, {"train": "last:1"}, {"precision": "float32"}, {"precision": "mixed"}]
)
def test_a_training_with_repetitions_is_the_references(options: dict[str, Any]) -> None:
    made = trainer(**options)
    x, y = quantized(made, 10)
    order = np.tile(np.arange(10, dtype=np.uint32), 4)
    twin, reference = HostTwin(made.build.compiled), ReferenceRunner(made.build.compiled)
    for runner in (twin, reference):
        runner.init()
    for _ in range(2):  # the second time all is known
        ours, theirs = (runner.train(x, y, order, RATES).info for runner in (twin, reference))
        assert ours.tobytes() == theirs.tobytes()
        np.testing.assert_array_equal(twin.predict(x), reference.predict(x))
    assert differences(reference.state(), twin.state()) == []


def test_the_frozen_layers_are_those_before_the_first_that_learns() -> None:
    program = trainer().build.compiled.program
    assert program.segments["frozen"].calls[-1].node == "conv2"
    assert all(b.name.startswith("conv2") for b in program.left_by("frozen"))
    assert all(entry.segments[:2] == ("frozen", "forward") for entry in program.entries.values())
    assert "frozen" not in trainer(train="all").build.compiled.program.segments
    assert "frozen" not in trainer(train="none", rate=None).build.compiled.program.segments


def test_what_is_known_is_not_computed_again() -> None:
    """A record that was spoilt shows in the answer."""
    twin = HostTwin((made := trainer()).build.compiled)
    x, _ = quantized(made, 3)
    before = twin.predict(x)
    assert twin._memo is not None
    assert twin._memo.known[:3].all()
    twin._memo.records[1] ^= 0x55
    after = twin.predict(x)
    assert (after != before).any(axis=1).tolist() == [False, True, False]


def test_changed_samples_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer()
    x, y = quantized(made, 6)
    twin = HostTwin(made.build.compiled)
    twin.begin_replay(4, 1, True, 0)
    twin.train(x, y, np.arange(6, dtype=np.uint32), RATES[:6])
    assert twin._memo is not None
    assert not twin._memo.known.any()


def test_there_is_an_end_to_what_is_kept() -> None:
    memo = Memo(10, limit=35)
    x = np.arange(20, dtype=np.int8).reshape(5, 4)
    assert memo.places(x).tolist() == [0, 1, 2, -1, -1]
    assert memo.records.shape == (3, 10)
    assert memo.places(x[::-1].copy(), np.asarray([4, 3, 3], np.uint32)).tolist() == [-1, -1, -1, 1, 0]


def test_room_grows_and_keeps_what_is_known() -> None:
    memo = Memo(1)
    x = np.arange(1000, dtype=np.int32).view(np.int8).reshape(1000, 4)
    memo.places(x[:10])
    memo.records[:10, 0] = range(10)
    memo.known[:10] = 1
    assert memo.places(x).tolist() == list(range(1000))
    assert memo.records[:10, 0].tolist() == list(range(10))
    assert len(memo.records) == len(memo.known) == 1000
    assert memo.known.sum() == 10
