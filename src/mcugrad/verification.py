"""Verification: the same training steps on several executors, compared bit by bit with the host twin.

The state is compared after every step, not only at the end: a difference is named where it begins, and one that a later
step would cover up (a saturated weight, a range that has adapted) cannot hide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import MismatchError
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin
from mcugrad.run.life import Life
from mcugrad.run.qemu import QemuDevice
from mcugrad.run.runner import Compiled, State, Steps, differences, step_type, unequal_bytes


@dataclass(frozen=True)
class Verification:
    """Proof that several executors gave the same bytes.

    Attributes:
        steps: training steps taken and compared.
        executors: who was compared with the host twin.
        bytes: of learned state, compared after every step, for each.
        outputs: compared before training, and again after it, for each.
        reported: members of `<name>_step_t`, compared of every step.
        instructions: mean per training step, counted, by emulated core.
    """

    steps: int
    executors: tuple[str, ...]
    bytes: int
    outputs: int
    reported: tuple[str, ...]
    instructions: dict[str, float]

    def __str__(self) -> str:
        reported = fill(
            f"all that each step reports: {', '.join(self.reported)}",
            width=78,
            initial_indent="  ",
            subsequent_indent="    ",
        )
        return (
            f"{', '.join(self.executors)} and host twin agree in every bit:\n"
            f"  {self.outputs:,} outputs before training, and after {self.steps:,} steps of it\n"
            f"  {self.bytes:,} bytes of learned state after each step\n{reported}"
        )


@dataclass(frozen=True, eq=False)
class _Stage:
    """What an executor holds at one point of the run.

    Attributes:
        when: the point, as a message says it.
        outputs: (n, outputs) before and after training; None between.
        step: what the step just taken reported; None before and after training.
        state: what has been learned.
    """

    when: str
    outputs: NDArray[Any] | None
    step: Steps | None
    state: State


def verify(
    compiled: Compiled,
    begin: State,
    samples: NDArray[np.int8],
    labels: NDArray[Any],
    schedule: NDArray[Any],
    executors: Mapping[str, Callable[[], Life]],
) -> Verification:
    """Take the same training steps on the host twin and on every executor, and compare every bit.

    Compared are all outputs before and after training, all that every step reports, and the learned state after every
    step.

    Args:
        compiled: the model.
        begin: learned state before the first step.
        samples: (n, input size), one step each, in order.
        labels: as `Life.train` takes them, (n, ...).
        schedule: of the learning rate, one record of `SCHEDULE`, which each executor follows by its own code.
        executors: makes the runner, by the name that a report gives it.

    Raises:
        MismatchError: one bit differs; says what, and at which step.
        ToolError: the emulator or a compiler is missing.
    """
    given = (begin, samples, labels, schedule)
    instructions: dict[str, float] = {}
    twin = HostTwin(compiled)
    for name, make in executors.items():
        runner = make()
        for want, have in zip(_stages(twin, *given), _stages(runner, *given), strict=True):
            problems = _problems(want, have)
            if problems:
                raise MismatchError(
                    f"{name} and host twin differ {want.when}",
                    where="\n         ".join(problems),
                    hint="report it: this must never happen",
                )
        if isinstance(runner, EmulatedDevice | QemuDevice):
            instructions[name] = float(np.mean(runner.step_instructions))
    reported = step_type(compiled.program.label_kind).names or ()
    return Verification(
        steps=len(samples),
        executors=tuple(executors),
        bytes=sum(value.nbytes for value in begin.values()),
        outputs=len(samples) * compiled.program.classes,
        reported=reported,
        instructions=instructions,
    )


def _stages(
    runner: Life,
    begin: State,
    samples: NDArray[np.int8],
    labels: NDArray[Any],
    schedule: NDArray[Any],
) -> Iterator[_Stage]:
    """Before training, after each of its steps, and after it."""
    runner.restore(begin)
    yield _Stage("before training", runner.predict(samples), None, runner.state())
    runner.set_schedule(schedule)
    for i in range(len(samples)):
        order = np.asarray([i], np.uint32)
        step = runner.train(samples, labels, order)
        yield _Stage(f"in training step {i + 1} of {len(samples)}", None, step, runner.state())
    outputs = runner.predict(samples)
    yield _Stage(f"after {len(samples)} training steps", outputs, None, runner.state())


def _problems(want: _Stage, have: _Stage) -> list[str]:
    """Where two executors differ at one point, one line per thing."""
    problems = []
    if want.step is not None and have.step is not None:
        for name in want.step.info.dtype.names or ():
            expected, found = (np.ascontiguousarray(s.info[name]) for s in (want.step, have.step))
            if unequal_bytes(expected, found).size:
                problems.append(f"{name}: {expected[0]} and {found[0]}")
    if want.outputs is not None and have.outputs is not None:
        unequal = unequal_bytes(want.outputs, have.outputs)
        if unequal.size:
            place = np.unravel_index(int(unequal[0]) // want.outputs.itemsize, want.outputs.shape)
            problems.append(
                f"outputs: {unequal.size} of {want.outputs.nbytes} bytes differ, first output {place[1]} of sample "
                f"{place[0]}: {want.outputs[place]} and {have.outputs[place]}"
            )
    return problems + differences(want.state, have.state)
