"""Small models that live: for the tests of schedules, reports, replay and guard."""

from __future__ import annotations

import importlib.util
from copy import copy
from functools import cache
from typing import Any

import cffi
import numpy as np
import pytest

import mcugrad as mg
from mcugrad import targets, toolchain
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.trainer import Trainer
from networks import Conv, Dense, Pool, corners, model

F32 = np.float32


NET = (Conv(6, stride=(2, 2), pads=(1, 1, 1, 1)), Pool(), Conv(9, (2, 2), act="relu6"), Dense(4))
OK, NULL, LABEL, STATE, RATE, ARG, EMPTY = 0, -1, -2, -3, -4, -5, -6

mcu = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the emulator is not installed")
CORES = ("cortex-m0plus", "cortex-m4f")
CAPACITY, GUARDED = 8, 20
"""Samples that a device's replay buffer and its guard set have room for."""
OTHERS: dict[str, dict[str, Any]] = {
    "sr16": {"rule": "sr16"},
    "sparse": {"sparse": mg.Sparse(0.3, 1.0)},
    "head": {"train": "last:1"},
    "sparse float32": {"precision": "float32", "sparse": mg.Sparse(0.3, 1.0)},
    "mixed": {"precision": "mixed", "train": "last:2"},
}
"""Further kinds, of classes."""


@cache
def task(rule: str = "sr8", name: str = "life") -> tuple[Trainer, np.ndarray, np.ndarray]:
    """A trainer, samples and classes in the device's form."""
    x, y = corners(300)
    trainer = mg.compile(model((1, 12, 12), NET, name=name), calibration=x[:64], rule=rule, seed=5)
    return trainer, trainer.quantize(x), trainer.labels(y, len(x))


@cache
def _untrained() -> tuple[Trainer, np.ndarray, np.ndarray]:
    x, y = corners(400)
    return mg.compile(model((1, 12, 12), NET), calibration=x[:64], rule="sr12"), x, y


def learner() -> tuple[Trainer, np.ndarray, np.ndarray]:
    """A trainer of its own, and 400 samples with their classes, as users have them: for what a training comes to."""
    trainer, x, y = _untrained()
    return copy(trainer), x, y


@cache
def kinds(name: str) -> tuple[Trainer, np.ndarray, np.ndarray]:
    """Trainer, samples and labels in the device's form: classes, bits, values, some of the samples, float32, OTHERS."""
    x, y = corners(60)
    random = np.random.default_rng(0)
    options: dict[str, Any] = {"rule": "sr8", "seed": 5, **OTHERS.get(name, {})}
    if name == "bits":
        options, y = {"loss": "binary_cross_entropy"}, random.integers(0, 2, (60, 4))
    if name.endswith("values"):
        y = random.uniform(-1, 1, (60, 4))
        options = {"loss": "mse", "typical_labels": y}
    if name == "shifted values":  # zero points far from 0, of labels and outputs
        y = random.uniform(1, 3, (60, 4))
        options = {"loss": "mse", "typical_labels": y}
    if name == "some samples":  # 40 is no multiple of the batch: one is half full when a guard looks
        options = {"rule": mg.Update("sr12", batch=3, momentum=0.5), "sparse": mg.Sparse(0.3, samples=0.5)}
    if name.startswith("float32"):
        options = {**options, "rule": "sr16", "precision": "float32"}
    trainer = mg.compile(model((1, 12, 12), NET), calibration=x, **{"rate": 0.01, **options})
    return trainer, trainer.quantize(x), trainer.labels(y, 60)


def device(name: str, core: str) -> EmulatedDevice:
    """A model of a kind on a core, with all that there is: one firmware for whatever a test looks at."""
    compiled = kinds(name)[0].build.compiled
    return EmulatedDevice(compiled, targets.load(core), replay=CAPACITY, guard=GUARDED, augment=True)


class Api:
    """The C functions of the model on this computer, and its memory."""

    def __init__(self) -> None:
        compiled = task()[0].build.compiled
        library = toolchain.build_shared([compiled.folder() / "life.c"], [compiled.folder()], opt="-O0")
        self.ffi = cffi.FFI()
        self.ffi.cdef(
            "int life_init(void *m); int life_predict(void *m, const int8_t *x, int8_t *y);"
            "int life_train_step(void *m, const int8_t *x, uint32_t label, void *step);"
            "int life_set_rate(void *m, float rate); int life_set_schedule(void *m, const void *schedule);"
            "int life_watch(const void *m, const int8_t *y, void *drift);"
            "int life_snapshot(const void *m, void *s); int life_rollback(void *m, const void *s);"
            "int life_guard(void *m, void *s, const int8_t *x, const uint32_t *labels, uint32_t n, float margin,"
            "void *r);"
            "int life_replay_init(void *r, uint32_t *memory, uint32_t words, uint32_t seed);"
            "int life_replay_add(void *r, const int8_t *x, uint32_t label);"
            "int life_replay_draw(void *r, const int8_t **x, uint32_t *label);"
            "int life_train_soft(void *m, const int8_t *x, const uint8_t *soft, void *step);"
            "int life_replay_remember(void *m, void *r);"
            "int life_augment_init(void *how, int32_t h, int32_t w, float gain, float offset, float noise,"
            "uint32_t seed);"
            "int life_augment(void *how, const int8_t *x, int8_t *y);"
            "int life_train_replay(void *m, void *r, const int8_t *x, uint32_t label, void *step);"
        )
        self.c = self.ffi.dlopen(str(library))
        self.size = compiled.layout.size
        self.model = self.ffi.new("uint32_t[]", self.size // 4)

    def bytes(self, memory: Any) -> bytes:
        return bytes(self.ffi.buffer(memory))
