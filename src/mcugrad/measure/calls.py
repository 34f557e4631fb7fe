"""What each call of a model costs, counted in its own firmware, which is built with a mark before every call.

Marks cost nothing but a stop of the emulator: what compilers inline and leave out is as in the firmware without them,
and all calls together take what the whole takes, but for what compilers move across calls.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mcugrad.measure.cost import drawn_samples, steps_that_are
from mcugrad.measure.cycles import CycleEstimate, CycleModel
from mcugrad.program import PREDICT, TRAIN_STEP, Call
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.targets import Target

if TYPE_CHECKING:
    from mcugrad.pipeline import Build


@dataclass(frozen=True)
class CallCost:
    """One call, mean of the times that its entry ran.

    Attributes:
        call: what was called; None for what is around the calls.
        instructions: counted under emulation.
        cycles: estimated.
    """

    call: Call | None
    instructions: float
    cycles: CycleEstimate


class _Meter:
    """Adds up, by the number of the last mark, what the device has executed since."""

    def __init__(self, device: EmulatedDevice, target: Target) -> None:
        self._device = device.device
        self._cycles = CycleModel(device.device.emulator.image, target.core)
        self._instructions: Counter[int] = Counter()
        self._estimates: defaultdict[int, list[CycleEstimate]] = defaultdict(list)
        self._at = self._since = self._marks = 0
        self._device.on_mark = self._passed

    def begin(self) -> None:
        """Forget what was before."""
        self._device.forget_blocks()
        self._instructions.clear()
        self._estimates.clear()
        self._at = self._marks = 0

    def _passed(self, number: int) -> None:
        self._close()
        self._marks += 1
        self._at, self._since = number, self._device.emulator.instructions

    def _close(self) -> None:
        if self._at:
            self._instructions[self._at] += self._device.emulator.instructions - self._since - 1  # the mark
        self._estimates[self._at].append(self._cycles.estimate(self._device.blocks()))
        self._device.forget_blocks()

    def found(self, entry: str, build: Build, counts: Sequence[int]) -> tuple[CallCost, ...]:
        """The calls of an entry in their order, and what is around them; `counts` are the instructions of each run."""
        self._close()
        program, runs = build.compiled.emitted, len(counts)
        self._instructions[0] = sum(counts) - self._marks - sum(self._instructions.values())
        calls: list[tuple[int, Call | None]] = [
            (program.begins[name] + i, call)
            for name in program.entries[entry].segments
            for i, call in enumerate(program.segments[name].calls, 1)
        ]
        return tuple(
            CallCost(call, self._instructions[number] / runs, self._mean(number, runs))
            for number, call in [*calls, (0, None)]
        )

    def _mean(self, number: int, runs: int) -> CycleEstimate:
        total = sum(each.cycles for each in self._estimates[number])
        return replace(self._estimates[0][0], cycles=round(total / runs))


def by_call(
    build: Build, target: Target, samples: NDArray[np.int8], labels: NDArray[np.uint32] | None, rate: float
) -> tuple[tuple[CallCost, ...], tuple[CallCost, ...]]:
    """Run a few calls of a freshly delivered model on the emulated core.

    Args:
        build: the model.
        target: core and memories.
        samples: (n, input size), at least one.
        labels: (n,); None for predictions only.
        rate: learning rate of the steps.

    Returns:
        The calls of a prediction, and those of a training step: one that is taken, where not all are; none for a model
        that only infers.

    Raises:
        ToolError: no compiler or emulator.
        FitError: it does not fit.
    """
    runner = EmulatedDevice(replace(build.compiled, marks=True), target)
    meter = _Meter(runner, target)
    meter.begin()
    counts = []
    for sample in samples:
        runner.device.predict(sample)
        counts.append(runner.device.last_instructions)
    predict = meter.found(PREDICT, build, counts)
    if labels is None or not build.compiled.program.trains:
        return predict, ()
    rates = np.full(len(samples), rate, np.float32)
    drawn = drawn_samples(build)
    meter.begin()
    if drawn is None:
        runner.train(samples, labels, np.arange(len(samples), dtype=np.uint32), rates)
    else:
        steps_that_are(True, drawn, runner, samples, labels, rates)
    return predict, meter.found(TRAIN_STEP, build, runner.step_instructions)
