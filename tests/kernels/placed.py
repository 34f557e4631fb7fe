"""Arguments of a kernel in memory of this computer, laid out once for any number of libraries to be called with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any

import numpy as np
from cffi import FFI
from numpy.typing import NDArray

from mcugrad.ops.life.replay_buffer import ReplayBuffer
from mcugrad.program import Kernel, Struct
from mcugrad.program.kernel import SCRATCH
from mcugrad.training.losses import LabelKind
from mcugrad.training.rules import InPlace

MEANINGLESS = ("band", "gradient", "packed", "patch", SCRATCH)
"""Parameters that a kernel may leave in any state."""

POINTERS = ("memory", "augment", "scratch")
"""Of a replay buffer."""

GUARD = 64
"""Bytes before and behind every array that a kernel must leave alone."""
_FILL = 0xA5


@cache
def _struct(ffi: FFI, value: Struct) -> Any:
    """Constants of a layer in C, which kernels only read."""
    return ffi.new(f"{value.ctype()} *", value.values())


class Placed:
    """Arguments of a kernel, each array between bytes that the kernel must leave alone.

    Args:
        kernel: the kernel.
        arguments: by name; None is a null pointer. They are copied.
        ffi: knows the kernel's structs.
        shift: bytes by which arrays of bytes lie behind a multiple of 16.
        over: an array, one that shares bytes with it, and by how many that begins before it. What they hold before a
            call has to be the same where they share.
        wanted: what arrays are to hold after a call.
    """

    def __init__(
        self,
        kernel: Kernel,
        arguments: Mapping[str, Any],
        ffi: FFI,
        shift: int = 0,
        over: tuple[str, str, int] | None = None,
        wanted: Mapping[str, Any] | None = None,
    ) -> None:
        self._kernel, self._ffi, self._shift = kernel, ffi, shift
        self._places: dict[str, tuple[NDArray[Any], int]] = {}
        self._end = 0
        self._replays: list[tuple[str, ReplayBuffer, Any]] = []
        self._by_library: list[tuple[int, Any, str]] = []
        for param in kernel.params:
            value = arguments[param.name]
            if isinstance(value, np.ndarray):
                self._place(param.name, value, over, arguments)
            elif isinstance(value, ReplayBuffer):
                for name in POINTERS:
                    if (part := getattr(value, name)) is not None:
                        self._place(f"{param.name}.{name}", part, None, arguments)
        room = np.empty(self._end + GUARD + 16, np.uint8)
        begin = -room.ctypes.data % 16
        self._memory = room[begin : begin + self._end + GUARD]
        self._address = room.ctypes.data + begin
        self._start = np.full(self._memory.size, _FILL, np.uint8)
        for value, at in self._places.values():
            self._start[at : at + value.nbytes] = np.frombuffer(value.tobytes(), np.uint8)
        self._values = [
            self._value(i, p.name, p.ctype, arguments[p.name]) for i, p in enumerate(kernel.params)
        ]
        if wanted is not None:
            self._want(wanted, over)

    def _place(
        self, name: str, value: NDArray[Any], over: tuple[str, str, int] | None, arguments: Mapping[str, Any]
    ) -> None:
        if over is not None and name == over[1]:
            at = self._places[over[0]][1] - over[2]
        else:
            at = (self._end + GUARD + 15) // 16 * 16 + (self._shift if value.itemsize == 1 else 0)
            end = at + value.nbytes
            if over is not None and name == over[0]:
                at, end = at + over[2], max(end + over[2], at + arguments[over[1]].nbytes)
            self._end = end
        self._places[name] = value, at

    def _want(self, wanted: Mapping[str, Any], over: tuple[str, str, int] | None) -> None:
        """What all of the memory is to hold; of which parts that does not matter."""
        image, self._any = self._start.copy(), []
        for name, (value, at) in self._places.items():
            if name in MEANINGLESS or (over is not None and name == over[0]):
                self._any.append(slice(at, at + value.nbytes))
            elif name in wanted:
                image[at : at + value.nbytes] = np.frombuffer(wanted[name].tobytes(), np.uint8)
        if over is not None:
            (value, at), read = self._places[over[1]], self._places[over[0]][1]
            self._any = [
                slice(max(s.start, at + value.nbytes), s.stop) if s.start == read else s for s in self._any
            ]
        self._image, self._bytes = image, image.tobytes()

    def _value(self, index: int, name: str, ctype: str, value: Any) -> Any:
        """What is passed for a parameter."""
        if isinstance(value, np.ndarray):
            return self._pointer(name, f"{ctype} *")
        if isinstance(value, Struct):
            return _struct(self._ffi, value)
        if isinstance(value, ReplayBuffer):
            self._replays.append((name, value, self._ffi.new("mcg_replay_t *")))
            return self._replays[-1][2]
        if isinstance(value, InPlace) or is_dataclass(value):
            self._by_library.append((index, value, ctype))
        return self._ffi.NULL if value is None else value

    def _pointer(self, name: str, ctype: Any) -> Any:
        return self._ffi.cast(ctype, self._address + self._places[name][1])

    def call(self, library: Any) -> Any:
        """Call the kernel of a library of `cffi` with the arguments as they were given. Returns what it returns."""
        self._memory[:] = self._start
        for name, buffer, struct in self._replays:
            self._ffi.memmove(struct, buffer.header.tobytes(), buffer.header.nbytes)
            for part in POINTERS:
                if getattr(buffer, part) is not None:
                    kind = self._ffi.typeof(getattr(struct, part))
                    setattr(struct, part, self._pointer(f"{name}.{part}", kind))
        kept: list[Any] = []  # C holds no references
        for index, value, ctype in self._by_library:
            if isinstance(value, InPlace):
                self._values[index] = self._ffi.addressof(getattr(library, f"mcg_rule_{value.name}"))
            else:
                self._values[index] = self._descriptor(value, ctype, library, kept)
        return getattr(library, self._kernel.name)(*self._values)

    def holds_what_is_wanted(self) -> bool:
        """Whether all of the memory is as it should be, guards included, to the last bit; False says nothing of NaNs.

        Neither does it of replay buffers, which point to where they lie.
        """
        for each in self._any:
            self._memory[each] = self._image[each]
        return not self._replays and self._memory.tobytes() == self._bytes

    def take_back(self, arguments: Mapping[str, Any]) -> None:
        """Write into arrays what they hold after a call.

        Raises:
            AssertionError: a byte beside one of them changed.
        """
        taken: dict[int, NDArray[Any]] = {}
        outside = np.ones(self._memory.size, np.bool)
        for name, (value, at) in self._places.items():
            parameter, _, part = name.partition(".")
            own = getattr(arguments[parameter], part) if part else arguments[parameter]
            inside = slice(at, at + value.nbytes)
            own[...] = np.frombuffer(self._memory[inside].tobytes(), value.dtype).reshape(value.shape)
            taken[self._address + at], outside[inside] = own, False
        changed = np.flatnonzero(outside & (self._memory != _FILL))
        assert not changed.size, f"{self._kernel.name} wrote beside {self._beside(int(changed[0]))}"
        for name, _, struct in self._replays:
            buffer = arguments[name]
            held = np.frombuffer(self._ffi.buffer(struct), np.uint8)
            buffer.header.view(np.uint8)[:] = held[: buffer.header.nbytes]
            for part in POINTERS:
                address = int(self._ffi.cast("uintptr_t", getattr(struct, part)))
                setattr(buffer, part, taken.get(address))

    def _beside(self, place: int) -> str:
        """The array that a byte outside of all is nearest to."""
        ends = {name: (at, at + value.nbytes) for name, (value, at) in self._places.items()}
        return min(ends, key=lambda name: min(abs(place - end) for end in ends[name]))

    def _descriptor(self, value: Any, ctype: str, library: Any, kept: list[Any]) -> Any:
        """A struct with functions, such as `mcg_model_t`: they are those of the probes with the same name."""
        found, members = self._ffi.new(f"{ctype} *"), dict(self._ffi.typeof(ctype).fields)
        for name, given in vars(value).items():
            if callable(given):
                setattr(found, name, getattr(library, f"probe_{given.__name__}"))
            elif is_dataclass(given):
                inside = self._descriptor(given, members[name].type.cname, library, kept)
                setattr(found, name, inside[0])
            elif isinstance(given, LabelKind):
                setattr(found, name, list(LabelKind).index(given))
            elif given is not None and members[name].type.kind == "pointer":
                kept.append(self._ffi.new(f"{members[name].type.item.cname} *", given))
                setattr(found, name, kept[-1])
            elif given is not None:
                setattr(found, name, given)
        kept.append(found)
        return found
