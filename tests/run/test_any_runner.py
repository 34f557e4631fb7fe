"""Five methods are enough: a model that lives by them alone does what the C of its twin does, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from life_models import kinds
from mcugrad.run.host import HostTwin
from mcugrad.run.life import Life
from mcugrad.run.runner import Runner, State, differences

F32 = np.float32


class Transport(Life):
    """What a board would be: the five methods of a runner, and no more."""

    def __init__(self, twin: HostTwin) -> None:
        super().__init__(twin._compiled)
        self.twin: Runner = twin

    def init(self) -> None:
        self.twin.init()

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.twin.predict(x)

    def step(self, x: np.ndarray, label: np.ndarray, *, soft: bool = False) -> np.ndarray:
        return self.twin.step(x, label, soft=soft)

    def read(self, place: int, size: int) -> np.ndarray:
        return self.twin.read(place, size)

    def write(self, place: int, content: np.ndarray) -> None:
        self.twin.write(place, content)


def test_a_runner_is_five_methods() -> None:
    assert {"init", "predict", "step", "read", "write"} == Runner.__abstractmethods__
    own = {name for name in vars(Life) if not name.startswith("_")}
    assert not own & Runner.__abstractmethods__, "all else stands on these"


def lived(
    runner: Life, trainer: mg.Trainer, x: np.ndarray, y: np.ndarray, *, soft: bool
) -> tuple[list[Any], State]:
    """A life with all that there is: a schedule, old samples, changed ones, memories, a guard, a bad time."""
    seen: list[Any] = []
    order = np.arange(30, dtype=np.uint32)
    runner.set_schedule(mg.Schedule("cosine", warmup=5, last=0.1).record(0.02, 200))
    seen.append(runner.train(x, y, order).info.tobytes())
    runner.begin_guard()
    seen.append(runner.guard(x[40:], y[40:], 0.05))
    runner.begin_replay(7, 2, True, 5)
    runner.replay_add(x[:9], y[:9])
    runner.begin_augment(trainer.augmentation(mg.Augment(shift=1, gain=0.1, offset=0.05, noise=0.02, seed=3)))
    if soft:
        runner.replay_remember()
    for rate in (0.02, 0.5, 0.05):
        seen.append(runner.train(x, y, order, np.full(30, rate, F32)).info.tobytes())
        seen.append(runner.guard(x[40:], y[40:], 0.05))
    stored = runner.replay()
    seen += [stored.header.tobytes(), stored.memory.tobytes(), runner.augment(x[:4]).tobytes()]
    runner.end_replay()
    seen.append(runner.train(x, y, order[:5]).info.tobytes())
    runner.end_augment()
    if soft:
        wanted = np.random.default_rng(1).integers(1, 256, (len(x), 4)).astype(np.uint8)
        seen.append(runner.train_soft(x, wanted, order[:9], np.full(9, 0.01, F32)).info.tobytes())
    return [*seen, runner.predict(x).tobytes()], runner.state()


@pytest.mark.parametrize("name", ["classes", "bits", "shifted values", "some samples", "float32 values"])
def test_a_life_on_five_methods_is_that_of_the_twin(name: str) -> None:
    trainer, x, y = kinds(name)
    soft = name in ("classes", "some samples")
    seen, state = lived(HostTwin(trainer.build.compiled), trainer, x, y, soft=soft)
    bare = Transport(HostTwin(trainer.build.compiled))
    found, found_state = lived(bare, trainer, x, y, soft=soft)
    assert differences(state, found_state) == []
    assert found == seen


def test_it_refuses_what_the_twin_refuses() -> None:
    trainer, x, y = kinds("bits")
    runners = (HostTwin(trainer.build.compiled), Transport(HostTwin(trainer.build.compiled)))
    order, soft = np.asarray([len(x)], np.uint32), np.ones((len(x), 4), np.uint8)
    for runner in runners:
        with pytest.raises(mg.UsageError, match="order names sample 60 of 60"):
            runner.train(x, y, order)
        with pytest.raises(mg.UsageError, match="only a loss on classes"):
            runner.train_soft(x, soft, order)
    trainer, x, y = kinds("classes")
    for runner in (HostTwin(trainer.build.compiled), Transport(HostTwin(trainer.build.compiled))):
        with pytest.raises(
            mg.UsageError, match="1 of 60 soft labels are all 0, the first is that of sample 2"
        ):
            runner.train_soft(x, np.where(np.arange(60)[:, None] == 2, 0, soft).astype(np.uint8), order - 1)
        with pytest.raises(
            mg.UsageError, match=r"soft labels of shape \(60, 3\) for 60 samples of 4 classes"
        ):
            runner.train_soft(x, soft[:, :3], order - 1)
