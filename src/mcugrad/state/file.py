"""State files, `<name>.mcgstate`: what a model has learned, and which model that was. docs/state.md has the format.

Little-endian: 64 bytes of header, the bytes of `params` exactly as they lie in the device's memory, a description in
JSON, and what the model can be compiled again from. The last two may be absent. Equal training gives equal bytes.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import DataError, UsageError
from mcugrad.files import read_file, shown, write_file
from mcugrad.state.about import About

MAGIC = b"MCGSTATE"
VERSION = 1
SUFFIX = ".mcgstate"
HEADER = struct.Struct("<8sII32sIIII")
"""Magic, version, CRC-32 of all that follows it, fingerprint, training steps, and the lengths of the three parts."""
CHECKED = 16
"""First byte that the CRC-32 covers."""
LIMIT = 1 << 30
"""Bytes that a state file may have."""
_HINT = "a file that Trainer.save or `mcugrad train --save` wrote"


@dataclass(frozen=True, eq=False)
class StateFile:
    """A learned state outside of a model.

    Attributes:
        fingerprint: 32 bytes, of the model that it belongs to; the device knows the first four.
        params: as in the device's memory.
        about: which model that is; None where a device wrote the file, which does not know.
        program: what the model can be compiled again from, see `state/program.py`; empty if it is not there.
    """

    fingerprint: bytes
    params: bytes
    about: About | None = None
    program: bytes = b""

    @property
    def steps(self) -> int:
        """Training steps so far, modulo 2^32; 0 where nobody says which of the numbers counts them."""
        step = self.arrays.get("step")
        return 0 if step is None else int(step[0])

    @cached_property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The learned arrays by name, read-only; none without a description."""
        return {} if self.about is None else self.about.split(self.params)

    def to_bytes(self) -> bytes:
        """The file's content."""
        about = b"" if self.about is None else self.about.to_json()
        rest = self.params + about + self.program
        lengths = len(self.params), len(about), len(self.program)
        head = HEADER.pack(MAGIC, VERSION, 0, self.fingerprint, self.steps, *lengths)[CHECKED:]
        check = zlib.crc32(head + rest)
        return struct.pack("<8sII", MAGIC, VERSION, check) + head + rest

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "state") -> StateFile:
        """Read a file's content.

        Raises:
            DataError: it is no state file, of another version, truncated, or damaged.
        """

        def refused(what: str, hint: str = _HINT) -> DataError:
            return DataError(what, where=where, hint=hint)

        if data[: len(MAGIC)] != MAGIC:
            raise refused("not a state file: it does not begin with MCGSTATE")
        if len(data) < HEADER.size:
            raise refused(f"the state file is truncated: {len(data)} of {HEADER.size} bytes of its header")
        _, version, check, fingerprint, steps, *lengths = HEADER.unpack_from(data)
        if version != VERSION:
            raise refused(
                f"the state file has format version {version}; this mcugrad reads version {VERSION}",
                "the mcugrad that wrote it, or a newer one",
            )
        size = HEADER.size + sum(lengths)
        if len(data) != size:
            short = "truncated" if len(data) < size else "longer than it should be"
            raise refused(f"the state file is {short}: {len(data)} bytes, its header says {size}")
        found = zlib.crc32(data[CHECKED:])
        if found != check:
            raise refused(
                f"the state file is damaged: its CRC-32 is {found:08x}, not {check:08x}", "another copy of it"
            )
        params, about, program = _parts(data[HEADER.size :], lengths)
        result = cls(fingerprint, params, About.from_json(about, where) if about else None, program)
        if result.about is not None:
            if result.about.size != len(params):
                raise refused(
                    f"the state file contradicts itself: {len(params)} bytes of params, {result.about.size} described"
                )
            if result.steps != steps:
                raise refused(
                    f"the state file contradicts itself: {steps} training steps and {result.steps} in params"
                )
        return result

    @classmethod
    def read(cls, path: str | Path) -> StateFile:
        """Read a file. Raises DataError: it cannot be read, is no state file, truncated, or damaged."""
        place = Path(path)
        data = read_file(place, LIMIT, what="the state file", error=DataError, hint=_HINT)
        return cls.from_bytes(data, shown(place))

    def write(self, path: str | Path) -> Path:
        """Write the file whole or not at all. Raises UsageError where it cannot be written."""
        place = Path(path)
        try:
            return write_file(place, self.to_bytes())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(
                f"cannot write the state file: {reason}", where=shown(place), hint="another place"
            ) from None

    def with_params(self, params: bytes) -> StateFile:
        """Another state of the same model; on which data it was trained is not known."""
        about = None if self.about is None else replace(self.about, data=None)
        return replace(self, params=params, about=about)


def _parts(data: bytes, lengths: list[int]) -> list[bytes]:
    ends = np.cumsum(lengths).tolist()
    return [data[end - length : end] for end, length in zip(ends, lengths, strict=True)]
