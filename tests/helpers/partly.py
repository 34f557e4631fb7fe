"""Networks of which a fixed part trains, with all rows in RAM and with those that do not train in flash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad import pipeline
from mcugrad.passes.program.rows_in_flash import parts, rows_in_flash
from mcugrad.program import Program
from mcugrad.run.life import Life
from mcugrad.trainer import Trainer
from networks import PARTIAL_NET, model, samples

FIXED = mg.Static({"conv1": (4, 1), "conv2": 0.3, "conv3": 0.5, "fc1": (0, 3, 5)})


def all_of(program: Program) -> Program:
    """Every row that does not train in flash, whether that takes less or not."""
    return rows_in_flash(program, parts(program))


def whole(net: mg.Model, x: np.ndarray, **options: Any) -> Trainer:
    """A network with all rows in RAM."""
    return _made(lambda program: program, net, x, options)


def part(net: mg.Model, x: np.ndarray, **options: Any) -> Trainer:
    """A network with every row that does not train in flash."""
    return _made(all_of, net, x, options)


def _made(
    how: Callable[[Program], Program], net: mg.Model, x: np.ndarray, options: dict[str, Any]
) -> Trainer:
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(pipeline, "frozen_rows_in_flash", how)
        return mg.compile(net, calibration=x, seed=3, **{"sparse": FIXED, **options})


def learned(trainer: Trainer, runner: Life, x: np.ndarray, y: np.ndarray) -> tuple[bytes, Any, bytes]:
    """What steps report, what is learned, and what is predicted."""
    runner.init()
    order = np.arange(len(x), dtype=np.uint32)
    info = runner.train(
        trainer.quantize(x),
        trainer.labels(y, len(y)),
        order,
        np.linspace(0.05, 0.01, len(x)).astype(np.float32),
    )
    return info.info.tobytes(), runner.state(), runner.predict(trainer.quantize(x)).tobytes()


def network() -> tuple[mg.Model, np.ndarray, np.ndarray]:
    """Four layers of which a part trains by `FIXED`, and one whole; samples and classes."""
    net = model((2, 9, 13), PARTIAL_NET)
    return net, *samples(net, 26)
