"""Instructions alone, for what is compared with committed counts: cycles, stack and memory take as long as all else."""

from __future__ import annotations

from typing import Any

import numpy as np

import mcugrad as mg
from mcugrad import targets
from mcugrad.run.emulated import EmulatedDevice


def instructions(made: mg.Trainer, x: Any, y: Any, target: str, compiler: str = "zig") -> dict[str, float]:
    """What `measure` counts of a prediction and a step: those of the same samples, from the model at delivery."""
    runner = EmulatedDevice(made.build.compiled, targets.load(target), compiler=compiler)
    samples, predictions = made.quantize(x), []
    for sample in samples:
        runner.device.predict(sample)
        predictions.append(runner.device.last_instructions)
    count = len(samples)
    rates = np.full(count, made.options.rate, np.float32)
    runner.train(samples, made.labels(y, count), np.arange(count, dtype=np.uint32), rates)
    return {"predict": float(np.mean(predictions)), "step": float(np.mean(runner.step_instructions))}
