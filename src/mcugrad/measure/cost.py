"""Cost of a model on a target: memory counted, instructions counted, cycles and energy estimated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import lcm
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.measure import cycles, energy
from mcugrad.measure.cycles import CycleEstimate
from mcugrad.measure.energy import EnergyEstimate
from mcugrad.measure.memory import Memory, memory
from mcugrad.ops.selection.select_nodes import SelectSamples
from mcugrad.program import PREDICT, TRAIN_STEP
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.targets import Target
from mcugrad.training.sparse import ONE

if TYPE_CHECKING:
    from mcugrad.pipeline import Build


def short(value: float) -> str:
    """Three significant digits, no exponent: `3.46`, `1,230`."""
    return f"{float(f'{value:.3g}'):,g}"


@dataclass(frozen=True)
class Activity:
    """One call of the model, mean over the samples it was measured with.

    Attributes:
        instructions: counted under emulation.
        cycles: estimated from executed blocks and public instruction timings, zero wait states.
        energy: estimated; None = not known for this target.
        milliseconds: cycles over the target's highest clock; None for a plain core.
    """

    instructions: float
    cycles: CycleEstimate
    energy: EnergyEstimate | None
    milliseconds: float | None

    def __str__(self) -> str:
        """`172,806 instructions, 221,763 cycles ± 10 %, 3.46 ms, 34.4 µJ (18.6 to 52.9)`: what is known."""
        parts = [
            f"{self.instructions:,.0f} instructions",
            f"{self.cycles.cycles:,} cycles ± {self.cycles.band_percent:g} %",
        ]
        if self.milliseconds is not None:
            parts.append(f"{short(self.milliseconds)} ms")
        if self.energy is not None:
            found = self.energy
            parts.append(f"{short(found.microjoules)} µJ ({short(found.low)} to {short(found.high)})")
        return ", ".join(parts)


@dataclass(frozen=True)
class Cost:
    """What a model needs of a target.

    Attributes:
        target: the target.
        ram: bytes of the model's struct, counted.
        sample: bytes of the input sample, counted.
        stack: bytes, the deepest seen under emulation.
        flash: bytes of code and constants in the linked image, start-up code and test harness left out.
        predict: one prediction.
        step: one training step, mean of all; None for a model that only infers. Where a share of the samples is
            learned from, it is that share of a step that is taken, and the rest of one that is left out.
        taken: one that is taken; None where every step is.
        left_out: one that is left out; None where none is.
        share: of the steps that are taken.
        memory: all that is linked, in parts, with the most stack that there can be; None where nothing is.
    """

    target: Target
    ram: int
    sample: int
    stack: int
    flash: int
    predict: Activity
    step: Activity | None
    taken: Activity | None = None
    left_out: Activity | None = None
    share: float = 1.0
    memory: Memory | None = None

    @property
    def stack_bound(self) -> int | None:
        """Bytes of stack that no prediction and no step exceeds; None where that is not known."""
        return None if self.memory is None else self.memory.stack_bound

    def __str__(self) -> str:
        """Memory, a prediction and a training step, a line each."""
        ram, *parts = (
            f"{size / 1024:.1f}"
            for size in (self.ram + self.sample + self.stack, self.ram, self.sample, self.stack)
        )
        bound = "" if self.stack_bound is None else f" and never over {self.stack_bound / 1024:.1f}"
        lines = [
            f"{self.target.name}: RAM {ram} KiB (model {parts[0]}, sample {parts[1]}, stack {parts[2]}{bound}), "
            f"flash {self.flash / 1024:.1f} KiB",
            f"prediction: {self.predict}",
        ]
        if self.step is not None:
            lines.append(f"training step: {self.step}")
        if self.taken is not None and self.left_out is not None:
            lines.append(f"  taken, {100 * self.share:.3g} %: {self.taken}")
            lines.append(f"  left out: {self.left_out}")
        return "\n".join(lines)


def measure(
    build: Build,
    target: Target,
    samples: NDArray[np.int8],
    labels: NDArray[np.uint32] | None,
    rate: float,
    *,
    compiler: str = "zig",
) -> Cost:
    """Run a few calls of a freshly delivered model on the emulated core.

    Args:
        build: the model.
        target: core and memories.
        samples: (n, input size), at least one.
        labels: (n,); None measures prediction only.
        rate: learning rate of the steps.
        compiler: `zig` or `arm-none-eabi-gcc`.

    Raises:
        ToolError: no compiler or emulator.
        FitError: it does not fit.
    """
    runner = EmulatedDevice(build.compiled, target, compiler=compiler)
    device = runner.device
    counts = []
    device.forget_blocks()
    for sample in samples:
        device.predict(sample)
        counts.append(device.last_instructions)
    predict = activity(runner, target, counts)
    seen = {PREDICT: device.peak_stack}
    steps = None
    if labels is not None and build.compiled.program.trains:
        rates = np.full(len(samples), rate, np.float32)
        steps = _steps(build, runner, target, samples, labels, rates)
        _take_a_whole_step(build, runner, samples, labels, rates)
        seen[TRAIN_STEP] = device.peak_stack
    return Cost(
        target=target,
        ram=build.compiled.layout.size,
        sample=samples.shape[1],
        stack=device.peak_stack,
        flash=device.firmware.sizes.flash,
        predict=predict,
        step=None if steps is None else steps.mean,
        taken=None if steps is None else steps.taken,
        left_out=None if steps is None else steps.left_out,
        share=1.0 if steps is None else steps.share,
        memory=memory(build, device, seen),
    )


def measure_step(
    build: Build, target: Target, samples: NDArray[np.int8], labels: NDArray[np.uint32], rate: float
) -> Activity:
    """What `measure` says of a training step, and no more: for who compares many ways to train.

    Raises:
        ToolError: no compiler or emulator.
        FitError: it does not fit.
    """
    runner = EmulatedDevice(build.compiled, target)
    return _steps(build, runner, target, samples, labels, np.full(len(samples), rate, np.float32)).mean


@dataclass(frozen=True)
class _Steps:
    """Training steps, as `Cost` tells of them."""

    mean: Activity
    taken: Activity | None = None
    left_out: Activity | None = None
    share: float = 1.0


def _steps(
    build: Build,
    runner: EmulatedDevice,
    target: Target,
    samples: NDArray[np.int8],
    labels: NDArray[np.uint32],
    rates: NDArray[np.float32],
) -> _Steps:
    drawn = drawn_samples(build)
    if drawn is None:
        runner.device.forget_blocks()
        runner.train(samples, labels, np.arange(len(samples), dtype=np.uint32), rates)
        return _Steps(activity(runner, target, runner.step_instructions))
    share = drawn.share / ONE
    taken, left_out = (
        activity(runner, target, steps_that_are(wanted, drawn, runner, samples, labels, rates))
        for wanted in (True, False)
    )
    return _Steps(_mixed(share, taken, left_out, target), taken, left_out, share)


def drawn_samples(build: Build) -> SelectSamples | None:
    """What draws the samples that are learned from; None where all are."""
    return next((node for node in build.graph.nodes if isinstance(node, SelectSamples)), None)


def steps_that_are(
    taken: bool,
    drawn: SelectSamples,
    runner: EmulatedDevice,
    samples: NDArray[np.int8],
    labels: NDArray[np.uint32],
    rates: NDArray[np.float32],
) -> list[int]:
    """Instructions of a step that is taken or left out, for each sample, whichever it would be by its seed and loss.

    Each has the number of a step that is drawn so, and finds the running mean of the losses where it is at delivery:
    then its own loss is the mean, and it is drawn by the share alone.
    """
    runner.init()
    fresh = runner.state()
    number = _batch_that_is(taken, drawn, int(fresh["seed"][0]))
    runner.device.forget_blocks()
    before = len(runner.step_instructions)
    for i in range(len(samples)):
        state = runner.state()
        state["watch"][...] = fresh["watch"]
        state["step"][0] = (number * drawn.batch + i % drawn.batch) % 2**32
        if "taken_gain" in state:
            state["taken_gain"][...] = fresh["taken_gain"]
        runner.restore(state)
        info = runner.train(samples, labels, np.asarray([i], np.uint32), rates[i : i + 1]).info
        assert (info["update_rate"][0] > 0) == taken
    return runner.step_instructions[before:]


def _batch_that_is(taken: bool, drawn: SelectSamples, seed: int) -> int:
    """The first batch that is taken, or left out, by its share alone."""
    number = 0
    while (int(ar.hash32(ar.stream(seed, number, ar.STREAM_SAMPLES))[0]) & 0xFFFF < drawn.share) != taken:
        number += 1
    return number


def _mixed(share: float, taken: Activity, left_out: Activity, target: Target) -> Activity:
    """The mean of steps of which a share is taken."""
    count = share * taken.cycles.cycles + (1 - share) * left_out.cycles.cycles
    cycles = replace(taken.cycles, cycles=round(count))
    return spent(share * taken.instructions + (1 - share) * left_out.instructions, cycles, target)


def _take_a_whole_step(
    build: Build,
    runner: EmulatedDevice,
    samples: NDArray[np.int8],
    labels: NDArray[np.uint32],
    rates: NDArray[np.float32],
) -> None:
    """A step that is taken and ends the batches of all layers, which a few need not do: stack is counted there, too."""
    graph = build.graph
    batch = lcm(*(t.update.batch for t in graph.tensors.values() if t.trainable and t.update is not None))
    runner.init()
    state = runner.state()
    drawn = drawn_samples(build)
    number = 0 if drawn is None else _batch_that_is(True, drawn, int(state["seed"][0]))
    state["step"][0] = ((number + 1) * batch - 1) % 2**32
    runner.restore(state)
    runner.train(samples, labels, np.zeros(1, np.uint32), rates[:1])


def activity(runner: EmulatedDevice, target: Target, counts: list[int]) -> Activity:
    """Mean cost of the calls since the device last forgot its blocks.

    Args:
        runner: where the calls were executed.
        target: core and clock.
        counts: instructions of each of these calls.
    """
    total = cycles.estimate(runner.device.blocks(), runner.device.emulator.image, target.core)
    mean = CycleEstimate(round(total.cycles / len(counts)), total.band_percent, total.how, total.source)
    return spent(float(np.mean(counts)), mean, target)


def spent(instructions: float, mean: CycleEstimate, target: Target) -> Activity:
    """What so many instructions and cycles come to on a target."""
    clock = target.clock_hz
    return Activity(
        instructions=instructions,
        cycles=mean,
        energy=energy.estimate(mean, target),
        milliseconds=None if clock is None else mean.cycles / clock * 1e3,
    )
