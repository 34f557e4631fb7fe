"""One interface to everything that executes a model: reference, host twin, emulated core, and later a board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mcugrad.emit import Layout
from mcugrad.emit.fingerprint import fingerprint
from mcugrad.errors import UsageError
from mcugrad.program import TRAIN_SOFT, Program
from mcugrad.toolchain import cache
from mcugrad.training.guard import OUTCOMES, Guarded
from mcugrad.training.losses import LabelKind

State = dict[str, NDArray[Any]]
"""Learned state by buffer name: weights, residuals, biases, scales, ranges, step counter, seed, rate."""


@dataclass(frozen=True, eq=False)
class Compiled:
    """A program with everything that a runner needs.

    Attributes:
        program: what to execute.
        layout: where it lies in memory.
        files: generated C by file name, as delivered.
        host: C of the host twin's loops.
    """

    program: Program
    layout: Layout
    files: Mapping[str, str]
    host: str

    @cached_property
    def fingerprint(self) -> bytes:
        """What tells the model apart from those whose learned states do not fit it, 32 bytes."""
        return fingerprint(self.program, self.layout)

    def folder(self) -> Path:
        """A folder in the cache that holds the generated files, for compilers to read."""
        files = {**self.files, "host.c": self.host}
        identity = cache.key(*(part for item in sorted(files.items()) for part in item))

        def write(path: Path) -> None:
            path.mkdir()
            for name, text in files.items():
                (path / name).parent.mkdir(exist_ok=True)
                (path / name).write_text(text, encoding="utf-8")

        return cache.build(identity, "model", write)


def step_type(kind: LabelKind) -> np.dtype[Any]:
    """NumPy's view of `<name>_step_t`."""
    fields = ["loss", "rate", "update_rate", "saturation", "empty", "mean_loss", "drift"]
    kinds = [*((name, "<f4") for name in fields), ("trouble", "<u4")]
    if kind is LabelKind.CLASS:
        kinds += [("mean_accuracy", "<f4"), ("confidence", "<f4"), ("predicted", "<u4")]
    return np.dtype(kinds)


@dataclass(frozen=True, eq=False)
class Steps:
    """What training steps reported, one entry each.

    Attributes:
        info: (steps,) of `step_type`: loss, rate, update_rate, saturation, empty, mean_loss, drift, trouble; where the
            target is a class also mean_accuracy, confidence and predicted. The generated header says what they are.
    """

    info: NDArray[Any]

    @property
    def loss(self) -> NDArray[np.float32]:
        """Loss of the sample before the step: nats for cross-entropies."""
        loss: NDArray[np.float32] = self.info["loss"]
        return loss

    @property
    def predicted(self) -> NDArray[np.uint32]:
        """Class predicted before the step; 0 where the target is no class."""
        if "predicted" not in (self.info.dtype.names or ()):
            return np.zeros(len(self.info), np.uint32)
        predicted: NDArray[np.uint32] = self.info["predicted"]
        return predicted


def replay_type(program: Program) -> np.dtype[Any]:
    """NumPy's view of `<name>_replay_t` up to its pointer, which differs in size."""
    names = ("ready", "every", "collect", "capacity", "count", "fresh", "added", "drawn", "seed")
    by_class = [("seen", "<u4"), ("held", "<u4"), ("full", "u1")]
    classes = program.replay_classes
    return np.dtype(
        [*((name, "<u4") for name in names), *((name, kind, (classes,)) for name, kind in by_class)]
    )


def demand_soft(program: Program) -> None:
    """Refuse to train towards distributions where targets are no classes. Raises UsageError."""
    if TRAIN_SOFT not in program.entries:
        raise UsageError(
            "only a loss on classes can be trained towards what a network said about a sample",
            where="soft",
            hint="loss='cross_entropy', or replay without remember=True",
        )


def guarded(record: Any) -> Guarded:
    """What a guard found, from its `mcg_guard_t`."""
    return Guarded(OUTCOMES[int(record["outcome"])], float(record["error"]), float(record["best"]))


