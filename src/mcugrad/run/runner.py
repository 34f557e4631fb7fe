"""One interface to everything that executes a model: reference, host twin, emulated core, and later a board."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.emit import Firmware, host_source
from mcugrad.emit.code import code
from mcugrad.emit.formats import FORMATS, USUAL
from mcugrad.errors import UsageError
from mcugrad.program import TRAIN_SOFT, Program
from mcugrad.toolchain import cache
from mcugrad.training.features import EVERY
from mcugrad.training.guard import OUTCOMES, Guarded
from mcugrad.training.losses import LabelKind

State = dict[str, NDArray[Any]]
"""Learned state by buffer name: weights, residuals, biases, scales, ranges, step counter, seed, rate."""


class Compiled(Firmware):
    """A compiled model with everything that a runner needs; C is written when it is first asked for, and kept."""

    @cached_property
    def files(self) -> Mapping[str, str]:
        """Text by file name, as it is delivered."""
        return FORMATS[USUAL].files(self)

    @cached_property
    def host(self) -> str:
        """C of the host twin's loops."""
        return host_source(self)

    @cached_property
    def whole(self) -> Mapping[str, str]:
        """The model's C with all features, where the files have fewer: the twin has them all."""
        every = {} if self.features == EVERY else code(replace(self, features=EVERY))
        return {} if every.items() <= self.files.items() else every

    @property
    def twin(self) -> str:
        """Where in the folder the files of the host twin are: a path that ends with a slash, or nothing."""
        return "twin/" if self.whole else ""

    def folder(self) -> Path:
        """A folder in the cache that holds the generated files, for compilers to read."""
        twin = {**self.whole, "host.c": self.host}
        files = {**self.files, **{f"{self.twin}{name}": text for name, text in twin.items()}}
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
            label is a class also mean_accuracy, confidence and predicted. The generated header says what they are.
    """

    info: NDArray[Any]

    @property
    def loss(self) -> NDArray[np.float32]:
        """Loss of the sample before the step: nats for cross-entropies."""
        loss: NDArray[np.float32] = self.info["loss"]
        return loss

    @property
    def predicted(self) -> NDArray[np.uint32]:
        """Class predicted before the step; 0 where the label is no class."""
        if "predicted" not in (self.info.dtype.names or ()):
            return np.zeros(len(self.info), np.uint32)
        predicted: NDArray[np.uint32] = self.info["predicted"]
        return predicted


def demand_soft(program: Program) -> None:
    """Refuse to train towards distributions where labels are no classes. Raises UsageError."""
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
        header: one record of `replay_record`.
        memory: (capacity, words of a sample) uint32: class, input or latents, and label; for a class, the soft
            one, 0 for none.
    """

    header: NDArray[Any]
    memory: NDArray[np.uint32]


class Runner(ABC):
    """Executes one model: what a transport to a device has to offer. All runners give the same bytes."""

    @abstractmethod
    def init(self) -> None:
        """Put the model into its state at delivery."""

    @abstractmethod
    def predict(self, x: NDArray[np.int8]) -> NDArray[Any]:
        """Logits (n, classes) of samples (n, input size): int8, or float32 where the last layer is."""

    @abstractmethod
    def step(self, x: NDArray[np.int8], label: NDArray[Any], *, soft: bool = False) -> NDArray[Any]:
        """One training step by the model's own schedule.

        Args:
            x: sample (input size,).
            label: a class (1,) uint32, bits (outputs,) uint8, or quantized values (outputs,) int8.
            soft: whether the label is a distribution instead, shares of the classes (outputs,) uint8.

        Returns:
            What the step reports, (1,) of `step_type`.
        """

    def latents(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """What frozen layers make of a sample (input size,), as a replay buffer holds it, (bytes,)."""
        raise self._no_latents()

    def predict_latents(self, latents: NDArray[np.int8]) -> NDArray[Any]:
        """Logits (classes,) of a sample by its latents."""
        raise self._no_latents()

    def step_latents(
        self, latents: NDArray[np.int8], label: NDArray[Any], *, soft: bool = False
    ) -> NDArray[Any]:
        """One training step on a sample by its latents; the rest as for `step`."""
        raise self._no_latents()

    def _no_latents(self) -> UsageError:
        """For what executes models whole. What has replay of its own needs none of these calls."""
        return UsageError(
            f"{type(self).__name__} does not go on from latents", where="replay_of", hint="replay_of='inputs'"
        )

    @abstractmethod
    def read(self, place: int, size: int) -> NDArray[np.uint8]:
        """Bytes of the model from a place on, within the word that it begins with and its params."""

    @abstractmethod
    def write(self, place: int, content: NDArray[np.uint8]) -> None:
        """Put bytes there."""


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
