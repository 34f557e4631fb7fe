"""The host twin: the generated C, built for this computer. Same bytes as the device; whole epochs run in C."""

from __future__ import annotations

import ctypes
import re
from typing import Any

import cffi
import numpy as np
from numpy.typing import NDArray

from mcugrad import toolchain
from mcugrad.abi.records import AUGMENT, ELEMENT_TYPES, GUARD, SCHEDULE
from mcugrad.emit import host_loops
from mcugrad.errors import ToolError, UsageError
from mcugrad.progress import working
from mcugrad.run.memo import Memo
from mcugrad.run.runner import (
    Compiled,
    State,
    Steps,
    Stored,
    demand_soft,
    guarded,
    replay_type,
    step_type,
)
from mcugrad.training.guard import Guarded

_DECLARED = re.compile(
    r"^typedef struct \{(?:(?!^\}).)*^\} mcg_memo_t;|^(?:mcg_status_t|size_t) mcg_host_\w+\([^)]*\);",
    re.MULTILINE | re.DOTALL,
)
"""What of the twin's C is called from here."""


def _declarations() -> str:
    return "\n".join(("typedef int mcg_status_t;", *_DECLARED.findall(host_loops())))


class HostTwin:
    """A generated model on this computer.

    Args:
        compiled: the model.
        compiler: `zig` or `gcc`; None takes the first that is installed.
        opt: optimisation level, `-O0` to `-O3`.

    Raises:
        ToolError: no compiler is installed, or the build failed.
    """

    def __init__(self, compiled: Compiled, *, compiler: str | None = None, opt: str = "-O3") -> None:
        folder = compiled.folder()
        found = toolchain.host_compilers()
        name = compiled.program.name
        with working(f"building the twin of {name} for this computer"):
            library = toolchain.build_shared(
                [folder / "host.c"],
                [folder],
                compiler=compiler or (found[0] if found else "zig"),
                opt=opt,
                native=True,
            )
        self._compiled = compiled
        self._ffi = cffi.FFI()
        self._ffi.cdef(_declarations())
        try:
            # Not cffi's own: that cannot open a path which the locale has no letters for.
            opened = ctypes.CDLL(str(library))
            self._library: Any = self._ffi.dlopen(self._ffi.cast("void *", opened._handle))
        except OSError as error:
            raise ToolError(
                f"the twin cannot be loaded: {error}",
                where=str(library),
                hint="MCUGRAD_CACHE=..., a folder that files may be executed in",
            ) from None
        # uint64 for its alignment: the struct holds nothing wider.
        self._words = np.zeros(-(-compiled.layout.size // 8), np.uint64)
        self._memory = self._words.view(np.uint8)[: compiled.layout.size]
        self._snapshot: NDArray[np.uint64] | None = None
        self._replay: tuple[NDArray[np.uint64], NDArray[np.uint32]] | None = None
        self._augment: tuple[NDArray[Any], NDArray[np.int8]] | None = None
        self._memo = Memo.of(compiled.program)
        self.init()

    def init(self) -> None:
        """Put the model into its state at delivery."""
        _demand_ok(self._library.mcg_host_init(self._pointer("void *", self._memory)))

    def predict(self, x: NDArray[np.int8]) -> NDArray[Any]:
        """Logits (n, classes) of samples (n, input size)."""
        samples = np.ascontiguousarray(x, np.int8)
        program = self._compiled.program
        y = np.empty((len(samples), program.classes), program.buffers[program.output].dtype)
        _demand_ok(
            self._library.mcg_host_predict(
                self._pointer("void *", self._memory),
                self._remembered(samples),
                self._pointer("const int8_t *", samples),
                len(samples),
                self._pointer("void *", y),
            )
        )
        return y

    def train(
        self,
        x: NDArray[np.int8],
        targets: NDArray[Any],
        order: NDArray[np.uint32],
        rates: NDArray[np.float32] | None = None,
    ) -> Steps:
        """One training step per entry of `order`. Raises UsageError for a model without training."""
        program = self._compiled.program
        self._demand_training()
        samples = np.ascontiguousarray(x, np.int8)
        wanted = self._targets(targets)
        sequence = np.ascontiguousarray(order, np.uint32)
        rate = None if rates is None else np.ascontiguousarray(rates, np.float32)
        if len(sequence) and int(sequence.max()) >= len(samples):
            raise UsageError(f"order names sample {int(sequence.max())} of {len(samples)}", where="order")
        info = np.zeros(len(sequence), step_type(program.label_kind))
        as_they_are = self._replay is None and self._augment is None
        _demand_ok(
            self._library.mcg_host_train(
                self._pointer("void *", self._memory),
                self._remembered(samples, sequence) if as_they_are else self._ffi.NULL,
                self._ffi.NULL if self._replay is None else self._pointer("void *", self._replay[0]),
                self._ffi.NULL if self._augment is None else self._pointer("void *", self._augment[0]),
                self._ffi.NULL if self._augment is None else self._pointer("int8_t *", self._augment[1]),
                self._pointer("const int8_t *", samples),
                self._pointer("const void *", wanted),
                self._pointer("const uint32_t *", sequence),
                self._ffi.NULL if rate is None else self._pointer("const float *", rate),
                len(sequence),
                self._pointer("void *", info),
            )
        )
        return Steps(info)

    def train_soft(
        self,
        x: NDArray[np.int8],
        soft: NDArray[np.uint8],
        order: NDArray[np.uint32],
        rates: NDArray[np.float32] | None = None,
    ) -> Steps:
        """One training step towards a distribution per entry of `order`.

        Raises:
            UsageError: the model does not train, its targets are no classes, or a distribution is all zero.
        """
        program = self._compiled.program
        self._demand_training()
        demand_soft(program)
        samples, wanted = np.ascontiguousarray(x, np.int8), np.ascontiguousarray(soft, np.uint8)
        sequence = np.ascontiguousarray(order, np.uint32)
        rate = None if rates is None else np.ascontiguousarray(rates, np.float32)
        if wanted.shape != (len(samples), program.classes):
            raise UsageError(
                f"soft targets of shape {wanted.shape} for {len(samples)} samples of {program.classes} classes",
                where="soft",
                hint=f"shape ({len(samples)}, {program.classes})",
            )
        if len(sequence) and int(sequence.max()) >= len(samples):
            raise UsageError(f"order names sample {int(sequence.max())} of {len(samples)}", where="order")
        empty = np.flatnonzero(~wanted.any(axis=1))
        if empty.size:
            raise UsageError(
                f"{empty.size} of {len(wanted)} soft targets are all 0, the first is that of sample {int(empty[0])}",
                where="soft",
                hint="shares of the classes, 255 for the largest",
            )
        info = np.zeros(len(sequence), step_type(program.label_kind))
        _demand_ok(
            self._library.mcg_host_train_soft(
                self._pointer("void *", self._memory),
                self._pointer("const int8_t *", samples),
                self._pointer("const uint8_t *", wanted),
                self._pointer("const uint32_t *", sequence),
                self._ffi.NULL if rate is None else self._pointer("const float *", rate),
                len(sequence),
                self._pointer("void *", info),
            )
        )
        return Steps(info)

    def begin_augment(self, how: NDArray[Any]) -> None:
        """Change every sample that `train` trains from now on."""
        self._demand_training()
        size = self._compiled.program.buffers[self._compiled.program.input].count
        self._augment = np.array(how, AUGMENT).reshape(1), np.zeros(size, np.int8)

    def end_augment(self) -> None:
        """Train samples as they are from now on."""
        self._augment = None

    def augment(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Samples (n, input size), changed as the next ones to be trained would be."""
        assert self._augment is not None
        samples = np.ascontiguousarray(x, np.int8)
        y = np.empty_like(samples)
        _demand_ok(
            self._library.mcg_host_augment(
                self._pointer("void *", self._augment[0]),
                self._pointer("const int8_t *", samples),
                len(samples),
                self._pointer("int8_t *", y),
            )
        )
        return y

    def set_schedule(self, schedule: NDArray[Any]) -> None:
        """Let the learning rate run by a schedule from the next step on."""
        self._demand_training()
        record = np.ascontiguousarray(schedule, SCHEDULE)
        _demand_ok(
            self._library.mcg_host_schedule(
                self._pointer("void *", self._memory), self._pointer("const void *", record)
            )
        )

    def begin_replay(self, capacity: int, every: int, collect: bool, seed: int) -> None:
        """Train with an empty replay buffer from now on."""
        self._demand_training()
        header = np.zeros(-(-self._library.mcg_host_replay_size() // 8), np.uint64)
        memory = np.zeros((capacity, self._compiled.program.slot_words), np.uint32)
        place = self._pointer("void *", header), self._pointer("void *", memory)
        _demand_ok(self._library.mcg_host_replay_init(*place, memory.size, seed, every, collect))
        self._replay = header, memory

    def replay_add(self, x: NDArray[np.int8], targets: NDArray[Any]) -> None:
        """Offer samples to the replay buffer."""
        assert self._replay is not None
        samples, wanted = np.ascontiguousarray(x, np.int8), self._targets(targets)
        _demand_ok(
            self._library.mcg_host_replay_add(
                self._pointer("void *", self._replay[0]),
                self._pointer("const int8_t *", samples),
                self._pointer("const void *", wanted),
                len(samples),
            )
        )

    def replay_remember(self) -> None:
        """Let stored samples be trained towards what the model says now. Raises UsageError without classes."""
        assert self._replay is not None
        demand_soft(self._compiled.program)
        _demand_ok(
            self._library.mcg_host_replay_remember(
                self._pointer("void *", self._memory), self._pointer("void *", self._replay[0])
            )
        )

    def end_replay(self) -> None:
        """Train without replay buffer from now on."""
        self._replay = None

    def replay(self) -> Stored:
        """A copy of the replay buffer."""
        assert self._replay is not None
        kind = replay_type(self._compiled.program)
        return Stored(
            self._replay[0].view(np.uint8)[: kind.itemsize].view(kind).copy(), self._replay[1].copy()
        )

    def begin_guard(self) -> None:
        """Forget the state to come back to."""
        self._demand_training()
        self._snapshot = np.zeros(-(-self._library.mcg_host_snapshot_size() // 8), np.uint64)

    def guard(self, x: NDArray[np.int8], targets: NDArray[Any], margin: float) -> Guarded:
        """Test; keep the state if it is the best so far, come back to the best if worse by more than the margin."""
        assert self._snapshot is not None
        samples, wanted = np.ascontiguousarray(x, np.int8), self._targets(targets)
        result = np.zeros(1, GUARD)
        _demand_ok(
            self._library.mcg_host_guard(
                self._pointer("void *", self._memory),
                self._pointer("void *", self._snapshot),
                self._pointer("const int8_t *", samples),
                self._pointer("const void *", wanted),
                len(samples),
                margin,
                self._pointer("void *", result),
            )
        )
        return guarded(result[0])

    def state(self) -> State:
        """A copy of the learned state."""
        return {b.name: self._view(b.name).copy() for b in self._compiled.layout.params}

    def restore(self, state: State) -> None:
        """Put a learned state back."""
        for buffer in self._compiled.layout.params:
            self._view(buffer.name)[...] = state[buffer.name]

    def _remembered(self, samples: NDArray[np.int8], wanted: NDArray[np.uint32] | None = None) -> Any:
        """What the frozen layers gave for samples, as the twin's C sees it; null where no layers are frozen."""
        if self._memo is None:
            return self._ffi.NULL
        place = self._memo.places(samples, wanted)
        found = self._ffi.new("mcg_memo_t *")
        found.place = self._pointer("const int32_t *", place)
        found.known = self._pointer("uint8_t *", self._memo.known)
        found.records = self._pointer("uint8_t *", self._memo.records)
        self._alive = place  # C holds no reference
        return found

    def _demand_training(self) -> None:
        if not self._compiled.program.trains:
            raise UsageError(
                "the model was compiled for inference only", where="train", hint="compile with train="
            )

    def _targets(self, targets: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(targets, ELEMENT_TYPES[self._compiled.program.label_kind.value])

    def _view(self, name: str) -> NDArray[Any]:
        buffer = self._compiled.program.buffers[name]
        start = self._compiled.layout.offsets[name]
        return self._memory[start : start + buffer.size].view(buffer.dtype).reshape(buffer.shape)

    def _pointer(self, ctype: str, array: NDArray[Any]) -> Any:
        return self._ffi.cast(ctype, array.ctypes.data)


def _demand_ok(status: int) -> None:
    """The twin checks its arguments in Python, so a status here is a defect of ours."""
    if status != 0:
        raise RuntimeError(f"the host twin returned status {status}")
