"""The reference runner: every kernel call by its NumPy reference. Slow; it is what the C must equal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.program import Space
from mcugrad.program.execute import execute
from mcugrad.run.runner import Compiled, State, Steps
from mcugrad.training.losses import Target


class ReferenceRunner:
    """A program executed by Python."""

    def __init__(self, compiled: Compiled) -> None:
        self._program = compiled.program
        self._values: dict[str, NDArray[Any] | None] = {}
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
        rates: NDArray[np.float32],
    ) -> Steps:
        """One training step per entry of `order`."""
        steps = Steps(np.empty(len(order), np.float32), np.empty(len(order), np.uint32))
        for i, (sample, rate) in enumerate(zip(order, rates, strict=True)):
            self._value("rate")[:] = rate
            self._forward(x[sample])
            if self._program.target is Target.CLASS:
                steps.predicted[i] = self._value(self._program.output).reshape(-1).argmax()
                self._values["label"] = np.asarray([targets[sample]], np.uint32)
            else:
                steps.predicted[i] = 0
                self._values["target"] = np.asarray(targets[sample])
            for call in self._program.train:
                execute(call, self._values)
            steps.loss[i] = self._value("loss")[0]
        return steps

    def state(self) -> State:
        """A copy of the learned state."""
        return {b.name: self._value(b.name).copy() for b in self._program.in_space(Space.STATE)}

    def restore(self, state: State) -> None:
        """Put a learned state back."""
        for name, value in state.items():
            self._value(name)[...] = value

    def _forward(self, sample: NDArray[np.int8]) -> None:
        self._values[self._program.input] = sample.reshape(-1)
        for call in self._program.forward:
            execute(call, self._values)

    def _value(self, name: str) -> NDArray[Any]:
        value = self._values[name]
        assert value is not None, name
        return value
