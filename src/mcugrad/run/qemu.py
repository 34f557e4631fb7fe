"""A model on a core in QEMU as a runner: all memory goes there and back with each call, so this is for proofs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.records import ELEMENT_TYPES
from mcugrad.emulator.qemu import QemuCore
from mcugrad.errors import DeviceError
from mcugrad.program import TRAIN_SOFT
from mcugrad.program.reserve import stack
from mcugrad.run.life import Life
from mcugrad.run.runner import Compiled
from mcugrad.targets import Target
from mcugrad.training.losses import LabelKind


class QemuDevice(Life):
    """A generated model on a core in QEMU, within the memories of QEMU's machine.

    Args:
        compiled: the model.
        target: whose core it is.
        compiler: `zig` or `arm-none-eabi-gcc`.
        opt: optimisation level.

    Attributes:
        step_instructions: instructions of every training step so far, each to within some 40.

    Raises:
        ToolError: no compiler, no QEMU, or none with such a core.
        FitError: it does not fit into the machine.
    """

    def __init__(
        self, compiled: Compiled, target: Target, *, compiler: str = "zig", opt: str = "-O3"
    ) -> None:
        super().__init__(compiled)
        program, folder = compiled.program, compiled.folder()
        self._name = program.name
        self._output = program.buffers[program.output]
        self._is_class = program.label_kind is LabelKind.CLASS
        functions = ["init", "predict", *(["train_step"] if program.trains else [])]
        if TRAIN_SOFT in program.entries and "soft" in compiled.features:
            functions.append("train_soft")
        sizes = {
            "model": compiled.layout.size,
            "x": program.buffers[program.input].count,
            "y": self._output.size,
            "label": 4 * program.classes,
            "info": self._step_type.itemsize,
        }
        self._places: dict[str, slice] = {}
        at = 0
        for name, size in sizes.items():
            self._places[name] = slice(at, at + size)
            at = (at + size + 7) & ~7
        self._core = QemuCore(
            [folder / f"{program.name}.c"],
            [f"{program.name}_{function}" for function in functions],
            target,
            at,
            shift=0,
            compiler=compiler,
            opt=opt,
            include_dirs=[folder],
            stack_bytes=stack(program),
        )
        self.step_instructions: list[int] = []
        self.init()

    def init(self) -> None:
        """Put the model into its state at delivery."""
        self._call("init", "model")

    def predict(self, x: NDArray[np.int8]) -> NDArray[Any]:
        """Logits (n, classes) of samples (n, input size)."""
        y = np.empty((len(x), self._compiled.program.classes), self._output.dtype)
        for i, sample in enumerate(x):
            self._part("x")[:] = np.ascontiguousarray(sample).reshape(-1).view(np.uint8)
            self._call("predict", "model", "x", "y")
            y[i] = self._part("y").view(self._output.dtype)
        return y

    def step(self, x: NDArray[np.int8], label: NDArray[Any], *, soft: bool = False) -> NDArray[Any]:
        """One training step. Raises DeviceError on a status other than 0."""
        self._part("x")[:] = np.ascontiguousarray(x).reshape(-1).view(np.uint8)
        if soft or not self._is_class:
            kind = np.dtype(np.uint8) if soft else ELEMENT_TYPES[self._compiled.program.label_kind.value]
            given = np.ascontiguousarray(label).reshape(-1).view(kind).view(np.uint8)
            self._part("label")[: given.size] = given
        by_value = self._is_class and not soft
        third: str | int = int(label[0]) if by_value else "label"
        taken = self._call("train_soft" if soft else "train_step", "model", "x", third, "info")
        self.step_instructions.append(taken)
        return self._part("info").copy().view(self._step_type)

    def read(self, place: int, size: int) -> NDArray[np.uint8]:
        """Bytes of the model."""
        return self._part("model")[place : place + size].copy()

    def write(self, place: int, content: NDArray[np.uint8]) -> None:
        """Put bytes there."""
        self._part("model")[place : place + content.size] = content

    def _part(self, name: str) -> NDArray[np.uint8]:
        return self._core.memory[self._places[name]]

    def _call(self, function: str, *arguments: str | int) -> int:
        """Instructions of a call of the model; names are places in memory."""
        words = [
            each if isinstance(each, int) else self._core.address + self._places[each].start
            for each in arguments
        ]
        status, instructions = self._core.call(f"{self._name}_{function}", *words)
        if status != 0:
            raise DeviceError(f"{self._name}_{function} returned the status {status}")
        return instructions
