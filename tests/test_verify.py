"""verify compares what it says: one bit that an executor falsifies, of anything at any point, ends it with its name."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

import mcugrad as mg
from mcugrad import verification
from mcugrad.ops.selection import select
from mcugrad.run.host import HostTwin
from mcugrad.run.runner import Compiled, State, Steps, differences, step_type
from mcugrad.training.losses import LabelKind
from mcugrad.training.schedules import Schedule, rates_of
from networks import Conv, Dense, Pool, corners, write_onnx

STEPS = 3
STAGES = ["before training", *(f"in training step {i + 1} of {STEPS}" for i in range(STEPS))]
STAGES.append(f"after {STEPS} training steps")
"""When an executor is compared with the host twin."""
REPORTED = {kind: step_type(kind).names or () for kind in LabelKind}
OPTIONS: dict[LabelKind, dict[str, Any]] = {
    LabelKind.CLASS: {},
    LabelKind.BITS: {"loss": "binary_cross_entropy"},
    LabelKind.VALUES: {"loss": "mse", "typical_labels": np.float32([-1, 1])},
}


class Liar(HostTwin):
    """The host twin, but for one byte of one thing at one stage.

    Attributes:
        lie: what is false: `outputs`, `state`, a name of what a step reports, or `everything`.
        when: an index into STAGES.
        place: which element of outputs, which byte of the state.
        stage: where it is.
    """

    lie, when, place, stage = "nothing", 0, -1, 0

    def begin(self, lie: str, when: int, place: int = -1) -> Liar:
        """Another run, with another lie."""
        self.lie, self.when, self.place, self.stage = lie, when, place, 0
        return self

    def falsified(self, what: str, truth: NDArray[Any]) -> NDArray[Any]:
        array = np.ascontiguousarray(truth).copy()
        if self.lie in (what, "everything") and self.stage == self.when:
            element = array.reshape(-1)[self.place :][:1]
            element.view(np.uint8)[0] ^= 1  # the lowest bit: what matters least
        return array

    def predict(self, x: NDArray[np.int8]) -> NDArray[Any]:
        return self.falsified("outputs", super().predict(x))

    def train(self, *given: Any) -> Steps:
        info = super().train(*given).info
        for name in info.dtype.names or ():
            info[name] = self.falsified(name, info[name])
        return Steps(info)

    def state(self) -> State:
        state = super().state()
        whole = np.concatenate([value.reshape(-1).view(np.uint8) for value in state.values()])
        told, start = self.falsified("state", whole), 0
        for value in state.values():
            value.reshape(-1).view(np.uint8)[:] = told[start : start + value.nbytes]
            start += value.nbytes
        self.stage += 1
        return state


@cache
def liar(compiled: Compiled) -> Liar:
    """One for a model: making it takes longer than a run."""
    return Liar(compiled)


@pytest.fixture(autouse=True)
def one_twin_for_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which verify makes each time; it begins with the state that it is given in any case."""
    monkeypatch.setattr(verification, "HostTwin", twin)


@cache
def twin(compiled: Compiled) -> HostTwin:
    """What liars are compared with."""
    return HostTwin(compiled)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> mg.Model:
    path = tmp_path_factory.mktemp("verify") / "tiny.onnx"
    return mg.load(write_onnx(path, (1, 12, 12), (Conv(2), Pool(), Dense(4))))


@pytest.fixture(scope="module")
def trainers(net: mg.Model) -> dict[LabelKind, mg.Trainer]:
    x, _ = corners(16)
    return {t: mg.compile(net, calibration=x, rule="sr8", **options) for t, options in OPTIONS.items()}


class Witness(HostTwin):
    """The host twin, which remembers the states that it was asked for, and the rates."""

    states: ClassVar[list[State]] = []
    rates: ClassVar[list[float]] = []

    def train(self, *given: Any) -> Steps:
        steps = super().train(*given)
        self.rates.extend(steps.info["rate"].tolist())
        return steps

    def state(self) -> State:
        self.states.append(super().state())
        return self.states[-1]


