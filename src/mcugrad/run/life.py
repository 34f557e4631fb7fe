"""Life: what goes on around the steps of a model, on top of any runner; by the references of the device's own C."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.records import AUGMENT, ELEMENT_TYPES, GUARD
from mcugrad.emit.descriptor import constants, of_rest
from mcugrad.emit.fingerprint import word
from mcugrad.errors import UsageError
from mcugrad.ops.life.augment import augment
from mcugrad.ops.life.guard import PARAMS, guard
from mcugrad.ops.life.latents import Rest, latents, train_latents
from mcugrad.ops.life.model import OK, Model
from mcugrad.ops.life.rate import set_rate, set_schedule
from mcugrad.ops.life.replay_buffer import ReplayBuffer, replay_add, replay_init, replay_remember
from mcugrad.ops.life.train import train_replay, train_soft, train_step
from mcugrad.program import TRAIN_SOFT
from mcugrad.program.rows import with_all_rows, without_frozen_rows
from mcugrad.run.runner import Compiled, Runner, State, Steps, Stored, demand_soft, guarded, step_type
from mcugrad.training.guard import Guarded


class Life(Runner):
    """A runner whose model lives. What a runner can do better than this, it does itself.

    Args:
        compiled: the model.
    """

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._step_type = step_type(compiled.program.label_kind)
        self._replay: ReplayBuffer | None = None
        self._augment: NDArray[Any] | None = None
        self._snapshot: NDArray[np.uint8] | None = None

    @property
    def stores_latents(self) -> bool:
        """Whether a replay buffer of the model holds latents, not inputs."""
        return self._compiled.program.stores_latents

    # -- training ------------------------------------------------------------------------------------------------

    def train(
        self,
        x: NDArray[np.int8],
        labels: NDArray[Any],
        order: NDArray[np.uint32],
        rates: NDArray[np.float32] | None = None,
    ) -> Steps:
        """One training step per entry of `order`, an index into the samples.

        Args:
            x: samples (n, input size).
            labels: classes (n,) uint32, bits (n, outputs) uint8, or quantized values (n, outputs) int8.
            order: samples to learn from, (steps,).
            rates: learning rates, (steps,); None follows the schedule.

        Raises:
            UsageError: the model does not train, or there is no such sample.
        """
        self._demand_training()
        self._demand_samples(x, order)
        info = np.zeros(len(order), self._step_type)
        labels = self._labels(labels)
        for i, number in enumerate(order):
            self._hold(rates, i)
            info[i] = self.take(np.ascontiguousarray(x[number], np.int8).reshape(-1), labels[number])[0]
        return Steps(info)

    def take(self, x: NDArray[np.int8], label: NDArray[Any]) -> NDArray[Any]:
        """A step on a new sample: changed where samples are, followed by a stored one where there are some."""
        model, step = self._model, np.zeros(1, self._step_type)
        if self._replay is not None:
            self._replay.augment = self._augment
            self._replay.scratch = np.empty(self._compiled.program.stored, np.int8)
            given = _Memory(self), self._replay, x, label, step
            _demand_ok(
                train_replay(model, *given) if self._rest is None else train_latents(self._rest, *given)
            )
            return step
        _demand_ok(train_step(model, _Memory(self), self.augment(x[None])[0], label, step))
        return step

    def train_soft(
        self,
        x: NDArray[np.int8],
        soft: NDArray[np.uint8],
        order: NDArray[np.uint32],
        rates: NDArray[np.float32] | None = None,
    ) -> Steps:
        """The same as `train` towards distributions: no replay, no augmentation. Labels must be classes.

        Args:
            x: samples (n, input size).
            soft: wanted shares of the classes at temperature 3, relative to their sum, (n, classes); not all zero.
            order: samples to learn from, (steps,).
            rates: learning rates, (steps,); None follows the schedule.

        Raises:
            UsageError: the model does not train, its labels are no classes, or a distribution is all zero.
        """
        self._demand_training()
        wanted = self._demand_soft(x, soft)
        self._demand_samples(x, order)
        info = np.zeros(len(order), self._step_type)
        for i, number in enumerate(order):
            self._hold(rates, i)
            sample = np.ascontiguousarray(x[number], np.int8).reshape(-1)
            _demand_ok(train_soft(self._model, _Memory(self), sample, wanted[number], info[i : i + 1]))
        return Steps(info)

    def set_schedule(self, schedule: NDArray[Any]) -> None:
        """Let the learning rate run by a schedule, one record of `SCHEDULE`, from the next step on."""
        self._demand_training()
        _demand_ok(set_schedule(self._model, _Memory(self), schedule.reshape(1)))

    # -- augmentation --------------------------------------------------------------------------------------------

    def begin_augment(self, how: NDArray[Any]) -> None:
        """Change every sample that `train` trains by one record of `AUGMENT` from now on."""
        self._demand_training()
        self._augment = np.array(how, AUGMENT).reshape(1)

    def end_augment(self) -> None:
        """Train samples as they are from now on."""
        self._augment = None

    def augment(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Samples (n, input size), changed as the next ones to be trained would be."""
        if self._augment is None:
            return x
        changed = np.empty_like(x)
        for sample, y in zip(x, changed, strict=True):
            _demand_ok(augment(self._model, self._augment, sample, y))
        return changed

    # -- replay --------------------------------------------------------------------------------------------------

    def begin_replay(self, capacity: int, every: int, collect: bool, seed: int) -> None:
        """Train with an empty replay buffer from now on."""
        self._demand_training()
        replay = ReplayBuffer.of(self._compiled.program.replay_classes)
        memory = np.zeros(capacity * self._compiled.program.slot_words, np.uint32)
        _demand_ok(replay_init(self._stores, replay, memory, memory.size, seed))
        replay.header["every"], replay.header["collect"] = every, collect
        self._replay = replay

    def replay_add(self, x: NDArray[np.int8], labels: NDArray[Any]) -> None:
        """Offer samples to the replay buffer."""
        for sample, label in zip(x, self._labels(labels), strict=True):
            stored = sample.reshape(-1)
            if self._rest is not None:
                stored = np.empty(self._compiled.program.stored, np.int8)
                _demand_ok(latents(self._rest, _Memory(self), sample.reshape(-1), stored))
            _demand_ok(replay_add(self._stores, self._replay, stored, label))

    def replay_remember(self) -> None:
        """Let stored samples be trained towards what the model says about them now. Labels must be classes."""
        demand_soft(self._compiled.program)
        _demand_ok(replay_remember(self._stores, _Memory(self), self._replay))

    def end_replay(self) -> None:
        """Train without replay buffer from now on."""
        self._replay = None

    def replay(self) -> Stored:
        """A copy of the replay buffer. One must have begun."""
        assert self._replay is not None
        assert self._replay.memory is not None
        words = self._compiled.program.slot_words
        return Stored(self._replay.header.copy(), self._replay.memory.reshape(-1, words).copy())

    # -- guard ---------------------------------------------------------------------------------------------------

    def begin_guard(self) -> None:
        """Forget the state to come back to."""
        self._demand_training()
        self._snapshot = np.zeros(PARAMS + self._compiled.layout.params_size, np.uint8)

    def guard(self, x: NDArray[np.int8], labels: NDArray[Any], margin: float) -> Guarded:
        """Test; keep the state if it is the best so far, come back to the best if worse by more than the margin."""
        if self._snapshot is None:
            self.begin_guard()
        result = np.zeros(1, GUARD)
        given = np.ascontiguousarray(x, np.int8), self._labels(labels)
        _demand_ok(guard(self._model, _Memory(self), self._snapshot, *given, len(x), margin, result))
        return guarded(result[0])

    # -- state ---------------------------------------------------------------------------------------------------

    def state(self) -> State:
        """A copy of the learned state, arrays with all rows."""
        layout = self._compiled.layout
        own = {
            b.name: self.read(layout.offsets[b.name], b.size).view(b.dtype).reshape(b.shape).copy()
            for b in layout.params
        }
        return with_all_rows(self._compiled.program, own)

    def restore(self, state: State) -> None:
        """Put a learned state back; what does not train is what it is."""
        own = without_frozen_rows(self._compiled.program, state)
        for b in self._compiled.layout.params:
            content = np.ascontiguousarray(own[b.name], b.dtype).reshape(-1).view(np.uint8)
            self.write(self._compiled.layout.offsets[b.name], content)

    # ------------------------------------------------------------------------------------------------------------

    @cached_property
    def _model(self) -> Model:
        """The model as the functions around its steps see it."""
        program, layout = self._compiled.program, self._compiled.layout
        return Model(
            # What is said in real units comes as records: no function here asks for the scale.
            **constants(program, layout, float("nan"), word(self._compiled.fingerprint)),
            forward=lambda m, x: m.runner.predict(x[None])[0],
            train=_taking(lambda runner: runner.step),
            train_soft=_taking(lambda runner: runner.step, soft=True)
            if TRAIN_SOFT in program.entries
            else None,
            augment=lambda how, x, y: augment(self._model, how, x, y),
        )

    @cached_property
    def _rest(self) -> Rest | None:
        """What follows the frozen layers, where replay buffers hold latents."""
        program = self._compiled.program
        if not program.stores_latents:
            return None

        def make(m: _Memory, x: NDArray[np.int8], found: NDArray[np.int8]) -> None:
            found[:] = m.runner.latents(x)

        model = replace(
            self._model,
            **of_rest(program),
            forward=lambda m, x: m.runner.predict_latents(x),
            train=_taking(lambda runner: runner.step_latents),
            train_soft=_taking(lambda runner: runner.step_latents, soft=True)
            if TRAIN_SOFT in program.entries
            else None,
            augment=None,
        )
        return Rest(model, make)

    @property
    def _stores(self) -> Model:
        """The model whose samples a replay buffer holds."""
        return self._model if self._rest is None else self._rest.model

    def _hold(self, rates: NDArray[np.float32] | None, step: int) -> None:
        """The rate of a step, if it has one of its own."""
        if rates is not None:
            _demand_ok(set_rate(self._model, _Memory(self), float(rates[step])))

    def _labels(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Labels (n, elements of one)."""
        kind = ELEMENT_TYPES[self._compiled.program.label_kind.value]
        return np.ascontiguousarray(labels, kind).reshape(len(labels), -1)

    def _demand_training(self) -> None:
        if not self._compiled.program.trains:
            raise UsageError(
                "the model was compiled for inference only", where="train", hint="compile with train="
            )

    def _demand_samples(self, x: NDArray[np.int8], order: NDArray[np.uint32]) -> None:
        if len(order) and int(order.max()) >= len(x):
            raise UsageError(f"order names sample {int(order.max())} of {len(x)}", where="order")

    def _demand_soft(self, x: NDArray[np.int8], soft: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Distributions, one a sample. Raises UsageError."""
        program, wanted = self._compiled.program, np.ascontiguousarray(soft, np.uint8)
        demand_soft(program)
        if wanted.shape != (len(x), program.classes):
            raise UsageError(
                f"soft labels of shape {wanted.shape} for {len(x)} samples of {program.classes} classes",
                where="soft",
                hint=f"shape ({len(x)}, {program.classes})",
            )
        empty = np.flatnonzero(~wanted.any(axis=1))
        if empty.size:
            raise UsageError(
                f"{empty.size} of {len(wanted)} soft labels are all 0, the first is that of sample {int(empty[0])}",
                where="soft",
                hint="shares of the classes, 255 for the largest",
            )
        return wanted


class _Step(Protocol):
    """A training step on a sample, or on the latents of one."""

    def __call__(
        self, x: NDArray[np.int8], label: NDArray[Any], /, *, soft: bool = False
    ) -> NDArray[Any]: ...


class _Memory:
    """Bytes of the model of a runner."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    def __getitem__(self, place: slice) -> NDArray[np.uint8]:
        return self.runner.read(place.start, place.stop - place.start)

    def __setitem__(self, place: slice, content: NDArray[np.uint8]) -> None:
        self.runner.write(place.start, content)


def _taking(of: Callable[[Runner], _Step], *, soft: bool = False) -> Callable[..., None]:
    """Takes a step of a runner on memory, sample and label; writes what it reports to the last one, unless None."""

    def take(m: _Memory, x: NDArray[np.int8], label: NDArray[Any], step: NDArray[Any] | None) -> None:
        found = of(m.runner)(x, label, soft=soft)
        if step is not None:
            step[:] = found

    return take


def _demand_ok(status: int) -> None:
    """Arguments are checked before, so a status here is a defect of ours."""
    if status != OK:
        raise RuntimeError(f"a function around a model's steps returned status {status}")
