"""The host twin: the generated C, built for this computer. Same bytes as the device; whole epochs run in C."""

from __future__ import annotations

import ctypes
import re
from functools import cache
from typing import Any

import cffi
import numpy as np
from numpy.typing import NDArray

from mcugrad import toolchain
from mcugrad.abi.records import GUARD, replay_record
from mcugrad.emit import host_loops
from mcugrad.errors import ToolError
from mcugrad.ops.life.replay_buffer import ReplayBuffer
from mcugrad.progress import working
from mcugrad.run.life import Life
from mcugrad.run.memo import Memo
from mcugrad.run.runner import Compiled, Steps, demand_soft, guarded
from mcugrad.training.guard import Guarded

_DECLARED = re.compile(
    r"^typedef struct \{(?:(?!^\}).)*^\} mcg_memo_t;|^(?:mcg_status_t|size_t) mcg_host_\w+\([^)]*\);",
    re.MULTILINE | re.DOTALL,
)
"""What of the twin's C is called from here."""


@cache
def _declared() -> cffi.FFI:
    """What is called, parsed: the same of all twins."""
    ffi = cffi.FFI()
    ffi.cdef("\n".join(("typedef int mcg_status_t;", *_DECLARED.findall(host_loops()))))
    return ffi


class HostTwin(Life):
    """A generated model on this computer.

    Args:
        compiled: the model.
        compiler: `zig` or `gcc`; None takes the first that is installed.
        opt: optimisation level, `-O0` to `-O3`.

    Raises:
        ToolError: no compiler is installed, or the build failed.
    """

    def __init__(self, compiled: Compiled, *, compiler: str | None = None, opt: str = "-O3") -> None:
        folder = compiled.folder() / compiled.twin
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
        super().__init__(compiled)
        self._ffi = _declared()
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
        # room for a changed sample, or for the latents of one
        room = max(compiled.program.buffers[compiled.program.input].count, compiled.program.stored)
        self._scratch = np.zeros(room, np.int8)
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

    def step(self, x: NDArray[np.int8], label: NDArray[Any], *, soft: bool = False) -> NDArray[Any]:
        """One training step."""
        one, sample = np.zeros(1, np.uint32), np.ascontiguousarray(x, np.int8)
        steps = self._soft_steps if soft else self._plain_steps
        return steps(sample, np.ascontiguousarray(label), one, None).info

    def read(self, place: int, size: int) -> NDArray[np.uint8]:
        """Bytes of the model."""
        return self._memory[place : place + size].copy()

    def write(self, place: int, content: NDArray[np.uint8]) -> None:
        """Put bytes there."""
        self._memory[place : place + content.size] = content

    # -- what is faster in C -------------------------------------------------------------------------------------

    def train(
        self,
        x: NDArray[np.int8],
        labels: NDArray[Any],
        order: NDArray[np.uint32],
        rates: NDArray[np.float32] | None = None,
    ) -> Steps:
        """One training step per entry of `order`. Raises UsageError as any Life does."""
        self._demand_training()
        samples = np.ascontiguousarray(x, np.int8)
        self._demand_samples(samples, order)
        return self._plain_steps(samples, self._labels(labels), order, rates, lives=True)

    def train_soft(
        self,
        x: NDArray[np.int8],
        soft: NDArray[np.uint8],
        order: NDArray[np.uint32],
        rates: NDArray[np.float32] | None = None,
    ) -> Steps:
        """One training step towards a distribution per entry of `order`. Raises UsageError as any Life does."""
        self._demand_training()
        samples, wanted = np.ascontiguousarray(x, np.int8), self._demand_soft(x, soft)
        self._demand_samples(samples, order)
        return self._soft_steps(samples, wanted, order, rates)

    def augment(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Samples (n, input size), changed as the next ones to be trained would be."""
        samples = np.ascontiguousarray(x, np.int8)
        if self._augment is None:
            return samples
        y = np.empty_like(samples)
        _demand_ok(
            self._library.mcg_host_augment(
                self._pointer("void *", self._augment),
                self._pointer("const int8_t *", samples),
                len(samples),
                self._pointer("int8_t *", y),
            )
        )
        return y

    def begin_replay(self, capacity: int, every: int, collect: bool, seed: int) -> None:
        """Train with an empty replay buffer from now on."""
        self._demand_training()
        program = self._compiled.program
        # uint64 for the pointers behind the header.
        words = np.zeros(-(-self._library.mcg_host_replay_size() // 8), np.uint64)
        kind = replay_record(program.replay_classes)
        memory = np.zeros(capacity * program.slot_words, np.uint32)
        place = self._pointer("void *", words), self._pointer("void *", memory)
        _demand_ok(self._library.mcg_host_replay_init(*place, memory.size, seed, every, collect))
        self._replay = ReplayBuffer(words.view(np.uint8)[: kind.itemsize].view(kind), memory)

    def replay_add(self, x: NDArray[np.int8], labels: NDArray[Any]) -> None:
        """Offer samples to the replay buffer."""
        assert self._replay is not None
        samples, wanted = np.ascontiguousarray(x, np.int8), self._labels(labels)
        _demand_ok(
            self._library.mcg_host_replay_add(
                self._pointer("void *", self._memory),
                self._pointer("void *", self._replay.header),
                self._pointer("int8_t *", self._scratch),
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
                self._pointer("void *", self._memory), self._pointer("void *", self._replay.header)
            )
        )

    def guard(self, x: NDArray[np.int8], labels: NDArray[Any], margin: float) -> Guarded:
        """Test; keep the state if it is the best so far, come back to the best if worse by more than the margin."""
        assert self._snapshot is not None
        samples, wanted = np.ascontiguousarray(x, np.int8), self._labels(labels)
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

    # ------------------------------------------------------------------------------------------------------------

    def _plain_steps(
        self,
        samples: NDArray[np.int8],
        labels: NDArray[Any],
        order: NDArray[np.uint32],
        rates: NDArray[np.float32] | None,
        *,
        lives: bool = False,
    ) -> Steps:
        """Steps by labels; as it lives, with what has begun: replay, augmentation."""
        sequence = np.ascontiguousarray(order, np.uint32)
        replay, how = (self._replay, self._augment) if lives else (None, None)
        remembered = lives and replay is None and how is None
        info = np.zeros(len(sequence), self._step_type)
        _demand_ok(
            self._library.mcg_host_train(
                self._pointer("void *", self._memory),
                self._remembered(samples, sequence) if remembered else self._ffi.NULL,
                self._pointer("void *", None if replay is None else replay.header),
                self._pointer("void *", how),
                self._pointer("int8_t *", self._scratch),
                self._pointer("const int8_t *", samples),
                self._pointer("const void *", labels),
                self._pointer("const uint32_t *", sequence),
                self._pointer("const float *", _floats(rates)),
                len(sequence),
                self._pointer("void *", info),
            )
        )
        return Steps(info)

    def _soft_steps(
        self,
        samples: NDArray[np.int8],
        soft: NDArray[np.uint8],
        order: NDArray[np.uint32],
        rates: NDArray[np.float32] | None,
    ) -> Steps:
        """Steps towards distributions."""
        sequence = np.ascontiguousarray(order, np.uint32)
        info = np.zeros(len(sequence), self._step_type)
        _demand_ok(
            self._library.mcg_host_train_soft(
                self._pointer("void *", self._memory),
                self._pointer("const int8_t *", samples),
                self._pointer("const uint8_t *", soft),
                self._pointer("const uint32_t *", sequence),
                self._pointer("const float *", _floats(rates)),
                len(sequence),
                self._pointer("void *", info),
            )
        )
        return Steps(info)

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

    def _pointer(self, ctype: str, array: NDArray[Any] | None) -> Any:
        return self._ffi.NULL if array is None else self._ffi.cast(ctype, array.ctypes.data)


def _floats(rates: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    return None if rates is None else np.ascontiguousarray(rates, np.float32)


def _demand_ok(status: int) -> None:
    """The twin checks its arguments in Python, so a status here is a defect of ours."""
    if status != 0:
        raise RuntimeError(f"the host twin returned status {status}")
