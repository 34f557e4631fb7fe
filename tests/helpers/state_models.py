"""Models of every kind that keeps a state, and their C on this computer: for the tests of what was learned."""

from __future__ import annotations

from copy import copy
from functools import cache
from pathlib import Path
from typing import Any

import cffi
import numpy as np

import mcugrad as mg
from life_models import NET
from mcugrad import toolchain
from mcugrad.state.check import damages
from mcugrad.trainer import Trainer
from networks import Conv, Dense, Pool, corners, model

OK, NULL, STATE, DAMAGED = 0, -1, -3, -7
KINDS: dict[str, dict[str, Any]] = {
    "sr8": {"rule": "sr8", "features": "all"},
    "planes": {"rule": mg.Update("sr12", momentum=0.9, batch=2, clip=0.5), "sparse": mg.Sparse(0.5, 1.0)},
    "standardized": {"rule": "standardized", "loss": "binary_cross_entropy"},
    "tables": {"rule": "sr10", "loss": "mse"},
    "float32": {"precision": "float32", "loss": "mse"},
}
TABLES = (Conv(6, stride=(2, 2), pads=(1, 1, 1, 1), act="Sigmoid"), Pool(), Dense(4, act="Tanh"), Dense(4))


@cache
def made(kind: str) -> tuple[Trainer, np.ndarray, np.ndarray]:
    """One trainer of a kind, that stays as it was delivered, and what it trains, in the device's form."""
    trainer, x, wanted = _compiled(kind)
    return trainer, trainer.quantize(x), trainer.labels(wanted, len(x))


def fresh(kind: str) -> tuple[Trainer, np.ndarray, np.ndarray]:
    """A trainer as it was delivered, and what it trains: a copy, which takes less than compiling."""
    trainer, x, wanted = _compiled(kind)
    return copy(trainer), x, wanted


@cache
def _compiled(kind: str) -> tuple[Trainer, np.ndarray, np.ndarray]:
    return compiled(kind)


def compiled(kind: str) -> tuple[Trainer, np.ndarray, np.ndarray]:
    """What no other test has had in its hands."""
    x, y = corners(60)
    options, random = dict(KINDS[kind]), np.random.default_rng(0)
    wanted: Any = y
    if options.get("loss") == "binary_cross_entropy":
        wanted = random.integers(0, 2, (60, 4))
    if options.get("loss") == "mse":
        wanted = options["typical_labels"] = random.uniform(-1, 1, (60, 4))
    net = TABLES if kind == "tables" else NET
    trainer = mg.compile(
        model((1, 12, 12), net, name="life"),
        calibration=x,
        seed=5,
        **{"rate": 0.01, "features": "none", **options},
    )
    return trainer, x, np.asarray(wanted)


class Device:
    """The generated C on this computer, and an image of its memory."""

    def __init__(self, trainer: Trainer, folder: Path | None = None) -> None:
        self.compiled = trainer.build.compiled
        source = folder or self.compiled.folder()
        library = toolchain.build_shared([source / "life.c"], [source], opt="-O0")
        self.ffi = cffi.FFI()
        output = self.compiled.program.buffers[self.compiled.program.output].ctype
        self.ffi.cdef(
            "int life_init(void *m); int life_check(const void *m);"
            f"int life_predict(void *m, const int8_t *x, {output} *y);"
            "int life_set_rate(void *m, float rate);"
        )
        self.c = self.ffi.dlopen(str(library))
        self.words = np.zeros(self.compiled.layout.size // 4, np.uint32)
        self.bytes = self.words.view(np.uint8)
        self.memory = self.ffi.from_buffer(self.words)
        assert self.c.life_init(self.memory) == OK

    def check(self) -> int:
        return int(self.c.life_check(self.memory))

    def view(self, name: str) -> np.ndarray:
        buffer, start = self.compiled.program.buffers[name], self.compiled.layout.offsets[name]
        return self.bytes[start : start + buffer.size].view(buffer.dtype).reshape(buffer.shape)

    def state(self) -> dict[str, np.ndarray]:
        return {b.name: self.view(b.name).copy() for b in self.compiled.layout.params}

    def python(self) -> int:
        return DAMAGED if damages(self.compiled.layout.params, self.state()) else OK
