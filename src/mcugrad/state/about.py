"""About: what a state file says of its model, so that a state of another one can be refused by what differs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.records import ELEMENT_TYPES
from mcugrad.errors import DataError
from mcugrad.program import Buffer, Space

NAMED_ARRAYS = 3
"""Arrays that a message names at most."""
_TEXTS = ("name", "source", "sha256", "version", "trains", "precision", "loss")


@dataclass(frozen=True)
class Array:
    """One learned array: name, element type as C spells it, shape, least and largest number in it if there are such."""

    name: str
    ctype: str
    shape: tuple[int, ...]
    within: tuple[float, float] | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * ELEMENT_TYPES[self.ctype].itemsize

    @property
    def buffer(self) -> Buffer:
        """The same as the compiler has it."""
        return Buffer(self.name, self.ctype, self.shape, Space.STATE, within=self.within)

    def __str__(self) -> str:
        return f"{self.ctype} {list(self.shape)}"


@dataclass(frozen=True)
class About:
    """Which model a state belongs to.

    Attributes:
        name: of the model in C.
        source: name of the file that it came from.
        sha256: of that file, hexadecimal.
        version: of the mcugrad that compiled it.
        trains: what learns, and how.
        precision: `int8`, `mixed` or `float32`.
        loss: what training makes smaller, with its options.
        data: what it was trained on, as `Trainer.data_hash`; empty for nothing, None where it is not known.
        ram: bytes of the model's struct on the device.
        size: bytes of its `params`.
        arrays: what was learned, in the order in which it lies there, nothing between.
    """

    name: str
    source: str
    sha256: str
    version: str
    trains: str
    precision: str
    loss: str
    data: str | None
    ram: int
    size: int
    arrays: tuple[Array, ...]

    def split(self, params: bytes) -> dict[str, NDArray[Any]]:
        """The arrays that lie in `params`, by name; read-only views."""
        found: dict[str, NDArray[Any]] = {}
        start = 0
        for array in self.arrays:
            kind = ELEMENT_TYPES[array.ctype]
            count = array.size // kind.itemsize
            found[array.name] = np.frombuffer(params, kind, count, start).reshape(array.shape)
            start += array.size
        return found

    def join(self, arrays: Mapping[str, NDArray[Any]]) -> bytes:
        """The bytes of `params` that hold these arrays, which must be those described."""
        content = b"".join(np.ascontiguousarray(arrays[a.name]).tobytes() for a in self.arrays)
        return content.ljust(self.size, b"\0")

    def to_json(self) -> bytes:
        """The description as a file holds it: one line, the same bytes everywhere."""
        facts = asdict(self)
        facts["arrays"] = [[a.name, a.ctype, a.shape, a.within] for a in self.arrays]
        return plain_json(facts)

    @classmethod
    def from_json(cls, data: bytes, where: str) -> About:
        """Read a description. Raises DataError for what is none."""
        try:
            facts = json.loads(data)
            arrays = tuple(_array(entry) for entry in facts.pop("arrays"))
            if set(facts) != {f.name for f in fields(cls)} - {"arrays"}:
                raise ValueError
            texts = [facts[name] for name in _TEXTS] + ([] if facts["data"] is None else [facts["data"]])
            numbers = (facts["ram"], facts["size"])
            right = all(isinstance(t, str) and t.isprintable() for t in texts) and all(
                _is_size(n) for n in numbers
            )
            content = sum(array.size for array in arrays)
            if not right or not content <= facts["size"] < content + 4:
                raise ValueError
            names = (facts["name"], *(array.name for array in arrays))
            if not all(re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) for name in names):
                raise ValueError
            if len({array.name for array in arrays}) < len(arrays):
                raise ValueError
            return cls(**facts, arrays=arrays)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            raise DataError(
                "the state file's description of its model cannot be read",
                where=where,
                hint="a file that Trainer.save or `mcugrad train --save` wrote",
            ) from None

    def differences(self, other: About) -> list[str]:
        """In what another model differs from this one, most telling first."""
        found = []
        if other.sha256 != self.sha256:
            found.append(
                f"it was trained from {other.source} (sha256 {other.sha256[:8]}), this model is from "
                f"{self.source} ({self.sha256[:8]})"
            )
        for name, what in (
            ("trains", "it trains"),
            ("precision", "its precision is"),
            ("loss", "its loss is"),
        ):
            theirs, ours = getattr(other, name), getattr(self, name)
            if theirs != ours:
                found.append(f"{what} {theirs}; this model: {ours}")
        found += _unlike(self.arrays, other.arrays)
        if other.version != self.version:
            found.append(f"it is of mcugrad {other.version}; this is {self.version}")
        return found


def plain_json(facts: Any) -> bytes:
    """JSON in one line, the same bytes everywhere; numbers of NumPy as Python's."""
    return json.dumps(
        facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=_number
    ).encode("ascii")


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in a state file")


def arrays_of(params: Iterable[Buffer]) -> tuple[Array, ...]:
    """What lies in a model's `params`."""
    return tuple(Array(b.name, b.ctype, b.shape, b.within) for b in params)


def _unlike(ours: Iterable[Array], theirs: Iterable[Array]) -> list[str]:
    mine, other = {a.name: str(a) for a in ours}, {a.name: str(a) for a in theirs}
    names = [n for n in dict.fromkeys((*mine, *other)) if mine.get(n) != other.get(n)]
    if not names:
        return []
    said = [f"{n} is {other.get(n, 'missing')}, here {mine.get(n, 'missing')}" for n in names[:NAMED_ARRAYS]]
    more = f" and {len(names) - NAMED_ARRAYS} more" if len(names) > NAMED_ARRAYS else ""
    return [f"{len(names)} of {len({*mine, *other})} arrays differ: {', '.join(said)}{more}"]


def _array(entry: Any) -> Array:
    name, ctype, shape, within = entry
    if not (isinstance(name, str) and ctype in ELEMENT_TYPES and isinstance(shape, list)):
        raise ValueError
    if not all(_is_size(n) and n > 0 for n in shape):
        raise ValueError
    if within is not None:
        least, most = within
        within = (float(least), float(most))
    return Array(name, ctype, tuple(shape), within)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32
