"""The reference runner: every kernel call by its NumPy reference. Slow; it is what the C must equal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.records import ELEMENT_TYPES
from mcugrad.emit.fingerprint import word
from mcugrad.ops.life.life import DRIFT_LIMIT, trouble
from mcugrad.ops.tracking.ranges_s8 import EMPTY_ERROR
from mcugrad.program import PREDICT, TRAIN_SOFT, TRAIN_STEP, Space
from mcugrad.program.execute import run, run_segments
from mcugrad.program.segment import FROZEN
from mcugrad.run.life import Life
from mcugrad.run.runner import Compiled


class ReferenceRunner(Life):
    """A program executed by Python. What was learned lies in bytes, as on the device; all else where NumPy puts it."""

    def __init__(self, compiled: Compiled) -> None:
        super().__init__(compiled)
        self._program = compiled.program
        self._memory = np.zeros(compiled.layout.arena_offset, np.uint8)
        self._values: dict[str, NDArray[Any] | None] = {}
        self.init()

    def init(self) -> None:
        """Put the model into its state at delivery."""
        for name, buffer in self._program.buffers.items():
            value = np.zeros(buffer.shape, buffer.dtype) if buffer.value is None else buffer.value.copy()
            if buffer.space is Space.STATE:
                place = self._compiled.layout.offsets[name]
                inside = self._memory[place : place + buffer.size].view(buffer.dtype).reshape(buffer.shape)
                inside[...] = value
                value = inside
            self._values[name] = value
        self.write(0, np.asarray([word(self._compiled.fingerprint)], "<u4").view(np.uint8))

    def predict(self, x: NDArray[np.int8]) -> NDArray[Any]:
        """Logits (n, classes) of samples (n, input size)."""
        y = np.empty((len(x), self._program.classes), self._program.buffers[self._program.output].dtype)
        for i, sample in enumerate(x):
            self._values[self._program.input] = sample.reshape(-1)
            y[i] = self._predicted()
        return y

    def step(self, x: NDArray[np.int8], label: NDArray[Any], *, soft: bool = False) -> NDArray[Any]:
        """One training step."""
        self._values[self._program.input] = x.reshape(-1)
        return self._stepped(label, soft)

    def latents(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """What frozen layers make of a sample (input size,), as a replay buffer holds it, (bytes,)."""
        self._values[self._program.input] = x.reshape(-1)
        run_segments(self._program, (FROZEN,), self._values)
        parts = [self._value(b.name).reshape(-1).view(np.int8) for b in self._program.latents]
        return np.concatenate(parts)

    def predict_latents(self, latents: NDArray[np.int8]) -> NDArray[Any]:
        """Logits (classes,) of a sample by its latents."""
        self._bring(latents)
        return self._predicted(FROZEN)

    def step_latents(
        self, latents: NDArray[np.int8], label: NDArray[Any], *, soft: bool = False
    ) -> NDArray[Any]:
        """One training step on a sample by its latents."""
        self._bring(latents)
        return self._stepped(label, soft, FROZEN)

    def _bring(self, latents: NDArray[np.int8]) -> None:
        """Put latents where the frozen layers would have left them."""
        for buffer in self._program.latents:
            at = self._program.latent_places[buffer.name]
            part = latents[at : at + buffer.size]
            if buffer.name == self._program.input:
                self._values[buffer.name] = part
            else:
                self._value(buffer.name).reshape(-1).view(np.int8)[:] = part

    def _predicted(self, without: str = "") -> NDArray[Any]:
        run(self._program, PREDICT, self._values, without=without)
        return self._value(self._program.output).reshape(-1)

    def _stepped(self, label: NDArray[Any], soft: bool, without: str = "") -> NDArray[Any]:
        kind = self._program.label_kind
        self._values["soft" if soft else "label"] = (
            label.reshape(-1) if soft else label.reshape(-1).view(ELEMENT_TYPES[kind.value])
        )
        run(self._program, TRAIN_SOFT if soft else TRAIN_STEP, self._values, without=without)
        return self._report()

    def read(self, place: int, size: int) -> NDArray[np.uint8]:
        """Bytes of the model, what was learned and the word before it."""
        return self._memory[place : place + size].copy()

    def write(self, place: int, content: NDArray[np.uint8]) -> None:
        """Put bytes there."""
        self._memory[place : place + content.size] = content

    def _report(self) -> NDArray[Any]:
        """What the step just taken reports."""
        info = np.zeros(1, self._step_type)
        watch = self._value("watch")[0]
        found = {name: self._value(name)[0] for name in self._program.results}
        ranges, errors = self._program.ranges, self._program.errors
        empty, exceeded = divmod(int(found.get("saturated", 0)), EMPTY_ERROR)
        found["saturation"] = np.float32(exceeded) / np.float32(ranges) if ranges else np.float32(0)
        found["empty"] = np.float32(empty) / np.float32(errors) if errors else np.float32(0)
        found["trouble"] = trouble(
            watch, found["loss"], self._program.blind, found["saturation"], found["empty"]
        )
        found["update_rate"] = found.get("update_rate", np.float32(self._program.update_rate))
        found["mean_loss"], found["mean_accuracy"] = watch["loss"], watch["accuracy"]
        found["drift"] = watch["drift_sum"] / DRIFT_LIMIT
        info[0] = tuple(found[name] for name in info.dtype.names or ())
        return info

    def _value(self, name: str) -> NDArray[Any]:
        value = self._values[name]
        assert value is not None, name
        return value
