"""Every error a user can meet, as one tree. Each says what, where, and what to try.

McugradError
├── UsageError     an option or argument makes no sense (unknown target, `train=` names nothing)
├── ModelError     the model cannot be used (corrupt file, unsupported operator, NaN weights)
├── DataError      samples or labels cannot be used (empty calibration, label out of range)
├── ToolError      a compiler or emulator is missing, or a build failed
├── DeviceError    the emulated device faulted (memory fault, undefined instruction)
├── DefectError    mcugrad itself is wrong                    (exit code 3: report it)
├── FitError       it does not fit into RAM or flash          (exit code 1: the answer is no)
└── MismatchError  device and twin differ                     (exit code 1: the answer is no)

McugradWarning     nothing failed, but data or training are likely to be wrong; see mcugrad.concerns
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class McugradWarning(UserWarning):
    """Nothing failed, but something is likely to be wrong: values out of range, a training that has collapsed."""


class McugradError(Exception):
    """Base of all errors raised on purpose.

    Args:
        what: one sentence, no full stop, with numbers and units.
        where: the place: file, node, step, address.
        hint: what to try.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    @property
    def most(self) -> str:
        """What takes most; empty where nothing is short."""
        return ""

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where  {self.where}")
        if self.most:
            lines.append(f"  most   {self.most}")
        if self.hint:
            lines.append(f"  try    {self.hint}")
        return "\n".join(lines)


class UsageError(McugradError):
    """An option or argument makes no sense."""


class ModelError(McugradError):
    """The model cannot be used."""


class DataError(McugradError):
    """Samples or labels cannot be used."""


class ToolError(McugradError):
    """A compiler or emulator is missing, or a build failed."""


class DeviceError(McugradError):
    """The emulated device faulted."""


@dataclass(frozen=True)
class Consumer:
    """What takes memory.

    Attributes:
        what: a kind of things, or one thing.
        bytes: that it takes.
        most: the largest of its kind; empty where it is one thing.
        most_bytes: that this one takes.
    """

    what: str
    bytes: int
    most: str = ""
    most_bytes: int = 0

    @property
    def text(self) -> str:
        """`weights that train 3,592 B, fc1_w 2,048 B of it`."""
        if not self.most:
            return f"{self.what} {self.bytes:,} B"
        if self.most_bytes == self.bytes:
            return f"{self.what} {self.bytes:,} B ({self.most})"
        return f"{self.what} {self.bytes:,} B, {self.most} {self.most_bytes:,} B of it"


class FitError(McugradError):
    """The program does not fit into the target's RAM or flash.

    Args:
        what, where, hint: as of every error.
        short: bytes that are missing, by `RAM` and `flash`, where a linker said so.
        largest: what takes most of the memory that is short, the largest first.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        hint: str = "",
        short: Mapping[str, int] | None = None,
        largest: Sequence[Consumer] = (),
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.short = dict(short or {})
        self.largest = tuple(largest)

    @property
    def most(self) -> str:
        """What takes most, with bytes."""
        return "; ".join(each.text for each in self.largest)


class DefectError(McugradError):
    """Something is wrong with mcugrad, not with what it was given; a file that shows it was written."""

    exit_code = 3


class MismatchError(McugradError):
    """Two executors that must agree to the last bit do not."""

    exit_code = 1
