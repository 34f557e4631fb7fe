"""What the self-test of a model compares with: the host twin says what a device has to find."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.emit import Proof
from mcugrad.emit.selftest import LABEL_COUNTER, PREDICTIONS, STEPS
from mcugrad.errors import UsageError
from mcugrad.ops.life.selftest import noise_s8
from mcugrad.program import Program
from mcugrad.program.rows import without_frozen_rows
from mcugrad.run.host import HostTwin
from mcugrad.run.life import Life
from mcugrad.run.runner import Compiled, State
from mcugrad.training.losses import LabelKind

RATES = (0.01, 1e-3, 1e-4, 0.0)
"""Learning rates; the first that leaves all numbers finite is taken: the bits of a NaN differ between cores."""


def proof(
    compiled: Compiled, state: State | None = None, runner: Callable[[Compiled], Life] = HostTwin
) -> Proof:
    """That of a model which begins with this state, or as it was compiled.

    Raises:
        ToolError: no compiler is installed, or the build failed.
        UsageError: outputs for random samples are not finite.
    """
    model = runner(compiled)
    for rate in RATES:
        model.init()
        if state:
            model.restore(state)
        found = _hash(compiled, model, rate)
        if found is not None:
            return Proof(rate, found)
    raise UsageError(
        "the network gives numbers that are not finite for random samples: there is nothing to compare",
        where="selftest",
        hint="export it without a self-test",
    )


def _hash(compiled: Compiled, model: Life, rate: float) -> int | None:
    """What a device finds at this learning rate; None where numbers are not finite."""
    program = compiled.program
    size = program.buffers[program.input].count
    x = _noise(PREDICTIONS * size, 0).reshape(PREDICTIONS, size)
    parts: list[NDArray[Any]] = [model.predict(x)]
    if program.trains:
        order = (np.arange(STEPS) % PREDICTIONS).astype(np.uint32)
        steps = model.train(
            x[order], _labels(program), np.arange(STEPS, dtype=np.uint32), np.full(STEPS, rate, "<f4")
        )
        state = without_frozen_rows(program, model.state())
        parts += [steps.info, *(state[b.name] for b in compiled.layout.params), model.predict(x[:1])]
    if not all(np.isfinite(v).all() for part in parts for v in _numbers(part)):
        return None
    return zlib.crc32(b"".join(part.tobytes() for part in parts))


def _numbers(part: NDArray[Any]) -> list[NDArray[Any]]:
    return [part] if part.dtype.names is None else [np.asarray(part[name]) for name in part.dtype.names]


def _noise(count: int, counter: int) -> NDArray[np.int8]:
    x = np.empty(count, np.int8)
    noise_s8(count, counter, x)
    return x


def _labels(program: Program) -> NDArray[Any]:
    """Of each step."""
    steps, outputs = np.arange(STEPS), program.classes
    if program.label_kind is LabelKind.CLASS:
        return (steps % outputs).astype(np.uint32)
    if program.label_kind is LabelKind.BITS:
        return ((steps[:, None] + np.arange(outputs)) & 1).astype(np.uint8)
    return _noise(STEPS * outputs, LABEL_COUNTER).reshape(STEPS, outputs)