@dataclass(frozen=True, eq=False)
class Stored:
    """A replay buffer.

    Attributes:
        header: one record of `replay_type`.
        memory: (capacity, words of a sample) uint32: class, input, and target; for a class, the soft one, 0 for none.
    """

    header: NDArray[Any]
    memory: NDArray[np.uint32]


class Runner(Protocol):
    """Executes one model. All runners give the same bytes."""

    def init(self) -> None:
        """Put the model into its state at delivery."""

    def predict(self, x: NDArray[np.int8]) -> NDArray[Any]:
        """Logits (n, classes) of samples (n, input size): int8, or float32 where the last layer is."""

    def train(
        self,
        x: NDArray[np.int8],
        targets: NDArray[Any],
        order: NDArray[np.uint32],
        rates: NDArray[np.float32] | None = None,
    ) -> Steps:
        """One training step per entry of `order`, an index into the samples.

        Args:
            x: samples (n, input size).
            targets: labels (n,) uint32, bits (n, outputs) uint8, or quantized values (n, outputs) int8.
            order: samples to learn from, (steps,).
            rates: learning rates, (steps,); None follows the schedule.
        """

    def begin_replay(self, capacity: int, every: int, collect: bool, seed: int) -> None:
        """Train with an empty replay buffer from now on."""

    def replay_add(self, x: NDArray[np.int8], targets: NDArray[Any]) -> None:
        """Offer samples to the replay buffer."""

    def replay_remember(self) -> None:
        """Let stored samples be trained towards what the model says about them now. Targets must be classes."""

    def train_soft(
        self,
        x: NDArray[np.int8],
        soft: NDArray[np.uint8],
        order: NDArray[np.uint32],
        rates: NDArray[np.float32] | None = None,
    ) -> Steps:
        """The same as `train` towards distributions: no replay, no augmentation. Targets must be classes.

        Args:
            x: samples (n, input size).
            soft: wanted shares of the classes at temperature 3, relative to their sum, (n, classes); not all zero.
            order: samples to learn from, (steps,).
            rates: learning rates, (steps,); None follows the schedule.
        """

    def begin_augment(self, how: NDArray[Any]) -> None:
        """Change every sample that `train` trains by one record of `AUGMENT` from now on."""

    def end_augment(self) -> None:
        """Train samples as they are from now on."""

    def augment(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Samples (n, input size), changed as the next ones to be trained would be. It must have begun."""

    def end_replay(self) -> None:
        """Train without replay buffer from now on."""

    def replay(self) -> Stored:
        """A copy of the replay buffer. One must have begun."""

    def begin_guard(self) -> None:
        """Forget the state to come back to."""

    def guard(self, x: NDArray[np.int8], targets: NDArray[Any], margin: float) -> Guarded:
        """Test; keep the state if it is the best so far, come back to the best if worse by more than the margin."""

    def set_schedule(self, schedule: NDArray[Any]) -> None:
        """Let the learning rate run by a schedule, one record of `SCHEDULE`, from the next step on."""

    def state(self) -> State:
        """A copy of the learned state."""

    def restore(self, state: State) -> None:
        """Put a learned state back."""


def unequal_bytes(expected: NDArray[Any], found: NDArray[Any]) -> NDArray[np.int64]:
    """Places of the bytes that differ. NaN is the same as NaN: its sign and payload are not defined."""
    unequal = expected.reshape(-1).view(np.uint8) != found.reshape(-1).view(np.uint8)
    if expected.dtype.kind == "f":
        unequal &= ~np.repeat((np.isnan(expected) & np.isnan(found)).reshape(-1), expected.itemsize)
    return np.flatnonzero(unequal)


def differences(expected: State, found: State) -> list[str]:
    """Where two states differ, one line per buffer: name, number of elements, first place."""
    lines = []
    for name, want in expected.items():
        have = found[name]
        unequal = unequal_bytes(want, have)
        if unequal.size:
            first = int(unequal[0]) // want.itemsize
            lines.append(
                f"{name}: {unequal.size} of {want.nbytes} bytes differ, first at element {first}: "
                f"{want.reshape(-1)[first]} and {have.reshape(-1)[first]}"
            )
    return lines
