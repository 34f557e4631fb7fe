"""Networks whose generated C tests look at, and its calls on this computer."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import pytest

import mcugrad as mg
from mcugrad import toolchain
from mcugrad.trainer import Trainer
from networks import Conv, Dense, Layer, Pool, model, samples

CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4f", "cortex-m7", "cortex-m33")
HOSTS = ("zig", "gcc")

ALL = (
    Conv(5, (3, 2), (2, 1), (1, 0, 1, 1)),
    Pool(),
    Conv(6, (2, 2), act="relu6"),
    Dense(7, "relu"),
    Dense(3),
)
PER_LAYER = {"conv2": mg.Sparse(0.2, policy="topk"), "*": mg.Sparse(0.2, 1.0)}
NETWORKS: dict[str, tuple[tuple[int, ...], tuple[Layer, ...], dict[str, Any]]] = {
    "all_sr8": ((2, 9, 9), ALL, {"rule": "sr8"}),
    "all_sr16": ((2, 9, 9), ALL, {"rule": "sr16"}),
    "head": ((2, 9, 9), ALL, {"train": "last:1"}),
    "middle": ((2, 9, 9), ALL, {"train": "conv2", "rule": "sr8"}),
    "biases": ((2, 9, 9), ALL, {"train": "bias"}),
    "real": ((2, 9, 9), ALL, {"precision": "float32"}),
    "mixed": ((2, 9, 9), ALL, {"precision": "mixed", "train": "last:2"}),
    "part": ((2, 9, 9), ALL, {"sparse": mg.Sparse(0.2, 1.0)}),
    "real_part": ((2, 9, 9), ALL, {"precision": "mixed", "train": "last:3", "sparse": PER_LAYER}),
    "frozen": ((2, 9, 9), ALL, {"train": "none"}),
    "linear": ((5,), (Dense(2),), {}),
    "one_input": ((1,), (Dense(1, "relu"), Dense(2)), {"rule": "sr8"}),
}


@cache
def built(name: str) -> Trainer:
    shape, layers, options = NETWORKS[name]
    net = model(shape, layers, name=name)
    return mg.compile(net, calibration=samples(net, 32)[0], **options)


def folder(name: str) -> Path:
    return built(name).build.compiled.folder()


def need(compiler: str) -> None:
    if compiler not in toolchain.host_compilers():
        pytest.skip(f"{compiler} is not installed")


OK, NULL, LABEL, STATE, RATE, ARG = 0, -1, -2, -3, -4, -5
"""What calls return."""


class Api:
    """The five functions of a model on this computer, and its memory."""

    def __init__(self, name: str, *, flags: tuple[str, ...] = ()) -> None:
        self.trainer = built(name)
        self.layout = self.trainer.build.compiled.layout
        library = toolchain.build_shared([folder(name) / f"{name}.c"], [folder(name)], opt="-O0", flags=flags)
        ffi = cffi.FFI()
        ffi.cdef(
            f"int {name}_init(void *m); int {name}_predict(void *m, const int8_t *x, int8_t *y);"
            f"int {name}_quantize(const float *real, int8_t *x); int {name}_set_rate(void *m, float rate);"
            f"int {name}_train_step(void *m, const int8_t *x, uint32_t label, void *step);"
        )
        loaded = ffi.dlopen(str(library))
        self.null = ffi.NULL
        self.ffi, self.init, self.predict = (
            ffi,
            getattr(loaded, f"{name}_init"),
            getattr(loaded, f"{name}_predict"),
        )
        self.quantize, self.set_rate = (
            getattr(loaded, f"{name}_quantize"),
            getattr(loaded, f"{name}_set_rate"),
        )
        self.step = getattr(loaded, f"{name}_train_step")
        self.memory = ffi.new("uint32_t[]", self.layout.size // 4)
        program = self.trainer.build.compiled.program
        self.x = ffi.new("int8_t[]", program.buffers[program.input].count)
        self.y = ffi.new("int8_t[]", program.classes)

    def all(self) -> bytes:
        return bytes(self.ffi.buffer(self.memory))

    def params(self) -> bytes:
        return self.all()[4 : 4 + self.layout.params_size]

    def sample(self, seed: int) -> None:
        random = np.random.default_rng(seed).integers(-128, 128, len(self.x)).astype(np.int8)
        self.ffi.buffer(self.x)[:] = random.tobytes()
