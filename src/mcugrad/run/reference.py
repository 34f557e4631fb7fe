"""The reference runner: every kernel call by its NumPy reference. Slow; it is what the C must equal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.ops.life import DRIFT_LIMIT
from mcugrad.program import Space
from mcugrad.program.execute import execute
from mcugrad.run.runner import Compiled, State, Steps, step_type
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
        rates: NDArray[np.float32] | None = None,
    ) -> Steps:
        """One training step per entry of `order`."""
        is_class = self._program.target is Target.CLASS
        info = np.zeros(len(order), step_type(self._program.target))
        for i, sample in enumerate(order):
            if rates is not None:
                self._hold(rates[i])
            self._forward(x[sample])
            if is_class:
                self._values["label"] = np.asarray([targets[sample]], np.uint32)
            else:
                self._values["target"] = np.asarray(targets[sample])
            for call in self._program.train:
                execute(call, self._values)
            info[i] = self._report(info[i])
        return Steps(info)

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

    def _hold(self, rate: float) -> None:
        schedule = self._value("schedule")
        schedule["kind"], schedule["warmup"], schedule["rate"] = 0, 0, rate

    def _report(self, info: Any) -> Any:
        """What the step just taken reports."""
        watch = self._value("watch")[0]
        found = {name: self._value(name)[0] for name in self._program.results}
        ranges = self._program.ranges
        found["saturation"] = np.float32(found["saturated"]) / np.float32(ranges) if ranges else np.float32(0)
        found["update_rate"] = found.get("update_rate", np.float32(1))
        found["mean_loss"], found["mean_accuracy"] = watch["loss"], watch["accuracy"]
        found["drift"] = watch["drift_sum"] / DRIFT_LIMIT
        return tuple(found[name] for name in info.dtype.names)

    def _forward(self, sample: NDArray[np.int8]) -> None:
        self._values[self._program.input] = sample.reshape(-1)
        for call in self._program.forward:
            execute(call, self._values)

    def _value(self, name: str) -> NDArray[Any]:
        value = self._values[name]
        assert value is not None, name
        return value