def test_steps_begin_where_the_trainer_is_at_the_rate_that_is_asked_for(
    trainers: dict[LabelKind, mg.Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainers[LabelKind.CLASS]
    trainer.fit(*corners(8), rate=0.05)
    known = trainer.state
    monkeypatch.setattr(trainer, "_runner", lambda name: Witness(trainer.build.compiled))
    x, y = corners(STEPS)
    trainer.verify(x, y, rate=0.03125)
    assert len(Witness.states) == STEPS + 2
    assert differences(known, Witness.states[0]) == []
    assert Witness.rates == [0.03125] * STEPS
    assert int(Witness.states[-1]["step"][0]) == int(known["step"][0]) + STEPS


SCHEDULES: dict[str, tuple[dict[str, Any], Any, Schedule]] = {
    # what is compiled in, what verify is asked for, what the steps follow
    "compiled in": ({"schedule": "cosine", "steps": 5000}, None, Schedule("cosine")),
    "a warm-up, shortened": (
        {"schedule": Schedule("linear", warmup=2000, last=0.1), "steps": 4000},
        None,
        Schedule("linear", warmup=6, last=0.1),
    ),
    "a warm-up that is longer": ({"schedule": Schedule(warmup=900)}, None, Schedule(warmup=11)),
    "decays, shortened": (
        {"schedule": Schedule("steps", every=1000, factor=0.5), "steps": 3000},
        None,
        Schedule("steps", every=4, factor=0.5),
    ),
    "asked for": ({}, "cosine", Schedule("cosine")),
    "another": ({"schedule": "cosine", "steps": 5000}, "constant", Schedule()),
    "none": ({}, None, Schedule()),
}


@pytest.mark.parametrize("case", SCHEDULES)
def test_steps_follow_the_schedule_to_its_end_by_the_code_of_each_executor(
    monkeypatch: pytest.MonkeyPatch, case: str, net: mg.Model
) -> None:
    options, asked, wanted = SCHEDULES[case]
    x, y = corners(12)
    trainer = mg.compile(net, calibration=x, rate=0.02, **options)
    monkeypatch.setattr(trainer, "_runner", lambda name: Witness(trainer.build.compiled))
    Witness.rates.clear()
    trainer.verify(x, y, schedule=asked)
    assert Witness.rates == rates_of(wanted.record(0.02, 12)[0], np.arange(12, dtype=np.uint32)).tolist()
    assert (len(set(Witness.rates)) > 1) == (wanted != Schedule())


def test_what_only_a_schedule_does_is_compared(net: mg.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the choice of samples, of which more are taken while a falling rate is high."""
    x, y = corners(24)
    options: dict[str, Any] = {"rate": 0.01, "sparse": mg.Sparse(samples=0.5)}
    falls = mg.compile(net, calibration=x, schedule="cosine", steps=5000, **options)
    level = mg.compile(net, calibration=x, **options)
    for trainer in (falls, level):
        trainer.verify(x, y, on="reference")
    monkeypatch.setattr(select, "_wanted", lambda share, *_: np.float32(share))
    level.verify(x, y, on="reference")
    for trainer, given in ((falls, None), (level, "cosine"), (level, "linear")):
        with pytest.raises(mg.MismatchError, match="reference and host twin differ in training step"):
            trainer.verify(x, y, on="reference", schedule=given)


def test_a_schedule_that_does_not_fit_is_refused(net: mg.Model) -> None:
    x, y = corners(12)
    with pytest.raises(mg.UsageError, match="a warm-up of 12 steps leaves none of 12 for the cosine"):
        mg.compile(net, calibration=x).verify(x, y, on="reference", schedule=Schedule("cosine", warmup=12))


def verified(trainer: mg.Trainer, monkeypatch: pytest.MonkeyPatch, *lie: Any) -> mg.Verification:
    """verify with a liar in the place of the emulator."""
    monkeypatch.setattr(trainer, "_runner", lambda name: liar(trainer.build.compiled).begin(*lie))
    x, classes = corners(STEPS)
    kind = trainer.options.loss.label_kind
    y = classes if kind is LabelKind.CLASS else np.eye(4, dtype=int)[classes]
    return trainer.verify(x, y)


def found_out(trainer: mg.Trainer, monkeypatch: pytest.MonkeyPatch, *lie: Any) -> str:
    """Where the error says that verify was lied to."""
    with pytest.raises(mg.MismatchError) as error:
        verified(trainer, monkeypatch, *lie)
    assert error.value.what == f"emulator and host twin differ {STAGES[lie[1]]}"
    assert error.value.exit_code == 1
    return error.value.where


@pytest.mark.parametrize("kind", LabelKind)
def test_honest_executors_pass(
    trainers: dict[LabelKind, mg.Trainer], monkeypatch: pytest.MonkeyPatch, kind: LabelKind
) -> None:
    trainer = trainers[kind]
    before = trainer.state
    proof = verified(trainer, monkeypatch, "nothing", 0)
    size = sum(value.nbytes for value in before.values())
    assert (proof.steps, proof.executors, proof.outputs, proof.bytes) == (
        STEPS,
        ("emulator",),
        4 * STEPS,
        size,
    )
    assert proof.reported == REPORTED[kind]
    head, outputs, state, reported = str(proof).split("\n", 3)
    assert head == "emulator and host twin agree in every bit:"
    assert outputs == f"  {4 * STEPS} outputs before training, and after {STEPS} steps of it"
    assert state == f"  {size:,} bytes of learned state after each step"
    assert reported.split() == f"all that each step reports: {', '.join(REPORTED[kind])}".split()
    assert max(map(len, reported.splitlines())) < 80
    assert all(np.array_equal(value, trainer.state[name]) for name, value in before.items())


@pytest.mark.parametrize("stage", [1, STEPS])
@pytest.mark.parametrize(("kind", "name"), [(t, name) for t in LabelKind for name in REPORTED[t]])
def test_everything_that_a_step_reports_is_compared(
    trainers: dict[LabelKind, mg.Trainer],
    monkeypatch: pytest.MonkeyPatch,
    kind: LabelKind,
    name: str,
    stage: int,
) -> None:
    where = found_out(trainers[kind], monkeypatch, name, stage)
    assert re.fullmatch(rf"{name}: \S+ and \S+", where)


@pytest.mark.parametrize("stage", [0, STEPS + 1])
@pytest.mark.parametrize("place", [0, 6, 4 * STEPS - 1])
def test_every_output_is_compared_before_and_after_training(
    trainers: dict[LabelKind, mg.Trainer], monkeypatch: pytest.MonkeyPatch, place: int, stage: int
) -> None:
    where = found_out(trainers[LabelKind.CLASS], monkeypatch, "outputs", stage, place)
    sample, output = divmod(place, 4)
    assert where.startswith(
        f"outputs: 1 of {4 * STEPS} bytes differ, first output {output} of sample {sample}: "
    )


def test_outputs_that_are_floats_are_compared_too(
    trainers: dict[LabelKind, mg.Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = mg.compile(trainers[LabelKind.CLASS].model, calibration=corners(16)[0], precision="float32")
    where = found_out(trainer, monkeypatch, "outputs", 0, 6)
    assert where.startswith(f"outputs: 1 of {16 * STEPS} bytes differ, first output 2 of sample 1: ")


@pytest.mark.parametrize("stage", range(STEPS + 2))
def test_every_part_of_the_state_is_compared_at_every_stage(
    trainers: dict[LabelKind, mg.Trainer], monkeypatch: pytest.MonkeyPatch, stage: int
) -> None:
    trainer, place = trainers[LabelKind.CLASS], 0
    assert len(trainer.state) > 8
    for name, value in trainer.state.items():
        place += value.nbytes
        where = found_out(trainer, monkeypatch, "state", stage, place - 1)
        assert where.startswith(
            f"{name}: 1 of {value.nbytes} bytes differ, first at element {value.size - 1}: "
        )


def test_all_that_differs_in_one_step_is_listed(
    trainers: dict[LabelKind, mg.Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    where = found_out(trainers[LabelKind.CLASS], monkeypatch, "everything", 2)
    last = list(trainers[LabelKind.CLASS].state)[-1]
    assert [line.strip().split(":")[0] for line in where.splitlines()] == [*REPORTED[LabelKind.CLASS], last]
