"""The emulated device as a runner: the firmware on a Cortex-M core, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.records import AUGMENT, GUARD, SCHEDULE, replay_record
from mcugrad.emulator.firmware import DeviceModel
from mcugrad.errors import DeviceError, UsageError
from mcugrad.program import TRAIN_SOFT
from mcugrad.program.reserve import stack
from mcugrad.run.life import Life
from mcugrad.run.runner import Compiled, Stored, demand_soft, guarded
from mcugrad.targets import Target
from mcugrad.training.guard import Guarded
from mcugrad.training.losses import LabelKind


class EmulatedDevice(Life):
    """A generated model on an emulated core, within the memories of its target.

    Args:
        compiled: the model.
        target: core and memories.
        compiler: `zig` or `arm-none-eabi-gcc`.
        opt: optimisation level.
        flags: more flags for compiling.
        replay: samples of the replay buffer that there is room for; 0 for none.
        guard: most samples of a guard set; 0 for none.
        augment: whether there is room for changed samples.

    Attributes:
        device: the emulated firmware: counted instructions, stack, sizes.
        step_instructions: instructions of every training step so far.

    Raises:
        ToolError: no compiler or emulator.
        FitError: it does not fit into the target.
    """

    def __init__(
        self,
        compiled: Compiled,
        target: Target,
        *,
        compiler: str = "zig",
        opt: str = "-O3",
        flags: Sequence[str] = (),
        replay: int = 0,
        guard: int = 0,
        augment: bool = False,
    ) -> None:
        folder = compiled.folder()
        program = compiled.program
        _demand_features(compiled, replay=bool(replay), guard=bool(guard), augment=augment)
        training = program.trains
        super().__init__(compiled)
        self._classes = program.label_kind is LabelKind.CLASS
        self.device = DeviceModel(
            [folder / f"{program.name}.c"],
            program.name,
            target,
            input_size=program.buffers[program.input].count,
            output_size=program.classes,
            info_size=self._step_type.itemsize if training else None,
            include_dirs=[folder],
            training=training,
            output_type=program.buffers[program.output].ctype,
            schedule=training,
            slot_words=program.slot_words,
            replay=replay,
            latents_size=program.stored if program.stores_latents else None,
            guard=guard,
            soft=TRAIN_SOFT in program.entries and "soft" in compiled.features,
            augment=augment,
            label_type="" if self._classes else program.label_kind.value,
            compiler=compiler,
            opt=opt,
            flags=flags,
            stack_bytes=stack(program),
        )
        self.step_instructions: list[int] = []
        self._places = replay
        self._replaying = False
        self._can_augment, self._augments = augment, False
        self.init()

    def init(self) -> None:
        """Put the model into its state at delivery."""
        self.device.init()

    def predict(self, x: NDArray[np.int8]) -> NDArray[Any]:
        """Logits (n, classes) of samples (n, input size)."""
        program = self._compiled.program
        y = np.empty((len(x), program.classes), program.buffers[program.output].dtype)
        for i, sample in enumerate(x):
            y[i] = self.device.predict(sample)
        return y

    def step(self, x: NDArray[np.int8], label: NDArray[Any], *, soft: bool = False) -> NDArray[Any]:
        """One training step. Raises DeviceError on a fault or a status other than 0."""
        if soft:
            _demand_features(self._compiled, soft=True)
        found = self.device.train_soft(x, label) if soft else self.device.train_step(x, self._given(label))
        return self._took(*found)

    def read(self, place: int, size: int) -> NDArray[np.uint8]:
        """Bytes of the model."""
        return np.frombuffer(self.device.read_model(place, size), np.uint8).copy()

    def write(self, place: int, content: NDArray[np.uint8]) -> None:
        """Put bytes there."""
        self.device.write_model(place, content.tobytes())

    # -- what the device does itself -----------------------------------------------------------------------------

    def take(self, x: NDArray[np.int8], label: NDArray[Any]) -> NDArray[Any]:
        """A step on a new sample: changed where samples are, followed by a stored one where there are some."""
        if self._replaying:
            return self._took(*self.device.train_replay(x, self._given(label)))
        if not self._augments:
            return self.step(x, label)
        changed, before = self.device.augment(x), self.device.last_instructions
        found = self.step(changed, label)
        self.step_instructions[-1] += before
        return found

    def _given(self, label: NDArray[Any]) -> Any:
        """A label as the device's calls take it."""
        return int(label[0]) if self._classes else label

    def _took(self, status: int, content: bytes) -> NDArray[Any]:
        """What a step reports. Raises DeviceError for a status other than 0."""
        if status != 0:
            raise DeviceError(f"training step {len(self.step_instructions) + 1} returned status {status}")
        self.step_instructions.append(self.device.last_instructions)
        return np.frombuffer(content, self._step_type)

    def begin_augment(self, how: NDArray[Any]) -> None:
        """Change every sample that `train` trains from now on. Raises UsageError for a device built without room."""
        if not self._can_augment:
            raise UsageError(
                "the device was built without room for changed samples", where="augment", hint="augment=True"
            )
        self.device.set_augment(np.ascontiguousarray(how, AUGMENT).tobytes())
        self._augments = True

    def end_augment(self) -> None:
        """Train samples as they are from now on."""
        if self._can_augment:
            self.device.set_augment(None)
        self._augments = False

    def augment(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Samples (n, input size), changed as the next ones to be trained would be."""
        return np.stack([self.device.augment(sample) for sample in x])

    def replay_remember(self) -> None:
        """Let stored samples be trained towards what the model says now. Raises UsageError without classes."""
        demand_soft(self._compiled.program)
        self.device.replay_remember()

    def begin_replay(self, capacity: int, every: int, collect: bool, seed: int) -> None:
        """Train with an empty replay buffer from now on. Raises UsageError for a capacity that it was not built for."""
        if capacity != self._places:
            raise UsageError(
                f"the device was built with a replay buffer for {self._places} samples, not {capacity}",
                where="replay",
            )
        self.device.replay_init(seed)
        header, memory = self.device.replay()
        kind = replay_record(self._compiled.program.replay_classes)
        record = header[: kind.itemsize].view(kind)
        record["every"], record["collect"] = every, collect
        memory[:] = 0
        self._replaying = True

    def replay_add(self, x: NDArray[np.int8], labels: NDArray[Any]) -> None:
        """Offer samples to the replay buffer."""
        for sample, label in zip(x, labels, strict=True):
            status = self.device.replay_add(sample, label)
            if status != 0:
                raise DeviceError(f"{self._compiled.program.name}_replay_add returned the status {status}")

    def end_replay(self) -> None:
        """Train without replay buffer from now on."""
        self._replaying = False

    def replay(self) -> Stored:
        """A copy of the replay buffer."""
        program = self._compiled.program
        header, memory = self.device.replay()
        kind = replay_record(program.replay_classes)
        return Stored(
            header[: kind.itemsize].view(kind).copy(), memory.reshape(-1, program.slot_words).copy()
        )

    def begin_guard(self) -> None:
        """Forget the state to come back to."""
        self.device.begin_guard()

    def guard(self, x: NDArray[np.int8], labels: NDArray[Any], margin: float) -> Guarded:
        """Test; keep the state if it is the best so far, come back to the best if worse by more than the margin."""
        return guarded(np.frombuffer(self.device.guard(x, labels, margin), GUARD)[0])

    def set_schedule(self, schedule: NDArray[Any]) -> None:
        """Let the learning rate run by a schedule from the next step on."""
        self.device.set_schedule(np.ascontiguousarray(schedule, SCHEDULE).tobytes())


def _demand_features(compiled: Compiled, **wanted: bool) -> None:
    """Raises UsageError for what the generated C does not have."""
    missing = [name for name, is_wanted in wanted.items() if is_wanted and name not in compiled.features]
    if missing:
        raise UsageError(
            f"the firmware was compiled without {' and '.join(missing)}",
            where="features",
            hint=f"features={sorted({*compiled.features, *missing})}, or 'all'",
        )
