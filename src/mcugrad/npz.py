"""Archives of arrays, `.npz` as numpy.savez writes them, from anywhere.

What an array will take is read from the headers and compared with a limit before anything is unpacked, and only arrays
that are asked for are.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import DataError, McugradError
from mcugrad.files import shown

LIMIT = 4 << 30
"""Bytes that the arrays which are read from one file may take together."""
_VERSIONS: dict[tuple[int, int], Callable[[IO[bytes]], Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_SUFFIX = ".npy"
T = TypeVar("T")


@dataclass(frozen=True)
class Header:
    """What an array is, without its content."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        """What it takes."""
        return prod(self.shape) * self.dtype.itemsize


class Archive:
    """A file of arrays; it is open only while something is read.

    Args:
        path: of the file.
        hint: what to try where it cannot be read.

    Raises:
        DataError: it is no such archive, or its directory is damaged.
    """

    def __init__(self, path: Path, hint: str) -> None:
        self.path = path
        self._hint = hint
        names = self._guarded("", self._members)
        self.names: tuple[str, ...] = tuple(dict.fromkeys(names))
        twice = [name for i, name in enumerate(names) if name in names[:i]]
        if twice:
            raise self._error(f"it holds {twice[0]} twice")

    def header(self, name: str) -> Header:
        """Shape and type of an array. Raises DataError."""

        def read() -> Header:
            with self._opened() as archive, archive.open(name + _SUFFIX) as file:
                return self._header(file, archive.getinfo(name + _SUFFIX))

        return self._guarded(f"{name}: ", read)

    def read(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Arrays by name.

        Raises:
            DataError: one is damaged, encrypted or holds Python objects, or together they take more than `LIMIT`.
        """
        headers = {name: self.header(name) for name in names}
        total = sum(header.bytes for header in headers.values())
        largest = max(headers, key=lambda name: headers[name].bytes, default="")
        count = sum(prod(header.shape) for header in headers.values())
        if max(total, count) > LIMIT:
            raise self._error(
                f"its arrays take {total} bytes unpacked, most of it {largest} {headers[largest].shape} "
                f"{headers[largest].dtype}; at most {LIMIT} bytes are read",
                "fewer samples, or a smaller type: uint8 instead of float64",
            )
        return {name: self._guarded(f"{name}: ", partial(self._array, name)) for name in names}

    def _members(self) -> list[str]:
        with self.path.open("rb") as file:
            head = file.read(6)
        if head == b"\x93NUMPY":
            raise self._error("one array, not an .npz archive", plain=True)
        with self._opened() as archive:
            return [n.removesuffix(_SUFFIX) for n in archive.namelist() if n.endswith(_SUFFIX)]

    def _opened(self) -> zipfile.ZipFile:
        if not stat.S_ISREG(self.path.stat().st_mode):
            raise self._error("no ordinary file")
        return zipfile.ZipFile(self.path)

    def _header(self, file: IO[bytes], info: zipfile.ZipInfo) -> Header:
        version = np.lib.format.read_magic(file)
        if version not in _VERSIONS:
            raise ValueError(f"format {version[0]}.{version[1]} is not known")
        shape, _, dtype = _VERSIONS[version](file)
        if dtype.hasobject:
            raise ValueError("it holds Python objects")
        header = Header(tuple(int(n) for n in shape), dtype)
        if min(header.shape, default=0) < 0:
            raise ValueError(f"the shape is {header.shape}")
        there = info.file_size - file.tell()
        if there != header.bytes:
            raise ValueError(f"{header.shape} {dtype} takes {header.bytes} bytes, there are {there}")
        return header

    def _array(self, name: str) -> NDArray[Any]:
        with self._opened() as archive, archive.open(name + _SUFFIX) as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return np.ascontiguousarray(array).reshape(array.shape)  # which turns () into (1,)

    def _guarded(self, name: str, action: Callable[[], T]) -> T:
        """Run what reads damaged bytes; whatever it raises becomes a DataError."""
        try:
            return action()
        except (McugradError, MemoryError):
            raise
        except Exception as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise self._error(name + (_known(error) or reason[:200] or type(error).__name__)) from error

    def _error(self, what: str, hint: str = "", *, plain: bool = False) -> DataError:
        said = what if plain else f"the file cannot be read as .npz: {what}"
        return DataError(said, where=shown(self.path), hint=hint or self._hint)


def _known(error: Exception) -> str:
    """What libraries say in words of their own."""
    text = str(error)
    if "not a zip file" in text:
        return "it is no zip archive"
    if "is encrypted" in text or "password" in text:
        return "it is encrypted"
    return ""
