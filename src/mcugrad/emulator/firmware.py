"""A generated model on an emulated Cortex-M, with the same calls, bytes and faults as on the chip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugrad import toolchain
from mcugrad.abi.constants import numbers
from mcugrad.abi.headers import without_comments
from mcugrad.abi.records import ELEMENT_TYPES
from mcugrad.emit.steps import MARK
from mcugrad.emulator import HARNESS, source
from mcugrad.emulator.counter import BlockCount
from mcugrad.emulator.cpu import AFTER_CALL, BEFORE_CALL, DEFAULT_BUDGET, IDLE, Emulator, Hook, demanded
from mcugrad.errors import DataError, DeviceError, UsageError
from mcugrad.program.reserve import STACK
from mcugrad.progress import working
from mcugrad.targets import Target
from mcugrad.toolchain import lint, size
from mcugrad.toolchain.cache import Defines


@cache
def _harness() -> dict[str, int | float]:
    """Numbers that the harness gives names to, such as those of its commands."""
    return numbers(without_comments(source(HARNESS[1]).read_text(encoding="utf-8")))


def _as_int32(word: int) -> int:
    """The int32 with the bits of a uint32."""
    return word if word < 2**31 else word - 2**32


class DeviceModel:
    """A generated model on an emulated core: the calls of its C API, on the bytes the device would see.

    Args:
        sources: the model's C files, without a main.
        name: prefix of its functions; its header is `<name>.h` unless `header` says otherwise.
        target: core and memories.
        input_size, output_size: elements of x and y.
        output_type: C type of the elements of y, `int8_t` or `float`.
        info_size: bytes of the struct that a training step fills in, checked against what was compiled.
        include_dirs: folders with the headers.
        training: whether the model has `<name>_train_step`.
        label_type: C type of the elements of a label that is an array; empty for a class.
        schedule: whether the model has `<name>_set_schedule`, and it is wanted.
        slot_words: words of a sample in a replay buffer.
        replay: samples of a replay buffer; 0 for none.
        latents_size: bytes of a sample's latents, where it holds those; None where it holds inputs.
        guard: most samples of a guard set; 0 for none.
        soft: whether the model has `<name>_train_soft`, and it is wanted.
        augment: whether the model has `<name>_augment`, and it is wanted.
        compiler, opt, defines, flags, stack_bytes: as for `toolchain.build_firmware`.
        hook, check_alignment: as for `Emulator`.
        budget: instructions after which a call counts as endless.

    Attributes:
        firmware: what was built, with its sizes.
        emulator: the core, for what is not offered here.
        last_instructions: instructions of the last call, from the function's first to its return.
        last_stack: bytes of stack the last call used.
        peak_stack: bytes of stack of the hungriest call so far.
        on_mark: called with the number behind each mark of firmware that has some.

    Raises:
        ToolError: no compiler or emulator, the build failed, or the firmware has instructions the core lacks.
        FitError: it does not fit into the target.
        UsageError: `info_size` is not what was compiled.
    """

    def __init__(
        self,
        sources: Sequence[Path],
        name: str,
        target: Target,
        *,
        input_size: int,
        output_size: int,
        info_size: int | None = None,
        include_dirs: Sequence[Path] = (),
        header: str | None = None,
        training: bool = True,
        output_type: str = "int8_t",
        label_type: str = "",
        schedule: bool = False,
        slot_words: int = 0,
        replay: int = 0,
        latents_size: int | None = None,
        guard: int = 0,
        soft: bool = False,
        augment: bool = False,
        compiler: str = "zig",
        opt: str = "-O3",
        defines: Defines | None = None,
        flags: Sequence[str] = (),
        stack_bytes: int = STACK,
        hook: Hook = "auto",
        check_alignment: bool = False,
        budget: int = DEFAULT_BUDGET,
    ) -> None:
        macros: dict[str, str | int | None] = {
            **(defines or {}),
            "MCG_MODEL": name,
            "MCG_MODEL_HEADER": f'"{header or f"{name}.h"}"',
            "MCG_INPUT_SIZE": input_size,
            "MCG_OUTPUT_SIZE": output_size,
            "MCG_OUTPUT_TYPE": output_type,
        }
        if not training:
            macros["MCG_NO_TRAINING"] = None
        if schedule:
            macros["MCG_SCHEDULE"] = None
        if replay:
            macros |= {"MCG_REPLAY_SAMPLES": replay, "MCG_SLOT_WORDS": slot_words}
            macros |= {} if latents_size is None else {"MCG_LATENTS_SIZE": latents_size}
        if guard:
            macros["MCG_GUARD_SAMPLES"] = guard
        if soft:
            macros["MCG_SOFT"] = None
        if augment:
            macros["MCG_AUGMENT"] = None
        if label_type:
            macros["MCG_LABEL_TYPE"] = label_type
        self.name = name
        self.training = training
        self._link = partial(
            toolchain.build_firmware,
            [*sources, *map(source, HARNESS)],
            target,
            compiler=compiler,
            opt=opt,
            include_dirs=include_dirs,
            defines=macros,
            flags=flags,
            stack_bytes=stack_bytes,
        )
        demanded(target)  # before something is built that nothing can run
        with working(f"building the firmware of {name} for {target.name}"):
            self.firmware = self._link()
        self.emulator = Emulator(self.firmware.elf, target, hook=hook, check_alignment=check_alignment)
        lint.check(self.emulator.image, target.core)
        self._budget = budget
        self._model = self._place("mcg_device_model")
        self._x = self._place("mcg_device_x").view(np.int8)
        self._y = self._place("mcg_device_y").view(ELEMENT_TYPES[output_type])
        self._info = self._place("mcg_device_info") if training else self._y.view(np.uint8)[:0]
        self._label = self._place("mcg_device_label") if label_type else self._x.view(np.uint8)[:0]
        self._schedule = self._place("mcg_device_schedule") if schedule else self._y.view(np.uint8)[:0]
        self._mailbox = self._place("mcg_device_mailbox").view(np.int32)
        if info_size is not None and info_size != self._info.size:
            raise UsageError(f"{name}_step_t has {self._info.size} B on {target.name}, not {info_size} B")
        self.last_instructions = 0
        self.last_stack = 0
        self.peak_stack = 0
        self.on_mark: Callable[[int], None] | None = None
        self._usable = False
        self._begin()

    def whole(self) -> toolchain.Firmware:
        """The same with all functions of the model, also those that the harness does not call.

        Raises:
            FitError: that is too large for the target.
        """
        return self._link(keep_all=f"{self.name}_")

    def _place(self, symbol: str) -> npt.NDArray[np.uint8]:
        found = self.emulator.image.symbol(symbol)
        return self.emulator.view(found.address, found.bytes)

    def reset(self) -> None:
        """Restarts the core; the model's memory is lost. The only way on after a DeviceError."""
        self.emulator.reset()
        self._begin()

    def _begin(self) -> None:
        self._expect(IDLE)
        self._usable = True

    def _expect(self, wanted: int) -> None:
        marker = self.emulator.run(self._budget)
        while marker == MARK and self.on_mark is not None:
            self.on_mark(self.emulator.number_behind())
            marker = self.emulator.run(self._budget)
        if marker != wanted:
            raise DeviceError(f"the core stopped at marker {marker} where {wanted} was expected")

    def _call(self, command: str, label: int = 0) -> int:
        """Runs a command of the harness, `MCG_COMMAND_<command>`, and returns the status."""
        if not self._usable:
            raise DeviceError("the core faulted in an earlier call", hint="reset() starts it over")
        self._usable = False
        self._mailbox[:2] = _harness()[f"MCG_COMMAND_{command}"], label
        self._expect(BEFORE_CALL)
        self.emulator.paint_stack()
        before = self.emulator.instructions
        self._expect(AFTER_CALL)
        self.last_instructions = self.emulator.instructions - before - 2  # without the BLX and the marker
        self.last_stack = self.emulator.stack_used()
        self.peak_stack = max(self.peak_stack, self.last_stack)
        self._expect(IDLE)
        self._usable = True
        return int(self._mailbox[2])

    def _set_input(self, x: npt.ArrayLike) -> None:
        array = np.asarray(x)
        if array.dtype != np.int8 or array.size != self._x.size:
            raise DataError(
                f"the input has {array.size} elements of {array.dtype}; "
                f"{self.name} takes {self._x.size} of int8"
            )
        self._x[:] = array.ravel()

    def init(self) -> None:
        """Calls `<name>_init`. Raises DeviceError on a fault or a status other than 0."""
        self._demand_ok(self._call("INIT"), "init")

    def predict(self, x: npt.ArrayLike) -> npt.NDArray[Any]:
        """Calls `<name>_predict` on int8 `x` (any shape, `input_size` elements); returns y, [output_size].

        Raises:
            DataError: `x` has another type or size.
            DeviceError: a fault, or a status other than 0.
        """
        self._set_input(x)
        self._demand_ok(self._call("PREDICT"), "predict")
        return self._y.copy()

    def train_step(self, x: npt.ArrayLike, label: int | npt.NDArray[Any]) -> tuple[int, bytes]:
        """Calls `<name>_train_step` on int8 `x`; returns the status and the bytes of the step's info struct.

        Args:
            x: the sample, int8.
            label: its class, or the array that the model's loss takes.

        Raises:
            UsageError: the model was built without training.
            DataError: `x` or `label` has another type or size, or a class is not in 0 .. 2**32 - 1.
            DeviceError: a fault.
        """
        status = self._call("TRAIN_STEP", self._set_sample(x, label))
        return status, self._info.tobytes()

    def _set_sample(self, x: npt.ArrayLike, label: int | npt.NDArray[Any]) -> int:
        """Place a sample and its label; its class, as the mailbox holds it, 0 if it has none."""
        if not self.training:
            raise UsageError(f"{self.name} was built without training")
        given = 0
        if self._label.size:
            wanted = np.asarray(label)
            if wanted.itemsize != 1 or wanted.size != self._label.size:
                raise DataError(
                    f"the label has {wanted.size} elements of {wanted.dtype}; "
                    f"{self.name} takes {self._label.size} of one byte"
                )
            self._label[:] = np.ascontiguousarray(wanted).reshape(-1).view(np.uint8)
        else:
            given = int(label)
            if not 0 <= given < 2**32:
                raise DataError(f"the label {given} is not in 0 .. 4294967295")
        self._set_input(x)
        return _as_int32(given)

    def train_soft(self, x: npt.ArrayLike, soft: npt.NDArray[np.uint8]) -> tuple[int, bytes]:
        """Calls `<name>_train_soft`; returns the status and the bytes of the step's info struct.

        Raises:
            DataError: `x` or `soft` has another type or size.
            DeviceError: a fault.
        """
        place = self._place("mcg_device_soft")
        if soft.dtype != np.uint8 or soft.size != place.size:
            raise DataError(
                f"the soft label has {soft.size} elements of {soft.dtype}; "
                f"{self.name} takes {place.size} of uint8"
            )
        place[:] = soft.reshape(-1)
        self._set_input(x)
        status = self._call("TRAIN_SOFT")
        return status, self._info.tobytes()

    def set_augment(self, how: bytes | None) -> None:
        """Places an `mcg_augment_t` for `augment` and `train_replay`; None: replay changes nothing."""
        self._place("mcg_device_augments").view(np.uint32)[0] = how is not None
        if how is not None:
            self._place("mcg_device_augment")[:] = np.frombuffer(how, np.uint8)

    def augment(self, x: npt.ArrayLike) -> npt.NDArray[np.int8]:
        """Calls `<name>_augment`; returns the changed sample. Raises as `predict` does."""
        self._set_input(x)
        self._demand_ok(self._call("AUGMENT"), "augment")
        return self._place("mcg_device_scratch").view(np.int8).copy()

    def replay_remember(self) -> None:
        """Calls `<name>_replay_remember`. Raises DeviceError on a fault or a status other than 0."""
        self._demand_ok(self._call("REPLAY_REMEMBER"), "replay_remember")

    def replay_init(self, seed: int) -> None:
        """Calls `<name>_replay_init`. Raises DeviceError on a fault or a status other than 0."""
        self._demand_ok(self._call("REPLAY_INIT", _as_int32(seed)), "replay_init")

    def replay_add(self, x: npt.ArrayLike, label: int | npt.NDArray[Any]) -> int:
        """Calls `<name>_replay_add` and returns the status. Raises as `train_step` does."""
        return self._call("REPLAY_ADD", self._set_sample(x, label))

    def train_replay(self, x: npt.ArrayLike, label: int | npt.NDArray[Any]) -> tuple[int, bytes]:
        """Calls `<name>_train_replay`; returns the status and the bytes of the step's info struct."""
        status = self._call("TRAIN_REPLAY", self._set_sample(x, label))
        return status, self._info.tobytes()

    def replay(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
        """The replay buffer: `<name>_replay_t`, and the memory of its samples, both to be written, too."""
        memory = self._place("mcg_device_replay_memory").view(np.uint32)
        return self._place("mcg_device_replay"), memory

    def begin_guard(self) -> None:
        """Forgets the snapshot."""
        self._place("mcg_device_snapshot")[:] = 0

    def guard(self, x: npt.NDArray[np.int8], labels: npt.NDArray[Any], margin: float) -> bytes:
        """Calls `<name>_guard`; returns the bytes of its `mcg_guard_t`.

        Raises:
            DataError: more samples than `guard`.
            DeviceError: a fault, or a status other than 0.
        """
        places = self._place("mcg_device_guard_x"), self._place("mcg_device_guard_labels")
        for place, content in zip(places, (x, labels), strict=True):
            given = np.ascontiguousarray(content).reshape(-1).view(np.uint8)
            if given.size > place.size:
                raise DataError(f"{given.size} B of a guard set do not fit into {place.size} B")
            place[: given.size] = given
        self._place("mcg_device_margin").view(np.float32)[0] = margin
        self._demand_ok(self._call("GUARD", len(x)), "guard")
        return self._place("mcg_device_guard").tobytes()

    def set_schedule(self, schedule: bytes) -> None:
        """Calls `<name>_set_schedule` with the bytes of an `mcg_schedule_t`.

        Raises:
            UsageError: the model was built without schedules.
            DeviceError: a fault, or a status other than 0.
        """
        if not self._schedule.size:
            raise UsageError(f"{self.name} was built without schedules")
        self._schedule[:] = np.frombuffer(schedule, np.uint8)
        self._demand_ok(self._call("SET_SCHEDULE"), "set_schedule")

    def _demand_ok(self, status: int, function: str) -> None:
        if status != 0:
            raise DeviceError(f"{self.name}_{function} returned the status {status}")

    @property
    def model_size(self) -> int:
        """Bytes of the model's struct, `sizeof(<name>_t)` on the device."""
        return int(self._model.size)

    def _part(self, offset: int, count: int) -> npt.NDArray[np.uint8]:
        if offset < 0 or count < 0 or offset + count > self._model.size:
            raise UsageError(
                f"{count} B at offset {offset} are outside {self.name}_t of {self._model.size} B"
            )
        return self._model[offset : offset + count]

    def read_model(self, offset: int = 0, size: int | None = None) -> bytes:
        """`size` bytes of the model's struct from `offset` on; None = to its end."""
        return self._part(offset, self.model_size - offset if size is None else size).tobytes()

    def write_model(self, offset: int, content: bytes) -> None:
        """Overwrites a part of the model's struct."""
        self._part(offset, len(content))[:] = np.frombuffer(content, dtype=np.uint8)

    def forget_blocks(self) -> None:
        """Starts a new profile for `blocks`."""
        self.emulator.forget_blocks()

    def blocks(self) -> list[BlockCount]:
        """The model's blocks executed since `forget_blocks`, without those of the harness around it."""
        start, count = size.sections(self.firmware.elf)[".mcg_harness"]
        return [block for block in self.emulator.blocks() if not start <= block.address < start + count]
