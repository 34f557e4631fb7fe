"""Verification: the same training steps on several executors, compared bit by bit with the host twin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import MismatchError
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin
from mcugrad.run.runner import Compiled, Runner, State, differences, unequal_bytes


@dataclass(frozen=True)
class Verification:
    """Proof that several executors hold the same bytes.

    Attributes:
        steps: training steps compared.
        executors: who was compared with the host twin.
        bytes: of learned state compared after the last step, for each.
        instructions: mean per training step, counted, by emulated core.
    """

    steps: int
    executors: tuple[str, ...]
    bytes: int
    instructions: dict[str, float]

    def __str__(self) -> str:
        return (
            f"{', '.join(self.executors)} and host twin agree in all {self.bytes} bytes of state, every loss and "
            f"every output after {self.steps} training steps"
        )


def verify(
    compiled: Compiled,
    begin: State,
    samples: NDArray[np.int8],
    targets: NDArray[Any],
    rates: NDArray[np.float32],
    executors: Mapping[str, Callable[[], Runner]],
) -> Verification:
    """Take the same training steps on the host twin and on every executor, and compare every bit.

    Args:
        compiled: the model.
        begin: learned state before the first step.
        samples: (n, input size), one step each, in order.
        targets: as `Runner.train` takes them, (n, ...).
        rates: learning rates, (n,).
        executors: makes the runner, by the name that a report gives it.

    Raises:
        MismatchError: one bit differs.
        ToolError: the emulator or a compiler is missing.
    """
    order = np.arange(len(samples), dtype=np.uint32)
    twin = HostTwin(compiled)
    twin.restore(begin)
    expected = twin.train(samples, targets, order, rates)
    logits, end = twin.predict(samples), twin.state()
    instructions: dict[str, float] = {}
    for name, make in executors.items():
        runner = make()
        runner.restore(begin)
        found = runner.train(samples, targets, order, rates)
        problems = differences(end, runner.state())
        losses = unequal_bytes(np.ascontiguousarray(expected.loss), np.ascontiguousarray(found.loss))
        if losses.size:
            step = int(losses[0]) // expected.loss.itemsize
            problems.append(f"the loss of step {step}: {expected.loss[step]} and {found.loss[step]}")
        if unequal_bytes(logits, runner.predict(samples)).size:
            problems.append("logits after training")
        if problems:
            raise MismatchError(
                f"{name} and host twin differ after {len(samples)} training steps",
                where="\n         ".join(problems),
                hint="report it: this must never happen",
            )
        if isinstance(runner, EmulatedDevice):
            instructions[name] = float(np.mean(runner.step_instructions))
    total = sum(value.nbytes for value in end.values())
    return Verification(len(samples), tuple(executors), total, instructions)
