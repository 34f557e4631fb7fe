"""The reference runner: every kernel call by its NumPy reference. Slow; it is what the C must equal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.records import AUGMENT, ELEMENT_TYPES
from mcugrad.emit.fingerprint import word
from mcugrad.ops.life.augment import augment_s8
from mcugrad.ops.life.life import DRIFT_LIMIT, argmax_f32, argmax_s8, trouble
from mcugrad.ops.life.replay import drawn, replay_slot
from mcugrad.ops.loss.soft_cross_entropy_f32 import soften_f32
from mcugrad.ops.loss.soft_cross_entropy_s8 import soften_s8
from mcugrad.ops.tracking.ranges import EMPTY_ERROR
from mcugrad.program import PREDICT, TRAIN_SOFT, TRAIN_STEP, Program, Space
from mcugrad.program.execute import run
from mcugrad.run.runner import Compiled, State, Steps, Stored, demand_soft, replay_type, step_type
from mcugrad.training.augment import map_of
from mcugrad.training.guard import Guarded
from mcugrad.training.losses import LabelKind

WORST = np.float32(3e38)
"""The error of a guard that is no number, as large as one can be."""


class ReferenceRunner:
    """A program executed by Python."""

    def __init__(self, compiled: Compiled) -> None:
        self._program = compiled.program
        self._ready = word(compiled.fingerprint)
        self._values: dict[str, NDArray[Any] | None] = {}
        self._replay: _Replay | None = None
        self._augment: NDArray[Any] | None = None
        self._best: tuple[np.float32, State] | None = None
        self.init()

    def init(self) -> None:
        """Put the model into its state at delivery."""
        for name, buffer in self._program.buffers.items():
            value = np.zeros(buffer.shape, buffer.dtype) if buffer.value is None else buffer.value.copy()
            self._values[name] = value

    def predict(self, x: NDArray[np.int8]) -> NDArray[Any]:
        """Logits (n, classes) of samples (n, input size)."""
        y = np.empty((len(x), self._program.classes), self._program.buffers[self._program.output].dtype)
        for i, sample in enumerate(x):
            self._forward(sample)
            y[i] = self._value(self._program.output).reshape(-1)
        return y

    def train(
        self,
        x: NDArray[np.int8],
        targets: NDArray[Any],
        order: NDArray[np.uint32],
        rates: NDArray[np.float32] | None = None,
    ) -> Steps:
        """One training step per entry of `order`."""
        info = np.zeros(len(order), step_type(self._program.label_kind))
        for i, sample in enumerate(order):
            if rates is not None:
                self._hold(rates[i])
            self._step(self._augmented(x[sample]), targets[sample])
            info[i] = self._report(info[i])
            if self._replay is not None:
                if (old := self._replay.draw()) is not None:
                    self._step_back(*old)
                if self._replay.header["collect"][0]:
                    self._replay.add(x[sample], targets[sample])
        return Steps(info)

    def train_soft(
        self,
        x: NDArray[np.int8],
        soft: NDArray[np.uint8],
        order: NDArray[np.uint32],
        rates: NDArray[np.float32] | None = None,
    ) -> Steps:
        """One training step towards a distribution per entry of `order`. Raises UsageError without classes."""
        demand_soft(self._program)
        info = np.zeros(len(order), step_type(self._program.label_kind))
        for i, sample in enumerate(order):
            if rates is not None:
                self._hold(rates[i])
            self._step(x[sample], 0, soft[sample])
            info[i] = self._report(info[i])
        return Steps(info)

    def begin_augment(self, how: NDArray[Any]) -> None:
        """Change every sample that `train` trains from now on."""
        self._augment = np.array(how, AUGMENT).reshape(1)

    def end_augment(self) -> None:
        """Train samples as they are from now on."""
        self._augment = None

    def augment(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Samples (n, input size), changed as the next ones to be trained would be."""
        return np.stack([self._augmented(sample) for sample in x])

    def replay_remember(self) -> None:
        """Let stored samples be trained towards what the model says now. Raises UsageError without classes."""
        assert self._replay is not None
        demand_soft(self._program)
        for place in range(int(self._replay.header["count"][0])):
            x, soft = self._replay.stored(place)
            self._forward(x)
            logits = self._value(self._program.output).reshape(-1)
            if self._program.output_scale:
                soften_s8(len(logits), logits, self._value(self._program.output_scale), soft)
            else:
                soften_f32(len(logits), logits, soft)

    def begin_replay(self, capacity: int, every: int, collect: bool, seed: int) -> None:
        """Train with an empty replay buffer from now on."""
        self._replay = _Replay(self._program, self._ready, capacity, every, collect, seed)

    def replay_add(self, x: NDArray[np.int8], targets: NDArray[Any]) -> None:
        """Offer samples to the replay buffer."""
        assert self._replay is not None
        for sample, target in zip(x, targets, strict=True):
            self._replay.add(sample, target)

    def end_replay(self) -> None:
        """Train without replay buffer from now on."""
        self._replay = None

    def replay(self) -> Stored:
        """A copy of the replay buffer."""
        assert self._replay is not None
        return Stored(self._replay.header.copy(), self._replay.memory.copy())

    def begin_guard(self) -> None:
        """Forget the state to come back to."""
        self._best = None

    def guard(self, x: NDArray[np.int8], targets: NDArray[Any], margin: float) -> Guarded:
        """Test; keep the state if it is the best so far, come back to the best if worse by more than the margin."""
        total = np.float32(0)
        for sample, target in zip(x, targets, strict=True):
            total = np.float32(total + self._error(sample, target))
        outputs = 1 if self._program.label_kind is LabelKind.CLASS else self._program.classes
        error = total / np.float32(np.float32(len(x)) * np.float32(outputs))
        error = error if error <= WORST else WORST
        if self._best is None or error <= self._best[0]:
            self._best, outcome = (error, self.state()), "best"
        elif error > np.float32(self._best[0] + np.float32(margin)):
            self.restore({k: v for k, v in self._best[1].items() if k not in ("schedule", "watch", "step")})
            outcome = "restored"
        else:
            outcome = "within"
        return Guarded(outcome, float(error), float(self._best[0]))

    def set_schedule(self, schedule: NDArray[Any]) -> None:
        """Let the learning rate run by a schedule from the next step on."""
        self._value("schedule")[:] = schedule
        self._value("schedule")["start"] = self._value("step")

    def state(self) -> State:
        """A copy of the learned state."""
        return {b.name: self._value(b.name).copy() for b in self._program.in_space(Space.STATE)}

    def restore(self, state: State) -> None:
        """Put a learned state back."""
        for name, value in state.items():
            self._value(name)[...] = value

    def _step(self, x: NDArray[np.int8], target: Any, soft: NDArray[np.uint8] | None = None) -> None:
        """One step, towards a distribution if there is one."""
        self._values[self._program.input] = x.reshape(-1)
        if soft is not None:
            self._values["soft"] = soft
        elif self._program.label_kind is LabelKind.CLASS:
            self._values["label"] = np.asarray([target], np.uint32)
        else:
            self._values["target"] = np.asarray(target)
        run(self._program, TRAIN_STEP if soft is None else TRAIN_SOFT, self._values)

    def _step_back(self, x: NDArray[np.int8], target: Any, soft: NDArray[np.uint8] | None) -> None:
        """One step on a stored sample. Running means are about the world as it is, so they stay."""
        watch = self._value("watch").copy()
        # What was said is about the sample as it came.
        self._step(self._augmented(x) if soft is None else x, target, soft)
        self._value("watch")[...] = watch

    def _augmented(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """A sample as it is to be trained."""
        if self._augment is None:
            return x
        y, program = np.empty(x.size, np.int8), self._program
        number = int(self._augment["count"][0])
        augment_s8(
            *map_of(program.buffers[program.input].shape), program.input_zero, self._augment, number, x, y
        )
        self._augment["count"] += 1
        return y

    def _error(self, x: NDArray[np.int8], target: Any) -> np.float32:
        """What a guard makes of one sample, summed over its outputs."""
        self._forward(x)
        program = self._program
        y = self._value(program.output).reshape(-1)
        if program.label_kind is LabelKind.CLASS:
            index = np.zeros(1, np.uint32)
            (argmax_s8 if y.dtype == np.int8 else argmax_f32)(len(y), y, index)
            return np.float32(index[0] != target)
        if program.values is None:
            return np.float32(((y > program.output_zero) != (target != 0)).sum())
        real = y.astype(np.float32) - np.float32(program.output_zero)
        if program.output_scale:
            real = real * self._value(program.output_scale)[0]
        wanted = (target.astype(np.int32) - program.values.zero).astype(np.float32)
        total = np.float32(0)
        for d in real - wanted * np.float32(program.values.scale):
            total = np.float32(total + d * d)
        return total

    def _hold(self, rate: float) -> None:
        schedule = self._value("schedule")
        schedule["kind"], schedule["warmup"], schedule["rate"] = 0, 0, rate

    def _report(self, info: Any) -> Any:
        """What the step just taken reports."""
        watch = self._value("watch")[0]
        found = {name: self._value(name)[0] for name in self._program.results}
        ranges = self._program.ranges
        errors = self._program.errors
        empty, exceeded = divmod(int(found.get("saturated", 0)), EMPTY_ERROR)
        found["saturation"] = np.float32(exceeded) / np.float32(ranges) if ranges else np.float32(0)
        found["empty"] = np.float32(empty) / np.float32(errors) if errors else np.float32(0)
        found["trouble"] = trouble(
            watch, found["loss"], self._program.blind, found["saturation"], found["empty"]
        )
        found["update_rate"] = found.get("update_rate", np.float32(self._program.update_rate))
        found["mean_loss"], found["mean_accuracy"] = watch["loss"], watch["accuracy"]
        found["drift"] = watch["drift_sum"] / DRIFT_LIMIT
        return tuple(found[name] for name in info.dtype.names)

    def _forward(self, sample: NDArray[np.int8]) -> None:
        self._values[self._program.input] = sample.reshape(-1)
        run(self._program, PREDICT, self._values)

    def _value(self, name: str) -> NDArray[Any]:
        value = self._values[name]
        assert value is not None, name
        return value


class _Replay:
    """`<name>_replay_t` and its functions."""

    def __init__(
        self, program: Program, ready: int, capacity: int, every: int, collect: bool, seed: int
    ) -> None:
        self._program = program
        self.header = np.zeros(1, replay_type(program))
        self.header[["ready", "every", "collect", "capacity", "seed"]] = (
            ready,
            every,
            collect,
            capacity,
            seed,
        )
        self.memory = np.zeros((capacity, program.slot_words), np.uint32)

    def add(self, x: NDArray[np.int8], target: Any) -> None:
        """Offer a sample."""
        header, slot = self.header, np.zeros(1, np.int32)
        label = int(target) if self._program.label_kind is LabelKind.CLASS else 0
        replay_slot(
            len(self.memory),
            self._program.replay_classes,
            self._program.slot_words,
            label,
            int(header["seed"][0]),
            self.memory.reshape(-1),
            header["count"],
            header["added"],
            header["seen"][0],
            header["held"][0],
            header["full"][0],
            slot,
        )
        if slot[0] >= 0:
            place = self.memory[slot[0]]
            place[0] = label
            nothing = np.zeros(self._program.classes, np.int8)
            parts = (x, nothing if self._program.label_kind is LabelKind.CLASS else target)
            content = np.concatenate([part.reshape(-1).view(np.int8) for part in parts])
            place[1:].view(np.int8)[: len(content)] = content

    def stored(self, place: int) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
        """Input and soft target of a stored sample, both to be written."""
        size = self._program.buffers[self._program.input].count
        content = self.memory[place][1:].view(np.int8)
        return content[:size], content[size : size + self._program.classes].view(np.uint8)

    def draw(self) -> tuple[NDArray[np.int8], Any, NDArray[np.uint8] | None] | None:
        """The stored sample that follows a new one, its target, and its soft target; None if it is not its turn."""
        header = self.header[0]
        header["fresh"] += 1
        if header["fresh"] % header["every"] or not header["count"]:
            return None
        place = self.memory[drawn(int(header["seed"]), int(header["drawn"]), int(header["count"]))]
        header["drawn"] += 1
        size = self._program.buffers[self._program.input].count
        content = place[1:].view(np.int8)
        if self._program.label_kind is LabelKind.CLASS:
            soft = content[size : size + self._program.classes].view(np.uint8).copy()
            return content[:size].copy(), place[0], soft if soft.any() else None
        values = content[size : size + self._program.classes].view(
            ELEMENT_TYPES[self._program.label_kind.value]
        )
        return content[:size].copy(), values.copy(), None
